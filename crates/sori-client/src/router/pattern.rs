//! Patterns of topics with names in them, and the filters that they become.

use sori_mqtt::TopicFilter;

/// A pattern: `sensors/{room}/temperature`, `logs/{path..}`.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) text: String,
    /// What the server is asked for: `sensors/+/temperature`, `logs/#`.
    pub(super) filter: String,
    levels: Vec<Level>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Literal(String),
    /// `{name}`: one level.
    One,
    /// `{name..}`: this level and all behind it, also none.
    Rest,
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut levels = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for level in text.split('/') {
            if levels.last() == Some(&Level::Rest) {
                return Err("a name with .. takes all that follows, so it stands at the end".into());
            }
            let Some(name) = level.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                levels.push(literal(level)?);
                continue;
            };
            let (name, level) = name.strip_suffix("..").map_or((name, Level::One), |name| (name, Level::Rest));
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err("between { and } stands a name of letters, digits and _".into());
            }
            if names.contains(&name) {
                return Err(format!("the name \"{name}\" stands in it twice"));
            }
            names.push(name);
            levels.push(level);
        }
        let filter = levels.iter().map(Level::as_filter).collect::<Vec<_>>().join("/");
        TopicFilter::new(&filter).map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_owned(), filter, levels })
    }

    /// How many names it has.
    pub(super) fn names(&self) -> usize {
        self.levels.iter().filter(|level| !matches!(level, Level::Literal(_))).count()
    }

    /// What stands in the places of the names, if the topic matches.
    pub(super) fn captures<'t>(&self, topic: &'t str) -> Option<Vec<&'t str>> {
        // [MQTT-4.7.2-1] A wildcard at the beginning is not for topics that begin with $.
        if topic.starts_with('$') && !matches!(self.levels.first(), Some(Level::Literal(_))) {
            return None;
        }
        let mut captures = Vec::new();
        let mut rest = Some(topic);
        for level in &self.levels {
            let Some(text) = rest else {
                // [MQTT-4.7.1-2] The multi-level wildcard stands for the parent level, too.
                return (*level == Level::Rest).then(|| {
                    captures.push("");
                    captures
                });
            };
            let (first, behind) = text.split_once('/').map_or((text, None), |(first, behind)| (first, Some(behind)));
            match level {
                Level::Literal(literal) if literal == first => {}
                Level::Literal(_) => return None,
                Level::One => captures.push(first),
                Level::Rest => {
                    captures.push(text);
                    return Some(captures);
                }
            }
            rest = behind;
        }
        rest.is_none().then_some(captures)
    }

    /// Whether every topic of `other` is one of this pattern, too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let is_system = matches!(other.levels.first(), Some(Level::Literal(first)) if first.starts_with('$'));
        if is_system && !matches!(self.levels.first(), Some(Level::Literal(_))) {
            return false;
        }
        let mut others = other.levels.iter();
        for level in &self.levels {
            match (level, others.next()) {
                (Level::Rest, _) => return true,
                (Level::One, Some(Level::One | Level::Literal(_))) => {}
                (Level::Literal(one), Some(Level::Literal(two))) if one == two => {}
                _ => return false,
            }
        }
        others.next().is_none()
    }
}

impl Level {
    fn as_filter(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::One => "+",
            Self::Rest => "#",
        }
    }
}

fn literal(level: &str) -> Result<Level, String> {
    if level.contains(['{', '}']) {
        return Err("a name fills its whole level: {name} between two /".into());
    }
    if level.contains(['+', '#']) {
        return Err("instead of + write a {name}, instead of # a {name..}".into());
    }
    Ok(Level::Literal(level.to_owned()))
}

/// The fewest filters that ask for all topics of these patterns: where one covers another, a server may else send the same
/// message twice.
pub(super) fn filters<'a>(patterns: &[&'a Pattern]) -> Vec<&'a str> {
    let mut kept: Vec<&Pattern> = Vec::new();
    for pattern in patterns {
        if kept.iter().any(|other| other.covers(pattern)) {
            continue;
        }
        kept.retain(|other| !pattern.covers(other));
        kept.push(pattern);
    }
    kept.into_iter().map(|pattern| pattern.filter.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use sori_mqtt::TopicName;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect(text)
    }

    #[test]
    fn patterns_become_filters() {
        for (text, filter, names) in [
            ("sensors/{room}/temperature", "sensors/+/temperature", 1),
            ("logs/{path..}", "logs/#", 1),
            ("{site}/{floor}/{rest..}", "+/+/#", 3),
            ("{all..}", "#", 1),
            ("plain/topic", "plain/topic", 0),
            ("$SYS/{x..}", "$SYS/#", 1),
        ] {
            let pattern = pattern(text);
            assert_eq!((pattern.filter.as_str(), pattern.names()), (filter, names));
        }
    }

    #[test]
    fn wrong_patterns_are_explained() {
        for (text, part) in [
            ("", "empty"),
            ("a/{b..}/c", "stands at the end"),
            ("a/{}", "a name of letters"),
            ("a/{..}", "a name of letters"),
            ("a/{x y}", "a name of letters"),
            ("{a}/{a}", "twice"),
            ("a/x{b}", "fills its whole level"),
            ("a/{b", "fills its whole level"),
            ("a/+", "write a {name}"),
            ("a/#", "write a {name}"),
        ] {
            let error = Pattern::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn names_take_what_stands_in_their_place() {
        let of = |text: &str, topic: &'static str| pattern(text).captures(topic);
        assert_eq!(of("s/{room}/t", "s/kitchen/t"), Some(vec!["kitchen"]));
        assert_eq!(of("s/{room}/t", "s//t"), Some(vec![""]));
        assert_eq!(of("s/{room}/t", "s/kitchen/t/x"), None);
        assert_eq!(of("logs/{path..}", "logs/a/b/c"), Some(vec!["a/b/c"]));
        assert_eq!(of("logs/{path..}", "logs"), Some(vec![""]));
        assert_eq!(of("logs/{path..}", "logs/"), Some(vec![""]));
        assert_eq!(of("{a}/{b..}", "x/y/z"), Some(vec!["x", "y/z"]));
    }

    /// [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.2-1] All patterns of three levels against all topics of three: the codec's filters
    /// say the same, and a pattern that covers another one matches whatever that one does.
    #[test]
    fn patterns_match_what_their_filters_match() {
        let mut patterns = Vec::new();
        let mut topics: Vec<String> = Vec::new();
        for levels in 1..=3 {
            for number in 0..5_usize.pow(levels) {
                let level = |place: u32| number / 5_usize.pow(place) % 5;
                let text = |names: [&str; 5]| {
                    (0..levels).map(|place| names[level(place)].replace('N', &format!("n{place}"))).collect::<Vec<_>>()
                };
                patterns.extend(Pattern::parse(&text(["a", "$b", "{N}", "{N..}", ""]).join("/")));
                topics.push(text(["a", "$b", "c", "", "a"]).join("/"));
            }
        }
        let names = || topics.iter().filter_map(|topic| TopicName::new(topic).ok().map(|name| (topic, name)));
        for pattern in &patterns {
            let filter = TopicFilter::new(&pattern.filter).expect("was checked");
            for (topic, name) in names() {
                assert_eq!(pattern.captures(topic).is_some(), filter.matches(name), "{} {topic}", pattern.text);
            }
            for wider in patterns.iter().filter(|wider| wider.covers(pattern)) {
                for (topic, _) in names().filter(|(topic, _)| pattern.captures(topic).is_some()) {
                    assert!(wider.captures(topic).is_some(), "{} covers {}: {topic}", wider.text, pattern.text);
                }
            }
        }
        assert!(patterns.len() > 50);
    }

    #[test]
    fn a_filter_that_another_covers_is_not_asked_for() {
        let patterns = ["a/{x}/b", "a/{y..}", "c/d", "c/d", "$SYS/x", "{z}/q"].map(pattern);
        assert_eq!(filters(&patterns.each_ref()), ["a/#", "c/d", "$SYS/x", "+/q"]);
    }
}

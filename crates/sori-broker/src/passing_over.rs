//! Passing over topics that a filter does not match: where the next one can stand, in the order of the names.
//!
//! All names that begin with `a/` stand together, and `a0` is the first name behind them: `0` comes after `/`.

use alloc::format;
use alloc::string::String;

/// Behind a topic that the filter does not match: no name before this one matches. `None` when none behind it does.
pub(crate) fn next_name(filter: &str, topic: &str) -> Option<String> {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        // [MQTT-4.7.2-1] [MQTT311-4.7.2-1]: behind everything that begins with `$`.
        return Some(String::from("%"));
    }
    // Where the level of the topic ends that the last `+` stands for.
    let mut plus_end = None;
    let mut begin = 0;
    let mut levels = filter.split('/');
    while let Some(level) = levels.next() {
        if begin > topic.len() {
            let is_open = plus_end == Some(topic.len());
            // A `+` may also stand for `a!`, which comes between `a` and `a/`: there is nothing to pass over.
            return Some(if is_open { format!("{topic}\0") } else { format!("{topic}/{}", literal(level)) });
        }
        let end = topic[begin..].find('/').map_or(topic.len(), |length| begin + length);
        if is_wildcard(level) {
            plus_end = Some(end);
        } else if *level != topic[begin..end] {
            let wanted = format!("{}{level}", &topic[..begin]);
            let is_last = levels.next().is_none();
            return name_from(topic, wanted, is_last).or_else(|| behind(topic, plus_end));
        }
        begin = end + 1;
    }
    // It has more levels than the filter.
    behind(topic, plus_end)
}

/// What a level begins with that matches this one.
fn literal(level: &str) -> &str {
    if is_wildcard(level) { "" } else { level }
}

fn is_wildcard(level: &str) -> bool {
    matches!(level, "+" | "#")
}

/// `wanted`, or the names below it, if they are still to come.
fn name_from(topic: &str, wanted: String, is_last: bool) -> Option<String> {
    if topic < wanted.as_str() {
        return Some(wanted);
    }
    // Names like `a!` stand between `a` and `a/`.
    Some(wanted + "/").filter(|below| !is_last && topic < below.as_str())
}

/// Behind all names that have the level that the last `+` stands for. Without one, there is nothing more.
fn behind(topic: &str, plus_end: Option<usize>) -> Option<String> {
    plus_end.map(|end| format!("{}0", &topic[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_where_the_next_match_can_be() {
        let cases = [
            // What begins with `$`.
            ("+/a", "$a/b", Some("%")),
            ("#", "$a", Some("%")),
            // The level is still to come, or what is below it.
            ("+/status", "d1/alarm/x", Some("d1/status")),
            ("+/status/+", "d1/alarm", Some("d1/status")),
            ("+/b/+", "a/b!", Some("a/b/")),
            ("a/#", "a!", Some("a/")),
            // It is over with it.
            ("+/status", "d1/temperature/x", Some("d10")),
            ("+/status", "d1/status/x", Some("d10")),
            ("+/b", "a/b!", Some("a0")),
            ("a/+/c/d", "a/b/c/e", Some("a/b0")),
            ("+/+", "a/b/c", Some("a/b0")),
            ("a/#", "ab/c", None),
            // A level is missing.
            ("+/b/status", "a/b", Some("a/b/status")),
            ("+/b/+", "a/b", Some("a/b/")),
            ("+//+", "a/", Some("a//")),
            ("+/status", "d1", Some("d1\0")),
            ("a/+/+/#", "a/b", Some("a/b\0")),
        ];
        for (filter, topic, expected) in cases {
            assert_eq!(next_name(filter, topic).as_deref(), expected, "{topic} is not {filter}");
        }
    }
}

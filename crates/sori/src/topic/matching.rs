//! `sori topic match FILTER TOPIC...`: level by level.

use std::io::{self, Write};

use clap::Args;
use serde::Serialize;
use sori_mqtt::{TopicFilter, TopicName};

use crate::failure::{Cause, Failure};

const EXAMPLES: &str = "\
Rules:
  A topic has levels, separated by /. + in a filter stands for exactly one level, # for any number of them, and only at the end.
  Upper and lower case are different. A topic that begins with $ is not matched by a filter that begins with + or #.
  Of $share/group/filter only the filter counts.

Exit status:
  0 every topic matches, 1 at least one does not, 2 wrong usage";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The filter of a subscription
    filter: String,
    /// Names of topics
    #[arg(required = true)]
    topics: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let filter = TopicFilter::new(&arguments.filter)
        .map_err(|error| Failure::new(format!("\"{}\" is no topic filter: {error}", arguments.filter)))?;
    let answers = arguments.topics.iter().map(|topic| Answer::new(filter, topic)).collect::<Result<Vec<_>, _>>()?;
    let all_match = answers.iter().all(|answer| answer.matches);
    let text = if arguments.json {
        let report = Report { filter: filter.as_str(), share: filter.share(), topics: &answers };
        serde_json::to_string_pretty(&report).map_err(|error| Failure::new(error.to_string()))? + "\n"
    } else {
        answers.iter().map(|answer| answer.text(filter)).collect()
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?;
    if all_match { Ok(()) } else { Err(Failure::quiet(Cause::Other)) }
}

#[derive(Serialize)]
struct Report<'a> {
    filter: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<&'a str>,
    topics: &'a [Answer<'a>],
}

/// What is said about one topic.
#[derive(Serialize)]
struct Answer<'a> {
    topic: &'a str,
    matches: bool,
    levels: Vec<Level<'a>>,
}

/// One level of filter and topic beside each other.
#[derive(Serialize, Debug, PartialEq, Eq)]
struct Level<'a> {
    level: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    matches: bool,
    why: &'static str,
}

impl<'a> Answer<'a> {
    fn new(filter: TopicFilter<'a>, topic: &'a str) -> Result<Self, Failure> {
        let name = TopicName::new(topic)
            .map_err(|error| Failure::new(format!("\"{topic}\" is no name of a topic: {error}")))?;
        let levels = levels(filter.filter(), topic);
        // The broker's own rule has the last word; the explanation must come to the same.
        let matches = filter.matches(name);
        debug_assert_eq!(matches, levels.iter().all(|level| level.matches));
        Ok(Self { topic, matches, levels })
    }

    fn text(&self, filter: TopicFilter<'_>) -> String {
        let verdict = if self.matches { "matches" } else { "does not match" };
        let mut text = format!("{} {verdict} {}\n", filter.as_str(), self.topic);
        let width = |side: fn(&Level<'a>) -> Option<&'a str>| {
            self.levels.iter().map(|level| shown(side(level)).chars().count()).max().unwrap_or_default()
        };
        let (filters, topics) = (width(|level| level.filter), width(|level| level.topic));
        for level in &self.levels {
            let sign = if level.matches { "yes" } else { "NO " };
            let (number, filter, topic) = (level.level, shown(level.filter), shown(level.topic));
            text.push_str(&format!("  {number:>2}  {sign}  {filter:filters$}  {topic:topics$}  {}\n", level.why));
        }
        text
    }
}

/// An empty level is one, too.
fn shown(level: Option<&str>) -> &str {
    match level {
        Some("") => "\"\"",
        Some(level) => level,
        None => "-",
    }
}

fn levels<'a>(filter: &'a str, topic: &'a str) -> Vec<Level<'a>> {
    let mut levels = Vec::new();
    let mut filters = filter.split('/');
    let mut topics = topic.split('/');
    for number in 1.. {
        let (filter, topic) = (filters.next(), topics.next());
        let (matches, why) = match (filter, topic) {
            (None, None) => break,
            // [MQTT-4.7.2-1] [MQTT311-4.7.2-1]
            (Some("+" | "#"), Some(name)) if number == 1 && name.starts_with('$') => {
                (false, "a wildcard in the first level matches no topic that begins with $")
            }
            (Some("#"), Some(_)) => (true, "# matches this level and all that follow"),
            // [MQTT-4.7.1-2] includes the parent level.
            (Some("#"), None) => (true, "# also matches the level above it"),
            (Some("+"), Some(_)) => (true, "+ matches any one level"),
            (Some(filter), Some(topic)) if filter == topic => (true, "the same"),
            (Some(filter), Some(topic)) if filter.eq_ignore_ascii_case(topic) => {
                (false, "upper and lower case are different")
            }
            (Some(_), Some(_)) => (false, "different"),
            (Some(_), None) => (false, "the topic has no such level"),
            (None, Some(_)) => (false, "the filter ends before; # at its end would match more levels"),
        };
        let ends = filter == Some("#") || !matches && (filter.is_none() || topic.is_none());
        levels.push(Level { level: number, filter, topic, matches, why });
        if ends {
            break;
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_explanation_comes_to_what_the_broker_decides() {
        // Every filter and topic of up to three levels of these words, against the rule that the broker uses.
        let words = ["a", "A", "", "$b"];
        let mut topics: Vec<String> = words.map(str::to_owned).to_vec();
        let mut filters: Vec<String> = words.iter().chain(&["+", "#"]).map(|word| (*word).to_owned()).collect();
        for _ in 0..2 {
            topics.extend(topics.clone().iter().flat_map(|start| words.map(|word| format!("{start}/{word}"))));
            let longer: Vec<String> = filters
                .iter()
                .filter(|start| !start.ends_with('#'))
                .flat_map(|start| words.iter().chain(&["+", "#"]).map(move |word| format!("{start}/{word}")))
                .collect();
            filters.extend(longer);
        }
        let mut checked = 0;
        for filter in &filters {
            let Ok(filter) = TopicFilter::new(filter) else { continue };
            for topic in &topics {
                let Ok(name) = TopicName::new(topic) else { continue };
                let explained = levels(filter.filter(), topic).iter().all(|level| level.matches);
                assert_eq!(explained, filter.matches(name), "{} {topic}", filter.as_str());
                checked += 1;
            }
        }
        assert!(checked > 5000, "{checked}");
    }

    #[test]
    fn a_difference_in_case_is_named() {
        let found = levels("Kitchen/+", "kitchen/x");
        assert_eq!(found.iter().map(|level| level.matches).collect::<Vec<_>>(), [false, true]);
        assert_eq!(found[0].why, "upper and lower case are different");
    }
}

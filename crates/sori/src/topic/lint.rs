//! `sori topic lint`: the design rules, applied to topics.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, value_parser};
use serde::Serialize;
use sori_mqtt::TopicName;

use crate::connection::ConnectionArguments;
use crate::failure::{Cause, Failure};
use crate::message::Message;
use crate::printer::OutputEnd;
use crate::settings::SubscribeOrder;
use crate::subscribing::{Show, subscribe_with};
use crate::voice::Voice;

/// A deeper topic is hard to read and to subscribe to.
const LEVELS_MAX: usize = 7;
/// So many different topics are looked at on a broker.
const TOPICS_MAX: usize = 100_000;

const EXAMPLES: &str = "\
Rules:
  no-leading-slash   /a has an empty first level that says nothing
  no-spaces          a blank is easily lost in a shell, a file or a URL
  lower-case         Kitchen and kitchen are two topics, and one of them is a mistake
  seven-levels       at most seven levels

Topics that begin with $ belong to the broker and are not looked at.

Exit status:
  0 every topic follows the rules, 1 at least one does not, 2 wrong usage";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Names of topics
    #[arg(required_unless_present = "broker")]
    topics: Vec<String>,
    /// Also look at the topics of messages on a broker, retained ones and new ones
    #[arg(long)]
    broker: bool,
    /// With --broker: only at topics that this filter matches
    #[arg(long, value_name = "FILTER", default_value = "#", requires = "broker")]
    filter: String,
    /// With --broker: for how long
    #[arg(short = 'W', long = "timeout", value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    wait: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// One rule, and how a topic breaks it.
struct Rule {
    name: &'static str,
    broken_by: fn(&str) -> Option<String>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "no-leading-slash",
        broken_by: |topic| {
            let rest = topic.strip_prefix('/')?;
            Some(format!("begins with / and so has an empty first level; better: {rest}"))
        },
    },
    Rule {
        name: "no-spaces",
        broken_by: |topic| {
            let blank = topic.chars().find(|character| character.is_whitespace())?;
            let better: String =
                topic.chars().map(|character| if character.is_whitespace() { '-' } else { character }).collect();
            Some(format!("has a blank ({}); better: {better}", blank.escape_unicode()))
        },
    },
    Rule {
        name: "lower-case",
        broken_by: |topic| {
            let lower = topic.to_lowercase();
            (lower != topic).then(|| format!("has capital letters; better: {lower}"))
        },
    },
    Rule {
        name: "seven-levels",
        broken_by: |topic| {
            let levels = topic.split('/').count();
            (levels > LEVELS_MAX).then(|| format!("has {levels} levels, and more than {LEVELS_MAX} are hard to follow"))
        },
    },
];

/// One rule that a topic breaks.
#[derive(Serialize, Debug, PartialEq, Eq)]
struct Finding {
    topic: String,
    rule: &'static str,
    why: String,
}

#[derive(Serialize)]
struct Report<'a> {
    topics: usize,
    findings: &'a [Finding],
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    for topic in &arguments.topics {
        TopicName::new(topic).map_err(|error| Failure::new(format!("\"{topic}\" is no name of a topic: {error}")))?;
    }
    let mut topics = Topics::default();
    topics.0.extend(arguments.topics.iter().cloned());
    if arguments.broker {
        topics.watch(arguments)?;
    }
    let findings: Vec<Finding> = topics.0.iter().flat_map(|topic| findings(topic)).collect();
    let text = if arguments.json {
        let report = Report { topics: topics.0.len(), findings: &findings };
        serde_json::to_string_pretty(&report).map_err(|error| Failure::new(error.to_string()))? + "\n"
    } else {
        let mut text: String =
            findings.iter().map(|finding| format!("{}: {} ({})\n", finding.topic, finding.why, finding.rule)).collect();
        text.push_str(&format!("{} topics, {} findings\n", topics.0.len(), findings.len()));
        text
    };
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?;
    if findings.is_empty() { Ok(()) } else { Err(Failure::quiet(Cause::Other)) }
}

fn findings(topic: &str) -> Vec<Finding> {
    let broken = RULES.iter().filter_map(|rule| (rule.broken_by)(topic).map(|why| (rule.name, why)));
    broken.map(|(rule, why)| Finding { topic: topic.to_owned(), rule, why }).collect()
}

/// Each topic once.
#[derive(Default)]
struct Topics(BTreeSet<String>);

impl Topics {
    fn watch(&mut self, arguments: &Arguments) -> Result<(), Failure> {
        let order = SubscribeOrder {
            filters: vec![arguments.filter.clone()],
            wait: Some(Duration::from_secs(arguments.wait.into())),
            ..SubscribeOrder::default()
        };
        let connection = arguments.connection.connection()?;
        match subscribe_with(&connection, &order, Voice::Sori, self) {
            // The time that was given is over, as it should be.
            Err(failure) if failure.cause == Cause::TimedOut => Ok(()),
            other => other,
        }
    }
}

impl Show for Topics {
    fn message(&mut self, message: &Message) -> Result<(), OutputEnd> {
        if !message.topic.starts_with('$') && self.0.len() < TOPICS_MAX {
            self.0.insert(message.topic.clone());
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), OutputEnd> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_finds_what_breaks_it() {
        let check = |topic: &str, expected: &[&str]| {
            let found: Vec<&str> = findings(topic).iter().map(|finding| finding.rule).collect();
            assert_eq!(found, expected, "{topic}");
        };
        check("kitchen/oven/temperature", &[]);
        check("a/b/c/d/e/f/g", &[]);
        check("/a", &["no-leading-slash"]);
        check("my topic", &["no-spaces"]);
        check("a/\u{a0}b", &["no-spaces"]);
        check("Kitchen", &["lower-case"]);
        check("a/Ä", &["lower-case"]);
        check("a/b/c/d/e/f/g/h", &["seven-levels"]);
        check("/My Topic", &["no-leading-slash", "no-spaces", "lower-case"]);
    }
}

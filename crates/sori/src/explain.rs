//! `sori explain`: may this client do that, and which line of which file says so?

use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgGroup, Args, ValueEnum};
use serde::Serialize;
use sori_mqtt::{TopicFilter, TopicName};
use sori_server::acl::{Client, Rules};
use sori_server::config::{self, Bind, Config, Defaults, ListenerConfig, Remark, Source};
use sori_server::explain::{Answer, Rulebook, line_of};

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sori explain -c mosquitto.conf --user ann --client phone --topic home/light --action write
  sori explain --acl-file acl --client phone --topic home/light

Exit status:
  0 it may, 1 it may not, 2 wrong usage, 3 the configuration has an error";

/// The exit status for somebody who may not.
const DENIED: u8 = 1;
/// The exit status for a file that cannot be used, as that of the broker.
const REFUSED: u8 = 3;

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("rules").required(true).args(["config", "acl_file"])))]
pub(crate) struct Arguments {
    /// The user name; without it, a client that has none
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The client identifier
    #[arg(long, value_name = "ID", default_value = "")]
    client: String,
    /// The topic, as the client says it; with `--action subscribe`, the filter
    #[arg(long, value_name = "TOPIC")]
    topic: String,
    /// What the client wants; without it, all of these
    #[arg(long, value_enum)]
    action: Option<Action>,
    /// The configuration file of the broker
    #[arg(short = 'c', long = "config-file", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A file with rules alone
    #[arg(long, value_name = "FILE")]
    acl_file: Option<PathBuf>,
    /// The port, or the path of the socket, by which the client comes; without it, the first listener
    #[arg(long, value_name = "PORT", requires = "config")]
    listener: Option<String>,
    /// Print lines of JSON
    #[arg(long)]
    json: bool,
}

#[derive(ValueEnum, Copy, Clone, Debug, PartialEq, Eq)]
enum Action {
    /// Be sent messages of the topic
    Read,
    /// Publish to the topic
    Write,
    /// Subscribe to the filter
    Subscribe,
}

/// An answer for scripts.
#[derive(Serialize)]
struct Line<'a> {
    action: &'static str,
    is_allowed: bool,
    reason: &'a str,
    file: Option<String>,
    line: Option<usize>,
    text: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let book = arguments.rulebook()?;
    let mut is_allowed = true;
    if arguments.config.is_some() {
        let login = book.login(arguments.user.as_deref());
        is_allowed &= login.is_allowed;
        // The text of this line is nobody's business.
        arguments.print("connect", &login, false)?;
    }
    for action in arguments.actions()? {
        let client = Client { client_id: &arguments.client, user_name: arguments.user.as_deref() };
        let answer = book.may(client, action.asked(), &arguments.topic);
        is_allowed &= answer.is_allowed;
        arguments.print(action.word(), &answer, true)?;
    }
    if is_allowed { Ok(()) } else { Err(Failure::quiet(DENIED)) }
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Write => "write",
            Action::Subscribe => "subscribe",
        }
    }

    fn asked(self) -> sori_server::explain::Action {
        match self {
            Action::Read => sori_server::explain::Action::Receive,
            Action::Write => sori_server::explain::Action::Publish,
            Action::Subscribe => sori_server::explain::Action::Subscribe,
        }
    }
}

impl Arguments {
    /// What is asked for. A filter with wildcards is no topic of a message.
    fn actions(&self) -> Result<Vec<Action>, Failure> {
        let is_name = TopicName::new(&self.topic).is_ok();
        let is_filter = TopicFilter::new(&self.topic).is_ok();
        match self.action {
            Some(Action::Subscribe) if is_filter => Ok(vec![Action::Subscribe]),
            Some(action @ (Action::Read | Action::Write)) if is_name => Ok(vec![action]),
            None if is_name && is_filter => Ok(vec![Action::Read, Action::Write, Action::Subscribe]),
            None if is_filter => Ok(vec![Action::Subscribe]),
            _ if is_filter => Err(Failure::new(format!(
                "'{}' is a filter: messages have topics without wildcards; ask with one of those, or with --action subscribe",
                self.topic
            ))
            .with_status(2)),
            _ => Err(Failure::new(format!("'{}' is no topic", self.topic)).with_status(2)),
        }
    }

    fn rulebook(&self) -> Result<Rulebook, Failure> {
        if let Some(file) = &self.acl_file {
            let mut remarks = Vec::new();
            let rules = Rules::read(file, &mut remarks).ok_or_else(|| broken(&remarks))?;
            return Ok(Rulebook { acl: Some(Arc::new(rules)), ..Rulebook::default() });
        }
        let files: Vec<PathBuf> = self.config.iter().cloned().collect();
        let source = Source { files: &files, ports: &[], defaults: Defaults::Mosquitto, persistence_location: None };
        let config = config::load(&source).map_err(|remarks| broken(&remarks))?.config;
        Ok(Rulebook::of(&config, self.listener(&config)?))
    }

    fn listener<'a>(&self, config: &'a Config) -> Result<&'a ListenerConfig, Failure> {
        let Some(wanted) = &self.listener else {
            return config.listeners.first().ok_or_else(|| Failure::new("the configuration has no listener"));
        };
        let place = |listener: &ListenerConfig| match &listener.bind {
            Bind::Tcp { port, .. } => port.to_string(),
            Bind::Unix(path) => path.display().to_string(),
        };
        config.listeners.iter().find(|listener| place(listener) == *wanted).ok_or_else(|| {
            let there: Vec<String> = config.listeners.iter().map(place).collect();
            Failure::new(format!("no listener has {wanted}; there are: {}", there.join(", "))).with_status(2)
        })
    }

    fn print(&self, action: &'static str, answer: &Answer, shows_text: bool) -> Result<(), Failure> {
        let rule = answer.rule.as_ref();
        let text = rule.filter(|_| shows_text).and_then(|rule| line_of(&rule.file, rule.line));
        if self.json {
            let line = Line {
                action,
                is_allowed: answer.is_allowed,
                reason: &answer.reason,
                file: rule.map(|rule| rule.file.display().to_string()),
                line: rule.map(|rule| rule.line),
                text,
            };
            let line = serde_json::to_string(&line).map_err(|error| Failure::new(error.to_string()))?;
            println!("{line}");
            return Ok(());
        }
        let verdict = if answer.is_allowed { "yes" } else { "no" };
        let text = text.map(|text| format!(" `{text}`")).unwrap_or_default();
        println!("{action}: {verdict}, {}{text}", answer.reason);
        Ok(())
    }
}

fn broken(remarks: &[Remark]) -> Failure {
    let lines: Vec<String> = remarks.iter().map(Remark::to_string).collect();
    Failure::new(lines.join("\n")).with_status(REFUSED)
}

//! The value that counts for each option, where it comes from, and what is different in another version of a file.

use std::collections::BTreeMap;
use std::fmt;

use super::option::{Entry, Reload, Scope, Standing, Structure, Takes};
use super::remark::Location;
use super::setting::{Setting, adds_up};
use super::{Bind, Defaults, ListenerConfig, Loaded, options};
use crate::store::place::LOCATION_VARIABLE;

/// The value of one option.
#[derive(Debug, Clone)]
pub struct Effective {
    /// The listener that it holds for, as its line would be written after the word `listener`; `None`: the whole broker.
    pub listener: Option<String>,
    /// The option.
    pub entry: &'static Entry,
    /// Its value, as in a `mosquitto.conf`; several for an option that adds up, none for one that is not set.
    pub values: Vec<String>,
    /// Where it comes from.
    pub from: From,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// Nobody has said anything else.
    Default,
    /// A line of a file.
    Line(Location),
    /// An environment variable.
    Environment(&'static str),
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            From::Default => f.write_str("default"),
            From::Line(at) => write!(f, "{at}"),
            From::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// Options whose default is another one without a `mosquitto.conf`, and that default.
pub(crate) const NATIVE_DEFAULTS: &[(&str, &str)] = &[
    ("max_inflight_bytes", "4194304"),
    ("max_queued_bytes", "16777216"),
    ("max_topic_levels", "0"),
    ("persistence", "true"),
    ("persistence_file", ""),
    ("reason_strings", "true"),
    ("strict_receive_maximum", "true"),
];

/// The default of an option, as it would be written; empty when there is none.
pub fn default_of(entry: &Entry, defaults: Defaults) -> &'static str {
    let native = NATIVE_DEFAULTS.iter().find(|(word, _)| defaults == Defaults::Native && *word == entry.word());
    native.map_or(entry.default, |(_, default)| default)
}

/// How a listener is called where there may be several: what stands in its line.
pub fn listener_name(listener: &ListenerConfig) -> String {
    match &listener.bind {
        Bind::Tcp { host: Some(host), port } => format!("{port} {host}"),
        Bind::Tcp { host: None, port } => port.to_string(),
        Bind::Unix(path) => format!("0 {}", path.display()),
    }
}

/// The listeners of what was read, with the numbers that settings have for them.
fn listeners(loaded: &Loaded) -> Vec<(usize, String)> {
    if loaded.config.local_only {
        // Whatever a file says of a listener without having one holds for all of these.
        return loaded.config.listeners.iter().map(|listener| (0, listener_name(listener))).collect();
    }
    loaded.config.listeners.iter().map(listener_name).enumerate().collect()
}

/// All options that mean something, in the order of the table, first those of the whole broker, then those of each
/// listener.
pub fn effective(loaded: &Loaded) -> Vec<Effective> {
    let per_listener = is_per_listener(&loaded.settings);
    // What the lines of a plugin mean is told by the options that mean the same.
    let is_plugin =
        |entry: &Entry| matches!(entry.takes, Takes::Structure(Structure::Plugin)) || entry.scope == Scope::Plugin;
    let known = |entry: &&'static Entry| entry.standing == Standing::Works && !is_plugin(entry);
    let of_listeners = |entry: &Entry| match entry.scope {
        Scope::Listener | Scope::ListenerLine => true,
        Scope::Security => per_listener,
        _ => false,
    };
    let is_line = |entry: &Entry| {
        let lines = [Structure::Listener, Structure::Port, Structure::BindAddress, Structure::IncludeDir];
        lines.iter().any(|line| matches!(entry.takes, Takes::Structure(found) if found == *line))
    };
    let mut all = Vec::new();
    for entry in options::all().filter(known).filter(|entry| !of_listeners(entry) && !is_line(entry)) {
        all.push(value(loaded, entry, None));
    }
    for (number, name) in listeners(loaded) {
        if let Some(line) = options::find("listener") {
            let declared = loaded.config.listeners.get(number).and_then(|listener| listener.declared_at.clone());
            let from = declared.map_or(From::Default, From::Line);
            all.push(Effective { listener: Some(name.clone()), entry: line, values: vec![name.clone()], from });
        }
        for entry in options::all().filter(known).filter(|entry| of_listeners(entry)) {
            all.push(value(loaded, entry, Some((number, &name))));
        }
    }
    all
}

/// Security options belong to listeners.
pub(crate) fn is_per_listener(settings: &[Setting]) -> bool {
    settings.iter().any(|setting| setting.entry.word() == "per_listener_settings" && is_true(&setting.value))
}

fn is_true(value: &str) -> bool {
    matches!(value, "true" | "1")
}

fn value(loaded: &Loaded, entry: &'static Entry, listener: Option<(usize, &str)>) -> Effective {
    let name = listener.map(|(_, name)| name.to_owned());
    let number = listener.map(|(number, _)| number);
    if let Some((variable, value)) = from_environment(loaded, entry) {
        return Effective { listener: name, entry, values: vec![value], from: From::Environment(variable) };
    }
    let lines = loaded.settings.iter().filter(|line| line.entry.word() == entry.word() && line.listener == number);
    let lines: Vec<&Setting> = lines.collect();
    let (values, from) = match lines.last() {
        // Where it is depends on who has started the broker.
        None if entry.word() == "persistence_location" => {
            let location = loaded.config.persistence_location.iter();
            (location.map(|location| location.display().to_string()).collect(), From::Default)
        }
        None => (vec![default_of(entry, loaded.defaults).to_owned()], From::Default),
        Some(last) if adds_up(entry) => {
            (lines.iter().map(|line| line.value.clone()).collect(), From::Line(last.at.clone()))
        }
        Some(last) => (vec![last.value.clone()], From::Line(last.at.clone())),
    };
    let values = values.into_iter().filter(|value| !value.is_empty()).map(|value| canonical(entry, value)).collect();
    Effective { listener: name, entry, values, from }
}

/// Only one option has such a variable.
fn from_environment(loaded: &Loaded, entry: &Entry) -> Option<(&'static str, String)> {
    let location = loaded.persistence_location_from_environment.as_ref()?;
    (entry.word() == "persistence_location").then(|| (LOCATION_VARIABLE, location.display().to_string()))
}

/// Two ways to write one value look alike.
fn canonical(entry: &Entry, value: String) -> String {
    match entry.takes {
        Takes::Flag(_) => is_true(&value).to_string(),
        Takes::Number { .. } => super::value::number(&value).map_or(value, |number| number.to_string()),
        _ => value.replace('\t', " "),
    }
}

/// One option that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The listener that it is about, as in [`Effective`].
    pub listener: Option<String>,
    /// The option's word.
    pub word: String,
    /// The values until now; `None` for a listener that is new.
    pub before: Option<Vec<String>>,
    /// The values from now on; `None` for a listener that goes.
    pub after: Option<Vec<String>>,
    /// When it counts.
    pub reload: Reload,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(listener) = &self.listener {
            match (&self.before, &self.after) {
                (None, _) => return write!(f, "listener {listener} opens"),
                (_, None) => return write!(f, "listener {listener} closes, with its connections"),
                _ => write!(f, "listener {listener}: ")?,
            }
        }
        let values = |values: &Option<Vec<String>>| match values.as_deref() {
            None | Some([]) => "not set".to_owned(),
            Some(values) => values.join(", "),
        };
        write!(f, "{} from {} to {}", self.word, values(&self.before), values(&self.after))?;
        match self.reload {
            Reload::Yes => Ok(()),
            Reload::NewConnections => f.write_str(", for new connections"),
            Reload::Restart => f.write_str(", at the next start"),
        }
    }
}

/// What a value is found by: its listener and its word.
type Key = (Option<String>, String);

/// The values of a configuration, as far as they are compared.
pub type Values = BTreeMap<Key, Vec<String>>;

/// The values of all options.
pub fn values(effective: &[Effective]) -> Values {
    let pair = |one: &Effective| ((one.listener.clone(), one.entry.word().to_owned()), one.values.clone());
    effective.iter().map(pair).collect()
}

/// What is different, by listener and word. Of a listener that comes or goes only that is told.
pub fn changes(before: &Values, after: &Values) -> Vec<Change> {
    let has_listener = |values: &Values, listener: &Option<String>| {
        listener.is_none() || values.contains_key(&(listener.clone(), "listener".to_owned()))
    };
    // What each listener has of its own on one side only, it has from the whole broker on the other.
    let value = |values: &'_ Values, key: &Key| {
        let of_all = || values.get(&(None, key.1.clone())).filter(|_| key.0.is_some() && key.1 != "listener");
        values.get(key).or_else(of_all).cloned()
    };
    let keys: std::collections::BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for key @ (listener, word) in keys {
        let (old, new) = (value(before, key), value(after, key));
        let is_there = (has_listener(before, listener), has_listener(after, listener));
        let has_moved = listener.is_none() && (old.is_none() || new.is_none());
        if old == new || has_moved || is_there != (true, true) && word != "listener" {
            continue;
        }
        let reload = options::find(word).map_or(Reload::Restart, |entry| entry.reload);
        changes.push(Change { listener: listener.clone(), word: word.clone(), before: old, after: new, reload });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Source, load, read};
    use super::*;
    use std::path::PathBuf;

    fn loaded(name: &str, text: &str) -> Loaded {
        let file: PathBuf = std::env::temp_dir().join(format!("sori-effective-{name}-{}.conf", std::process::id()));
        std::fs::write(&file, text).expect("can be written");
        let files = [file];
        let source = Source { files: &files, ports: &[], defaults: Defaults::Mosquitto, persistence_location: None };
        let loaded = read(&source).usable().expect("is good");
        std::fs::remove_file(&files[0]).expect("is there");
        loaded
    }

    fn said(before: &str, after: &str) -> Vec<String> {
        let values = |name: &str, text: &str| values(&effective(&loaded(name, text)));
        changes(&values("before", before), &values("after", after)).iter().map(Change::to_string).collect()
    }

    fn line(all: &[Effective], listener: Option<&str>, word: &str) -> (String, String) {
        let found = all.iter().find(|one| one.listener.as_deref() == listener && one.entry.word() == word);
        let found = found.expect("every option is there");
        let from = found.from.to_string();
        (found.values.join(", "), from.rsplit('/').next().unwrap_or_default().to_owned())
    }

    #[test]
    fn each_value_has_its_origin() {
        let pid = std::process::id();
        let at = |number: usize| format!("sori-effective-origins-{pid}.conf:{number}");
        let text = "max_keepalive 0x10\nlog_dest stdout\nlog_dest file /a b\nlistener 1\nmax_qos 1\nlistener 2 ::1\n";
        let all = effective(&loaded("origins", text));
        let pair = |value: &str, from: String| (value.to_owned(), from);
        assert_eq!(line(&all, None, "max_keepalive"), pair("16", at(1)));
        assert_eq!(line(&all, None, "log_dest"), pair("stdout, file /a b", at(3)));
        assert_eq!(line(&all, None, "sys_interval"), pair("10", "default".to_owned()));
        assert_eq!(line(&all, None, "pid_file"), pair("", "default".to_owned()));
        assert_eq!(line(&all, Some("1"), "listener"), pair("1", at(4)));
        assert_eq!(line(&all, Some("1"), "max_qos"), pair("1", at(5)));
        assert_eq!(line(&all, Some("2 ::1"), "max_qos"), pair("2", "default".to_owned()));
        assert!(!all.iter().any(|one| one.listener.is_none() && one.entry.word() == "max_qos"));
    }

    #[test]
    fn the_environment_is_told() {
        let source =
            Source { files: &[], ports: &[], defaults: Defaults::Native, persistence_location: Some("/data".into()) };
        let all = effective(&load(&source).expect("is good"));
        let variable = "environment variable MOSQUITTO_PERSISTENCE_LOCATION".to_owned();
        assert_eq!(line(&all, None, "persistence_location"), ("/data".to_owned(), variable));
        assert_eq!(line(&all, None, "persistence"), ("true".to_owned(), "default".to_owned()));
    }

    const ONE: &str =
        "per_listener_settings true\nlistener 1\nallow_anonymous true\nallow_zero_length_clientid false\n";

    #[test]
    fn changes_are_told_by_listener_and_when_they_count() {
        assert_eq!(said("max_keepalive 5\n", "max_keepalive 0x5\n"), [""; 0]);
        assert_eq!(said("", "max_keepalive 5\n"), ["max_keepalive from 0 to 5, for new connections"]);
        assert_eq!(said("persistence true\n", ""), ["persistence from true to false, at the next start"]);
        assert_eq!(said("log_type error\n", "log_type error\nlog_type all\n"), ["log_type from error to error, all"]);
        assert_eq!(
            said("listener 1\nmax_qos 1\nlistener 2\n", "listener 3\nmax_qos 1\nlistener 2\nmax_qos 0\n"),
            [
                "listener 1 closes, with its connections",
                "listener 2: max_qos from 2 to 0, for new connections",
                "listener 3 opens"
            ]
        );
        assert_eq!(
            said("port 1883\nlistener 1\nallow_anonymous true\npassword_file /dev/null\n", ONE),
            [
                "per_listener_settings from false to true",
                "listener 1: allow_zero_length_clientid from true to false",
                "listener 1: password_file from /dev/null to not set",
                "listener 1883 closes, with its connections"
            ]
        );
    }

    #[test]
    fn the_native_defaults_are_what_the_table_says() {
        let lines = NATIVE_DEFAULTS.iter().filter(|(_, default)| !default.is_empty());
        let text: String = lines.map(|(word, default)| format!("{word} {default}\n")).collect();
        let from_lines = Config { files: Vec::new(), persistence_file: None, ..loaded("native", &text).config };
        let source = Source { files: &[], ports: &[], defaults: Defaults::Native, persistence_location: None };
        assert_eq!(from_lines, load(&source).expect("is good").config);
    }
}

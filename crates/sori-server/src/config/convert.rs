//! From one form of a configuration file to the other. What was set is written, in the order of the file; comments are
//! not kept. The two forms have different defaults, so the options of which the default would be another one are written
//! too: what the new file means is what the old one meant.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::effective::{NATIVE_DEFAULTS, default_of};
use super::option::{Entry, Structure, Takes};
use super::setting::{Setting, adds_up};
use super::{Defaults, Loaded, options, value};

/// One option and its values, of which there are several only when all of them count.
struct Row<'a> {
    entry: &'static Entry,
    values: Vec<Cow<'a, str>>,
}

/// The configuration as a `sori.toml`.
///
/// ```
/// use sori_server::config::{Defaults, convert, read_contents};
///
/// let loaded = read_contents("a.conf".as_ref(), b"listener 0 /run/mqtt\nmax_qos 1", Defaults::Mosquitto).expect("is good");
/// assert!(convert::to_toml(&loaded).contains("[[listener]]\npath = \"/run/mqtt\"\nmax_qos = 1\n"));
/// ```
pub fn to_toml(loaded: &Loaded) -> String {
    let mut text = heading(loaded);
    let mut global = rows(&loaded.settings, None);
    add_defaults(&mut global, loaded, Defaults::Native);
    // The keys of the root stand before the first table.
    global.sort_by_key(|row| row.entry.toml.split_once('.').map_or("", |(table, _)| table));
    let mut table = "";
    for row in &global {
        let (of, key) = row.entry.toml.split_once('.').unwrap_or(("", row.entry.toml));
        if of != table {
            table = of;
            let _ = write!(text, "\n[{table}]\n");
        }
        push_toml(&mut text, key, row);
    }
    for listener in listeners(&loaded.settings) {
        match listener.line {
            Some(line) => {
                text.push_str("\n[[listener]]\n");
                push_place(&mut text, &line.value);
            }
            None => text.push_str("\n[default_listener]\n"),
        }
        for row in rows(&loaded.settings, Some(listener.number)) {
            let key = row.entry.toml.split_once('.').map_or(row.entry.toml, |(_, key)| key);
            push_toml(&mut text, key, &row);
        }
    }
    text
}

/// The configuration as a `mosquitto.conf`.
///
/// ```
/// use sori_server::config::{Defaults, convert, read_contents};
///
/// let loaded = read_contents("a.toml".as_ref(), b"[[listener]]\nport = 1883", Defaults::Native).expect("is good");
/// assert!(convert::to_conf(&loaded).contains("\npersistence true\n"));
/// assert!(convert::to_conf(&loaded).ends_with("\nlistener 1883\n"));
/// ```
pub fn to_conf(loaded: &Loaded) -> String {
    let mut text = heading(loaded);
    let mut global = rows(&loaded.settings, None);
    add_defaults(&mut global, loaded, Defaults::Mosquitto);
    // It stands above what it changes the meaning of.
    global.sort_by_key(|row| row.entry.word() != "per_listener_settings");
    for row in &global {
        push_conf(&mut text, row);
    }
    let mut listeners = listeners(&loaded.settings);
    // What no line opens stands above all lines that open one.
    listeners.sort_by_key(Listener::has_line);
    for listener in listeners {
        text.push('\n');
        if let Some(line) = listener.line {
            let _ = writeln!(text, "listener {}", line.value);
        }
        let mut rows = rows(&loaded.settings, Some(listener.number));
        rows.sort_by_key(|row| !is_default_place(row.entry));
        for row in &rows {
            push_conf(&mut text, row);
        }
    }
    text
}

fn heading(loaded: &Loaded) -> String {
    let files: Vec<String> = loaded.config.files.iter().map(|file| file.display().to_string()).collect();
    format!("# Written by `sori config convert` from {}.\n", files.join(", ").escape_debug())
}

/// A listener that is set up in the files.
struct Listener<'a> {
    number: usize,
    /// Its `listener` line; one without is the default listener.
    line: Option<&'a Setting>,
    /// It is the default listener, and asked for.
    has_port: bool,
}

impl Listener<'_> {
    fn has_line(&self) -> bool {
        self.line.is_some() || self.has_port
    }
}

/// The listeners in their order.
fn listeners(settings: &[Setting]) -> Vec<Listener<'_>> {
    let mut listeners: Vec<Listener<'_>> = Vec::new();
    for setting in settings {
        let Some(number) = setting.listener else { continue };
        let line = Some(setting).filter(|setting| is_listener_line(setting.entry));
        let has_port = is_default_place(setting.entry);
        match listeners.iter_mut().find(|known| known.number == number) {
            Some(known) => {
                known.line = known.line.or(line);
                known.has_port |= has_port;
            }
            None => listeners.push(Listener { number, line, has_port }),
        }
    }
    listeners.sort_by_key(|listener| listener.number);
    listeners
}

fn is_listener_line(entry: &Entry) -> bool {
    matches!(entry.takes, Takes::Structure(Structure::Listener))
}

/// It makes the default listener one that was asked for.
fn is_default_place(entry: &Entry) -> bool {
    matches!(entry.takes, Takes::Structure(Structure::Port | Structure::BindAddress))
}

/// What is set for a listener or for the whole broker. A file that was included is in the new one, and what is not read
/// means nothing there either.
fn rows(settings: &[Setting], listener: Option<usize>) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for setting in settings.iter().filter(|setting| setting.listener == listener) {
        let entry = setting.entry;
        let is_left = matches!(entry.takes, Takes::Structure(Structure::IncludeDir) | Takes::Anything);
        if entry.toml.is_empty() || is_listener_line(entry) || is_left || setting.value.is_empty() {
            continue;
        }
        let value = Cow::from(setting.value.as_str());
        match rows.iter_mut().find(|row| row.entry.word() == entry.word()) {
            Some(row) if adds_up(entry) => row.values.push(value),
            Some(row) => row.values = vec![value],
            None => rows.push(Row { entry, values: vec![value] }),
        }
    }
    rows
}

/// Where the other form has another default, the value is written.
fn add_defaults(rows: &mut Vec<Row<'_>>, loaded: &Loaded, other: Defaults) {
    if loaded.defaults == other {
        return;
    }
    let mut add = |word: &str, value: Cow<'static, str>| {
        let is_set = rows.iter().any(|row| row.entry.word() == word);
        if let Some(entry) = options::find(word).filter(|_| !is_set && !value.is_empty()) {
            rows.push(Row { entry, values: vec![value] });
        }
    };
    let is_kept = loaded.config.persistence;
    for (word, _) in NATIVE_DEFAULTS.iter().filter(|(word, _)| is_kept || *word != "persistence_file") {
        if let Some(entry) = options::find(word) {
            add(word, Cow::from(default_of(entry, loaded.defaults)));
        }
    }
    if is_kept && loaded.persistence_location_from_environment.is_none() {
        // The one form keeps it in a place of its own, the other in the directory where it is started.
        let location = loaded.config.persistence_location.as_ref();
        add("persistence_location", location.map_or(".".into(), |location| location.display().to_string().into()));
    }
}

fn push_conf(text: &mut String, row: &Row<'_>) {
    for value in &row.values {
        let _ = writeln!(text, "{} {value}", row.entry.word());
    }
}

fn push_toml(text: &mut String, key: &str, row: &Row<'_>) {
    let values: Vec<String> = row.values.iter().map(|value| toml_value(row.entry, value)).collect();
    let _ = match values.as_slice() {
        [one] if !adds_up(row.entry) => writeln!(text, "{key} = {one}"),
        all => writeln!(text, "{key} = [{}]", all.join(", ")),
    };
}

/// Port and address, or a path.
fn push_place(text: &mut String, line: &str) {
    let (port, host) = value::first_word(line);
    let _ = match (value::number(port), host) {
        (Ok(0), path) => writeln!(text, "path = {}", quoted(path)),
        (Ok(port), "") => writeln!(text, "port = {port}"),
        (Ok(port), host) => writeln!(text, "port = {port}\naddress = {}", quoted(host)),
        // The line was read, so that it begins with a number.
        (Err(_), _) => Ok(()),
    };
}

fn toml_value(entry: &Entry, text: &str) -> String {
    match entry.takes {
        Takes::Flag(_) | Takes::Structure(Structure::PerListenerSettings) => {
            value::flag(text).map_or_else(|| quoted(text), |flag| flag.to_string())
        }
        Takes::Number { .. } | Takes::Structure(Structure::Port) => {
            value::number(text).map_or_else(|_| quoted(text), |number| number.to_string())
        }
        _ => quoted(text),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

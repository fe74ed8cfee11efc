//! What is wrong with one line, and the checks that find it: the words that Mosquitto has for them, and what to do.

use super::option::{Entry, Scope, Structure, Takes};
use super::value::{self, BadNumber};
use super::{options, suggest};

/// The part of a line that a complaint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The option's word.
    Word,
    /// What follows it, or should.
    Value,
}

/// What is wrong with a line, and what to do about it.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) text: String,
    pub(super) hint: Option<String>,
    pub(super) part: Part,
}

impl From<String> for Complaint {
    fn from(text: String) -> Complaint {
        Complaint { text, hint: None, part: Part::Value }
    }
}

impl Complaint {
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Complaint {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn about_word(text: impl Into<String>) -> Complaint {
        Complaint { text: text.into(), hint: None, part: Part::Word }
    }

    pub(super) fn empty(word: &str) -> Complaint {
        Complaint::from(format!("Empty '{word}' value in configuration."))
    }
}

/// There is only the word.
const MISSING: &str = "write its value behind it, or remove the line.";

pub(super) type Checked<T = ()> = Result<T, Complaint>;

/// No option has this word.
pub(super) fn unknown(word: &str) -> Complaint {
    let complaint = Complaint::about_word(format!("Unknown configuration variable '{}'.", word.escape_debug()));
    if word == "daemon" {
        return complaint.hint("start the broker with -d to put it into the background.");
    }
    let known = options::all().flat_map(|entry| entry.words.iter().copied());
    match suggest::nearest(word, known.filter(|known| !known.ends_with('*'))) {
        Some(meant) => complaint.hint(format!("did you mean '{meant}'?")),
        None => complaint.hint("`sori man DIR` writes a manual page with all options."),
    }
}

/// The option stands where there is nothing that it could belong to.
pub(super) fn homeless(word: &str, scope: Scope) -> Complaint {
    let (what, hint) = match scope {
        Scope::Bridge => ("a bridge", "it belongs below the `connection` line of a bridge."),
        Scope::Plugin => ("plugin/global_plugin/plugin_load", "it belongs below the line of its plugin."),
        Scope::Security => ("a listener", "after `per_listener_settings true` it belongs below a `listener` line."),
        _ => ("a listener", "it belongs below a `listener` line."),
    };
    Complaint::about_word(format!("The '{word}' option requires {what} to be defined first.")).hint(hint)
}

/// What it needs is not in this version; and what can be done without it.
pub(super) fn not_here(word: &str, entry: &Entry, needs: &str) -> Complaint {
    let text = format!("The '{word}' option is not available in this version: it needs {needs}.");
    let complaint = Complaint::about_word(text);
    match entry.takes {
        Takes::Structure(Structure::Connection) => {
            complaint.hint("until then, a client of both brokers can pass the messages on.")
        }
        _ if word == "enable_control_api" => complaint
            .hint("leave it out: a listener with `protocol http_api` tells the listeners at /api/v1/listeners."),
        _ => complaint,
    }
}

pub(super) fn malformed() -> Complaint {
    Complaint::from("Malformed UTF-8 in configuration.".to_owned())
        .hint("save the file as UTF-8 without control characters.")
}

/// A word of a small language was not one of it.
pub(super) fn not_in_form(text: String, word: &str, form: &str) -> Complaint {
    let words = form.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|known| known.len() > 2);
    let complaint = Complaint::from(text);
    match suggest::nearest(word, words) {
        Some(meant) if meant != word => complaint.hint(format!("did you mean '{meant}'? Allowed: {form}.")),
        _ => complaint.hint(format!("allowed: {form}.")),
    }
}

pub(super) fn read_flag(word: &str, value: &str) -> Checked<bool> {
    if value.is_empty() {
        return Err(Complaint::empty(word).hint("write true or false."));
    }
    value::flag(value)
        .ok_or_else(|| Complaint::from(format!("Invalid '{word}' value ({value}).")).hint("write true or false."))
}

pub(super) fn read_number(word: &str, value: &str, least: i64, most: i64, refusal: Option<&str>) -> Checked<i64> {
    if value.is_empty() {
        return Err(Complaint::empty(word).hint("write a whole number."));
    }
    let number = match value::number(value) {
        Ok(number) => number,
        Err(BadNumber::NotANumber) => {
            let complaint = Complaint::from(format!("'{word}' value not a number."));
            return Err(complaint.hint(format!("'{}' is none; write a whole number.", value.escape_debug())));
        }
        Err(BadNumber::TooLarge) => return Err(out_of_range(word, least, most)),
    };
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    // Numbers of 32 bits are all that Mosquitto reads for these.
    if most <= i64::from(i32::MAX) && i32::try_from(number).is_err() {
        return Err(out_of_range(word, least, most));
    }
    let text = refusal.map_or_else(|| format!("Invalid '{word}' value ({number})."), str::to_owned);
    Err(Complaint::from(text).hint(format!("it must be from {least} to {most}.")))
}

fn out_of_range(word: &str, least: i64, most: i64) -> Complaint {
    Complaint::from(format!("'{word}' value out of range.")).hint(format!("it must be from {least} to {most}."))
}

pub(super) fn read_port_number(name: &str, value: &str, least: i64) -> Checked<u16> {
    let number = read_number(name, value, i64::from(i32::MIN), i64::from(i32::MAX), None)?;
    let port = u16::try_from(number).ok().filter(|port| i64::from(*port) >= least);
    port.ok_or_else(|| {
        Complaint::from(format!("Invalid 'port' value ({number}).")).hint(format!("it must be from {least} to 65535."))
    })
}

/// Words that the option itself takes apart: blanks between them may be TABs.
pub(super) fn read_words<'a>(word: &str, value: &'a str) -> Checked<&'a str> {
    if value.is_empty() {
        return Err(Complaint::empty(word).hint(MISSING));
    }
    if value.split('\t').all(value::is_fit) { Ok(value) } else { Err(malformed()) }
}

pub(super) fn read_text<'a>(word: &str, value: &'a str, longest: usize) -> Checked<&'a str> {
    // Mosquitto names a plugin's option without its prefix, and wants three letters or more.
    if let Some(name) = word.strip_prefix("plugin_opt_").or_else(|| word.strip_prefix("auth_opt_")) {
        return match (name.len() < 3, value.is_empty()) {
            (true, _) => Err(Complaint::about_word("Invalid 'plugin_opt_' config option.")
                .hint("the name behind plugin_opt_ has three letters or more.")),
            (false, true) => Err(Complaint::empty(name).hint(MISSING)),
            (false, false) => Ok(value),
        };
    }
    if value.is_empty() {
        return Err(Complaint::empty(word).hint(MISSING));
    }
    if value.len() > longest {
        let complaint = Complaint::from(format!("'{word}' length must be <= {longest}."));
        return Err(complaint.hint(format!("it has {} bytes.", value.len())));
    }
    if !value::is_fit(value) {
        return Err(malformed());
    }
    Ok(value)
}

//! Where log lines go, which, and how they look.

use std::path::PathBuf;

use super::super::option::{Again, Entry, Place, Reload, Scope, Standing, Takes};
use crate::log::{Destinations, Facility, Kind, Kinds};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["connection_messages"],
        toml: "log.connection_messages",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().connection_messages = value),
        default: "true",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Connects and disconnects of clients are logged.",
    },
    Entry {
        words: &["log_dest"],
        toml: "log.destinations",
        scope: Scope::Global,
        takes: Takes::Word {
            form: "stderr, stdout, syslog, topic, json, none or `file <path>`",
            sample: "stdout",
            set: set_destination,
        },
        default: "stderr",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Where log lines go. It can be repeated; `none` takes back what stands above it. `topic` publishes them \
               below `$SYS/broker/log`, debug lines excepted. `json` writes each line as a JSON object to standard \
               error. A log file is opened again on SIGHUP. `dlt` and `android` are accepted and do nothing.",
    },
    Entry {
        words: &["log_facility"],
        toml: "log.facility",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: 7,
            refusal: None,
            set: |place, number| place.config().log.facility = Facility::Local(number.clamp(0, 7) as u8),
        },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Log lines go to the syslog facility local0 to local7. Unset: to daemon.",
    },
    Entry {
        words: &["log_timestamp"],
        toml: "log.timestamp",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().log.timestamp = value),
        default: "true",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Log lines start with the time.",
    },
    Entry {
        words: &["log_timestamp_format"],
        toml: "log.timestamp_format",
        scope: Scope::Global,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Refused,
            set: |place, text| {
                place.config().log.timestamp_format = Some(text.to_owned());
                Ok(())
            },
        },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "How the time looks, as in strftime: `%Y-%m-%dT%H:%M:%S`. Unset: seconds since 1970.",
    },
    Entry {
        words: &["log_type"],
        toml: "log.types",
        scope: Scope::Global,
        takes: Takes::Word {
            form: "error, warning, notice, information, debug, subscribe, unsubscribe, websockets, internal, all or none",
            sample: "debug",
            set: set_kind,
        },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Which lines are logged. It can be repeated; `none` takes back what stands above it. Unset: error, \
               warning, notice and information. `-v` on the command line means all, `-q` none.",
    },
    Entry {
        words: &["websockets_log_level"],
        toml: "log.websockets_level",
        scope: Scope::Global,
        takes: Takes::Number { least: i32::MIN as i64, most: i32::MAX as i64, refusal: None, set: |_, _| () },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Mapped("it belongs to a library that is not used here"),
        help: "What the library libwebsockets logs.",
    },
];

fn set_destination(place: &mut Place<'_>, word: &str, rest: &str) -> Result<(), String> {
    match word {
        "none" => *place.log_dest() = Destinations::none(),
        "stderr" => place.log_dest().stderr = true,
        "stdout" => place.log_dest().stdout = true,
        "syslog" => place.log_dest().syslog = true,
        "topic" => place.log_dest().topic = true,
        "json" => place.log_dest().json = true,
        "file" => return set_log_file(place, rest),
        "dlt" | "android" => {
            place.log_dest();
            place.warnings.push(format!("There is no log destination '{word}' here; it is ignored."));
        }
        _ => return Err(format!("Invalid 'log_dest' value ({word}).")),
    }
    Ok(())
}

fn set_log_file(place: &mut Place<'_>, path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("Empty \"log_dest file\" value in configuration.".to_owned());
    }
    if place.log_dest().file.is_some() {
        return Err("Duplicate \"log_dest file\" value.".to_owned());
    }
    place.log_dest().file = Some(PathBuf::from(path));
    Ok(())
}

fn set_kind(place: &mut Place<'_>, word: &str, _: &str) -> Result<(), String> {
    let kinds = place.log_type();
    match word {
        "none" => *kinds = Kinds::NONE,
        "all" => *kinds = Kinds::ALL,
        _ => {
            let kind = Kind::from_word(word).ok_or_else(|| format!("Invalid 'log_type' value ({word})."))?;
            *kinds = kinds.with(kind);
        }
    }
    Ok(())
}

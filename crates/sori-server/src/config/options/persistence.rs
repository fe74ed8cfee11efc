//! What is kept on disk. This version keeps everything in memory, and says so when a file asks for more.

use std::path::PathBuf;

use super::super::option::{Again, Entry, Reload, Scope, Standing, Takes};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["autosave_interval"],
        toml: "persistence.autosave_interval",
        scope: Scope::Global,
        takes: Takes::Number { least: i32::MIN as i64, most: i32::MAX as i64, refusal: None, set: |_, _| () },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Mapped("nothing is written at intervals"),
        help: "How often everything was written to disk.",
    },
    Entry {
        words: &["autosave_on_changes"],
        toml: "persistence.autosave_on_changes",
        scope: Scope::Global,
        takes: Takes::Flag(|_, _| ()),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Mapped("nothing is written at intervals"),
        help: "Whether `autosave_interval` counted changes instead of seconds.",
    },
    Entry {
        words: &["persistence", "retained_persistence"],
        toml: "persistence.enabled",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().persistence = value),
        default: "false",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "Sessions and messages are to survive a restart. In this version they live in memory only; `true` is \
               accepted, and a line at the start says so.",
    },
    Entry {
        words: &["persistence_file"],
        toml: "persistence.file",
        scope: Scope::Global,
        takes: Takes::Text { longest: 65_535, again: Again::Refused, set: |_, _| Ok(()) },
        default: "",
        reload: Reload::Restart,
        standing: Standing::Mapped("no such file is written"),
        help: "The name of Mosquitto's database.",
    },
    Entry {
        words: &["persistence_location"],
        toml: "persistence.location",
        scope: Scope::Global,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Refused,
            set: |place, text| {
                place.config().persistence_location = Some(PathBuf::from(text));
                Ok(())
            },
        },
        default: "",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "The directory for what is kept on disk. In this version nothing is written there. The environment \
               variable `MOSQUITTO_PERSISTENCE_LOCATION` wins over it.",
    },
];

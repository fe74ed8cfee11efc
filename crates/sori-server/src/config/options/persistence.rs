//! What is kept on disk, where, and how surely.

use std::path::PathBuf;
use std::time::Duration;

use super::super::option::{Again, Entry, Place, Reload, Scope, Standing, Takes};
use super::super::{Durability, STORE_QUEUE_BYTES};
use super::limit_u64;

/// The longest interval between two syncs: an hour.
const INTERVAL_MILLIS_MAX: u64 = 3_600_000;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["autosave_interval"],
        toml: "persistence.autosave_interval",
        scope: Scope::Global,
        takes: Takes::Number { least: i32::MIN as i64, most: i32::MAX as i64, refusal: None, set: |_, _| () },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Mapped("what is acknowledged is on disk already"),
        help: "How often everything was written to disk.",
    },
    Entry {
        words: &["autosave_on_changes"],
        toml: "persistence.autosave_on_changes",
        scope: Scope::Global,
        takes: Takes::Flag(|_, _| ()),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Mapped("what is acknowledged is on disk already"),
        help: "Whether `autosave_interval` counted changes instead of seconds.",
    },
    Entry {
        words: &["durability"],
        toml: "persistence.durability",
        scope: Scope::Global,
        takes: Takes::Word { form: "always, interval <ms> or never", sample: "interval 100", set: set_durability },
        default: "always",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "What an acknowledgement means. `always`: on disk, safe from a power cut. `interval <ms>` (1 to 3600000): \
               handed to the system, safe from a crash of the broker; a power cut loses what came in up to so many \
               milliseconds before. `never`: handed to the system, which writes when it likes. Not in Mosquitto.",
    },
    Entry {
        words: &["import_sqlite"],
        toml: "persistence.import_sqlite",
        scope: Scope::Global,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Refused,
            set: |place, text| {
                place.config().import_sqlite = Some(PathBuf::from(text));
                Ok(())
            },
        },
        default: "",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "The database of Mosquitto's persist-sqlite plugin to be taken over when the store is made; it is read \
               once and never written. Unset: `mosquitto.sqlite3` in `persistence_location`, if there is one. Not in \
               Mosquitto.",
    },
    Entry {
        words: &["persistence", "retained_persistence"],
        toml: "persistence.enabled",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().persistence = value),
        default: "false",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "Sessions with their subscriptions and messages, and retained messages, survive a restart, a crash and a \
               power cut; docs/persistence.md says how. Started without a configuration file: true.",
    },
    Entry {
        words: &["persistence_file"],
        toml: "persistence.file",
        scope: Scope::Global,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Refused,
            set: |place, text| {
                if text.contains('/') {
                    let wrong = format!("Invalid 'persistence_file' value ({text}): it must be a name without '/'.");
                    return Err((wrong, "name the directory in persistence_location."));
                }
                place.config().persistence_file = Some(text.to_owned());
                Ok(())
            },
        },
        default: "mosquitto.db",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "The name of Mosquitto's database in `persistence_location`. One that is there is taken over when the \
               store is made, and never written; where none is, a line of text at its place says where the store is.",
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
        help: "The directory that holds the store, which is a directory `sori.store` of its own. Unset: the current \
               directory; started without a configuration file, `$XDG_DATA_HOME/sori` or `~/.local/share/sori`, and \
               `/var/lib/sori` for root. The environment variable `MOSQUITTO_PERSISTENCE_LOCATION` wins over it.",
    },
    Entry {
        words: &["store_queue_limit"],
        toml: "persistence.store_queue_limit",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 1,
            most: i64::MAX,
            refusal: None,
            set: |place, number| {
                place.config().store_queue_limit = limit_u64(number).unwrap_or(STORE_QUEUE_BYTES);
            },
        },
        default: "67108864",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "Bytes that may wait to be written to the store. When there are more, nothing is read from clients until \
               the disk has caught up; when it has no room, clients whose sessions are kept are sent away. Not in Mosquitto.",
    },
    Entry {
        words: &["store_size_limit"],
        toml: "persistence.store_size_limit",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: i64::MAX,
            refusal: None,
            set: |place, number| place.config().store_size_limit = limit_u64(number),
        },
        default: "0",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "Bytes that the store may occupy on disk; 0: as many as there are. At the limit, and on a full disk, what \
               would have to be kept is refused with 0x97 until there is room again. Not in Mosquitto.",
    },
];

fn set_durability(place: &mut Place<'_>, word: &str, rest: &str) -> Result<(), String> {
    let rest = rest.split('#').next().unwrap_or_default();
    let mut more = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let millis = more.next();
    let durability = match (word, millis) {
        ("always", None) => Durability::Always,
        ("never", None) => Durability::Never,
        ("interval", Some(millis)) => {
            let number = millis.parse::<u64>().ok().filter(|number| (1..=INTERVAL_MILLIS_MAX).contains(number));
            let number = number.ok_or_else(|| {
                format!("Invalid 'durability' interval ({millis}): it must be 1 to {INTERVAL_MILLIS_MAX} milliseconds.")
            })?;
            Durability::Interval(Duration::from_millis(number))
        }
        ("interval", None) => return Err("The 'durability' interval lacks its milliseconds.".to_owned()),
        _ => return Err(format!("Invalid 'durability' value ({})", [word, rest].join(" ").trim_end()) + "."),
    };
    if more.next().is_some() {
        return Err(format!("Invalid 'durability' value ({word} {rest})."));
    }
    place.config().durability = durability;
    Ok(())
}

//! The plugins of Mosquitto that sori has built in: which they are, and what lines would say the same without a plugin.
//!
//! sori loads no shared objects. A `plugin` line whose object is in this table is read as the options that stand for it,
//! and any other refuses the start: a broker that left out what decides who may come in would be open.

use std::path::{Path, PathBuf};

use super::draft::Draft;

/// A plugin that is known by the name of its object.
#[derive(Debug)]
pub(super) struct Known {
    /// The name of the file, up to the first dot.
    pub(super) object: &'static str,
    pub(super) means: Means,
}

/// What its line means.
#[derive(Debug)]
pub(super) enum Means {
    BuiltIn(BuiltIn),
    /// It is not in this version, and this tells what to do.
    Missing(&'static str),
}

/// A plugin that is options in another form.
#[derive(Debug)]
pub(super) struct BuiltIn {
    /// It decides about clients, so it may belong to one listener.
    pub(super) is_security: bool,
    /// What its line alone says: a word and a value.
    pub(super) lines: &'static [(&'static str, &'static str)],
    /// The `plugin_opt_...` that it has.
    pub(super) options: &'static [PluginOption],
    /// It cannot do without this one of them.
    pub(super) needs: Option<&'static str>,
}

/// One of its options.
#[derive(Debug)]
pub(super) struct PluginOption {
    /// What stands behind `plugin_opt_`.
    pub(super) key: &'static str,
    pub(super) becomes: Becomes,
}

/// The same as lines of a word and a value; or what is wrong.
type Lines = Result<Vec<(&'static str, String)>, String>;

/// What an option of a plugin is here.
#[derive(Debug)]
pub(super) enum Becomes {
    Lines(fn(&mut Draft, &str) -> Lines),
    /// It is accepted, and this sentence says what is done instead.
    Nothing(&'static str),
}

const fn option(key: &'static str, becomes: Becomes) -> PluginOption {
    PluginOption { key, becomes }
}

const ON_DISK: &str = "what is acknowledged is on disk already";

/// All that are known.
pub(super) const KNOWN: &[Known] = &[
    Known {
        object: "mosquitto_password_file",
        means: Means::BuiltIn(BuiltIn {
            is_security: true,
            lines: &[],
            options: &[option(
                "password_file",
                Becomes::Lines(|_, value| Ok(vec![("password_file", value.to_owned())])),
            )],
            needs: Some("password_file"),
        }),
    },
    Known {
        object: "mosquitto_acl_file",
        means: Means::BuiltIn(BuiltIn {
            is_security: true,
            lines: &[],
            options: &[option("acl_file", Becomes::Lines(|_, value| Ok(vec![("acl_file", value.to_owned())])))],
            needs: Some("acl_file"),
        }),
    },
    Known {
        object: "mosquitto_persist_sqlite",
        means: Means::BuiltIn(BuiltIn {
            is_security: false,
            lines: &[("persistence", "true")],
            options: &[
                option("db_file", Becomes::Lines(database)),
                option("flush_period", Becomes::Nothing(ON_DISK)),
                option("page_size", Becomes::Nothing("the store has a format of its own")),
                option("sync", Becomes::Lines(sync)),
            ],
            needs: None,
        }),
    },
    Known {
        object: "mosquitto_dynamic_security",
        means: Means::Missing(
            "its clients, groups and roles are not in this version: users can stand in a password_file and what they may \
             in an acl_file, which are read again whenever they change",
        ),
    },
    Known {
        object: "mosquitto_sparkplug_aware",
        means: Means::Missing(
            "Sparkplug's retained certificates are not in this version; without this line Sparkplug's clients work all the \
             same",
        ),
    },
    Known {
        object: "go-auth",
        means: Means::Missing(
            "users and rights in files are password_file, whose hashes `sori passwd` makes, and acl_file, which has the same \
             lines; its other backends are not in this version",
        ),
    },
];

/// What is known of the plugin at this path.
pub(super) fn find(path: &str) -> Option<&'static Known> {
    let name = Path::new(path).file_name()?.to_str()?;
    let object = name.split('.').next()?;
    KNOWN.iter().find(|known| known.object == object)
}

/// The names of those that are built in, for people.
pub(super) fn built_in() -> String {
    let names = KNOWN.iter().filter(|known| matches!(known.means, Means::BuiltIn(_)));
    names.map(|known| known.object).collect::<Vec<_>>().join(", ")
}

/// The database is taken over if it is there. Where it is, Mosquitto could write, so the store may be there too.
fn database(draft: &mut Draft, value: &str) -> Lines {
    let path = PathBuf::from(value);
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    draft.location_of_plugin = directory.map(Path::to_owned);
    Ok(if path.is_file() { vec![("import_sqlite", value.to_owned())] } else { Vec::new() })
}

/// Whatever waits for the disk at all is done here at each acknowledgement.
fn sync(_: &mut Draft, value: &str) -> Lines {
    match value {
        "extra" | "full" | "normal" => Ok(Vec::new()),
        "off" => Ok(vec![("durability", "never".to_owned())]),
        _ => Err(format!("Invalid 'plugin_opt_sync' value ({value}): it is extra, full, normal or off.")),
    }
}

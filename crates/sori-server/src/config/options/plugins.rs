//! The lines of plugins. What they mean is in [`plugins`](super::super::plugins).

use super::super::option::{Again, Entry, Reload, Scope, Standing, Structure, Takes};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["auth_plugin_deny_special_chars"],
        toml: "",
        scope: Scope::Plugin,
        takes: Takes::Flag(|_, _| ()),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Clients whose identifier or user name has `+` or `#` in it get nothing from the patterns of an `acl_file`; that \
               is always so, and `false` is accepted only where there are no patterns.",
    },
    Entry {
        words: &["global_plugin"],
        toml: "",
        scope: Scope::Global,
        takes: Takes::Structure(Structure::Plugin),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "As `plugin`, for all listeners.",
    },
    Entry {
        words: &["plugin", "auth_plugin"],
        toml: "",
        scope: Scope::Security,
        takes: Takes::Structure(Structure::Plugin),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "A plugin of Mosquitto, by its shared object. None is loaded: `mosquitto_password_file.so` is read as \
               `password_file`, `mosquitto_acl_file.so` as `acl_file` and `mosquitto_persist_sqlite.so` as `persistence true`. \
               Any other refuses the start, because the broker might be open without it.",
    },
    Entry {
        words: &["plugin_load"],
        toml: "",
        scope: Scope::Global,
        takes: Takes::Structure(Structure::Plugin),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "A name and an object: as `plugin`, for the listeners that say `plugin_use` with this name.",
    },
    Entry {
        words: &["plugin_opt_*", "auth_opt_*"],
        toml: "",
        scope: Scope::Plugin,
        takes: Takes::Text { longest: 65_535, again: Again::Replaces, set: |_, _| Ok(()) },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "The options of the plugin above: `plugin_opt_password_file` and `plugin_opt_acl_file` name the file; \
               `plugin_opt_db_file` is the database of which `persistence` begins, as `import_sqlite`, if it is there; \
               `plugin_opt_sync off` is `durability never`, and with other values what is acknowledged is on disk.",
    },
    Entry {
        words: &["plugin_use"],
        toml: "",
        scope: Scope::ListenerLine,
        takes: Takes::Structure(Structure::Plugin),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "The plugin of this name is for this listener; with `per_listener_settings true` only.",
    },
];

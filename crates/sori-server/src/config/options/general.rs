//! Who may connect, what sessions keep, how messages are delivered, and how the program runs.

use std::path::PathBuf;
use std::time::Duration;

use super::super::option::{Again, Entry, Place, Reload, Scope, Standing, Structure, Takes};
use super::limit_u16;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["acl_file"],
        toml: "acl_file",
        scope: Scope::Security,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Replaces,
            set: |place, text| {
                place.security().acl_file = Some(PathBuf::from(text));
                Ok(())
            },
        },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "The file that says who may publish and be sent what; what no line of it grants is denied. It has lines \
               `topic [read\\|write\\|readwrite\\|deny] <filter>`, for clients without user name or, below `user <name>`, \
               for that user, and `pattern ...` for everybody, where a level `%c` is the client identifier and `%u` the \
               user name. A matching `deny` counts before what else matches. Topics are compared as the broker knows \
               them, with the mount point of their listener. It is read again at each reload; while it has a mistake, \
               the rules stay as they were. With `per_listener_settings true` it belongs to the listener above it.",
    },
    Entry {
        words: &["allow_anonymous"],
        toml: "allow_anonymous",
        scope: Scope::Security,
        takes: Takes::Flag(|place, value| place.security().allow_anonymous = Some(value)),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Clients may connect without user name, and where there is no `password_file`, with any. Unset: true while no \
               listener is configured and only this machine can connect, otherwise false.",
    },
    Entry {
        words: &["allow_duplicate_messages"],
        toml: "allow_duplicate_messages",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().allow_duplicate_messages = value),
        default: "true",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "A client whose subscriptions overlap gets a message once per matching subscription; false: once, at \
               the highest QoS of them.",
    },
    Entry {
        words: &["allow_zero_length_clientid"],
        toml: "allow_zero_length_clientid",
        scope: Scope::Security,
        takes: Takes::Flag(|place, value| place.security().allow_zero_length_clientid = Some(value)),
        default: "true",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "A client that sends an empty client identifier gets one made up by the broker; false: it is refused.",
    },
    Entry {
        words: &["auto_id_prefix"],
        toml: "auto_id_prefix",
        scope: Scope::Security,
        takes: Takes::Text {
            longest: 50,
            again: Again::Refused,
            set: |place, text| {
                place.security().auto_id_prefix = Some(text.to_owned());
                Ok(())
            },
        },
        default: "auto-",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "What a client identifier that the broker makes up starts with, on listeners that have no \
               `listener_auto_id_prefix`.",
    },
    Entry {
        words: &["check_retain_source"],
        toml: "check_retain_source",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().check_retain_source = value),
        default: "true",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "A retained message is delivered only while its publisher may still write its topic.",
    },
    Entry {
        words: &["clientid_prefixes"],
        toml: "clientid_prefixes",
        scope: Scope::Global,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Replaces,
            set: |place, text| {
                place.config().clientid_prefix = text.to_owned();
                Ok(())
            },
        },
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "What every client identifier must begin with, one that the broker made up included; others are refused. \
               Whoever knows the prefix gets in: it keeps strangers apart, not attackers out.",
    },
    Entry {
        words: &["include_dir"],
        toml: "include_dir",
        scope: Scope::Global,
        takes: Takes::Structure(Structure::IncludeDir),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Every file in this directory whose name ends in `.conf` is read here, in the order `00.conf 01.conf \
               A.conf a.conf B.conf b.conf`. Only in the main file. A listener's options end with its file.",
    },
    Entry {
        words: &["max_keepalive"],
        toml: "max_keepalive",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: 65_535,
            refusal: None,
            set: |place, number| place.config().max_keepalive = limit_u16(number),
        },
        default: "0",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The longest keep alive in seconds; 0: any. An MQTT 5.0 client that asks for more is told this value; an \
               older one is refused.",
    },
    Entry {
        words: &["password_file"],
        toml: "password_file",
        scope: Scope::Security,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Refused,
            set: |place, text| {
                place.security().password_file = Some(PathBuf::from(text));
                Ok(())
            },
        },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "The file that says who has which password: lines `user:hash`, as `sori passwd` and `mosquitto_passwd` write \
               them. Who gives a user name needs the password; who gives none is let in as `allow_anonymous` says. It is \
               read again at each reload: clients stay connected unless their line is gone or another. With \
               `per_listener_settings true` it belongs to the listener above it.",
    },
    Entry {
        words: &["per_listener_settings"],
        toml: "per_listener_settings",
        scope: Scope::Global,
        takes: Takes::Structure(Structure::PerListenerSettings),
        default: "false",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "`password_file`, `acl_file`, `allow_anonymous`, `allow_zero_length_clientid` and `auto_id_prefix` belong to \
               the listener above them. It must stand above all of them. A session whose client is away stays under the \
               rules of the listener by which the client came last. `listener_allow_anonymous` and \
               `listener_auto_id_prefix` need no such switch.",
    },
    Entry {
        words: &["persistent_client_expiration"],
        toml: "persistent_client_expiration",
        scope: Scope::Global,
        takes: Takes::Word { form: "a number with one of s h d w m y", sample: "2w", set: set_expiration },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Sessions of clients that stay away longer are removed; those of MQTT 5.0 clients earlier where their own \
               Session Expiry Interval is shorter. A month (m) has 30 days, a year (y) 365. Unset: they are kept for ever, \
               or for that interval. A change counts for sessions that are there, from when their clients went.",
    },
    Entry {
        words: &["pid_file"],
        toml: "pid_file",
        scope: Scope::Global,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Refused,
            set: |place, text| {
                place.config().pid_file = Some(PathBuf::from(text));
                Ok(())
            },
        },
        default: "",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "The process id is written to this file at the start, and the file is removed at the end.",
    },
    Entry {
        words: &["queue_qos0_messages"],
        toml: "queue_qos0_messages",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().queue_qos0_messages = value),
        default: "false",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "QoS 0 messages are queued for sessions whose client is away, like those of QoS 1 and 2.",
    },
    Entry {
        words: &["reason_strings"],
        toml: "reason_strings",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().reason_strings = value),
        default: "false",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "MQTT 5 clients are told in words why something was refused (Reason String), if they want to know. Started \
               without a configuration file: true. Not in Mosquitto.",
    },
    Entry {
        words: &["response_information"],
        toml: "response_information",
        scope: Scope::Global,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Refused,
            set: |place, text| {
                place.config().response_information = Some(text.to_owned());
                Ok(())
            },
        },
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The Response Information that an MQTT 5 client gets when it asks for it, usually the beginning of the \
               topics on which it may be answered. Not in Mosquitto.",
    },
    Entry {
        words: &["retain_available"],
        toml: "retain_available",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().retain_available = value),
        default: "true",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Clients may publish retained messages; false: a client that does is disconnected.",
    },
    Entry {
        words: &["retain_expiry_interval"],
        toml: "retain_expiry_interval",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 1,
            most: i32::MAX as i64,
            refusal: Some("retain_expiry_interval must be >= 1."),
            set: |_, _| (),
        },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Mapped("expired retained messages are always removed on time"),
        help: "How often expired retained messages were looked for, in minutes.",
    },
    Entry {
        words: &["retry_interval", "store_clean_interval"],
        toml: "retry_interval",
        scope: Scope::Global,
        takes: Takes::Anything,
        default: "",
        reload: Reload::Yes,
        standing: Standing::Mapped("it has had no meaning since Mosquitto 2.0"),
        help: "Options of old versions of Mosquitto.",
    },
    Entry {
        words: &["set_tcp_nodelay"],
        toml: "set_tcp_nodelay",
        scope: Scope::Global,
        takes: Takes::Flag(|_, _| ()),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Mapped("TCP_NODELAY is always set"),
        help: "Small packets leave at once.",
    },
    Entry {
        words: &["sys_interval"],
        toml: "sys_interval",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: 65_535,
            refusal: None,
            set: |place, number| place.config().sys_interval = limit_u16(number),
        },
        default: "10",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Seconds between two updates of the topics under `$SYS`; 0: there are none.",
    },
    Entry {
        words: &["upgrade_outgoing_qos"],
        toml: "upgrade_outgoing_qos",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().upgrade_outgoing_qos = value),
        default: "false",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Messages are delivered at the QoS of the subscription even when they were published at a lower one. \
               The standard does not have this.",
    },
    Entry {
        words: &["user"],
        toml: "user",
        scope: Scope::Global,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Replaces,
            set: |place, text| {
                place.config().user = Some(text.to_owned());
                Ok(())
            },
        },
        default: "",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "Started by root, the broker becomes this user; `root` keeps it root. The environment variables `PUID` \
               and `PGID` (numbers) win over it. Unset: it stays as it was started, or becomes `mosquitto`, else \
               `nobody`, when it was started under the name `mosquitto`.",
    },
];

const DAY: u64 = 86_400;

fn set_expiration(place: &mut Place<'_>, word: &str, _: &str) -> Result<(), String> {
    place.config().persistent_client_expiration = Some(
        expiration(word)
            .ok_or_else(|| "Invalid 'persistent_client_expiration' duration in configuration.".to_owned())?,
    );
    Ok(())
}

fn expiration(word: &str) -> Option<Duration> {
    let unit = word.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'h' => 3600,
        'd' => DAY,
        'w' => 7 * DAY,
        'm' => 30 * DAY,
        'y' => 365 * DAY,
        _ => return None,
    };
    let digits = word.get(..word.len() - unit.len_utf8())?;
    let number: u32 = digits.parse().ok().filter(|number| *number > 0)?;
    Some(Duration::from_secs(u64::from(number) * seconds))
}

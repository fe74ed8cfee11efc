//! What is listened on, and what holds for the clients of one listener.

use super::super::option::{Again, Entry, Place, Refused, Reload, Scope, Standing, Structure, Takes};
use super::super::{Protocol, ProtocolVersions, SocketDomain};
use super::limit_u32;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["accept_protocol_versions"],
        toml: "listener.accept_protocol_versions",
        scope: Scope::ListenerLine,
        takes: Takes::Word { form: "a list of 3, 4 and 5", sample: "3,5", set: set_versions },
        default: "3,4,5",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The protocol versions that may connect: 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5.0.",
    },
    Entry {
        words: &["bind_address"],
        toml: "default_listener.bind_address",
        scope: Scope::Global,
        takes: Takes::Structure(Structure::BindAddress),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "The address of the default listener. `listener <port> <address>` says the same in one line.",
    },
    Entry {
        words: &["bind_interface"],
        toml: "listener.bind_interface",
        scope: Scope::Listener,
        takes: Takes::Text {
            longest: 15,
            again: Again::Replaces,
            set: |place, text| {
                place.listener.settings.transport.bind_interface = Some(text.to_owned());
                Ok(())
            },
        },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Connections come in by this network interface only (`eth0`), whatever its addresses are and will be. Linux.",
    },
    Entry {
        words: &["http_dir"],
        toml: "listener.http_dir",
        scope: Scope::ListenerLine,
        takes: Takes::Text {
            longest: 65_535,
            again: Again::Refused,
            set: |place, text| {
                place.listener.settings.transport.http_dir = Some(text.into());
                Ok(())
            },
        },
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The directory whose files a listener with `protocol http_api` serves, `index.html` for a path that ends in `/`. \
               Links are followed as long as they stay inside.",
    },
    Entry {
        words: &["listener"],
        toml: "listener",
        scope: Scope::Global,
        takes: Takes::Structure(Structure::Listener),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "`listener <port> [address]` opens a TCP listener, on all addresses of the machine unless one is given; \
               `listener 0 <path>` opens a Unix socket. The listener options below it belong to it. Without any \
               listener, clients on this machine alone can connect, on port 1883, and need no user name.",
    },
    Entry {
        words: &["listener_allow_anonymous"],
        toml: "listener.allow_anonymous",
        scope: Scope::ListenerLine,
        takes: Takes::Flag(|place, value| place.listener.security.allow_anonymous = Some(value)),
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Clients of this listener may connect without user name. Unset: as `allow_anonymous` says.",
    },
    Entry {
        words: &["listener_auto_id_prefix"],
        toml: "listener.auto_id_prefix",
        scope: Scope::ListenerLine,
        takes: Takes::Text {
            longest: 50,
            again: Again::Refused,
            set: |place, text| {
                place.listener.security.auto_id_prefix = Some(text.to_owned());
                Ok(())
            },
        },
        default: "auto-",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "What a client identifier that the broker makes up starts with.",
    },
    Entry {
        words: &["max_connections"],
        toml: "listener.max_connections",
        scope: Scope::Listener,
        takes: Takes::Number {
            least: i32::MIN as i64,
            most: i32::MAX as i64,
            refusal: None,
            set: |place, number| place.listener.settings.max_connections = limit_u32(number),
        },
        default: "-1",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Connections of this listener that may be open at the same time; 0 or less: no limit.",
    },
    Entry {
        words: &["max_qos", "maximum_qos"],
        toml: "listener.max_qos",
        scope: Scope::Listener,
        takes: Takes::Number {
            least: 0,
            most: 2,
            refusal: Some("'max_qos' must be between 0 and 2 inclusive."),
            set: |place, number| place.listener.settings.max_qos = number.clamp(0, 2) as u8,
        },
        default: "2",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The highest QoS that clients of this listener may use. A client that publishes above it is \
               disconnected, one that subscribes above it is granted it; an MQTT 5.0 client is told the limit when it connects.",
    },
    Entry {
        words: &["max_topic_alias"],
        toml: "listener.max_topic_alias",
        scope: Scope::ListenerLine,
        takes: Takes::Number {
            least: 0,
            most: 65_535,
            refusal: Some("Invalid 'max_topic_alias' value in configuration."),
            set: |place, number| place.listener.settings.max_topic_alias = number.clamp(0, 65_535) as u16,
        },
        default: "10",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Topic aliases that an MQTT 5.0 client may create; 0: none.",
    },
    Entry {
        words: &["max_topic_alias_broker"],
        toml: "listener.max_topic_alias_broker",
        scope: Scope::ListenerLine,
        takes: Takes::Number {
            least: 0,
            most: 65_535,
            refusal: Some("Invalid 'max_topic_alias_broker' value in configuration."),
            set: |place, number| place.listener.settings.max_topic_alias_broker = number.clamp(0, 65_535) as u16,
        },
        default: "10",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Topic aliases that the broker creates towards an MQTT 5.0 client that allows them; 0: none.",
    },
    Entry {
        words: &["mount_point"],
        toml: "listener.mount_point",
        scope: Scope::ListenerLine,
        takes: Takes::Text { longest: 65_535, again: Again::Replaces, set: set_mount_point },
        default: "",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Put before every topic that clients of this listener publish or subscribe, and removed on delivery, so \
               that they see only their own part of the topics. It is used as written: end it with `/`.",
    },
    Entry {
        words: &["port"],
        toml: "default_listener.port",
        scope: Scope::Global,
        takes: Takes::Structure(Structure::Port),
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "The port of the default listener. `listener <port>` says the same and can be repeated.",
    },
    Entry {
        words: &["protocol"],
        toml: "listener.protocol",
        scope: Scope::Listener,
        takes: Takes::Word { form: "mqtt, websockets or http_api", sample: "websockets", set: set_protocol },
        default: "mqtt",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "What is spoken on this listener: MQTT as it is, or in WebSocket frames (any path, sub-protocol `mqtt`), or no MQTT \
               but HTTP: `http_api` tells figures of the broker and serves the files of `http_dir`. With TLS around each if there \
               is a `certfile`.",
    },
    Entry {
        words: &["socket_domain"],
        toml: "listener.socket_domain",
        scope: Scope::Listener,
        takes: Takes::Word { form: "ipv4 or ipv6", sample: "ipv4", set: set_socket_domain },
        default: "",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Listen on addresses of this family only. Unset: both.",
    },
    Entry {
        words: &["use_username_as_clientid"],
        toml: "listener.use_username_as_clientid",
        scope: Scope::Listener,
        takes: Takes::Flag(|place, value| place.listener.settings.use_username_as_clientid = value),
        default: "false",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "The client identifier is the user name, whatever the client sends; a client without user name is refused.",
    },
];

fn set_versions(place: &mut Place<'_>, first: &str, rest: &str) -> Result<(), String> {
    let mut versions = ProtocolVersions::NONE;
    let listed = first.split(',').chain(rest.split([',', ' ', '\t'])).filter(|version| !version.is_empty());
    for version in listed.take_while(|version| !version.starts_with('#')) {
        match version {
            "3" => versions.v31 = true,
            "4" => versions.v311 = true,
            "5" => versions.v5 = true,
            other => place.warnings.push(format!("'{other}' is not a protocol version (3, 4 or 5) and is ignored.")),
        }
    }
    if versions == ProtocolVersions::NONE {
        place.warnings.push("No protocol version is accepted, so no client can connect to this listener.".to_owned());
    }
    place.listener.settings.versions = versions;
    Ok(())
}

fn set_mount_point(place: &mut Place<'_>, text: &str) -> Result<(), Refused> {
    if text.contains(['+', '#']) {
        let wrong = format!("Invalid 'mount_point' value ({text}). Does it contain a wildcard character?");
        return Err((wrong, "it is the beginning of topics, as in `mount_point site1/`, without + and #."));
    }
    place.listener.settings.mount_point = Some(text.to_owned());
    Ok(())
}

fn set_protocol(place: &mut Place<'_>, word: &str, _: &str) -> Result<(), String> {
    place.listener.settings.transport.protocol = match word {
        "mqtt" => Protocol::Mqtt,
        "websockets" => Protocol::WebSockets,
        "http_api" => Protocol::HttpApi,
        _ => return Err(format!("Invalid 'protocol' value ({word}).")),
    };
    Ok(())
}

fn set_socket_domain(place: &mut Place<'_>, word: &str, _: &str) -> Result<(), String> {
    place.listener.settings.socket_domain = match word {
        "ipv4" => SocketDomain::Ipv4,
        "ipv6" => SocketDomain::Ipv6,
        _ => return Err(format!("Invalid 'socket_domain' value '{word}' in configuration.")),
    };
    Ok(())
}

//! How much one client, one address and all together may use.

use std::time::Duration;

use super::super::QueueFull;
use super::super::option::{Entry, Place, Reload, Scope, Standing, Takes};
use super::{limit_u16, limit_u32, limit_u64};

const ANY: (i64, i64) = (i32::MIN as i64, i32::MAX as i64);

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        words: &["connect_timeout"],
        toml: "connect_timeout",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 1,
            most: 3600,
            refusal: None,
            set: |place, number| place.config().connect_timeout = Duration::from_secs(number.clamp(1, 3600) as u64),
        },
        default: "10",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Seconds that a new connection may take until its CONNECT packet is complete; with `protocol http_api`, until its request is. \
               Not in Mosquitto.",
    },
    Entry {
        words: &["connection_rate_per_address"],
        toml: "connection_rate_per_address",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: ANY.1,
            refusal: None,
            set: |place, number| place.config().connection_rate_per_address = limit_u32(number),
        },
        default: "0",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "New connections per second that one address may open; 0: no limit. Not in Mosquitto.",
    },
    Entry {
        words: &["global_max_clients"],
        toml: "global_max_clients",
        scope: Scope::Global,
        takes: Takes::Number {
            least: ANY.0,
            most: ANY.1,
            refusal: None,
            set: |place, number| place.config().global_max_clients = limit_u32(number),
        },
        default: "-1",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Sessions in the whole broker, of connected clients and of those that are away; 0 or less: no limit.",
    },
    Entry {
        words: &["global_max_connections"],
        toml: "global_max_connections",
        scope: Scope::Global,
        takes: Takes::Number {
            least: ANY.0,
            most: ANY.1,
            refusal: None,
            set: |place, number| place.config().global_max_connections = limit_u32(number),
        },
        default: "-1",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Connections in the whole broker that may be open at the same time; 0 or less: no limit.",
    },
    Entry {
        words: &["max_connections_per_address"],
        toml: "max_connections_per_address",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: ANY.1,
            refusal: None,
            set: |place, number| place.config().max_connections_per_address = limit_u32(number),
        },
        default: "0",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Connections that one address may have open at the same time; 0: no limit. Not in Mosquitto.",
    },
    Entry {
        words: &["max_inflight_bytes"],
        toml: "max_inflight_bytes",
        scope: Scope::Global,
        takes: Takes::Number {
            least: ANY.0,
            most: ANY.1,
            refusal: None,
            set: |place, number| place.config().max_inflight_bytes = limit_u64(number),
        },
        default: "0",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Bytes of outgoing QoS 1 and 2 messages that may be in flight to one client; the message that \
               goes beyond it is still sent. 0: no limit. Started without a configuration file: 4 MiB.",
    },
    Entry {
        words: &["max_inflight_messages"],
        toml: "max_inflight_messages",
        scope: Scope::Global,
        takes: Takes::Number {
            least: ANY.0,
            most: 65_535,
            refusal: Some("'max_inflight_messages' must be <= 65535."),
            set: |place, number| {
                place.config().max_inflight_messages = limit_u16(number).filter(|limit| limit.get() < u16::MAX);
            },
        },
        default: "20",
        reload: Reload::NewConnections,
        standing: Standing::Works,
        help: "Outgoing QoS 1 and 2 messages that may be in flight to one client, and the Receive Maximum that an MQTT \
               5.0 client is told. 1 keeps messages in strict order; 0 and 65535: no limit.",
    },
    Entry {
        words: &["max_packet_size"],
        toml: "max_packet_size",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 20,
            most: ANY.1,
            refusal: Some("'max_packet_size' must be >= 20."),
            set: |place, number| place.config().max_packet_size = number.clamp(20, ANY.1) as u32,
        },
        default: "2000000",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "The largest packet in bytes. A client that sends a larger one is disconnected; an MQTT 5.0 client is \
               told the limit when it connects.",
    },
    Entry {
        words: &["max_queued_bytes"],
        toml: "max_queued_bytes",
        scope: Scope::Global,
        takes: Takes::Number {
            least: ANY.0,
            most: ANY.1,
            refusal: None,
            set: |place, number| place.config().max_queued_bytes = limit_u64(number),
        },
        default: "0",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Bytes of messages that may be queued for one client, and for one that is connected `max_inflight_bytes` more; the \
               message that goes beyond it is still queued. 0: no limit but `memory_limit`. Started without a \
               configuration file: 16 MiB.",
    },
    Entry {
        words: &["max_queued_messages"],
        toml: "max_queued_messages",
        scope: Scope::Global,
        takes: Takes::Number {
            least: ANY.0,
            most: ANY.1,
            refusal: None,
            set: |place, number| place.config().max_queued_messages = limit_u32(number),
        },
        default: "1000",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Messages that may be queued for one client, and for one that is connected as many more as may be in flight to \
               it; 0: no limit but `memory_limit`.",
    },
    Entry {
        words: &["max_topic_levels"],
        toml: "max_topic_levels",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: 65_535,
            refusal: None,
            set: |place, number| place.config().max_topic_levels = limit_u32(number),
        },
        default: "200",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Slashes that a topic or filter may have; a client that uses more is disconnected. 0: no limit, which is \
               the default without a mosquitto.conf. Not in Mosquitto, where it is always 200.",
    },
    Entry {
        words: &["memory_limit"],
        toml: "memory_limit",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: i64::MAX,
            refusal: None,
            set: |place, number| place.config().memory_limit = limit_u64(number),
        },
        default: "0",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "Bytes that all sessions and messages together may occupy. What would go beyond is refused, with reason \
               code 0x97 towards an MQTT 5.0 client. 0: half of the machine's memory.",
    },
    Entry {
        words: &["message_size_limit"],
        toml: "message_size_limit",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: 268_435_455,
            refusal: None,
            set: |place, number| place.config().message_size_limit = limit_u32(number),
        },
        default: "0",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "The largest payload in bytes that is delivered; a larger one is acknowledged and dropped. 0: no limit \
               but `max_packet_size`.",
    },
    Entry {
        words: &["packet_buffer_size", "websockets_headers_size"],
        toml: "packet_buffer_size",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: 65_535,
            refusal: Some("Packet buffer size must be between 0 and 65535 inclusive."),
            set: |_, _| (),
        },
        default: "",
        reload: Reload::Restart,
        standing: Standing::Mapped("an idle connection holds no buffer, and a busy one what it needs"),
        help: "The size of a connection's read buffer.",
    },
    Entry {
        words: &["queue_full"],
        toml: "queue_full",
        scope: Scope::Global,
        takes: Takes::Word {
            form: "drop_newest, drop_oldest, latest_value or disconnect",
            sample: "drop_oldest",
            set: set_queue_full,
        },
        default: "drop_newest",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "What happens to a message for a client whose queue is full: it is dropped, the oldest one is dropped for \
               it, only the newest message of each topic is kept, or the client is disconnected. Every drop is \
               counted. Not in Mosquitto, which drops the new message.",
    },
    Entry {
        words: &["strict_receive_maximum"],
        toml: "strict_receive_maximum",
        scope: Scope::Global,
        takes: Takes::Flag(|place, value| place.config().strict_receive_maximum = value),
        default: "false",
        reload: Reload::Yes,
        standing: Standing::Works,
        help: "A client that sends more unacknowledged messages than its Receive Maximum allows is disconnected at \
               once with reason code 0x93; false: it is warned first, and disconnected at 1,000 above the limit. \
               Started without a configuration file: true. Not in Mosquitto.",
    },
    Entry {
        words: &["threads"],
        toml: "threads",
        scope: Scope::Global,
        takes: Takes::Number {
            least: 0,
            most: 1024,
            refusal: None,
            set: |place, number| place.config().threads = limit_u16(number),
        },
        default: "0",
        reload: Reload::Restart,
        standing: Standing::Works,
        help: "Worker threads; 0: as many as the machine has processors. Not in Mosquitto.",
    },
];

fn set_queue_full(place: &mut Place<'_>, word: &str, _: &str) -> Result<(), String> {
    place.config().queue_full = match word {
        "drop_newest" => QueueFull::DropNewest,
        "drop_oldest" => QueueFull::DropOldest,
        "latest_value" => QueueFull::LatestValue,
        "disconnect" => QueueFull::Disconnect,
        _ => return Err(format!("Invalid 'queue_full' value ({word}).")),
    };
    Ok(())
}

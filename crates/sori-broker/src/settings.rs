//! What an operator can choose, as plain data. Where the values come from (a file, the command line) is not known here.

use crate::access::Identity;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use sori_mqtt::{QoS, Version};

/// What happens to a message for a session whose queue is full.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum QueueFull {
    /// The new message is dropped, as Mosquitto does.
    #[default]
    DropNewest,
    /// The oldest queued message makes room.
    DropOldest,
    /// A queued message of the same topic is replaced; without one, the oldest makes room.
    LatestValue,
    /// The client is disconnected with 0x97; an offline session drops the newest.
    Disconnect,
}

/// Settings of the whole broker. The default is Mosquitto's.
#[derive(Clone, Debug)]
pub struct Settings {
    /// True: overlapping subscriptions deliver once each. False: one delivery at the highest QoS.
    pub allow_duplicate_messages: bool,
    /// What every client identifier must begin with; empty allows any.
    pub client_id_prefix: String,
    /// Milliseconds from the connection to a complete CONNECT.
    pub connect_timeout_millis: u64,
    /// QoS 1 and 2 messages in flight to one client; also the Receive Maximum that is announced. 0 is no limit.
    pub inflight_messages_max: u16,
    /// Payload bytes of QoS 1 and 2 messages in flight to one client, reached by the last of them. 0 is no limit.
    pub inflight_bytes_max: u64,
    /// Messages queued for one session beyond those in flight; for a connected client as many more as may be in flight, as in
    /// Mosquitto. 0 is no limit.
    pub queued_messages_max: u64,
    /// Payload bytes queued for one session, reached by the last message; for a connected client more by what may be in
    /// flight. 0 is no limit.
    pub queued_bytes_max: u64,
    /// Bytes queued for all sessions and retained together. 0 is no limit.
    pub memory_limit: u64,
    /// What happens at one of the three limits above.
    pub queue_full: QueueFull,
    /// The largest packet taken, in bytes.
    pub packet_size_max: u32,
    /// The largest Keep Alive in seconds; 0 allows any.
    pub keep_alive_max: u16,
    /// The largest payload that is passed on, in bytes; 0 is no limit.
    pub message_size_limit: u32,
    /// Seconds after which the session of an offline client ends: of a 3.x client always, of a 5.0 client unless its own
    /// interval is shorter. `None` is no limit.
    pub persistent_client_expiration: Option<u64>,
    /// Keep QoS 0 messages for offline sessions too.
    pub queue_qos0_messages: bool,
    /// Are retained messages supported?
    pub retain_available: bool,
    /// Deliver at the QoS of the subscription even when the message was published lower.
    pub upgrade_outgoing_qos: bool,
    /// Disconnect (0x93) at the first message beyond Receive Maximum, not after a thousand.
    pub strict_receive_maximum: bool,
    /// Sessions in the whole broker; `None` is no limit.
    pub clients_max: Option<u64>,
    /// The most levels that a topic or filter may have; 0 is no limit.
    pub topic_levels_max: u32,
    /// Tell MQTT 5 clients in words why something was refused.
    pub reason_strings: bool,
    /// The Response Information for clients that ask for it.
    pub response_information: Option<String>,
    /// Deliver a retained message only while its publisher may still publish it.
    pub check_retain_source: bool,
    /// Make records of what must survive a crash.
    pub keeps_records: bool,
    /// Report each subscription as an event.
    pub report_subscriptions: bool,
    /// Make an event of every message that a client may not publish.
    pub report_denied: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            allow_duplicate_messages: true,
            client_id_prefix: String::new(),
            connect_timeout_millis: 10_000,
            inflight_messages_max: 20,
            inflight_bytes_max: 0,
            queued_messages_max: 1000,
            queued_bytes_max: 0,
            memory_limit: 0,
            queue_full: QueueFull::DropNewest,
            packet_size_max: 2_000_000,
            keep_alive_max: 0,
            message_size_limit: 0,
            persistent_client_expiration: None,
            queue_qos0_messages: false,
            retain_available: true,
            upgrade_outgoing_qos: false,
            strict_receive_maximum: false,
            clients_max: None,
            topic_levels_max: 0,
            reason_strings: false,
            response_information: None,
            check_retain_source: true,
            keeps_records: false,
            report_subscriptions: false,
            report_denied: false,
        }
    }
}

/// What a listener finds out about a client by other ways than MQTT: a certificate, or a proxy in front.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct Introduction {
    /// Where it comes from, if that is somewhere else than the connection.
    pub address: Option<Box<str>>,
    /// Who it is, proven; it counts only with [`ListenerSettings::names_its_clients`].
    pub user_name: Option<Box<str>>,
}

/// Settings of the listener by which a connection came.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// The port, for log lines.
    pub port: u16,
    /// May a client connect without a user name?
    pub allow_anonymous: bool,
    /// May a client connect without a client identifier?
    pub allow_zero_length_client_id: bool,
    /// The protocol versions taken.
    pub versions: VersionSet,
    /// The highest QoS that clients may publish.
    pub qos_max: QoS,
    /// Topic aliases that a client may set.
    pub topic_alias_max: u16,
    /// Topic aliases that the broker sets towards a client.
    pub topic_alias_max_broker: u16,
    /// What generated client identifiers begin with.
    pub auto_id_prefix: String,
    /// Put before every topic of these clients, and taken off again on delivery.
    pub mount_point: Option<Arc<str>>,
    /// The user name becomes the client identifier.
    pub use_username_as_client_id: bool,
    /// A number of its own that stays the same over restarts and reloads, by which [`Access`](crate::Access) knows it.
    pub place: u32,
    /// The listener itself says who its clients are ([`Introduction::user_name`](crate::Introduction::user_name)): user name and
    /// password of CONNECT do not count, and who was not introduced by name is refused.
    pub names_its_clients: bool,
    /// Who its clients are, whatever they say: they are parts of the broker's own program and need no login.
    pub identity: Option<Arc<Identity>>,
}

impl Default for ListenerSettings {
    fn default() -> ListenerSettings {
        ListenerSettings {
            port: 1883,
            allow_anonymous: true,
            allow_zero_length_client_id: true,
            versions: VersionSet::ALL,
            qos_max: QoS::ExactlyOnce,
            topic_alias_max: 10,
            topic_alias_max_broker: 10,
            auto_id_prefix: String::from("auto-"),
            mount_point: None,
            use_username_as_client_id: false,
            place: 0,
            names_its_clients: false,
            identity: None,
        }
    }
}

/// A set of protocol versions.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct VersionSet(u8);

impl VersionSet {
    /// Every version.
    pub const ALL: VersionSet = VersionSet(0b111);
    /// No version.
    pub const NONE: VersionSet = VersionSet(0);

    const fn bit(version: Version) -> u8 {
        1 << (version.level() - 3)
    }

    /// This set and `version`.
    #[must_use]
    pub const fn with(self, version: Version) -> VersionSet {
        VersionSet(self.0 | VersionSet::bit(version))
    }

    /// Is `version` in it?
    #[must_use]
    pub const fn contains(self, version: Version) -> bool {
        self.0 & VersionSet::bit(version) != 0
    }
}

//! The configuration as plain data, and the way from a file to it.
//!
//! [`load`] reads a `mosquitto.conf` or a `sori.toml` through the one table of options ([`options`]) into a [`Config`] in which every
//! value has been checked, every default filled in and every inheritance between the file and its listeners
//! resolved. Nothing here opens a socket or a log; nothing later has to ask whether a value is legal.

pub(crate) mod access_files;
mod certificates;
mod complaint;
mod contents;
pub mod convert;
mod draft;
pub mod effective;
pub(crate) mod files;
mod finish;
mod include;
pub mod manual;
pub mod option;
pub mod options;
mod parse;
mod places;
mod plugins;
mod remark;
pub mod roff;
mod scene;
pub mod setting;
mod suggest;
mod toml;
mod transport;
mod value;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod toml_tests;

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::acl::Rules;
use crate::log::LogConfig;
use crate::passwords::Users;
use crate::psk::Keys;
pub(crate) use contents::wrong_encoding;
pub(crate) use finish::DEFAULT_PORT;
pub use remark::{Location, Remark, Severity};
pub use setting::Setting;
pub use sori_broker::QueueFull;
pub use transport::{Protocol, TransportConfig};

/// Everything the broker can be told, checked and complete. `None` in a limit means "no limit of its own".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The files these settings came from.
    pub files: Vec<PathBuf>,
    /// No listener was configured: only this machine can connect.
    pub local_only: bool,
    /// What to listen on, in the order of the file.
    pub listeners: Vec<ListenerConfig>,
    /// Where log lines go and which.
    pub log: LogConfig,

    /// The rules about users and topics are those of each listener.
    pub per_listener_settings: bool,
    /// Who may publish and be sent what; `None`: everybody everything.
    pub acl: Option<Arc<Rules>>,
    /// Who has which password; `None`: nobody has one.
    pub users: Option<Arc<Users>>,
    /// Overlapping subscriptions of one client may each deliver a message.
    pub allow_duplicate_messages: bool,
    /// Before a retained message is delivered, its publisher must still be allowed to write the topic.
    pub check_retain_source: bool,
    /// What every client identifier must begin with; empty allows any.
    pub clientid_prefix: String,
    /// Connects and disconnects are logged.
    pub connection_messages: bool,
    /// Sessions in the whole broker, connected or stored.
    pub global_max_clients: Option<NonZeroU32>,
    /// Open connections in the whole broker.
    pub global_max_connections: Option<NonZeroU32>,
    /// Bytes of outgoing QoS 1 and 2 messages in flight per client.
    pub max_inflight_bytes: Option<NonZeroU64>,
    /// Outgoing QoS 1 and 2 messages in flight per client, and the Receive Maximum that a v5 client is told.
    pub max_inflight_messages: Option<NonZeroU16>,
    /// The longest keep alive a client may ask for, in seconds.
    pub max_keepalive: Option<NonZeroU16>,
    /// The largest packet that is accepted, in bytes.
    pub max_packet_size: u32,
    /// Bytes of messages queued per client.
    pub max_queued_bytes: Option<NonZeroU64>,
    /// Messages queued per client.
    pub max_queued_messages: Option<NonZeroU32>,
    /// The largest payload that is delivered, in bytes.
    pub message_size_limit: Option<NonZeroU32>,
    /// A 3.1 or 3.1.1 session that has been offline for this long is removed.
    pub persistent_client_expiration: Option<Duration>,
    /// QoS 0 messages are queued for offline sessions too.
    pub queue_qos0_messages: bool,
    /// What happens to a message that meets a full queue.
    pub queue_full: QueueFull,
    /// Clients may publish retained messages.
    pub retain_available: bool,
    /// A client above its Receive Maximum is disconnected with 0x93 at once, not only far above it.
    pub strict_receive_maximum: bool,
    /// MQTT 5 clients are told in words why something was refused.
    pub reason_strings: bool,
    /// The Response Information for clients that ask for it.
    pub response_information: Option<String>,
    /// Slashes that a topic or filter may have.
    pub max_topic_levels: Option<NonZeroU32>,
    /// Seconds between two looks at the `$SYS` tree; `None`: there is no `$SYS` tree.
    pub sys_interval: Option<NonZeroU16>,
    /// Messages are delivered at the QoS of the subscription even when they were published at a lower one.
    pub upgrade_outgoing_qos: bool,

    /// How long a new connection may take until its CONNECT is complete.
    pub connect_timeout: Duration,
    /// New connections per second from one address.
    pub connection_rate_per_address: Option<NonZeroU32>,
    /// Open connections from one address.
    pub max_connections_per_address: Option<NonZeroU32>,
    /// Bytes that all messages and sessions together may occupy; `None`: half of the machine's memory.
    pub memory_limit: Option<NonZeroU64>,
    /// Worker threads; `None`: as many as the machine has processors.
    pub threads: Option<NonZeroU16>,

    /// Sessions and messages are kept on disk.
    pub persistence: bool,
    /// The directory that holds the store; `None`: the current one.
    pub persistence_location: Option<PathBuf>,
    /// The name of Mosquitto's database there.
    pub persistence_file: Option<String>,
    /// The database of Mosquitto's persist-sqlite plugin.
    pub import_sqlite: Option<PathBuf>,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// Bytes that may wait to be written before nothing more is read from clients.
    pub store_queue_limit: NonZeroU64,
    /// Bytes that the store may occupy.
    pub store_size_limit: Option<NonZeroU64>,
    /// The secrets of TLS connections are written there, for Wireshark.
    pub tls_key_log: Option<PathBuf>,
    /// Where the process id is written.
    pub pid_file: Option<PathBuf>,
    /// The user to become when started by root.
    pub user: Option<String>,
}

/// One listener, checked and complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// The line that asked for it; `None` in local-only mode.
    pub declared_at: Option<Location>,
    /// Where it listens.
    pub bind: Bind,
    /// Which families of addresses it listens on.
    pub socket_domain: SocketDomain,
    /// The start fails when it cannot be opened. Only `::1` of the local-only mode is not required, because a
    /// machine may have no IPv6.
    pub required: bool,
    /// Connections that may be open at the same time.
    pub max_connections: Option<NonZeroU32>,
    /// The highest QoS, 0 to 2.
    pub max_qos: u8,
    /// Topic aliases that a v5 client may create.
    pub max_topic_alias: u16,
    /// Topic aliases that the broker creates towards a v5 client, at most.
    pub max_topic_alias_broker: u16,
    /// The protocol versions that may connect.
    pub versions: ProtocolVersions,
    /// Who may publish and be sent what, with `per_listener_settings`; `None`: everybody everything.
    pub acl: Option<Arc<Rules>>,
    /// Who has which password, with `per_listener_settings`; `None`: nobody has one.
    pub users: Option<Arc<Users>>,
    /// Who has which key of TLS-PSK; `None`: nobody has one.
    pub keys: Option<Arc<Keys>>,
    /// A client without user name may connect.
    pub allow_anonymous: bool,
    /// A client with an empty identifier gets a generated one.
    pub allow_zero_length_clientid: bool,
    /// What a generated client identifier starts with.
    pub auto_id_prefix: String,
    /// Put before every topic of this listener's clients, and removed on delivery.
    pub mount_point: Option<String>,
    /// The client identifier is the user name.
    pub use_username_as_clientid: bool,
    /// What stands between MQTT and the socket.
    pub transport: TransportConfig,
}

impl ListenerConfig {
    /// The port; 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        match self.bind {
            Bind::Tcp { port, .. } => port,
            Bind::Unix(_) => 0,
        }
    }
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// TCP. No host: all addresses of the machine.
    Tcp {
        /// Name or address as it was written.
        host: Option<String>,
        /// 1 to 65,535.
        port: u16,
    },
    /// A Unix stream socket at this path.
    Unix(PathBuf),
}

/// The families of addresses a listener opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SocketDomain {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// The protocol versions a listener accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolVersions {
    /// MQTT 3.1, level 3.
    pub v31: bool,
    /// MQTT 3.1.1, level 4.
    pub v311: bool,
    /// MQTT 5.0, level 5.
    pub v5: bool,
}

impl ProtocolVersions {
    /// All of them, the default.
    pub const ALL: ProtocolVersions = ProtocolVersions { v31: true, v311: true, v5: true };
    /// None of them, where a list of versions starts.
    pub const NONE: ProtocolVersions = ProtocolVersions { v31: false, v311: false, v5: false };
}

/// What an acknowledgement means for what it acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is on disk.
    Always,
    /// The system has it, and it will be on disk after so long at most.
    Interval(Duration),
    /// The system has it.
    Never,
}

/// Whose defaults hold where the file says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// Mosquitto's, for a `mosquitto.conf`, for `-p` and under the name `mosquitto`.
    Mosquitto,
    /// sori's own: sessions and messages are kept on disk, the queues are bounded in bytes too, and Receive Maximum is
    /// enforced.
    Native,
}

/// Bytes queued per client under sori's own defaults.
const NATIVE_QUEUED_BYTES: u64 = 16 * 1024 * 1024;
/// The limit of topic levels that is built into Mosquitto.
const MOSQUITTO_TOPIC_LEVELS: u32 = 200;
/// What Mosquitto calls its database.
const MOSQUITTO_FILE: &str = "mosquitto.db";
/// Bytes that may wait for the disk: what a slow one writes in a second.
const STORE_QUEUE_BYTES: NonZeroU64 = NonZeroU64::new(64 * 1024 * 1024).expect("it is not 0");
/// Bytes in flight per client under sori's own defaults.
const NATIVE_INFLIGHT_BYTES: u64 = 4 * 1024 * 1024;

impl Config {
    /// The settings of an empty file, still without a listener.
    pub(crate) fn with_defaults(defaults: Defaults) -> Config {
        let native = defaults == Defaults::Native;
        Config {
            files: Vec::new(),
            local_only: false,
            listeners: Vec::new(),
            log: LogConfig::default(),
            per_listener_settings: false,
            acl: None,
            users: None,
            allow_duplicate_messages: true,
            check_retain_source: true,
            clientid_prefix: String::new(),
            connection_messages: true,
            global_max_clients: None,
            global_max_connections: None,
            max_inflight_bytes: NonZeroU64::new(NATIVE_INFLIGHT_BYTES).filter(|_| native),
            max_inflight_messages: NonZeroU16::new(20),
            max_keepalive: None,
            max_packet_size: 2_000_000,
            max_queued_bytes: NonZeroU64::new(NATIVE_QUEUED_BYTES).filter(|_| native),
            max_queued_messages: NonZeroU32::new(1000),
            message_size_limit: None,
            persistent_client_expiration: None,
            queue_qos0_messages: false,
            queue_full: QueueFull::DropNewest,
            retain_available: true,
            max_topic_levels: NonZeroU32::new(MOSQUITTO_TOPIC_LEVELS).filter(|_| !native),
            strict_receive_maximum: native,
            reason_strings: native,
            response_information: None,
            sys_interval: NonZeroU16::new(10),
            upgrade_outgoing_qos: false,
            connect_timeout: Duration::from_secs(10),
            connection_rate_per_address: None,
            max_connections_per_address: None,
            memory_limit: None,
            threads: None,
            persistence: native,
            persistence_location: None,
            persistence_file: (!native).then(|| MOSQUITTO_FILE.to_owned()),
            import_sqlite: None,
            durability: Durability::Always,
            store_queue_limit: STORE_QUEUE_BYTES,
            store_size_limit: None,
            tls_key_log: None,
            pid_file: None,
            user: None,
        }
    }
}

/// What a configuration is made from.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// The files that were named, read one after the other.
    pub files: &'a [PathBuf],
    /// Ports of the command line; they count only while the file has no listener.
    pub ports: &'a [u16],
    /// Whose defaults hold.
    pub defaults: Defaults,
    /// Wins over `persistence_location` in the file (environment variable `MOSQUITTO_PERSISTENCE_LOCATION`).
    pub persistence_location: Option<PathBuf>,
}

/// What was read, and what was noticed on the way. With an error among that it must not be used: what was wrong is not
/// there, or allows nothing. It can be looked at all the same, so that one run tells all mistakes.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The lines of the files, in their order.
    pub settings: Vec<Setting>,
    /// Whose defaults hold where they say nothing.
    pub defaults: Defaults,
    /// What the environment says in the place of a file.
    pub persistence_location_from_environment: Option<PathBuf>,
    /// What there is to say, in the order of the file.
    pub remarks: Vec<Remark>,
    /// The line that allows wildcards in the names of clients.
    special_characters: Option<Location>,
}

impl Loaded {
    /// Reads the files that the settings name.
    pub(crate) fn read_named_files(&mut self) {
        files::read(&mut self.config, &self.settings, &mut self.remarks);
        if let Some(at) = &self.special_characters {
            access_files::refuse_wildcards_in_names(&self.config, at.clone(), &mut self.remarks);
        }
    }

    /// Only what has no error may be used.
    ///
    /// # Errors
    /// Everything there is to say, if an error is among it.
    pub fn usable(self) -> Result<Loaded, Vec<Remark>> {
        if self.remarks.iter().any(Remark::is_error) { Err(self.remarks) } else { Ok(self) }
    }
}

/// Where the broker with these files writes its process id. Mistakes in them are of no account here.
pub fn pid_file(files: &[PathBuf]) -> Option<PathBuf> {
    let mut reader = parse::Reader::new(Defaults::Mosquitto);
    for file in files {
        reader.read_main_file(file);
    }
    reader.finish().0.config.pid_file
}

/// Which of the two forms a file has is in its name: a `sori.toml` ends in `.toml`.
pub fn is_toml(file: &Path) -> bool {
    scene::is_toml(file)
}

/// Reads what a file of this name would hold. What it names is read neither.
///
/// # Errors
/// All that is wrong with it; warnings may be among that.
pub fn read_contents(file: &Path, contents: &[u8], defaults: Defaults) -> Result<Loaded, Vec<Remark>> {
    let files = [file.to_owned()];
    let mut reader = parse::Reader::new(defaults);
    reader.read_bytes(file, contents, true);
    whole(reader, &Source { files: &files, ports: &[], defaults, persistence_location: None }).usable()
}

/// Reads the files of `source`, but not those that they name: what they say, wherever it is to hold.
pub fn read(source: &Source<'_>) -> Loaded {
    let mut reader = parse::Reader::new(source.defaults);
    for file in source.files {
        reader.read_main_file(file);
    }
    whole(reader, source)
}

/// Reads the files of `source`, and those that they name.
///
/// # Errors
/// All that is wrong with them; warnings may be among that.
pub fn load(source: &Source<'_>) -> Result<Loaded, Vec<Remark>> {
    let mut loaded = read(source);
    loaded.read_named_files();
    loaded.usable()
}

fn whole(reader: parse::Reader, source: &Source<'_>) -> Loaded {
    let (draft, settings, mut remarks) = reader.finish();
    let special_characters = draft.special_characters.clone();
    let config = finish::resolve(draft, &settings, source, &mut remarks);
    let (defaults, persistence_location_from_environment) = (source.defaults, source.persistence_location.clone());
    Loaded { config, settings, defaults, persistence_location_from_environment, remarks, special_characters }
}

//! What the flags of one command line have said so far.

use std::path::PathBuf;
use std::time::Duration;

use sori_client::Proxy;
use sori_mqtt::client_session::WillOptions;
use sori_mqtt::{PropertyBuffer, QoS, RetainHandling, Version};

use super::Program;
use crate::format::Format;
use crate::settings::Connection;

/// Everything that flags can set.
pub(super) struct Options {
    pub(super) program: Program,
    /// What needs no further thought goes there at once.
    pub(super) connection: Connection,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) unix: Option<PathBuf>,
    /// The host is a domain whose servers stand in the DNS.
    pub(super) srv: bool,
    pub(super) id: Option<String>,
    pub(super) id_prefix: Option<String>,
    pub(super) version: Version,
    pub(super) session_expiry_interval: Option<u32>,
    pub(super) will: Will,
    pub(super) tls: Tls,
    pub(super) web_socket: bool,
    pub(super) proxy: Option<Proxy>,

    pub(super) topics: Vec<String>,
    pub(super) response_topic: Option<String>,
    pub(super) payload: Option<PayloadFrom>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) repeat: u32,
    pub(super) repeat_delay: Duration,
    pub(super) publish_properties: PropertyBuffer,

    pub(super) filter_out: Vec<String>,
    pub(super) unsubscribe: Vec<String>,
    pub(super) retain_as_published: bool,
    pub(super) retain_handling: RetainHandling,
    pub(super) subscribe_properties: PropertyBuffer,
    pub(super) unsubscribe_properties: PropertyBuffer,
    pub(super) skip_retained: bool,
    pub(super) retained_only: bool,
    pub(super) remove_retained: bool,
    pub(super) per_mille: Option<u16>,
    pub(super) message_rate: bool,
    pub(super) count: Option<u64>,
    pub(super) wait: Option<Duration>,
    pub(super) exit_after_subscribing: bool,

    pub(super) format: Option<Format>,
    pub(super) pretty: bool,
    pub(super) verbose: bool,
    pub(super) no_newline: bool,
    pub(super) watch: bool,
    pub(super) latency: bool,
    pub(super) debug: bool,
    pub(super) quiet: bool,
    /// What is told before the work begins.
    pub(super) warning: Option<String>,
}

/// Where the payload comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PayloadFrom {
    Text(Vec<u8>),
    File(PathBuf),
    StdinLines,
    StdinWhole,
    Nothing,
}

#[derive(Default)]
pub(super) struct Will {
    pub(super) topic: Option<String>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) properties: PropertyBuffer,
}

impl Will {
    pub(super) fn options(&self) -> Option<WillOptions> {
        Some(WillOptions {
            topic: self.topic.clone()?,
            payload: self.payload.clone().unwrap_or_default(),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.clone(),
        })
    }
}

#[derive(Default)]
pub(super) struct Tls {
    pub(super) ca_file: Option<PathBuf>,
    pub(super) ca_path: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) key_form: Option<String>,
    pub(super) ciphers: Option<String>,
    pub(super) version: Option<String>,
    pub(super) alpn: Option<String>,
    pub(super) engine: Option<String>,
    pub(super) engine_password_hash: Option<String>,
    pub(super) key_log: Option<PathBuf>,
    pub(super) system_roots: bool,
    pub(super) insecure: bool,
    pub(super) off: bool,
    pub(super) psk: Option<String>,
    pub(super) psk_identity: Option<String>,
}

impl Options {
    pub(super) fn new(program: Program) -> Self {
        Self {
            program,
            connection: Connection { in_flight_max: 20, no_delay: false, ..Connection::default() },
            host: None,
            port: None,
            unix: None,
            srv: false,
            id: None,
            id_prefix: None,
            version: if program == Program::Rr { Version::V5 } else { Version::V311 },
            session_expiry_interval: None,
            will: Will::default(),
            tls: Tls::default(),
            web_socket: false,
            proxy: None,
            topics: Vec::new(),
            response_topic: None,
            payload: None,
            qos: QoS::AtMostOnce,
            retain: false,
            repeat: 1,
            repeat_delay: Duration::ZERO,
            publish_properties: PropertyBuffer::new(),
            filter_out: Vec::new(),
            unsubscribe: Vec::new(),
            retain_as_published: false,
            retain_handling: RetainHandling::default(),
            subscribe_properties: PropertyBuffer::new(),
            unsubscribe_properties: PropertyBuffer::new(),
            skip_retained: false,
            retained_only: false,
            remove_retained: false,
            per_mille: None,
            message_rate: false,
            count: None,
            wait: None,
            exit_after_subscribing: false,
            format: None,
            pretty: false,
            verbose: false,
            no_newline: false,
            watch: false,
            latency: false,
            debug: false,
            quiet: false,
            warning: None,
        }
    }
}

//! What a client command is asked to do, whichever command line said it.
//!
//! The options of `sori pub`, `sub` and `rr` (clap) and those of Mosquitto's clients (`mosquitto/`) both become these
//! values; what runs them knows neither.

use std::path::PathBuf;
use std::time::Duration;

use sori_client::{Options, Proxy, Reconnect, Tls};
use sori_mqtt::client_session::{Authentication, WillOptions};
use sori_mqtt::{PropertyBuffer, QoS, SubscribeOptions, Version};

use crate::format::Format;

/// Where to connect, and as whom.
pub(crate) struct Connection {
    pub(crate) endpoint: Endpoint,
    pub(crate) way: Way,
    /// The local address or name to connect from.
    pub(crate) bind: Option<String>,
    /// Empty: the broker assigns one.
    pub(crate) client_id: String,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    /// Seconds.
    pub(crate) keep_alive: u16,
    pub(crate) version: Version,
    pub(crate) clean_start: bool,
    /// Seconds; `u32::MAX` is for ever.
    pub(crate) session_expiry_interval: u32,
    pub(crate) will: Option<WillOptions>,
    pub(crate) receive_maximum: Option<u16>,
    /// Bytes.
    pub(crate) maximum_packet_size: Option<u32>,
    pub(crate) topic_alias_maximum: u16,
    /// How many topic aliases to publish with.
    pub(crate) topic_alias_outgoing_max: u16,
    pub(crate) authentication: Option<Authentication>,
    /// More properties of the CONNECT.
    pub(crate) properties: PropertyBuffer,
    pub(crate) disconnect_properties: PropertyBuffer,
    pub(crate) in_flight_max: u16,
    pub(crate) no_delay: bool,
    pub(crate) trace: Option<TraceStyle>,
    pub(crate) reconnect: Reconnect,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::Tcp { host: "localhost".to_owned(), port: 1883 },
            way: Way::default(),
            bind: None,
            client_id: String::new(),
            user_name: None,
            password: None,
            keep_alive: 60,
            version: Version::V5,
            clean_start: true,
            session_expiry_interval: 0,
            will: None,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            topic_alias_outgoing_max: 0,
            authentication: None,
            properties: PropertyBuffer::new(),
            disconnect_properties: PropertyBuffer::new(),
            in_flight_max: u16::MAX,
            no_delay: true,
            trace: None,
            reconnect: Reconnect::never(),
        }
    }
}

/// Where a broker listens.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
    /// The servers that the DNS names for a domain.
    Domain(String),
    /// All that a URL says, also as whom and what lies between.
    Url(Box<Options>),
}

/// What lies between the socket and MQTT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) proxy: Option<Proxy>,
    pub(crate) tls: Option<Tls>,
    /// The path of the request.
    pub(crate) web_socket: Option<String>,
}

/// How `-d` writes a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TraceStyle {
    /// To standard error.
    Sori,
    /// As Mosquitto's clients do, to standard output.
    Mosquitto,
}

/// What to publish.
pub(crate) struct PublishOrder {
    pub(crate) topic: String,
    pub(crate) payload: Payload,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) properties: PropertyBuffer,
    /// How often, at least once.
    pub(crate) repeat: u32,
    /// From the end of one to the beginning of the next.
    pub(crate) repeat_delay: Duration,
}

/// Where payloads come from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Bytes(Vec<u8>),
    /// Each line of standard input is one.
    Lines,
}

/// What to subscribe to, which messages to show, and when to stop.
#[derive(Default)]
pub(crate) struct SubscribeOrder {
    pub(crate) filters: Vec<String>,
    pub(crate) unsubscribe: Vec<String>,
    pub(crate) options: SubscribeOptions,
    pub(crate) properties: PropertyBuffer,
    pub(crate) unsubscribe_properties: PropertyBuffer,
    /// Messages on these are not shown.
    pub(crate) filter_out: Vec<String>,
    /// Retained messages are not shown.
    pub(crate) skip_retained: bool,
    /// The first message that is not retained is the end.
    pub(crate) retained_only: bool,
    /// Retained messages that are shown are removed from the broker.
    pub(crate) remove_retained: bool,
    /// Show so many of a thousand messages, chosen by chance.
    pub(crate) per_mille: Option<u16>,
    /// Show only how many messages come in each second.
    pub(crate) message_rate: bool,
    /// Stop after so many messages.
    pub(crate) count: Option<u64>,
    /// Stop after this time.
    pub(crate) wait: Option<Duration>,
    /// Stop as soon as the broker has answered.
    pub(crate) exit_after_subscribing: bool,
    pub(crate) output: Output,
}

/// How messages are shown.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) form: Form,
    /// No line break after a message.
    pub(crate) no_newline: bool,
    /// Each topic has its own line of the terminal, below a line that names this broker.
    pub(crate) watch: Option<String>,
}

#[derive(Default)]
pub(crate) enum Form {
    #[default]
    Payload,
    /// Topic and payload.
    Verbose,
    Format(Format),
}

/// A request and where its response is expected.
pub(crate) struct RequestOrder {
    pub(crate) request: PublishOrder,
    pub(crate) response_topic: String,
    pub(crate) options: SubscribeOptions,
    pub(crate) subscribe_properties: PropertyBuffer,
    /// A retained message is no response.
    pub(crate) skip_retained: bool,
    pub(crate) wait: Option<Duration>,
    /// Say how long the response took.
    pub(crate) latency: bool,
    pub(crate) output: Output,
}

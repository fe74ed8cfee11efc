//! What can go wrong, and what to do about it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sori_mqtt::client_session::{ConnectionError, Farewell, OptionError, RequestError, Violation};
use sori_mqtt::{PacketType, ReasonCode, TopicError};

/// Why something could not be done. The text says what to do about it; [`is_retryable`](Error::is_retryable) says whether
/// the same may work at another time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// The URL is not one of a server: which one, and what is wrong with it.
    Url(String, &'static str),
    /// The options contradict each other or the standard.
    Options(OptionError),
    /// The server's name could not be resolved.
    Resolve(String, Arc<io::Error>),
    /// The server could not be reached: its address, and why.
    Unreachable(String, Arc<io::Error>),
    /// The server did not answer in time: its address, how long it was waited for, what was missing.
    TimedOut(String, Duration, &'static str),
    /// A certificate was not accepted: the server's address, what is wrong, the words of the TLS library.
    Certificate(String, CertificateFault, String),
    /// The handshake of TLS failed: the server's address, and why.
    Handshake(String, String),
    /// The handshake of the WebSocket failed: the server's address, and why.
    WebSocket(String, String),
    /// The proxy did not open the way to this server, and why.
    Proxy(String, String),
    /// A file for TLS cannot be used: which one, and why.
    TlsFiles(String),
    /// Cipher suites that are not spoken here; their names.
    TlsCiphers(String),
    /// The store cannot be used: which one, and why.
    Store(String),
    /// What answered at this address does not speak MQTT.
    NotMqtt(String, Violation),
    /// The connection was closed before an answer to CONNECT.
    ClosedEarly(String),
    /// The server refused the connection: its address, and what it said.
    Refused(String, Farewell),
    /// The authenticator of this client could not go on, or does not accept the server: its words.
    Authentication(String),
    /// The server ended the connection.
    Disconnected(Farewell),
    /// The server broke the protocol.
    Violation(Violation),
    /// The server does not take packets as large as the answers that the protocol demands; the packet.
    AnswerTooLarge(PacketType),
    /// The connection was lost; without an error the server closed it.
    Lost(Option<Arc<io::Error>>),
    /// The topic name or filter is not legal: which one, and why.
    Topic(String, TopicError),
    /// A route's pattern is not legal, or not for its handler: which one, and why.
    Route(String, String),
    /// The message or request is not legal, or the server has said that it does not support it.
    Request(RequestError),
    /// The message is larger than the server takes: its size in bytes and the server's limit.
    TooLarge(usize, usize),
    /// The message is larger than all that may wait: the limit in bytes.
    TooLargeForQueue(usize),
    /// So much waits to be sent that this had to be refused.
    QueueFull,
    /// The message was given up, because newer ones needed its room.
    Dropped,
    /// The server refused the message.
    PublishRefused(ReasonCode, Option<String>),
    /// The server refused the subscription to this filter.
    SubscribeRefused(String, ReasonCode, Option<String>),
    /// The session ended first: the server may have the message or not.
    SessionLost,
    /// No answer came in time.
    NoAnswer(Duration),
    /// This client was closed, or never could connect: with the error that ended it.
    Closed(Option<Arc<Error>>),
    /// On closing, so many messages could not be delivered in the time given.
    Undelivered(usize),
    /// The machine failed.
    Machine(&'static str, Arc<io::Error>),
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// The server's certificate has expired.
    Expired,
    /// Its time has not begun.
    NotYetValid,
    /// It is for another name than the URL's.
    OtherName,
    /// It comes from no authority that is trusted.
    NotTrusted,
    /// It was revoked.
    Revoked,
    /// The server did not accept the certificate of this client, or wants one.
    Refused,
    /// Something else.
    Other,
}

impl CertificateFault {
    /// What it is, and what to do.
    const fn advice(self) -> &'static str {
        match self {
            Self::Expired => "its certificate has expired: it needs a new one; or this machine's clock is wrong",
            Self::NotYetValid => "its certificate is not valid yet: look at this machine's clock",
            Self::OtherName => "its certificate is for another name: use that name in the URL",
            Self::NotTrusted => {
                "its certificate comes from no authority that is trusted here: if it is your own, name its file with \
                 Tls::ca_file"
            }
            Self::Revoked => "its certificate was revoked: do not trust it",
            Self::Refused => "it wants another certificate of this client: see Tls::client_certificate",
            Self::Other => "its certificate cannot be used",
        }
    }
}

impl Error {
    /// Whether the same may succeed at another time without anybody changing anything here. Reconnecting takes care of
    /// lost connections by itself.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Resolve(..)
            | Self::Unreachable(..)
            | Self::TimedOut(..)
            | Self::ClosedEarly(_)
            | Self::Proxy(..)
            | Self::Lost(_)
            | Self::QueueFull
            | Self::Dropped
            | Self::SessionLost
            | Self::NoAnswer(_)
            | Self::Undelivered(_)
            | Self::Machine(..) => true,
            Self::Refused(_, farewell) | Self::Disconnected(farewell) => is_passing(farewell.reason_code),
            Self::PublishRefused(reason_code, _) | Self::SubscribeRefused(_, reason_code, _) => {
                is_passing(*reason_code)
            }
            Self::Request(error) => {
                matches!(error, RequestError::NotConnected | RequestError::QueueFull | RequestError::NoPacketIdentifier)
            }
            Self::Closed(cause) => cause.as_ref().is_some_and(|cause| cause.is_retryable()),
            Self::Url(..)
            | Self::Options(_)
            | Self::Certificate(..)
            | Self::Handshake(..)
            | Self::WebSocket(..)
            | Self::TlsFiles(_)
            | Self::TlsCiphers(_)
            | Self::Store(_)
            | Self::Authentication(_)
            | Self::NotMqtt(..)
            | Self::Violation(_)
            | Self::AnswerTooLarge(_)
            | Self::Topic(..)
            | Self::Route(..)
            | Self::TooLarge(..)
            | Self::TooLargeForQueue(_) => false,
        }
    }

    /// The reason code of the server, where it gave one.
    #[must_use]
    pub fn reason_code(&self) -> Option<ReasonCode> {
        match self {
            Self::Refused(_, farewell) | Self::Disconnected(farewell) => Some(farewell.reason_code),
            Self::PublishRefused(reason_code, _) | Self::SubscribeRefused(_, reason_code, _) => Some(*reason_code),
            Self::Closed(Some(cause)) => cause.reason_code(),
            _ => None,
        }
    }

    /// What a session says about the end of a connection with the server at `address`.
    pub(crate) fn of_connection(error: ConnectionError, address: &str, waited: Duration) -> Self {
        match error {
            ConnectionError::Refused(farewell) => Self::Refused(address.to_owned(), farewell),
            ConnectionError::Disconnected(farewell) => Self::Disconnected(farewell),
            ConnectionError::Violation(violation) => Self::Violation(violation),
            ConnectionError::Timeout(packet) => Self::TimedOut(address.to_owned(), waited, packet.name()),
            ConnectionError::AnswerTooLarge(packet) => Self::AnswerTooLarge(packet),
        }
    }
}

/// Whether a server that says this may say something else later.
pub(crate) const fn is_passing(reason_code: ReasonCode) -> bool {
    matches!(
        reason_code,
        ReasonCode::UnspecifiedError
            | ReasonCode::ImplementationSpecificError
            | ReasonCode::ServerUnavailable
            | ReasonCode::ServerBusy
            | ReasonCode::ServerShuttingDown
            | ReasonCode::KeepAliveTimeout
            | ReasonCode::PacketIdentifierInUse
            | ReasonCode::ReceiveMaximumExceeded
            | ReasonCode::MessageRateTooHigh
            | ReasonCode::QuotaExceeded
            | ReasonCode::AdministrativeAction
            | ReasonCode::ConnectionRateExceeded
            | ReasonCode::MaximumConnectTime
    )
}

/// What a person can do about a reason code.
const fn advice(reason_code: ReasonCode) -> &'static str {
    match reason_code {
        ReasonCode::BadUserNameOrPassword => "check the user name and the password",
        ReasonCode::NotAuthorized => "ask the server's operator for the right to do this, and check the credentials",
        ReasonCode::ClientIdentifierNotValid => "choose another client identifier, or none",
        ReasonCode::UnsupportedProtocolVersion => "choose another version of MQTT",
        ReasonCode::Banned => "ask the server's operator why",
        ReasonCode::BadAuthenticationMethod => "choose another authentication method",
        ReasonCode::SessionTakenOver => {
            "another client has connected with the same client identifier: give each its own"
        }
        ReasonCode::UseAnotherServer | ReasonCode::ServerMoved => "connect to the server that it names",
        ReasonCode::ServerUnavailable | ReasonCode::ServerBusy | ReasonCode::ServerShuttingDown => "try again later",
        ReasonCode::QuotaExceeded | ReasonCode::MessageRateTooHigh | ReasonCode::ConnectionRateExceeded => {
            "do less at a time, or ask the server's operator for more"
        }
        ReasonCode::PacketTooLarge => "send less at once",
        ReasonCode::TopicNameInvalid | ReasonCode::TopicFilterInvalid => "choose another topic",
        ReasonCode::RetainNotSupported => "publish without retain",
        ReasonCode::QoSNotSupported => "use a lower QoS",
        ReasonCode::PayloadFormatInvalid => "the payload is not the UTF-8 text that its properties promise",
        _ => "the server's log may say more",
    }
}

/// "not authorized (reason string): advice".
fn write_reason(f: &mut fmt::Formatter<'_>, reason_code: ReasonCode, text: Option<&str>) -> fmt::Result {
    f.write_str(reason_code.text())?;
    if let Some(text) = text {
        write!(f, " ({text})")?;
    }
    write!(f, "; {}", advice(reason_code))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url, why) => write!(f, "\"{url}\" is not the URL of a server: {why}"),
            Self::Options(error) => error.fmt(f),
            Self::Resolve(host, error) => {
                write!(f, "the name \"{host}\" cannot be resolved: {error}; check its spelling and the network")
            }
            Self::Unreachable(address, error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                write!(f, "nothing listens at {address}: start the server there, or check host and port")
            }
            Self::Unreachable(address, error) => write!(f, "{address} cannot be reached: {error}"),
            Self::TimedOut(address, waited, missing) => {
                write!(f, "{address} sent no {missing} within {} s; is it an MQTT server, and alive?", waited.as_secs())
            }
            Self::NotMqtt(address, violation) => write!(
                f,
                "what answers at {address} does not speak MQTT ({violation}); check the port, and whether it wants TLS \
                 (mqtts://) or WebSocket (ws://)"
            ),
            Self::ClosedEarly(address) => write!(
                f,
                "{address} closed the connection before it answered; is it the port for this kind of connection, and \
                 does it take this client identifier?"
            ),
            Self::Certificate(address, fault, text) => write!(f, "{address}: {} ({text})", fault.advice()),
            Self::Handshake(address, text) | Self::WebSocket(address, text) => {
                write!(f, "{address}: {text}; is it the port and the path for this kind of connection?")
            }
            Self::Proxy(address, text) => write!(f, "the way to {address}: {text}"),
            Self::TlsFiles(text) => f.write_str(text),
            Self::TlsCiphers(names) => write!(
                f,
                "{names} is not spoken here; the cipher suites of TLS 1.2 are ECDHE-*-AES*-GCM-* and \
                 ECDHE-*-CHACHA20-POLY1305, those of TLS 1.3 TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256 and \
                 TLS_CHACHA20_POLY1305_SHA256"
            ),
            Self::Store(text) => write!(f, "the store of messages: {text}"),
            Self::Refused(address, farewell) => {
                write!(f, "{address} refused the connection: ")?;
                write_farewell(f, farewell)
            }
            Self::Authentication(text) => write!(f, "the authentication cannot go on: {text}"),
            Self::Disconnected(farewell) => {
                f.write_str("the server ended the connection: ")?;
                write_farewell(f, farewell)
            }
            Self::Violation(violation) => write!(f, "the server broke the protocol: {violation}"),
            Self::AnswerTooLarge(packet) => {
                write!(f, "the server does not accept packets large enough for {}", packet.name())
            }
            Self::Lost(Some(error)) => write!(f, "the connection was lost: {error}"),
            Self::Lost(None) => f.write_str("the server closed the connection without a word"),
            Self::Topic(topic, TopicError::Wildcard) => {
                write!(f, "\"{topic}\" holds a wildcard: messages go to one topic, + and # are for subscriptions")
            }
            Self::Topic(topic, error) => write!(f, "\"{topic}\" is not legal: {error}"),
            Self::Route(pattern, why) => write!(f, "route \"{pattern}\": {why}"),
            Self::Request(error) => error.fmt(f),
            Self::TooLarge(size, limit) => {
                write!(f, "the message makes a packet of {size} bytes, and the server takes {limit}: send less at once")
            }
            Self::TooLargeForQueue(limit) => {
                write!(f, "the message is larger than all that may wait ({limit} bytes): raise queue_bytes_max")
            }
            Self::QueueFull => {
                f.write_str("too many messages wait to be sent: publish slower, or raise queue_bytes_max")
            }
            Self::Dropped => f.write_str("the message was given up to make room for newer ones"),
            Self::PublishRefused(reason_code, text) => {
                f.write_str("the server refused the message: ")?;
                write_reason(f, *reason_code, text.as_deref())
            }
            Self::SubscribeRefused(filter, reason_code, text) => {
                write!(f, "the server refused the subscription to \"{filter}\": ")?;
                write_reason(f, *reason_code, text.as_deref())
            }
            Self::SessionLost => f.write_str(
                "the server has lost the session: it may have the message or not, and sending it again may double it",
            ),
            Self::NoAnswer(waited) => write!(f, "no answer came within {} s", waited.as_secs_f32()),
            Self::Closed(None) => f.write_str("the client is closed"),
            Self::Closed(Some(cause)) => write!(f, "the client has given up: {cause}"),
            Self::Undelivered(count) => write!(
                f,
                "{count} messages could not be delivered before the time to close was over: raise close_timeout, or \
                 keep them in a store"
            ),
            Self::Machine(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

fn write_farewell(f: &mut fmt::Formatter<'_>, farewell: &Farewell) -> fmt::Result {
    write_reason(f, farewell.reason_code, farewell.reason_string.as_deref())?;
    match &farewell.server_reference {
        Some(server) => write!(f, ": {server}"),
        None => Ok(()),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Options(error) => Some(error),
            Self::Resolve(_, error)
            | Self::Unreachable(_, error)
            | Self::Lost(Some(error))
            | Self::Machine(_, error) => Some(&**error),
            Self::NotMqtt(_, violation) | Self::Violation(violation) => Some(violation),
            Self::Request(error) => Some(error),
            Self::Closed(Some(cause)) => Some(&**cause),
            _ => None,
        }
    }
}

impl From<OptionError> for Error {
    fn from(error: OptionError) -> Self {
        Self::Options(error)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

//! What can go wrong, sorted by whose fault it is.

use alloc::string::String;
use core::fmt;

use crate::{DecodeError, PacketType, Properties, PropertyIdentifier, ReasonCode, TopicError};

/// The connection has ended. This is final for the connection, not for the session: write what
/// [`output`](super::ClientSession::output) still holds, close the transport, and
/// [`connect`](super::ClientSession::connect) again to resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionError {
    /// The server refused the CONNECT.
    Refused(Farewell),
    /// The server sent DISCONNECT.
    Disconnected(Farewell),
    /// The server broke the protocol.
    Violation(Violation),
    /// The server did not answer in time; the packet that was missed.
    Timeout(PacketType),
    /// A packet that must be sent is larger than the server's Maximum Packet Size.
    AnswerTooLarge(PacketType),
}

/// The reason that a server gave for the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    /// Why.
    pub reason_code: ReasonCode,
    /// MQTT 5.0: a sentence for people.
    pub reason_string: Option<String>,
    /// MQTT 5.0: the server to use instead.
    pub server_reference: Option<String>,
}

/// A rule that the server broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A packet that is not legal by itself.
    Packet(DecodeError),
    /// A packet that may not come now: something before CONNACK, a second CONNACK, an AUTH nobody asked for.
    Unexpected(PacketType),
    /// Session Present, though a new session was asked for or there is none here.
    SessionPresent,
    /// More QoS 1 and 2 messages in flight than this client's Receive Maximum.
    ReceiveMaximumExceeded,
    /// A topic alias above this client's maximum.
    TopicAliasTooLarge,
    /// A topic alias that stands for nothing.
    TopicAliasUnknown,
    /// An acknowledgement for a packet that expects another one.
    WrongAcknowledgement(PacketType),
    /// Not one reason code for each topic filter.
    ReasonCodeCount(PacketType),
    /// Another authentication method than this client's, or none.
    AuthenticationMethod,
}

/// A request that cannot be made. The caller's mistake or a limit; nothing was sent, and the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// There is no connection yet, or it is closing.
    NotConnected,
    /// There is a connection already.
    AlreadyConnected,
    /// The bound of kept messages is reached; try again when some are acknowledged.
    QueueFull,
    /// All packet identifiers are in use.
    NoPacketIdentifier,
    /// The topic name is not legal.
    TopicName(TopicError),
    /// The property does not belong there, stands there twice or has an illegal value.
    Property(PropertyIdentifier),
    /// Only MQTT 5.0 has this.
    Version5Only(&'static str),
    /// There is no topic filter.
    NoFilters,
    /// No Local on a shared subscription.
    NoLocalOnShared,
    /// The reason code may not be sent by a client.
    ReasonCode(ReasonCode),
    /// A Session Expiry Interval at the end of a connection that began without one.
    SessionExpiry,
    /// Nothing has to be authenticated now, or there is no authentication method.
    NotAuthenticating,
    /// The server said in its CONNACK that it does not support this.
    NotSupported(ReasonCode),
    /// The packet is larger than the server accepts.
    TooLarge,
}

impl Farewell {
    pub(super) fn new(reason_code: ReasonCode, properties: Properties<'_>) -> Self {
        Self {
            reason_code,
            reason_string: properties.reason_string().map(String::from),
            server_reference: properties.server_reference().map(String::from),
        }
    }
}

impl Violation {
    /// The reason code for the server.
    #[must_use]
    pub const fn reason_code(self) -> ReasonCode {
        match self {
            Self::Packet(error) => error.reason_code(),
            Self::ReceiveMaximumExceeded => ReasonCode::ReceiveMaximumExceeded,
            // [MQTT-3.3.2-8]
            Self::TopicAliasTooLarge => ReasonCode::TopicAliasInvalid,
            Self::Unexpected(_)
            | Self::SessionPresent
            | Self::TopicAliasUnknown
            | Self::WrongAcknowledgement(_)
            | Self::ReasonCodeCount(_)
            | Self::AuthenticationMethod => ReasonCode::ProtocolError,
        }
    }
}

impl From<Violation> for ConnectionError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(farewell) => write!(f, "the server refused the connection: {farewell}"),
            Self::Disconnected(farewell) => write!(f, "the server ended the connection: {farewell}"),
            Self::Violation(violation) => write!(f, "the server broke the protocol: {violation}"),
            Self::Timeout(packet) => write!(f, "no {} came in time", packet.name()),
            Self::AnswerTooLarge(packet) => {
                write!(f, "the server does not accept packets large enough for {}", packet.name())
            }
        }
    }
}

impl fmt::Display for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason_code.text())?;
        if let Some(text) = &self.reason_string {
            write!(f, " ({text})")?;
        }
        if let Some(server) = &self.server_reference {
            write!(f, ", it names {server}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(error) => error.fmt(f),
            Self::Unexpected(packet) => write!(f, "{} came when it was not expected", packet.name()),
            Self::SessionPresent => f.write_str("it says that it has a session which does not exist here"),
            Self::ReceiveMaximumExceeded => f.write_str("more messages in flight than the receive maximum"),
            Self::TopicAliasTooLarge => f.write_str("a topic alias above the maximum"),
            Self::TopicAliasUnknown => f.write_str("a topic alias that stands for nothing"),
            Self::WrongAcknowledgement(packet) => {
                write!(f, "{} for a packet that expects another acknowledgement", packet.name())
            }
            Self::ReasonCodeCount(packet) => {
                write!(f, "{} has not one reason code for each topic filter", packet.name())
            }
            Self::AuthenticationMethod => f.write_str("another authentication method than agreed"),
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("not connected"),
            Self::AlreadyConnected => f.write_str("already connected"),
            Self::QueueFull => f.write_str("too many messages wait for being sent"),
            Self::NoPacketIdentifier => f.write_str("all packet identifiers are in use"),
            Self::TopicName(error) => error.fmt(f),
            Self::Property(identifier) => write!(f, "the property {} is not allowed here", identifier.text()),
            Self::Version5Only(name) => write!(f, "{name}: only MQTT 5.0 has that"),
            Self::NoFilters => f.write_str("at least one topic filter is needed"),
            Self::NoLocalOnShared => f.write_str("no local is not allowed for a shared subscription"),
            Self::ReasonCode(reason_code) => write!(f, "a client may not say \"{}\"", reason_code.text()),
            Self::SessionExpiry => f.write_str("a session that began without expiry cannot get one at its end"),
            Self::NotAuthenticating => f.write_str("nothing has to be authenticated now"),
            Self::NotSupported(reason_code) => write!(f, "the server does not support it: {}", reason_code.text()),
            Self::TooLarge => f.write_str("the packet is larger than the server accepts"),
        }
    }
}

impl core::error::Error for ConnectionError {}
impl core::error::Error for Violation {}
impl core::error::Error for RequestError {}

//! What the caller chooses before a connection is made, and the rules a CONNECT must keep.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::{
    Connect, PACKET_SIZE_MAX, PacketType, Property, PropertyBuffer, PropertyIdentifier, QoS, TopicError, TopicName,
    Version, Will,
};

/// The longest string or binary field of a packet.
const FIELD_LENGTH_MAX: usize = u16::MAX as usize;

/// How to connect, what to tell the server, and the bounds of what is kept here.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The protocol version.
    pub version: Version,
    /// Empty: the server assigns one (MQTT 5.0), or the session ends with the connection (MQTT 3.1.1).
    pub client_id: String,
    /// Begin with a new session. In MQTT 3 (Clean Session) the session also ends with the connection.
    pub clean_start: bool,
    /// The caller vouches that an empty state *is* the state of the session: an earlier program left nothing
    /// unacknowledged behind. Without it a server that says "session present" to a new [`ClientSession`] is wrong.
    ///
    /// [`ClientSession`]: super::ClientSession
    pub session_known: bool,
    /// Seconds after which something must have been sent; 0 turns it off.
    pub keep_alive: u16,
    /// The user name.
    pub user_name: Option<String>,
    /// The password.
    pub password: Option<Vec<u8>>,
    /// The message that the server publishes when this client is lost.
    pub will: Option<WillOptions>,
    /// MQTT 5.0: seconds for which the session outlives the connection; `u32::MAX`: for ever.
    pub session_expiry_interval: u32,
    /// MQTT 5.0: how many QoS 1 and 2 messages the server may have in flight.
    pub receive_maximum: u16,
    /// The largest packet to accept. MQTT 5.0 tells the server.
    pub maximum_packet_size: u32,
    /// MQTT 5.0: the highest topic alias that the server may use.
    pub topic_alias_maximum: u16,
    /// MQTT 5.0: use topic aliases for publishing, at most this many and as many as the server allows.
    pub topic_alias_outgoing_max: u16,
    /// MQTT 5.0: the authentication method, and its first data.
    pub authentication: Option<Authentication>,
    /// MQTT 5.0: more properties of the CONNECT: user properties and the two "request" flags.
    pub properties: PropertyBuffer,
    /// How many QoS 1 and 2 messages to have in flight, if the server allows that many.
    pub in_flight_max: u16,
    /// How many bytes of messages are kept until they are sent and acknowledged.
    pub queue_bytes_max: usize,
    /// Acknowledge messages as they come; otherwise the caller does it
    /// ([`acknowledge`](super::ClientSession::acknowledge)).
    pub acknowledge_at_once: bool,
    /// When the server has lost the session, send the messages whose delivery it did not complete as new ones, instead
    /// of giving them up ([`Outcome::SessionLost`](super::Outcome::SessionLost)): it may have had some of them already.
    pub send_anew: bool,
    /// Report how far each message is ([`poll_progress`](super::ClientSession::poll_progress)), for a caller that keeps
    /// the state of the session in a file.
    pub report_progress: bool,
    /// How long to wait for CONNACK and PINGRESP.
    pub response_timeout: Duration,
}

/// The will of a client.
#[derive(Debug, Clone, Default)]
pub struct WillOptions {
    /// Where it is published.
    pub topic: String,
    /// What is published.
    pub payload: Vec<u8>,
    /// With which QoS.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// MQTT 5.0: its properties, such as Will Delay Interval.
    pub properties: PropertyBuffer,
}

/// MQTT 5.0 enhanced authentication.
#[derive(Debug, Clone)]
pub struct Authentication {
    /// The name of the method, such as `SCRAM-SHA-256`.
    pub method: String,
    /// The first data, if the method lets the client begin.
    pub data: Option<Vec<u8>>,
}

impl Default for ConnectOptions {
    /// MQTT 5.0, a new session that ends with the connection, 60 seconds keep alive.
    fn default() -> Self {
        Self {
            version: Version::V5,
            client_id: String::new(),
            clean_start: true,
            session_known: false,
            keep_alive: 60,
            user_name: None,
            password: None,
            will: None,
            session_expiry_interval: 0,
            receive_maximum: u16::MAX,
            maximum_packet_size: u32::MAX,
            topic_alias_maximum: 0,
            topic_alias_outgoing_max: 0,
            authentication: None,
            properties: PropertyBuffer::new(),
            in_flight_max: u16::MAX,
            queue_bytes_max: 64 << 20,
            acknowledge_at_once: true,
            send_anew: false,
            report_progress: false,
            response_timeout: Duration::from_secs(10),
        }
    }
}

/// Options that no legal CONNECT can be made of. The caller's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionError {
    /// A client identifier is needed for a session that is kept (MQTT 3.1.1) and always in MQTT 3.1.
    ClientIdMissing,
    /// Before MQTT 5.0 a password needs a user name.
    PasswordWithoutUserName,
    /// The will's topic.
    WillTopic(TopicError),
    /// A text or binary field has more than 65,535 bytes, or a text holds U+0000. The name of the field.
    Field(&'static str),
    /// Receive Maximum and Maximum Packet Size are never 0.
    Zero(&'static str),
    /// The property does not belong there, stands there twice, or has an option of its own.
    Property(PropertyIdentifier),
    /// Only MQTT 5.0 has this.
    Version5Only(&'static str),
    /// The CONNECT would be larger than a packet can be.
    TooLarge,
}

impl ConnectOptions {
    pub(super) fn check(&self) -> Result<(), OptionError> {
        self.check_identity()?;
        self.check_fields()?;
        self.check_will()?;
        self.check_version_5()?;
        let properties = self.connect_properties();
        // Each property of a CONNECT stands there once, User Property excepted.
        super::properties::check(properties.as_properties(), PacketType::Connect).map_err(OptionError::Property)?;
        if self.connect(&properties).encoded_len() > PACKET_SIZE_MAX {
            return Err(OptionError::TooLarge);
        }
        Ok(())
    }

    fn check_identity(&self) -> Result<(), OptionError> {
        let id_needed = match self.version {
            Version::V31 => true,
            // [MQTT311-3.1.3-7]
            Version::V311 => !self.clean_start,
            Version::V5 => false,
        };
        if id_needed && self.client_id.is_empty() {
            return Err(OptionError::ClientIdMissing);
        }
        // [MQTT311-3.1.2-22]; MQTT 5.0 allows it [MQTT-3.1.2-19].
        if !self.version.is_v5() && self.password.is_some() && self.user_name.is_none() {
            return Err(OptionError::PasswordWithoutUserName);
        }
        Ok(())
    }

    /// Rust strings are UTF-8 [MQTT-1.5.4-1] [MQTT-3.1.3-4] [MQTT-3.1.3-12] [MQTT311-1.5.3-1] [MQTT311-3.1.3-4]
    /// [MQTT311-3.1.3-11]; their length and U+0000 [MQTT-1.5.4-2] [MQTT311-1.5.3-2] are looked at here.
    fn check_fields(&self) -> Result<(), OptionError> {
        let text = |value: &str, name| match value.len() > FIELD_LENGTH_MAX || value.contains('\0') {
            true => Err(OptionError::Field(name)),
            false => Ok(()),
        };
        let binary = |value: &[u8], name| match value.len() > FIELD_LENGTH_MAX {
            true => Err(OptionError::Field(name)),
            false => Ok(()),
        };
        text(&self.client_id, "client identifier")?;
        text(self.user_name.as_deref().unwrap_or_default(), "user name")?;
        binary(self.password.as_deref().unwrap_or_default(), "password")?;
        if let Some(authentication) = &self.authentication {
            text(&authentication.method, "authentication method")?;
            binary(authentication.data.as_deref().unwrap_or_default(), "authentication data")?;
        }
        Ok(())
    }

    fn check_will(&self) -> Result<(), OptionError> {
        let Some(will) = &self.will else { return Ok(()) };
        // [MQTT-3.1.3-11] [MQTT311-3.1.3-10]
        TopicName::new(&will.topic).map_err(OptionError::WillTopic)?;
        if will.payload.len() > FIELD_LENGTH_MAX {
            return Err(OptionError::Field("will payload"));
        }
        let properties = will.properties.as_properties();
        if !self.version.is_v5() && !properties.is_empty() {
            return Err(OptionError::Version5Only("will properties"));
        }
        super::properties::check_will(properties).map_err(OptionError::Property)
    }

    fn check_version_5(&self) -> Result<(), OptionError> {
        if self.receive_maximum == 0 {
            return Err(OptionError::Zero("receive maximum"));
        }
        if self.maximum_packet_size == 0 {
            return Err(OptionError::Zero("maximum packet size"));
        }
        if self.version.is_v5() {
            return Ok(());
        }
        // [MQTT-4.12.0-7]: without MQTT 5.0 there is no method, and so never an AUTH.
        if self.authentication.is_some() {
            return Err(OptionError::Version5Only("enhanced authentication"));
        }
        if !self.properties.as_properties().is_empty() {
            return Err(OptionError::Version5Only("properties"));
        }
        Ok(())
    }

    /// Every property of the CONNECT: what has an option of its own, then the others.
    pub(super) fn connect_properties(&self) -> PropertyBuffer {
        let mut properties = PropertyBuffer::new();
        if !self.version.is_v5() {
            return properties;
        }
        if self.session_expiry_interval > 0 {
            properties.push(Property::SessionExpiryInterval(self.session_expiry_interval));
        }
        if self.receive_maximum < u16::MAX {
            properties.push(Property::ReceiveMaximum(self.receive_maximum));
        }
        if self.packet_size_max() < PACKET_SIZE_MAX {
            properties.push(Property::MaximumPacketSize(self.maximum_packet_size));
        }
        if self.topic_alias_maximum > 0 {
            properties.push(Property::TopicAliasMaximum(self.topic_alias_maximum));
        }
        if let Some(authentication) = &self.authentication {
            properties.push(Property::AuthenticationMethod(&authentication.method));
            if let Some(data) = &authentication.data {
                properties.push(Property::AuthenticationData(data));
            }
        }
        properties.extend(self.properties.as_properties());
        properties
    }

    pub(super) fn connect<'a>(&'a self, properties: &'a PropertyBuffer) -> Connect<'a> {
        Connect {
            version: self.version,
            bridge: false,
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            // [MQTT-3.1.3-2] [MQTT-3.1.3-3] [MQTT311-3.1.3-2] [MQTT311-3.1.3-3]
            client_id: &self.client_id,
            // Flags and fields come from the same `Option`, so one is never there without the other [MQTT-3.1.2-9]
            // [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT311-3.1.2-9] [MQTT311-3.1.2-11] [MQTT311-3.1.2-13]
            // [MQTT311-3.1.2-15]; a QoS of 3 cannot be expressed [MQTT-3.1.2-12] [MQTT311-3.1.2-14].
            will: self.will.as_ref().map(|will| Will {
                topic: &will.topic,
                payload: &will.payload,
                qos: will.qos,
                retain: will.retain,
                properties: will.properties.as_properties(),
            }),
            // Likewise [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT311-3.1.2-18] [MQTT311-3.1.2-19] and for the password
            // [MQTT-3.1.2-18] [MQTT-3.1.2-19] [MQTT311-3.1.2-20] [MQTT311-3.1.2-21].
            user_name: self.user_name.as_deref(),
            password: self.password.as_deref(),
            properties: properties.as_properties(),
        }
    }

    pub(super) fn packet_size_max(&self) -> usize {
        usize::try_from(self.maximum_packet_size).unwrap_or(usize::MAX).min(PACKET_SIZE_MAX)
    }

    pub(super) fn authentication_method(&self) -> Option<&str> {
        self.authentication.as_ref().map(|authentication| authentication.method.as_str())
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIdMissing => f.write_str("a client identifier is needed for this version or to keep a session"),
            Self::PasswordWithoutUserName => f.write_str("before MQTT 5.0 a password needs a user name"),
            Self::WillTopic(error) => write!(f, "will: {error}"),
            Self::Field(name) => write!(f, "the {name} has more than 65,535 bytes or holds U+0000"),
            Self::Zero(name) => write!(f, "the {name} must not be 0"),
            Self::Property(identifier) => write!(f, "the property {} does not belong here", identifier.text()),
            Self::Version5Only(name) => write!(f, "{name}: only MQTT 5.0 has that"),
            Self::TooLarge => f.write_str("the CONNECT is larger than a packet can be"),
        }
    }
}

impl core::error::Error for OptionError {}

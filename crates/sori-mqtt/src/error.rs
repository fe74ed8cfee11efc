//! What is wrong with a packet: one reason code for the peer, one sentence for the log.

use core::fmt;

use crate::{PacketType, ReasonCode, Version};

/// A packet that the peer should not have sent. The connection cannot go on after it. [MQTT-4.13.1-1] [MQTT311-4.8.0-1]
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct DecodeError {
    reason: ReasonCode,
    packet: Option<PacketType>,
    version: Option<Version>,
    field: &'static str,
    fault: &'static str,
    silent: bool,
}

impl DecodeError {
    /// The reason code that a CONNACK or DISCONNECT would carry.
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        self.reason
    }

    /// The type of the packet, if its first byte told one.
    #[must_use]
    pub const fn packet_type(&self) -> Option<PacketType> {
        self.packet
    }

    /// The version of the packet. A CONNECT tells its own, so it stays unknown when the fault lies before it.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        self.version
    }

    /// Whether the connection is closed without telling the peer, which the standard leaves to the receiver: because
    /// the framing is lost, or because Mosquitto says nothing and its tests listen for that.
    ///
    /// If not, a CONNECT is answered by a CONNACK in the form of [`version`](Self::version), or of MQTT 5.0 where that
    /// is one that nobody knows (but not if it was not read because the packet is too large), and any other packet by a DISCONNECT, if the version has one for that direction.
    #[must_use]
    pub const fn closes_silently(&self) -> bool {
        self.silent
    }

    #[cold]
    pub(crate) const fn new(reason: ReasonCode, field: &'static str, fault: &'static str) -> Self {
        Self { reason, packet: None, version: None, field, fault, silent: false }
    }

    /// The bytes do not follow the packet's grammar.
    #[cold]
    pub(crate) const fn malformed(field: &'static str, fault: &'static str) -> Self {
        Self::new(ReasonCode::MalformedPacket, field, fault)
    }

    /// The bytes can be read, and what they say breaks a rule.
    #[cold]
    pub(crate) const fn protocol(field: &'static str, fault: &'static str) -> Self {
        Self::new(ReasonCode::ProtocolError, field, fault)
    }

    /// Something stands where it must not stand. The standard rarely says which code that is; this is Mosquitto's
    /// choice, which clients know: Malformed Packet in SUBSCRIBE and UNSUBSCRIBE, Protocol Error everywhere else.
    #[cold]
    pub(crate) const fn rule(packet: PacketType, field: &'static str, fault: &'static str) -> Self {
        match packet {
            PacketType::Subscribe | PacketType::Unsubscribe => Self::malformed(field, fault),
            _ => Self::protocol(field, fault),
        }
    }

    #[cold]
    pub(crate) const fn in_packet(mut self, packet: PacketType) -> Self {
        self.packet = Some(packet);
        self
    }

    #[cold]
    pub(crate) const fn silently(mut self) -> Self {
        self.silent = true;
        self
    }

    #[cold]
    pub(crate) const fn with_version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }
}

/// For example "malformed packet: PUBLISH topic name is not UTF-8".
impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.reason.text())?;
        if let Some(packet) = self.packet {
            write!(f, "{} ", packet.name())?;
        }
        write!(f, "{} {}", self.field, self.fault)
    }
}

impl core::error::Error for DecodeError {}

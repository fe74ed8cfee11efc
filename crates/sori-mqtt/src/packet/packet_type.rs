//! The types of control packets: who sends them, and with which flags.

use crate::Version;

/// Which way a packet goes.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Hash)]
pub enum Direction {
    /// A client sends it.
    ToServer,
    /// A server sends it.
    ToClient,
}

/// The type in the high half of a packet's first byte.
#[repr(u8)]
#[derive(Copy, Clone, Eq, PartialEq, Debug, Hash)]
pub enum PacketType {
    /// A client asks for a connection.
    Connect = 1,
    /// The server's answer to CONNECT.
    ConnAck,
    /// A message.
    Publish,
    /// QoS 1: received.
    PubAck,
    /// QoS 2, first answer: received.
    PubRec,
    /// QoS 2, second step: release the message.
    PubRel,
    /// QoS 2, last answer: complete.
    PubComp,
    /// A client subscribes.
    Subscribe,
    /// The server's answer to SUBSCRIBE.
    SubAck,
    /// A client unsubscribes.
    Unsubscribe,
    /// The server's answer to UNSUBSCRIBE.
    UnsubAck,
    /// A client asks whether the server is there.
    PingReq,
    /// The server's answer to PINGREQ.
    PingResp,
    /// The last packet of a connection.
    Disconnect,
    /// A step of extended authentication.
    Auth = 15,
}

impl PacketType {
    /// Every packet type.
    pub const ALL: [Self; 15] = [
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// The type of this number, 1 to 15.
    #[must_use]
    #[inline]
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Connect),
            2 => Some(Self::ConnAck),
            3 => Some(Self::Publish),
            4 => Some(Self::PubAck),
            5 => Some(Self::PubRec),
            6 => Some(Self::PubRel),
            7 => Some(Self::PubComp),
            8 => Some(Self::Subscribe),
            9 => Some(Self::SubAck),
            10 => Some(Self::Unsubscribe),
            11 => Some(Self::UnsubAck),
            12 => Some(Self::PingReq),
            13 => Some(Self::PingResp),
            14 => Some(Self::Disconnect),
            15 => Some(Self::Auth),
            _ => None,
        }
    }

    /// The name as the standard writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }

    /// Whether this packet ever goes that way.
    #[must_use]
    pub const fn sent(self, direction: Direction) -> bool {
        match self {
            Self::Connect | Self::Subscribe | Self::Unsubscribe | Self::PingReq => {
                matches!(direction, Direction::ToServer)
            }
            Self::ConnAck | Self::SubAck | Self::UnsubAck | Self::PingResp => matches!(direction, Direction::ToClient),
            Self::Publish
            | Self::PubAck
            | Self::PubRec
            | Self::PubRel
            | Self::PubComp
            | Self::Disconnect
            | Self::Auth => true,
        }
    }

    /// The first byte with the flags that the standard prescribes; those of PUBLISH are its own.
    #[must_use]
    #[inline]
    pub const fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.flags()
    }

    const fn flags(self) -> u8 {
        match self {
            Self::PubRel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        }
    }

    /// Whether a packet of any type but PUBLISH may have these flags.
    pub(crate) const fn flags_allowed(self, flags: u8, version: Version) -> bool {
        // In MQTT 3.1, PUBREL, SUBSCRIBE and UNSUBSCRIBE have QoS 1 and perhaps DUP; the other flags are not used, and
        // nobody looks at them.
        let significant = match (version, self) {
            (Version::V31, Self::PubRel | Self::Subscribe | Self::Unsubscribe) => 0b0110,
            (Version::V31, _) => 0,
            _ => 0b1111,
        };
        flags & significant == self.flags() & significant
    }
}

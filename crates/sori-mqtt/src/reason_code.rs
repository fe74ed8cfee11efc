//! The reason codes: one table of number, name, and the packets that may carry each.

use crate::{Direction, PacketType, QoS};

/// Packets as bits: from a client in the low half, from a server in the high half.
type Packets = u32;

const fn from_client(packet: PacketType) -> Packets {
    1 << packet as u8
}

const fn from_server(packet: PacketType) -> Packets {
    1 << (16 + packet as u8)
}

const fn from_both(packet: PacketType) -> Packets {
    from_client(packet) | from_server(packet)
}

const CONNACK: Packets = from_server(PacketType::ConnAck);
const PUBACK: Packets = from_both(PacketType::PubAck);
const PUBREC: Packets = from_both(PacketType::PubRec);
const PUBACK_SERVER: Packets = from_server(PacketType::PubAck);
const PUBREC_SERVER: Packets = from_server(PacketType::PubRec);
const PUBREL: Packets = from_both(PacketType::PubRel);
const PUBCOMP: Packets = from_both(PacketType::PubComp);
const SUBACK: Packets = from_server(PacketType::SubAck);
const UNSUBACK: Packets = from_server(PacketType::UnsubAck);
const AUTH: Packets = from_both(PacketType::Auth);
const AUTH_CLIENT: Packets = from_client(PacketType::Auth);
const AUTH_SERVER: Packets = from_server(PacketType::Auth);
const DISCONNECT: Packets = from_both(PacketType::Disconnect);
const DISCONNECT_CLIENT: Packets = from_client(PacketType::Disconnect);
const DISCONNECT_SERVER: Packets = from_server(PacketType::Disconnect);

macro_rules! reason_codes {
    ($($value:literal $name:ident $text:literal $($packets:ident)*;)*) => {
        /// Why something was done or refused.
        #[repr(u8)]
        #[derive(Copy, Clone, Eq, PartialEq, Debug, Hash)]
        pub enum ReasonCode {
            $(#[doc = concat!(stringify!($value), ": ", $text, ".")] $name = $value,)*
        }

        impl ReasonCode {
            /// Every reason code, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The reason code of this number.
            #[must_use]
            #[inline]
            pub const fn from_u8(value: u8) -> Option<Self> {
                match value {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name that the standard gives it, for people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            const fn packets(self) -> Packets {
                match self {
                    $(Self::$name => 0 $(| $packets)*,)*
                }
            }
        }
    };
}

reason_codes! {
    0x00 Success "success" CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK AUTH_SERVER DISCONNECT;
    0x01 GrantedQoS1 "granted QoS 1" SUBACK;
    0x02 GrantedQoS2 "granted QoS 2" SUBACK;
    0x04 DisconnectWithWill "disconnect with will message" DISCONNECT_CLIENT;
    0x10 NoMatchingSubscribers "no matching subscribers" PUBACK PUBREC;
    0x11 NoSubscriptionExisted "no subscription existed" UNSUBACK;
    0x18 ContinueAuthentication "continue authentication" AUTH;
    0x19 ReAuthenticate "re-authenticate" AUTH_CLIENT;
    0x80 UnspecifiedError "unspecified error" CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT;
    0x81 MalformedPacket "malformed packet" CONNACK DISCONNECT;
    0x82 ProtocolError "protocol error" CONNACK DISCONNECT;
    0x83 ImplementationSpecificError "implementation specific error" CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT;
    0x84 UnsupportedProtocolVersion "unsupported protocol version" CONNACK;
    0x85 ClientIdentifierNotValid "client identifier not valid" CONNACK;
    0x86 BadUserNameOrPassword "bad user name or password" CONNACK;
    0x87 NotAuthorized "not authorized" CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT_SERVER;
    0x88 ServerUnavailable "server unavailable" CONNACK;
    0x89 ServerBusy "server busy" CONNACK DISCONNECT_SERVER;
    0x8A Banned "banned" CONNACK;
    0x8B ServerShuttingDown "server shutting down" DISCONNECT_SERVER;
    0x8C BadAuthenticationMethod "bad authentication method" CONNACK DISCONNECT_SERVER;
    0x8D KeepAliveTimeout "keep alive timeout" DISCONNECT_SERVER;
    0x8E SessionTakenOver "session taken over" DISCONNECT_SERVER;
    0x8F TopicFilterInvalid "topic filter invalid" SUBACK UNSUBACK DISCONNECT_SERVER;
    0x90 TopicNameInvalid "topic name invalid" CONNACK PUBACK PUBREC DISCONNECT;
    0x91 PacketIdentifierInUse "packet identifier in use" PUBACK PUBREC SUBACK UNSUBACK;
    0x92 PacketIdentifierNotFound "packet identifier not found" PUBREL PUBCOMP;
    0x93 ReceiveMaximumExceeded "receive maximum exceeded" DISCONNECT;
    0x94 TopicAliasInvalid "topic alias invalid" DISCONNECT;
    // The standard has no 0x95 for PUBACK and PUBREC; it is what Mosquitto says of a payload above its limit, and its
    // clients know it.
    0x95 PacketTooLarge "packet too large" CONNACK PUBACK_SERVER PUBREC_SERVER DISCONNECT;
    0x96 MessageRateTooHigh "message rate too high" DISCONNECT;
    0x97 QuotaExceeded "quota exceeded" CONNACK PUBACK PUBREC SUBACK DISCONNECT;
    0x98 AdministrativeAction "administrative action" DISCONNECT;
    0x99 PayloadFormatInvalid "payload format invalid" CONNACK PUBACK PUBREC DISCONNECT;
    0x9A RetainNotSupported "retain not supported" CONNACK DISCONNECT_SERVER;
    0x9B QoSNotSupported "QoS not supported" CONNACK DISCONNECT_SERVER;
    0x9C UseAnotherServer "use another server" CONNACK DISCONNECT_SERVER;
    0x9D ServerMoved "server moved" CONNACK DISCONNECT_SERVER;
    0x9E SharedSubscriptionsNotSupported "shared subscriptions not supported" SUBACK DISCONNECT_SERVER;
    0x9F ConnectionRateExceeded "connection rate exceeded" CONNACK DISCONNECT_SERVER;
    0xA0 MaximumConnectTime "maximum connect time" DISCONNECT_SERVER;
    0xA1 SubscriptionIdentifiersNotSupported "subscription identifiers not supported" SUBACK DISCONNECT_SERVER;
    0xA2 WildcardSubscriptionsNotSupported "wildcard subscriptions not supported" SUBACK DISCONNECT_SERVER;
}

/// The CONNACK return codes of MQTT 3.x and the reason code that each one stands for. The first row of a return code
/// is the one it is decoded to.
const CONNECT_RETURN_CODES: &[(u8, ReasonCode)] = &[
    (0, ReasonCode::Success),
    (1, ReasonCode::UnsupportedProtocolVersion),
    (2, ReasonCode::ClientIdentifierNotValid),
    (3, ReasonCode::ServerUnavailable),
    (3, ReasonCode::ServerBusy),
    (3, ReasonCode::QuotaExceeded),
    (3, ReasonCode::UseAnotherServer),
    (3, ReasonCode::ServerMoved),
    (3, ReasonCode::ConnectionRateExceeded),
    (4, ReasonCode::BadUserNameOrPassword),
    (5, ReasonCode::NotAuthorized),
    (5, ReasonCode::Banned),
    (5, ReasonCode::BadAuthenticationMethod),
];

impl ReasonCode {
    /// The number on the wire.
    #[must_use]
    #[inline]
    pub const fn value(self) -> u8 {
        self as u8
    }

    /// Whether it reports a failure.
    #[must_use]
    #[inline]
    pub const fn is_error(self) -> bool {
        self.value() >= 0x80
    }

    /// Whether this packet may carry it, whoever sends the packet.
    #[must_use]
    pub const fn allowed_in(self, packet: PacketType) -> bool {
        self.packets() & from_both(packet) != 0
    }

    /// Whether this packet may carry it in this direction.
    #[must_use]
    pub const fn allowed_from(self, packet: PacketType, direction: Direction) -> bool {
        let sender = match direction {
            Direction::ToServer => from_client(packet),
            Direction::ToClient => from_server(packet),
        };
        self.packets() & sender != 0
    }

    /// The SUBACK reason code that grants this QoS.
    #[must_use]
    pub const fn granted(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::Success,
            QoS::AtLeastOnce => Self::GrantedQoS1,
            QoS::ExactlyOnce => Self::GrantedQoS2,
        }
    }

    /// The CONNACK return code of MQTT 3.x, if one fits. Without one the server closes the connection and sends no
    /// CONNACK. [MQTT311-3.2.2-6]
    #[must_use]
    pub fn connect_return_code(self) -> Option<u8> {
        CONNECT_RETURN_CODES.iter().find(|(_, reason)| *reason == self).map(|(code, _)| *code)
    }

    /// The meaning of a CONNACK return code of MQTT 3.x.
    #[must_use]
    pub fn from_connect_return_code(code: u8) -> Option<Self> {
        CONNECT_RETURN_CODES.iter().find(|(value, _)| *value == code).map(|(_, reason)| *reason)
    }
}

#[cfg(test)]
mod tests;

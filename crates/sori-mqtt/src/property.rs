//! MQTT 5.0 properties: one table, and everything that follows from it.

use alloc::vec::Vec;
use core::fmt;

use crate::reader::Reader;
use crate::{
    DecodeError, Direction, PacketType, QoS, ReasonCode, TopicName, encode_variable_byte_integer,
    variable_byte_integer_len, writer,
};

/// Where properties stand, as bits: packet types, and bit 0, which no packet type has, for the will in CONNECT.
type Places = u16;

const WILL: Places = 1;
const CONNECT: Places = at(PacketType::Connect);
const CONNACK: Places = at(PacketType::ConnAck);
const PUBLISH: Places = at(PacketType::Publish);
const SUBSCRIBE: Places = at(PacketType::Subscribe);
const SUBACK: Places = at(PacketType::SubAck);
const UNSUBSCRIBE: Places = at(PacketType::Unsubscribe);
const UNSUBACK: Places = at(PacketType::UnsubAck);
const DISCONNECT: Places = at(PacketType::Disconnect);
const AUTH: Places = at(PacketType::Auth);
/// PUBACK, PUBREC, PUBREL and PUBCOMP.
const ACKS: Places = at(PacketType::PubAck) | at(PacketType::PubRec) | at(PacketType::PubRel) | at(PacketType::PubComp);

const fn at(packet: PacketType) -> Places {
    1 << packet as u8
}

/// The packet, or the will in it, whose properties are read.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Place {
    Packet(PacketType),
    Will,
}

impl Place {
    const fn bit(self) -> Places {
        match self {
            Self::Packet(packet) => at(packet),
            Self::Will => WILL,
        }
    }

    const fn packet(self) -> PacketType {
        match self {
            Self::Packet(packet) => packet,
            Self::Will => PacketType::Connect,
        }
    }
}

macro_rules! properties {
    ($($id:literal $name:ident $getter:ident $text:literal $kind:ident $type:ty, in $($place:ident)|+ $(, repeated in $($many:ident)|+)?;)*) => {
        /// A property's number on the wire.
        #[repr(u8)]
        #[derive(Copy, Clone, Eq, PartialEq, Debug, Hash)]
        pub enum PropertyIdentifier {
            $(#[doc = concat!("The ", $text, ".")] $name = $id,)*
            /// A name and a value; both free.
            UserProperty = 0x26,
        }

        impl PropertyIdentifier {
            /// Every property of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)* Self::UserProperty];

            /// The property of this number.
            #[must_use]
            pub const fn from_u8(value: u8) -> Option<Self> {
                match value {
                    $($id => Some(Self::$name),)*
                    0x26 => Some(Self::UserProperty),
                    _ => None,
                }
            }

            /// Its name, for people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::UserProperty => "user property",
                }
            }

            const fn places(self) -> Places {
                match self {
                    $(Self::$name => $($place)|+,)*
                    Self::UserProperty => USER_PROPERTY_PLACES,
                }
            }

            /// Where it may stand more than once.
            const fn repeated(self) -> Places {
                match self {
                    $(Self::$name => 0 $(| $($many)|+)?,)*
                    Self::UserProperty => USER_PROPERTY_PLACES,
                }
            }
        }

        /// One property and its value.
        #[derive(Copy, Clone, Eq, PartialEq, Debug)]
        pub enum Property<'a> {
            $(#[doc = concat!("The ", $text, ".")] $name($type),)*
            /// A name and a value; both free.
            UserProperty(&'a str, &'a str),
        }

        impl<'a> Property<'a> {
            /// Which property this is.
            #[must_use]
            pub const fn identifier(&self) -> PropertyIdentifier {
                match self {
                    $(Self::$name(_) => PropertyIdentifier::$name,)*
                    Self::UserProperty(..) => PropertyIdentifier::UserProperty,
                }
            }

            fn read_value(identifier: PropertyIdentifier, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                Ok(match identifier {
                    $(PropertyIdentifier::$name => Self::$name(<$kind as Kind>::read(reader, $text)?),)*
                    PropertyIdentifier::UserProperty => {
                        // Both are strings as all others. [MQTT-1.5.7-1]
                        Self::UserProperty(reader.string("user property name")?, reader.string("user property value")?)
                    }
                })
            }

            /// Reads a value to see that it is legal, and for nothing else.
            fn check_value(identifier: PropertyIdentifier, reader: &mut Reader<'a>) -> Result<(), DecodeError> {
                match identifier {
                    $(PropertyIdentifier::$name => <$kind as Kind>::read(reader, $text).map(drop),)*
                    PropertyIdentifier::UserProperty => {
                        reader.string("user property name")?;
                        reader.string("user property value").map(drop)
                    }
                }
            }

            /// Goes past a value that was checked before.
            fn skip_value(identifier: u8, reader: &mut Reader<'a>) -> Option<()> {
                match identifier {
                    $($id => <$kind as Kind>::skip(reader),)*
                    0x26 => Text::skip(reader).and_then(|()| Text::skip(reader)),
                    _ => None,
                }
            }

            /// Appends identifier and value.
            pub fn encode(&self, out: &mut Vec<u8>) {
                out.push(self.identifier() as u8);
                match *self {
                    $(Self::$name(value) => <$kind as Kind>::write(value, out),)*
                    Self::UserProperty(name, value) => {
                        writer::string(name, out);
                        writer::string(value, out);
                    }
                }
            }

            /// How many bytes `encode` appends.
            #[must_use]
            pub fn encoded_len(&self) -> usize {
                1 + match *self {
                    $(Self::$name(value) => <$kind as Kind>::len(value),)*
                    Self::UserProperty(name, value) => writer::string_len(name) + writer::string_len(value),
                }
            }
        }

        /// One lookup for each property; a property that may be repeated gives its first value.
        impl<'a> Properties<'a> {
            $(
                #[doc = concat!("The ", $text, ", if it is there.")]
                #[must_use]
                pub fn $getter(self) -> Option<$type> {
                    let mut reader = Reader::new(self.bytes);
                    find(PropertyIdentifier::$name, &mut reader)?;
                    <$kind as Kind>::read(&mut reader, $text).ok()
                }
            )*
        }
    };
}

/// Everywhere but in PINGREQ and PINGRESP, which have no properties, and as often as one likes.
const USER_PROPERTY_PLACES: Places =
    WILL | CONNECT | CONNACK | PUBLISH | ACKS | SUBSCRIBE | SUBACK | UNSUBSCRIBE | UNSUBACK | DISCONNECT | AUTH;

// The table: identifier, name, lookup, text, kind, Rust type, where it may stand, where it may be repeated.
properties! {
    0x01 PayloadFormatIndicator payload_format_indicator "payload format indicator" Flag bool, in PUBLISH | WILL;
    0x02 MessageExpiryInterval message_expiry_interval "message expiry interval" FourBytes u32, in PUBLISH | WILL;
    0x03 ContentType content_type "content type" Text &'a str, in PUBLISH | WILL;
    0x08 ResponseTopic response_topic "response topic" Topic &'a str, in PUBLISH | WILL;
    0x09 CorrelationData correlation_data "correlation data" Binary &'a [u8], in PUBLISH | WILL;
    0x0B SubscriptionIdentifier subscription_identifier "subscription identifier" NonZeroVariable u32,
        in PUBLISH | SUBSCRIBE, repeated in PUBLISH;
    0x11 SessionExpiryInterval session_expiry_interval "session expiry interval" FourBytes u32,
        in CONNECT | CONNACK | DISCONNECT;
    0x12 AssignedClientIdentifier assigned_client_identifier "assigned client identifier" Text &'a str, in CONNACK;
    0x13 ServerKeepAlive server_keep_alive "server keep alive" TwoBytes u16, in CONNACK;
    0x15 AuthenticationMethod authentication_method "authentication method" Text &'a str, in CONNECT | CONNACK | AUTH;
    0x16 AuthenticationData authentication_data "authentication data" Binary &'a [u8], in CONNECT | CONNACK | AUTH;
    0x17 RequestProblemInformation request_problem_information "request problem information" Flag bool, in CONNECT;
    0x18 WillDelayInterval will_delay_interval "will delay interval" FourBytes u32, in WILL;
    0x19 RequestResponseInformation request_response_information "request response information" Flag bool, in CONNECT;
    0x1A ResponseInformation response_information "response information" Text &'a str, in CONNACK;
    0x1C ServerReference server_reference "server reference" Text &'a str, in CONNACK | DISCONNECT;
    0x1F ReasonString reason_string "reason string" Text &'a str,
        in CONNACK | ACKS | SUBACK | UNSUBACK | DISCONNECT | AUTH;
    0x21 ReceiveMaximum receive_maximum "receive maximum" NonZeroTwoBytes u16, in CONNECT | CONNACK;
    0x22 TopicAliasMaximum topic_alias_maximum "topic alias maximum" TwoBytes u16, in CONNECT | CONNACK;
    0x23 TopicAlias topic_alias "topic alias" Alias u16, in PUBLISH;
    0x24 MaximumQoS maximum_qos "maximum QoS" ZeroOrOne QoS, in CONNACK;
    0x25 RetainAvailable retain_available "retain available" Flag bool, in CONNACK;
    0x27 MaximumPacketSize maximum_packet_size "maximum packet size" NonZeroFourBytes u32, in CONNECT | CONNACK;
    0x28 WildcardSubscriptionAvailable wildcard_subscription_available "wildcard subscription available" Flag bool,
        in CONNACK;
    0x29 SubscriptionIdentifiersAvailable subscription_identifiers_available "subscription identifiers available"
        Flag bool, in CONNACK;
    0x2A SharedSubscriptionAvailable shared_subscription_available "shared subscription available" Flag bool,
        in CONNACK;
}

impl PropertyIdentifier {
    /// Whether this packet may carry it. The properties of a will are not those of its CONNECT.
    #[must_use]
    pub const fn allowed_in(self, packet: PacketType) -> bool {
        self.places() & at(packet) != 0
    }

    /// Whether a will may carry it.
    #[must_use]
    pub const fn allowed_in_will(self) -> bool {
        self.places() & WILL != 0
    }

    /// Whether it may stand in this packet more than once.
    #[must_use]
    pub const fn repeated_in(self, packet: PacketType) -> bool {
        self.repeated() & at(packet) != 0
    }
}

/// How a value is written and which values are legal.
trait Kind {
    type Value<'a>;
    fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<Self::Value<'a>, DecodeError>;
    fn write(value: Self::Value<'_>, out: &mut Vec<u8>);
    fn len(value: Self::Value<'_>) -> usize;
    /// Goes past a value.
    fn skip(reader: &mut Reader<'_>) -> Option<()>;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $type:ty: $read:expr, $write:expr, $len:expr, $skip:ident $(($count:literal))?;)*) => {$(
        $(#[$doc])*
        struct $name;

        impl Kind for $name {
            type Value<'a> = $type;
            fn read<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<$type, DecodeError> {
                let read: fn(&mut Reader<'a>, &'static str) -> Result<$type, DecodeError> = $read;
                read(reader, field)
            }
            fn write(value: Self::Value<'_>, out: &mut Vec<u8>) {
                $write(value, out);
            }
            fn len(value: Self::Value<'_>) -> usize {
                let len: fn(Self::Value<'_>) -> usize = $len;
                len(value)
            }
            fn skip(reader: &mut Reader<'_>) -> Option<()> {
                reader.$skip($($count,)? "").ok().map(drop)
            }
        }
    )*};
}

kinds! {
    /// A byte that is 0 or 1.
    Flag bool: |reader, field| match reader.byte(field)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::protocol(field, "is neither 0 nor 1")),
    }, |value, out: &mut Vec<u8>| out.push(u8::from(value)), |_| 1, take(1);
    /// A QoS that is 0 or 1.
    ZeroOrOne QoS: |reader, field| match reader.byte(field)? {
        0 => Ok(QoS::AtMostOnce),
        1 => Ok(QoS::AtLeastOnce),
        _ => Err(DecodeError::protocol(field, "is neither 0 nor 1")),
    }, |value, out: &mut Vec<u8>| out.push(value as u8), |_| 1, take(1);
    TwoBytes u16: |reader, field| reader.two_bytes(field), writer::two_bytes, |_| 2, take(2);
    NonZeroTwoBytes u16: |reader, field| match reader.two_bytes(field)? {
        0 => Err(DecodeError::protocol(field, "is zero")),
        value => Ok(value),
    }, writer::two_bytes, |_| 2, take(2);
    /// [MQTT-3.3.2-8]
    Alias u16: |reader, field| match reader.two_bytes(field)? {
        0 => Err(DecodeError::new(ReasonCode::TopicAliasInvalid, field, "is zero")),
        value => Ok(value),
    }, writer::two_bytes, |_| 2, take(2);
    FourBytes u32: |reader, field| reader.four_bytes(field), writer::four_bytes, |_| 4, take(4);
    NonZeroFourBytes u32: |reader, field| match reader.four_bytes(field)? {
        0 => Err(DecodeError::protocol(field, "is zero")),
        value => Ok(value),
    }, writer::four_bytes, |_| 4, take(4);
    NonZeroVariable u32: |reader, field| match reader.variable_byte_integer(field)? {
        0 => Err(DecodeError::protocol(field, "is zero")),
        value => Ok(value),
    }, encode_variable_byte_integer, variable_byte_integer_len, variable_byte_integer;
    Text &'a str: |reader, field| reader.string(field), writer::string, writer::string_len, binary;
    /// [MQTT-3.3.2-13] [MQTT-3.3.2-14]
    Topic &'a str: |reader, field| {
        let topic = reader.string(field)?;
        TopicName::new(topic).map_err(|error| DecodeError::protocol(field, error.text()))?;
        Ok(topic)
    }, writer::string, writer::string_len, binary;
    Binary &'a [u8]: |reader, field| reader.binary(field), writer::binary, writer::binary_len, binary;
}

impl PropertyIdentifier {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let identifier = u8::try_from(reader.variable_byte_integer("property identifier")?).ok();
        identifier.and_then(Self::from_u8).ok_or_else(|| DecodeError::malformed("property identifier", "is unknown"))
    }
}

impl<'a> Property<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Self::read_value(PropertyIdentifier::read(reader)?, reader)
    }
}

/// Goes to the value of the next property of this kind, past others without looking into them. Properties that were checked
/// have identifiers of one byte.
fn find(wanted: PropertyIdentifier, reader: &mut Reader<'_>) -> Option<()> {
    loop {
        match reader.byte("").ok()? {
            found if found == wanted as u8 => return Some(()),
            other => Property::skip_value(other, reader)?,
        }
    }
}

/// The properties of one packet, borrowed and already checked.
#[derive(Copy, Clone, Default, Eq, PartialEq)]
pub struct Properties<'a> {
    bytes: &'a [u8],
}

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Properties<'static> = Properties { bytes: &[] };

    /// Properties whose bytes were checked before and kept, for example with a queued message. Bytes that were never
    /// checked are read as far as they make sense.
    #[must_use]
    #[inline]
    pub const fn from_checked(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Every property, in the order of the packet. [MQTT-3.1.3-10] [MQTT-3.3.2-18]
    pub fn iter(self) -> impl Iterator<Item = Property<'a>> {
        let mut reader = Reader::new(self.bytes);
        // The bytes were checked when they were decoded, or written by `PropertyBuffer`: nothing fails here.
        core::iter::from_fn(move || if reader.is_empty() { None } else { Property::read(&mut reader).ok() })
    }

    /// The bytes after the property length.
    #[must_use]
    #[inline]
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there is none.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// The number of bytes, without the property length.
    #[must_use]
    #[inline]
    pub const fn len(self) -> usize {
        self.bytes.len()
    }

    /// The names and values of the user properties, in order.
    pub fn user_properties(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// All subscription identifiers of a PUBLISH.
    pub fn subscription_identifiers(self) -> impl Iterator<Item = u32> {
        let mut reader = Reader::new(self.bytes);
        core::iter::from_fn(move || {
            find(PropertyIdentifier::SubscriptionIdentifier, &mut reader)?;
            NonZeroVariable::read(&mut reader, "").ok()
        })
    }

    /// Reads property length and properties, and checks every one against the table.
    #[inline]
    pub(crate) fn read(reader: &mut Reader<'a>, place: Place, direction: Direction) -> Result<Self, DecodeError> {
        let length = reader.variable_byte_integer("property length")?;
        if length == 0 {
            return Ok(Self::EMPTY);
        }
        let properties = Self { bytes: reader.take(length as usize, "property length")? };
        properties.check(place, direction)?;
        Ok(properties)
    }

    fn check(self, place: Place, direction: Direction) -> Result<(), DecodeError> {
        let mut reader = Reader::new(self.bytes);
        let mut seen = 0_u64;
        while !reader.is_empty() {
            let identifier = PropertyIdentifier::read(&mut reader)?;
            Property::check_value(identifier, &mut reader)?;
            let text = identifier.text();
            let bit = 1 << identifier as u8;
            if identifier.places() & place.bit() == 0 {
                return Err(DecodeError::rule(place.packet(), text, "does not belong here"));
            }
            if seen & bit != 0 && identifier.repeated() & place.bit() == 0 {
                return Err(DecodeError::protocol(text, "stands there twice"));
            }
            seen |= bit;
            check_sender(identifier, place, direction)?;
        }
        let has = |identifier: PropertyIdentifier| seen & 1 << identifier as u8 != 0;
        if has(PropertyIdentifier::AuthenticationData) && !has(PropertyIdentifier::AuthenticationMethod) {
            return Err(DecodeError::protocol("authentication data", "comes without authentication method"));
        }
        Ok(())
    }

    /// The bytes that `encode` appends.
    #[inline]
    pub(crate) const fn encoded_len(self) -> usize {
        let length = self.bytes.len();
        variable_byte_integer_len(if length > u32::MAX as usize { u32::MAX } else { length as u32 }) + length
    }

    /// Appends property length and properties. [MQTT-2.2.2-1]
    #[inline]
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        encode_variable_byte_integer(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX), out);
        out.extend_from_slice(self.bytes);
    }
}

/// Properties that one side may send in a packet and the other may not.
fn check_sender(identifier: PropertyIdentifier, place: Place, direction: Direction) -> Result<(), DecodeError> {
    match (identifier, place, direction) {
        // [MQTT-3.3.4-6]
        (PropertyIdentifier::SubscriptionIdentifier, Place::Packet(PacketType::Publish), Direction::ToServer) => {
            Err(DecodeError::protocol("subscription identifier", "is not for a client to send"))
        }
        // [MQTT-3.14.2-2]
        (PropertyIdentifier::SessionExpiryInterval, Place::Packet(PacketType::Disconnect), Direction::ToClient) => {
            Err(DecodeError::protocol("session expiry interval", "is not for a server to send"))
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Properties in the making. Who pushes a property vouches for its value: a response topic without wildcards, no zero
/// where the standard forbids zero, no string of more than 65,535 bytes.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct PropertyBuffer(Vec<u8>);

impl PropertyBuffer {
    /// Empty, and without any allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends one property.
    pub fn push(&mut self, property: Property<'_>) -> &mut Self {
        property.encode(&mut self.0);
        self
    }

    /// Appends properties that were checked before, for example those of a message that is passed on.
    pub fn extend(&mut self, properties: Properties<'_>) -> &mut Self {
        self.0.extend_from_slice(properties.bytes);
        self
    }

    /// What was pushed so far.
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties { bytes: &self.0 }
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl fmt::Debug for PropertyBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_properties().fmt(f)
    }
}

#[cfg(test)]
mod tests;

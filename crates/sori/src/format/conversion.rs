//! The letters after `%`: one entry for each, from which reading, writing and the help text come.

use base64ct::{Base64, Encoding};

use super::field::Field;
use super::{Arrival, FormatError, json};
use crate::message::Message;

/// One letter.
pub(crate) struct Entry {
    pub(crate) letter: char,
    conversion: Conversion,
    pub(crate) help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    TopicAlias,
    PayloadBase64,
    ContentType,
    CorrelationData,
    Double,
    MessageExpiryInterval,
    PayloadFormatIndicator,
    Float,
    LocalTime,
    JsonText,
    JsonSafe,
    JsonValue,
    PayloadLength,
    PacketId,
    UserProperties,
    Payload,
    QoS,
    ResponseTopic,
    Retain,
    SubscriptionIdentifier,
    Topic,
    UnixTime,
    HexLower,
    HexUpper,
}

const fn entry(letter: char, conversion: Conversion, help: &'static str) -> Entry {
    Entry { letter, conversion, help }
}

/// All of them. `%b` and `%B` are sori's own; the others are Mosquitto's.
pub(crate) const CONVERSIONS: &[Entry] = &[
    entry('t', Conversion::Topic, "topic"),
    entry('p', Conversion::Payload, "payload as it is"),
    entry('x', Conversion::HexLower, "payload in hexadecimal, 0a1b; %.2x has a blank after each byte, %.2:x a colon"),
    entry('X', Conversion::HexUpper, "payload in hexadecimal, 0A1B"),
    entry('b', Conversion::PayloadBase64, "payload in base64"),
    entry('d', Conversion::Double, "payload of eight bytes as a number"),
    entry('f', Conversion::Float, "payload of four bytes as a number"),
    entry('l', Conversion::PayloadLength, "length of the payload in bytes"),
    entry('q', Conversion::QoS, "QoS"),
    entry('r', Conversion::Retain, "1 for a retained message, else 0"),
    entry('m', Conversion::PacketId, "packet identifier, 0 with QoS 0"),
    entry('I', Conversion::LocalTime, "local date and time, ISO 8601"),
    entry('U', Conversion::UnixTime, "seconds since 1970 with nanoseconds"),
    entry('j', Conversion::JsonText, "everything as JSON, the payload as a string"),
    entry('J', Conversion::JsonValue, "everything as JSON, the payload as the JSON that it is"),
    entry('B', Conversion::JsonSafe, "as %j, but a payload that is no text is payload_base64"),
    entry('A', Conversion::TopicAlias, "topic alias"),
    entry('C', Conversion::ContentType, "content type"),
    entry('D', Conversion::CorrelationData, "correlation data"),
    entry('E', Conversion::MessageExpiryInterval, "message expiry interval in seconds"),
    entry('F', Conversion::PayloadFormatIndicator, "payload format indicator, 1 for text"),
    entry('P', Conversion::UserProperties, "user properties, name:value name:value"),
    entry('R', Conversion::ResponseTopic, "response topic"),
    entry('S', Conversion::SubscriptionIdentifier, "subscription identifier"),
];

pub(super) fn of(letter: char) -> Result<Conversion, FormatError> {
    let found = CONVERSIONS.iter().find(|entry| entry.letter == letter);
    found.map(|entry| entry.conversion).ok_or(FormatError::InvalidSpecifier(letter))
}

impl Conversion {
    /// Appends the field; an error is a sentence, and then the field is missing.
    pub(super) fn write(
        self,
        field: &Field,
        message: &Message,
        arrival: &Arrival,
        pretty: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let properties = message.properties.as_properties();
        match self {
            Self::Topic => field.text(&message.topic, out),
            Self::Payload => field.bytes(&message.payload, out),
            Self::HexLower => field.hex(&message.payload, b"0123456789abcdef", out),
            Self::HexUpper => field.hex(&message.payload, b"0123456789ABCDEF", out),
            Self::PayloadBase64 => field.text(&Base64::encode_string(&message.payload), out),
            Self::Double => field.float(f64::from_ne_bytes(bytes_of_number(message)?), out),
            Self::Float => field.float(f32::from_ne_bytes(bytes_of_number(message)?).into(), out),
            Self::PayloadLength => field.integer(message.payload.len() as u64, out),
            Self::QoS => out.push(b'0' + message.qos as u8),
            Self::Retain => out.push(b'0' + u8::from(message.retain)),
            Self::PacketId => field.integer(message.packet_id.into(), out),
            Self::LocalTime => field.text(&arrival.iso_8601(), out),
            Self::UnixTime => out.extend_from_slice(arrival.unix().as_bytes()),
            Self::JsonText => json::of(message, arrival, json::payload_text(message)).write(pretty, out),
            Self::JsonSafe => json::of(message, arrival, json::payload_text_or_base64(message)).write(pretty, out),
            Self::JsonValue => json::of(message, arrival, json::payload_value(message)?).write(pretty, out),
            Self::TopicAlias => integer_or_blank(field, properties.topic_alias(), out),
            Self::MessageExpiryInterval => integer_or_blank(field, properties.message_expiry_interval(), out),
            Self::PayloadFormatIndicator => integer_or_blank(field, properties.payload_format_indicator(), out),
            Self::SubscriptionIdentifier => integer_or_blank(field, properties.subscription_identifier(), out),
            Self::ContentType => match properties.content_type() {
                Some(content_type) => field.text(content_type, out),
                None => field.blank(out),
            },
            Self::CorrelationData => out.extend_from_slice(properties.correlation_data().unwrap_or_default()),
            Self::ResponseTopic => {
                if let Some(topic) = properties.response_topic() {
                    field.text(topic, out);
                }
            }
            Self::UserProperties => {
                let pairs = properties.user_properties().map(|(name, value)| format!("{name}:{value}"));
                out.extend_from_slice(pairs.collect::<Vec<_>>().join(" ").as_bytes());
            }
        }
        Ok(())
    }
}

fn integer_or_blank(field: &Field, value: Option<impl Into<u64>>, out: &mut Vec<u8>) {
    match value {
        Some(value) => field.integer(value.into(), out),
        None => field.blank(out),
    }
}

fn bytes_of_number<const LENGTH: usize>(message: &Message) -> Result<[u8; LENGTH], String> {
    message.payload.as_slice().try_into().map_err(|_| {
        let found = message.payload.len();
        format!("A payload on topic {} has {found} bytes and not the {LENGTH} of a number.", message.topic)
    })
}

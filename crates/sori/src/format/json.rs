//! A message as JSON: the keys, their order, the numbers and the layout of Mosquitto's clients.

use std::fmt;

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use sori_mqtt::{Property, QoS};

use super::{Arrival, number};
use crate::message::Message;

/// A JSON value. Objects keep their order and what stands in them twice; text may be no UTF-8, as a payload may.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(Vec<u8>),
    List(Vec<Json>),
    Object(Vec<(Vec<u8>, Json)>),
}

/// The whole message.
pub(super) fn of(message: &Message, arrival: &Arrival, payload: (&'static str, Json)) -> Json {
    let mut object = Object(Vec::new());
    object.add("tst", text(&arrival.iso_8601_micro()));
    object.add("topic", text(&message.topic));
    object.add("qos", number_of(message.qos as u8));
    object.add("retain", Json::Bool(message.retain));
    object.add("payloadlen", number_of(u32::try_from(message.payload.len()).unwrap_or(u32::MAX)));
    if message.qos != QoS::AtMostOnce {
        object.add("mid", number_of(message.packet_id));
    }
    let properties = message.properties.as_properties();
    if !properties.is_empty() {
        object.add("properties", properties_of(properties.iter()));
    }
    object.add(payload.0, payload.1);
    Json::Object(object.0)
}

const PAYLOAD: &str = "payload";

/// The payload as a string, or null.
pub(super) fn payload_text(message: &Message) -> (&'static str, Json) {
    (PAYLOAD, if message.payload.is_empty() { Json::Null } else { Json::Text(message.payload.clone()) })
}

/// The same, but a payload that is no UTF-8 stands as base64 under a key of its own: legal JSON whatever comes.
pub(super) fn payload_text_or_base64(message: &Message) -> (&'static str, Json) {
    match std::str::from_utf8(&message.payload) {
        Ok(_) => payload_text(message),
        Err(_) => ("payload_base64", text(&Base64::encode_string(&message.payload))),
    }
}

/// The payload as the JSON that it is, or null.
pub(super) fn payload_value(message: &Message) -> Result<(&'static str, Json), String> {
    if message.payload.is_empty() {
        return Ok((PAYLOAD, Json::Null));
    }
    serde_json::from_slice(&message.payload)
        .map(|value| (PAYLOAD, value))
        .map_err(|error| format!("Message payload is not valid JSON on topic {}. ({error})", message.topic))
}

struct Object(Vec<(Vec<u8>, Json)>);

impl Object {
    fn add(&mut self, key: &str, value: Json) {
        self.0.push((key.as_bytes().to_vec(), value));
    }
}

fn text(text: &str) -> Json {
    Json::Text(text.as_bytes().to_vec())
}

fn number_of(value: impl Into<f64>) -> Json {
    Json::Number(value.into())
}

/// In their order, but user properties together, where the first of them stands.
fn properties_of<'a>(properties: impl Iterator<Item = Property<'a>>) -> Json {
    let mut object = Object(Vec::new());
    let mut user: Option<usize> = None;
    for property in properties {
        let (key, value) = match property {
            Property::UserProperty(name, value) => {
                let pair = Json::Object(vec![(name.as_bytes().to_vec(), text(value))]);
                let at = *user.get_or_insert_with(|| {
                    object.add("user-properties", Json::List(Vec::new()));
                    object.0.len() - 1
                });
                if let Some((_, Json::List(pairs))) = object.0.get_mut(at) {
                    pairs.push(pair);
                }
                continue;
            }
            Property::PayloadFormatIndicator(value) => ("payload-format-indicator", number_of(u8::from(value))),
            Property::MessageExpiryInterval(value) => ("message-expiry-interval", number_of(value)),
            Property::ContentType(value) => ("content-type", text(value)),
            Property::ResponseTopic(value) => ("response-topic", text(value)),
            Property::CorrelationData(value) => ("correlation-data", Json::Text(value.to_vec())),
            Property::SubscriptionIdentifier(value) => ("subscription-identifier", number_of(value)),
            Property::TopicAlias(value) => ("topic-alias", number_of(value)),
            // No PUBLISH has another one.
            _ => continue,
        };
        object.add(key, value);
    }
    Json::Object(object.0)
}

impl Json {
    /// Appends it; pretty with tabs, and lists in one line.
    pub(super) fn write(&self, pretty: bool, out: &mut Vec<u8>) {
        self.write_at(0, pretty, out);
    }

    fn write_at(&self, depth: usize, pretty: bool, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Number(value) => out.extend_from_slice(number::json(*value).as_bytes()),
            Self::Text(text) => write_text(text, out),
            Self::List(values) => {
                out.push(b'[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(if pretty { b", " } else { b"," });
                    }
                    value.write_at(depth + 1, pretty, out);
                }
                out.push(b']');
            }
            Self::Object(members) => write_object(members, depth, pretty, out),
        }
    }
}

fn write_object(members: &[(Vec<u8>, Json)], depth: usize, pretty: bool, out: &mut Vec<u8>) {
    let indent = |out: &mut Vec<u8>, depth| out.extend(std::iter::repeat_n(b'\t', if pretty { depth } else { 0 }));
    let line_break = |out: &mut Vec<u8>| out.extend_from_slice(if pretty { b"\n" } else { b"" });
    out.push(b'{');
    line_break(out);
    for (index, (key, value)) in members.iter().enumerate() {
        indent(out, depth + 1);
        write_text(key, out);
        out.extend_from_slice(if pretty { b":\t" } else { b":" });
        value.write_at(depth + 1, pretty, out);
        if index + 1 < members.len() {
            out.push(b',');
        }
        line_break(out);
    }
    indent(out, depth);
    out.push(b'}');
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    // Numbers of JSON are doubles here, as in Mosquitto's clients.
    #[expect(clippy::cast_precision_loss, reason = "that is what a double can hold")]
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "that is what a double can hold")]
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Json>()? {
            members.push((key.into_bytes(), value));
        }
        Ok(Json::Object(members))
    }
}

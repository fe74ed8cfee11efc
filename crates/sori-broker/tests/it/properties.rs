//! MQTT 5.0 properties of the test client: the table of the standard, section 2.2.2.2, for what a server may send.

use std::fmt;

use super::wire::Kind;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Byte(u8),
    Two(u16),
    Four(u32),
    Variable(u32),
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pair(Vec<u8>, Vec<u8>),
}

impl Value {
    pub(crate) fn number(&self) -> u32 {
        match self {
            Value::Byte(number) => (*number).into(),
            Value::Two(number) => (*number).into(),
            Value::Four(number) | Value::Variable(number) => *number,
            other => panic!("not a number: {other:?}"),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Value::Text(bytes) | Value::Binary(bytes) => bytes,
            other => panic!("not a text: {other:?}"),
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Property {
    pub(crate) id: u8,
    pub(crate) value: Value,
}

/// Which form the value has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Byte,
    Two,
    Four,
    Variable,
    Text,
    Binary,
    Pair,
}

pub(crate) struct Row {
    pub(crate) id: u8,
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// The packets in which a server may send it.
    pub(crate) from_server: &'static [Kind],
}

const ANSWERS: &[Kind] = &[
    Kind::ConnAck,
    Kind::PubAck,
    Kind::PubRec,
    Kind::PubRel,
    Kind::PubComp,
    Kind::SubAck,
    Kind::UnsubAck,
    Kind::Disconnect,
    Kind::Auth,
];
const ALL: &[Kind] = &[
    Kind::ConnAck,
    Kind::Publish,
    Kind::PubAck,
    Kind::PubRec,
    Kind::PubRel,
    Kind::PubComp,
    Kind::SubAck,
    Kind::UnsubAck,
    Kind::Disconnect,
    Kind::Auth,
];

const fn row(id: u8, name: &'static str, form: Form, from_server: &'static [Kind]) -> Row {
    Row { id, name, form, from_server }
}

pub(crate) const TABLE: &[Row] = &[
    row(0x01, "Payload Format Indicator", Form::Byte, &[Kind::Publish]),
    row(0x02, "Message Expiry Interval", Form::Four, &[Kind::Publish]),
    row(0x03, "Content Type", Form::Text, &[Kind::Publish]),
    row(0x08, "Response Topic", Form::Text, &[Kind::Publish]),
    row(0x09, "Correlation Data", Form::Binary, &[Kind::Publish]),
    row(0x0B, "Subscription Identifier", Form::Variable, &[Kind::Publish]),
    row(0x11, "Session Expiry Interval", Form::Four, &[Kind::ConnAck]),
    row(0x12, "Assigned Client Identifier", Form::Text, &[Kind::ConnAck]),
    row(0x13, "Server Keep Alive", Form::Two, &[Kind::ConnAck]),
    row(0x15, "Authentication Method", Form::Text, &[Kind::ConnAck, Kind::Auth]),
    row(0x16, "Authentication Data", Form::Binary, &[Kind::ConnAck, Kind::Auth]),
    row(0x17, "Request Problem Information", Form::Byte, &[]),
    row(0x18, "Will Delay Interval", Form::Four, &[]),
    row(0x19, "Request Response Information", Form::Byte, &[]),
    row(0x1A, "Response Information", Form::Text, &[Kind::ConnAck]),
    row(0x1C, "Server Reference", Form::Text, &[Kind::ConnAck, Kind::Disconnect]),
    row(0x1F, "Reason String", Form::Text, ANSWERS),
    row(0x21, "Receive Maximum", Form::Two, &[Kind::ConnAck]),
    row(0x22, "Topic Alias Maximum", Form::Two, &[Kind::ConnAck]),
    row(0x23, "Topic Alias", Form::Two, &[Kind::Publish]),
    row(0x24, "Maximum QoS", Form::Byte, &[Kind::ConnAck]),
    row(0x25, "Retain Available", Form::Byte, &[Kind::ConnAck]),
    row(0x26, "User Property", Form::Pair, ALL),
    row(0x27, "Maximum Packet Size", Form::Four, &[Kind::ConnAck]),
    row(0x28, "Wildcard Subscription Available", Form::Byte, &[Kind::ConnAck]),
    row(0x29, "Subscription Identifiers Available", Form::Byte, &[Kind::ConnAck]),
    row(0x2A, "Shared Subscription Available", Form::Byte, &[Kind::ConnAck]),
];

pub(crate) fn find(id: u8) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.id == id)
}

pub(crate) fn put_variable(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = (number % 128) as u8;
        number /= 128;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let length = u16::try_from(text.len()).expect("a text of at most 65,535 bytes");
    out.extend(length.to_be_bytes());
    out.extend_from_slice(text);
}

pub(crate) fn encode_properties(properties: &[Property], out: &mut Vec<u8>) {
    let mut body = Vec::new();
    for property in properties {
        body.push(property.id);
        match &property.value {
            Value::Byte(number) => body.push(*number),
            Value::Two(number) => body.extend(number.to_be_bytes()),
            Value::Four(number) => body.extend(number.to_be_bytes()),
            Value::Variable(number) => put_variable(&mut body, *number as usize),
            Value::Text(bytes) | Value::Binary(bytes) => put_text(&mut body, bytes),
            Value::Pair(name, value) => {
                put_text(&mut body, name);
                put_text(&mut body, value);
            }
        }
    }
    put_variable(out, body.len());
    out.extend(body);
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = find(self.id).map_or("unknown property", |row| row.name);
        match &self.value {
            Value::Text(bytes) => write!(f, "{name}: \"{}\"", bytes.escape_ascii()),
            Value::Binary(bytes) => write!(f, "{name}: {bytes:02X?}"),
            Value::Pair(key, value) => write!(f, "{name}: \"{}\"=\"{}\"", key.escape_ascii(), value.escape_ascii()),
            number => write!(f, "{name}: {}", number.number()),
        }
    }
}

//! Reads what the broker sent, as strictly as the standard lets a client read it. Every test that receives a packet
//! thereby tests the rules that hold for each packet of a server; the panic names the rule.

use super::properties::{Form, Property, Value, find};
use super::wire::{Kind, Packet, Version, auth, connack, disconnect, pingresp, puback, pubcomp, publish, pubrec};
use super::wire::{pubrel, suback, unsuback};

/// The first whole packet in `bytes` and its size, or nothing when it is not all there yet.
pub(crate) fn read(version: Version, bytes: &[u8]) -> Option<(Packet, usize)> {
    let first = *bytes.first()?;
    let (length, digits) = variable(bytes.get(1..)?)?;
    let start = 1 + digits;
    let body = bytes.get(start..start + length)?;
    Some((packet(version, first, &mut Reader { rest: body }), start + length))
}

/// [MQTT-1.5.5-1] A variable byte integer has at most four bytes and no more than it needs.
fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (position, byte) in bytes.iter().enumerate() {
        assert!(position < 4, "variable byte integer of more than four bytes");
        number |= usize::from(byte & 0x7F) << (7 * position);
        if byte & 0x80 == 0 {
            assert!(position == 0 || *byte != 0, "[MQTT-1.5.5-1] variable byte integer is longer than needed");
            return Some((number, position + 1));
        }
    }
    None
}

fn packet(version: Version, first: u8, body: &mut Reader<'_>) -> Packet {
    let flags = first & 0x0F;
    let kind = first >> 4;
    if kind != 3 {
        let right = if kind == 6 { 0b0010 } else { 0 };
        assert_eq!(flags, right, "[MQTT-2.1.3-1] [MQTT311-2.2.2-1] reserved flags of packet type {kind}");
    }
    let v5 = version == Version::V5;
    let packet = match kind {
        2 => read_connack(v5, body),
        3 => read_publish(v5, flags, body),
        4 => with_code(v5, puback(body.id()), body),
        5 => with_code(v5, pubrec(body.id()), body),
        6 => with_code(v5, pubrel(body.id()), body),
        7 => with_code(v5, pubcomp(body.id()), body),
        9 => with_codes(v5, suback(body.id(), &[]), body),
        11 => with_codes(v5, unsuback(body.id(), &[]), body),
        13 => pingresp(),
        14 if v5 => with_code(v5, disconnect(), body),
        15 if v5 => with_code(v5, auth(0), body),
        _ => panic!("a server never sends packet type {kind} to a client of {version:?}"),
    };
    assert!(body.rest.is_empty(), "bytes left after the end of {packet}");
    check_codes(version, &packet);
    packet
}

fn read_connack(v5: bool, body: &mut Reader<'_>) -> Packet {
    let flags = body.byte();
    assert!(flags <= 1, "[MQTT-3.2.2-1] connect acknowledge flags {flags:#04X}");
    let packet = Packet { session_present: flags == 1, code: body.byte(), ..connack() };
    let packet = with_properties(v5, packet, body);
    if packet.code != 0 {
        assert!(!packet.session_present, "[MQTT-3.2.2-6] [MQTT311-3.2.2-4] session present in a refusal");
    }
    packet
}

fn read_publish(v5: bool, flags: u8, body: &mut Reader<'_>) -> Packet {
    let topic = body.text();
    let qos = flags >> 1 & 3;
    assert_ne!(qos, 3, "[MQTT-3.3.1-4] QoS 3");
    let dup = flags & 8 != 0;
    assert!(!(dup && qos == 0), "[MQTT-3.3.1-2] [MQTT-4.3.1-1] DUP on a QoS 0 message");
    let wildcard = topic.iter().any(|byte| matches!(byte, b'+' | b'#'));
    assert!(!wildcard, "[MQTT-3.3.2-2] [MQTT311-3.3.2-2] wildcard in the topic name {:?}", topic.escape_ascii());
    // [MQTT-2.2.1-2] [MQTT311-2.3.1-5] At QoS 0 there is no identifier; else the length would not come out.
    let id = (qos > 0).then(|| body.id());
    let mut packet = with_properties(v5, Packet { dup, qos, retain: flags & 1 != 0, id, ..publish(&topic) }, body);
    packet.payload = body.all().to_vec();
    assert!(!topic.is_empty() || packet.has(0x23), "[MQTT-4.7.3-1] empty topic name without an alias");
    packet
}

fn with_code(v5: bool, mut packet: Packet, body: &mut Reader<'_>) -> Packet {
    if v5 && !body.rest.is_empty() {
        packet.code = body.byte();
        if !body.rest.is_empty() {
            packet = with_properties(v5, packet, body);
        }
    }
    packet
}

fn with_codes(v5: bool, packet: Packet, body: &mut Reader<'_>) -> Packet {
    let mut packet = with_properties(v5, packet, body);
    packet.codes = body.all().to_vec();
    packet
}

fn with_properties(v5: bool, mut packet: Packet, body: &mut Reader<'_>) -> Packet {
    if !v5 {
        return packet;
    }
    let (length, digits) = variable(body.rest).expect("[MQTT-2.2.2-1] a property length");
    body.take(digits);
    let mut inside = Reader { rest: body.take(length) };
    while !inside.rest.is_empty() {
        let property = inside.property(packet.kind);
        let repeats = property.id == 0x26 || (property.id == 0x0B && packet.kind == Kind::Publish);
        assert!(repeats || !packet.has(property.id), "a property twice: {property}");
        packet.properties.push(property);
    }
    packet
}

/// The reason codes that the standard lists for each packet, as far as a server may send them.
fn check_codes(version: Version, packet: &Packet) {
    let codes: &[u8] = match (version, packet.kind) {
        (Version::V5, Kind::ConnAck) => &[
            0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A,
            0x9B, 0x9C, 0x9D, 0x9F,
        ],
        (_, Kind::ConnAck) => &[0, 1, 2, 3, 4, 5],
        (_, Kind::PubAck | Kind::PubRec) => &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
        (_, Kind::PubRel | Kind::PubComp) => &[0, 0x92],
        (Version::V5, Kind::SubAck) => &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2],
        (Version::V311, Kind::SubAck) => &[0, 1, 2, 0x80],
        (Version::V31, Kind::SubAck) => &[0, 1, 2],
        (Version::V5, Kind::UnsubAck) => &[0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91],
        (_, Kind::Disconnect) => &[
            0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
            0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
        ],
        (_, Kind::Auth) => &[0, 0x18],
        _ => &[0],
    };
    let all = packet.codes.iter().chain([&packet.code]);
    for code in all {
        assert!(codes.contains(code), "reason code {code:#04X} is not one of this packet's: {packet}");
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(length).expect("the packet ends too early");
        self.rest = rest;
        taken
    }

    fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    fn number(&mut self, bytes: usize) -> u32 {
        self.take(bytes).iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    fn byte(&mut self) -> u8 {
        self.number(1) as u8
    }

    fn id(&mut self) -> u16 {
        let id = self.number(2) as u16;
        assert_ne!(id, 0, "[MQTT-2.2.1-4] packet identifier 0");
        id
    }

    fn binary(&mut self) -> Vec<u8> {
        let length = self.number(2) as usize;
        self.take(length).to_vec()
    }

    /// [MQTT-1.5.4-1] [MQTT-1.5.4-2] Well-formed UTF-8 (Rust's has no surrogates either) without U+0000.
    fn text(&mut self) -> Vec<u8> {
        let bytes = self.binary();
        assert!(std::str::from_utf8(&bytes).is_ok(), "[MQTT-1.5.4-1] not UTF-8: {}", bytes.escape_ascii());
        assert!(!bytes.contains(&0), "[MQTT-1.5.4-2] U+0000 in a text: {}", bytes.escape_ascii());
        bytes
    }

    fn property(&mut self, kind: Kind) -> Property {
        let id = self.byte();
        let row = find(id).unwrap_or_else(|| panic!("unknown property {id:#04X} in {kind:?}"));
        assert!(row.from_server.contains(&kind), "{} in {kind:?} from a server", row.name);
        let value = match row.form {
            Form::Byte => Value::Byte(self.byte()),
            Form::Two => Value::Two(self.number(2) as u16),
            Form::Four => Value::Four(self.number(4)),
            Form::Variable => {
                let (number, digits) = variable(self.rest).expect("a variable byte integer");
                self.take(digits);
                Value::Variable(number as u32)
            }
            Form::Text => Value::Text(self.text()),
            Form::Binary => Value::Binary(self.binary()),
            Form::Pair => Value::Pair(self.text(), self.text()),
        };
        let property = Property { id, value };
        let never_zero = matches!(id, 0x0B | 0x21 | 0x23 | 0x27);
        assert!(!(never_zero && property.value.number() == 0), "{property}");
        let bit = matches!(id, 0x01 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A);
        assert!(!bit || property.value.number() <= 1, "{property}");
        property
    }
}

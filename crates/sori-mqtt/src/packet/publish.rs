//! PUBLISH: one message.

use alloc::vec::Vec;

use crate::property::Place;
use crate::reader::Reader;
use crate::{
    DecodeError, Direction, Frame, PacketId, PacketType, Properties, QoS, TopicError, TopicName, Version, writer,
};

const DUP: u8 = 0b1000;
const RETAIN: u8 = 0b0001;

/// A message on its way, in either direction.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Publish<'a> {
    /// The same packet may have been sent before.
    pub dup: bool,
    /// How it is acknowledged.
    pub qos: QoS,
    /// To a server: keep it for new subscriptions. To a client: it was kept.
    pub retain: bool,
    /// The topic name; in MQTT 5.0 empty if a topic alias stands for it.
    pub topic: &'a str,
    /// There is one exactly if the QoS is not 0. [MQTT-2.2.1-2] [MQTT311-2.3.1-5]
    pub packet_id: Option<PacketId>,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
    /// The message itself, any bytes.
    pub payload: &'a [u8],
}

/// Decodes a PUBLISH: the same as [`crate::decode`], for those who know the type already.
///
/// # Errors
///
/// A frame that is not a legal PUBLISH of this version in this direction.
#[inline]
pub fn decode_publish(frame: Frame<'_>, version: Version, direction: Direction) -> Result<Publish<'_>, DecodeError> {
    debug_assert_eq!(frame.packet_type(), Some(PacketType::Publish));
    match decode_fields(frame, version, direction) {
        Ok(publish) => Ok(publish),
        Err(error) => Err(error.in_packet(PacketType::Publish).with_version(version)),
    }
}

#[inline]
fn decode_fields(frame: Frame<'_>, version: Version, direction: Direction) -> Result<Publish<'_>, DecodeError> {
    let (dup, retain) = (frame.first & DUP != 0, frame.first & RETAIN != 0);
    let Some(qos) = QoS::from_u8(frame.first >> 1 & 0b11) else {
        // [MQTT-3.3.1-4] [MQTT311-3.3.1-4]
        return Err(DecodeError::malformed("QoS", "is 3"));
    };
    // [MQTT-3.3.1-2] [MQTT311-3.3.1-2]; MQTT 3.1 has no such rule.
    if dup && qos == QoS::AtMostOnce && version != Version::V31 {
        return Err(DecodeError::malformed("DUP", "is set at QoS 0"));
    }
    let mut reader = Reader::new(frame.body);
    let topic = read_topic(&mut reader, version)?;
    // [MQTT-2.2.1-2] [MQTT311-2.3.1-5]
    let packet_id = if qos == QoS::AtMostOnce { None } else { Some(reader.packet_id(PacketType::Publish)?) };
    let properties = if version.is_v5() {
        Properties::read(&mut reader, Place::Packet(PacketType::Publish), direction)?
    } else {
        Properties::EMPTY
    };
    if topic.is_empty() && properties.topic_alias().is_none() {
        return Err(DecodeError::malformed("topic name", "is empty, and there is no topic alias"));
    }
    Ok(Publish { dup, qos, retain, topic, packet_id, properties, payload: reader.rest() })
}

/// [MQTT-3.3.2-1] [MQTT311-3.3.2-1]
#[inline]
fn read_topic<'a>(reader: &mut Reader<'a>, version: Version) -> Result<&'a str, DecodeError> {
    let topic = reader.unchecked_string("topic name")?;
    match TopicName::new(topic) {
        Ok(name) => Ok(name.as_str()),
        // A topic alias may stand for the name; whether there is one is known after the properties.
        Err(TopicError::Empty) if version.is_v5() => Ok(topic),
        // [MQTT-3.3.2-2] [MQTT311-3.3.2-2]; the standard has Topic Name Invalid as well, Mosquitto says Malformed Packet.
        Err(error) => Err(DecodeError::malformed("topic name", error.text())),
    }
}

impl Publish<'_> {
    /// Appends the packet, or nothing if it is larger than any packet can be.
    #[inline]
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if self.encode_head(version, self.payload, out) {
            out.extend_from_slice(self.payload);
        }
    }

    /// Appends the packet but for its payload, which is the caller's to write behind it. False, and nothing appended, if
    /// the packet is larger than any packet can be.
    #[inline]
    #[must_use]
    pub fn encode_without_payload(&self, version: Version, out: &mut Vec<u8>) -> bool {
        self.encode_head(version, &[], out)
    }

    #[inline]
    fn encode_head(&self, version: Version, follows: &[u8], out: &mut Vec<u8>) -> bool {
        debug_assert_eq!(self.packet_id.is_some(), self.qos != QoS::AtMostOnce);
        let flags = u8::from(self.dup) << 3 | (self.qos as u8) << 1 | u8::from(self.retain);
        let body_len = self.body_len(version);
        let room = body_len - self.payload.len() + follows.len();
        if !writer::fixed_header_with_room((PacketType::Publish as u8) << 4 | flags, body_len, room, out) {
            return false;
        }
        writer::string(self.topic, out);
        if let Some(packet_id) = self.packet_id {
            writer::packet_id(packet_id, out);
        }
        if version.is_v5() {
            self.properties.encode(out);
        }
        true
    }

    /// The size of the packet in bytes.
    #[must_use]
    #[inline]
    pub fn encoded_len(&self, version: Version) -> usize {
        writer::packet_len(self.body_len(version))
    }

    #[inline]
    fn body_len(&self, version: Version) -> usize {
        let packet_id = if self.packet_id.is_some() { 2 } else { 0 };
        let properties = if version.is_v5() { self.properties.encoded_len() } else { 0 };
        writer::string_len(self.topic) + packet_id + properties + self.payload.len()
    }
}

//! The records of the store's file, in the frames of [`sori_store`]; all numbers little-endian:
//!
//! ```text
//!  accepted  1, number u64, flags u8 (QoS, +4 retain), topic length u32, properties length u32, payload length u32,
//!            topic, properties, payload
//!  done      2, number u64
//!  sent      3, number u64, packet identifier u16      written before the PUBLISH that has it
//!  released  4, number u64                             PUBREC has come; written before the PUBREL
//!  forgotten 5, 0 u64                                  the session is gone: nothing is sent or released any more
//! ```

use sori_mqtt::{PacketId, Properties, Publish, QoS};

const ACCEPTED: u8 = 1;
const DONE: u8 = 2;
const SENT: u8 = 3;
const RELEASED: u8 = 4;
const FORGOTTEN: u8 = 5;
/// Kind, number.
const SHORT_BYTES: usize = 9;
/// Kind, number, flags, three lengths.
const HEAD_BYTES: usize = 22;

/// One record, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// The whole of it: what a checkpoint writes once more.
    Accepted(&'a [u8]),
    Done,
    Sent(PacketId),
    Released,
    Forgotten,
}

/// The first record of these bytes, the number of its message, and what is left.
pub(super) fn split(bytes: &[u8]) -> Option<(u64, Record<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(SHORT_BYTES)?;
    let number = u64::from_le_bytes(head[1..].try_into().ok()?);
    let (record, rest) = match head[0] {
        ACCEPTED => {
            let length = encoded_len(&decode(bytes)?);
            (Record::Accepted(&bytes[..length]), &bytes[length..])
        }
        DONE => (Record::Done, rest),
        SENT => {
            let (packet_id, rest) = rest.split_at_checked(2)?;
            (Record::Sent(PacketId::new(u16::from_le_bytes(packet_id.try_into().ok()?))?), rest)
        }
        RELEASED => (Record::Released, rest),
        FORGOTTEN => (Record::Forgotten, rest),
        _ => return None,
    };
    Some((number, record, rest))
}

fn short(kind: u8, number: u64) -> Vec<u8> {
    [&[kind][..], &number.to_le_bytes()].concat()
}

pub(super) fn done(number: u64) -> Vec<u8> {
    short(DONE, number)
}

pub(super) fn sent(number: u64, packet_id: PacketId) -> Vec<u8> {
    [&short(SENT, number)[..], &packet_id.value().to_le_bytes()].concat()
}

pub(super) fn released(number: u64) -> Vec<u8> {
    short(RELEASED, number)
}

pub(super) fn forgotten() -> Vec<u8> {
    short(FORGOTTEN, 0)
}

/// How long the record of an accepted message is.
pub(super) fn encoded_len(publish: &Publish<'_>) -> usize {
    HEAD_BYTES + publish.topic.len() + publish.properties.bytes().len() + publish.payload.len()
}

/// The record of an accepted message.
pub(super) fn accepted(number: u64, publish: &Publish<'_>) -> Vec<u8> {
    let parts = [publish.topic.as_bytes(), publish.properties.bytes(), publish.payload];
    let mut record = Vec::with_capacity(encoded_len(publish));
    record.push(ACCEPTED);
    record.extend(number.to_le_bytes());
    record.push(publish.qos as u8 | if publish.retain { 4 } else { 0 });
    for part in parts {
        // No packet is longer.
        record.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    record.extend(parts.concat());
    record
}

/// The message of such a record, which may be followed by others.
pub(super) fn decode(record: &[u8]) -> Option<Publish<'_>> {
    let head = record.get(..HEAD_BYTES)?;
    let length = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?) as usize);
    let flags = head[9];
    let (topic, rest) = record[HEAD_BYTES..].split_at_checked(length(10)?)?;
    let (properties, rest) = rest.split_at_checked(length(14)?)?;
    let payload = rest.get(..length(18)?)?;
    Some(Publish {
        dup: false,
        qos: if flags & 3 == 2 { QoS::ExactlyOnce } else { QoS::AtLeastOnce },
        retain: flags & 4 != 0,
        topic: std::str::from_utf8(topic).ok()?,
        packet_id: None,
        properties: Properties::from_checked(properties),
        payload,
    })
}

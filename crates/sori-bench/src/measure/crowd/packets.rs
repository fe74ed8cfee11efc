//! What clients of a crowd say, and as much of what they hear as they look at.

use std::io;

use sori_mqtt::{
    Connect, Frame, PacketId, Properties, Property, PropertyBuffer, Publish, QoS, Subscribe, SubscribeOptions,
    TopicFilter, Version,
};

pub(super) const PUBACK: u8 = 0x40;
pub(super) const PUBREC: u8 = 0x50;
pub(super) const PUBREL: u8 = 0x62;
pub(super) const PUBCOMP: u8 = 0x70;

/// Long enough that nobody has to say that it is there.
const KEEP_ALIVE: u16 = 3600;

pub(super) fn connect(out: &mut Vec<u8>, version: Version, client_id: &str, is_kept: bool) {
    let mut properties = PropertyBuffer::new();
    if version.is_v5() && is_kept {
        properties.push(Property::SessionExpiryInterval(3600));
    }
    Connect {
        version,
        bridge: false,
        clean_start: !is_kept,
        keep_alive: KEEP_ALIVE,
        client_id,
        will: None,
        user_name: None,
        password: None,
        properties: properties.as_properties(),
    }
    .encode(out);
}

pub(super) fn subscribe(
    out: &mut Vec<u8>,
    version: Version,
    packet_id: PacketId,
    filters: &[String],
    qos: QoS,
) -> io::Result<()> {
    let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
    let filters = filters.iter().map(|filter| TopicFilter::new(filter).map(|filter| (filter, options)));
    let filters = filters.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    Subscribe::new(packet_id, Properties::EMPTY, &filters).encode(version, out);
    Ok(())
}

/// A PUBLISH that is written again and again, with a stamp at the beginning of its payload.
pub(in crate::measure) struct Template {
    bytes: Vec<u8>,
    /// Where the packet identifier is; only above QoS 0.
    packet_id_at: Option<usize>,
    stamp_at: usize,
}

/// When a message was sent, in nanoseconds of the exchange, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) sent_at: u64,
    pub(super) publisher: u32,
}

/// Bytes of a stamp: no payload is smaller.
const STAMP_SIZE: usize = 12;

impl Stamp {
    pub(super) fn read(payload: &[u8]) -> Option<Stamp> {
        let (sent_at, rest) = payload.split_first_chunk()?;
        let (publisher, _) = rest.split_first_chunk()?;
        Some(Stamp { sent_at: u64::from_be_bytes(*sent_at), publisher: u32::from_be_bytes(*publisher) })
    }
}

impl Template {
    pub(in crate::measure) fn new(version: Version, topic: &str, qos: QoS, retain: bool, size: usize) -> Template {
        let packet_id = (qos != QoS::AtMostOnce).then_some(PacketId::FIRST);
        let payload = vec![b'.'; size.max(STAMP_SIZE)];
        let mut bytes = Vec::new();
        Publish { dup: false, qos, retain, topic, packet_id, properties: Properties::EMPTY, payload: &payload }
            .encode(version, &mut bytes);
        let stamp_at = bytes.len() - payload.len();
        // The identifier stands in front of the properties, which are one byte: that there are none.
        let packet_id_at = packet_id.map(|_| stamp_at - usize::from(version.is_v5()) - 2);
        Template { bytes, packet_id_at, stamp_at }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, packet_id: PacketId, stamp: Stamp) {
        let from = out.len();
        out.extend_from_slice(&self.bytes);
        let packet = &mut out[from..];
        if let Some(at) = self.packet_id_at {
            packet[at..at + 2].copy_from_slice(&packet_id.value().to_be_bytes());
        }
        let place = &mut packet[self.stamp_at..self.stamp_at + STAMP_SIZE];
        place[..8].copy_from_slice(&stamp.sent_at.to_be_bytes());
        place[8..].copy_from_slice(&stamp.publisher.to_be_bytes());
    }
}

pub(super) enum Heard<'a> {
    Publish {
        qos: QoS,
        packet_id: [u8; 2],
        payload: &'a [u8],
    },
    PubRec([u8; 2]),
    PubRel([u8; 2]),
    Acknowledged,
    /// Nothing that comes often.
    Other,
}

/// Taken apart by hand, and only as far as it must be: the broker is what is measured.
pub(super) fn heard(frame: Frame<'_>, version: Version) -> Heard<'_> {
    if let (3, Some((qos, packet_id, payload))) = (frame.first >> 4, publish(frame, version)) {
        return Heard::Publish { qos, packet_id, payload };
    }
    match (frame.first >> 4, frame.body) {
        // A reason code from 0x80 on says that it was refused.
        (4..=7, [_, _, reason, ..]) if *reason >= 0x80 => Heard::Other,
        (4 | 7, _) => Heard::Acknowledged,
        (5, &[high, low, ..]) => Heard::PubRec([high, low]),
        (6, &[high, low, ..]) => Heard::PubRel([high, low]),
        _ => Heard::Other,
    }
}

fn publish(frame: Frame<'_>, version: Version) -> Option<(QoS, [u8; 2], &[u8])> {
    let qos = QoS::from_u8(frame.first >> 1 & 3)?;
    let (length, rest) = frame.body.split_first_chunk()?;
    let mut rest = rest.get(usize::from(u16::from_be_bytes(*length))..)?;
    let mut packet_id = [0; 2];
    if qos != QoS::AtMostOnce {
        (packet_id, rest) = rest.split_first_chunk().map(|(id, rest)| (*id, rest))?;
    }
    if version.is_v5() {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let (byte, after) = rest.split_first()?;
            rest = after;
            length |= usize::from(byte & 0x7F) << shift;
            if *byte < 0x80 {
                break;
            }
        }
        rest = rest.get(length..)?;
    }
    Some((qos, packet_id, rest))
}

#[cfg(test)]
mod tests {
    use sori_mqtt::{Split, split};

    use super::*;

    #[test]
    fn what_a_template_writes_is_heard_with_its_identifier_and_its_stamp() {
        for version in [Version::V311, Version::V5] {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let mut bytes = Vec::new();
                let stamp = Stamp { sent_at: 1 << 40, publisher: 77 };
                let packet_id = PacketId::new(0x1234).expect("not 0");
                Template::new(version, "a/b", qos, false, 300).write(&mut bytes, packet_id, stamp);
                let Ok(Split::Frame(frame)) = split(&bytes, usize::MAX) else { unreachable!("it is whole") };
                let Heard::Publish { qos: heard, packet_id, payload } = heard(frame, version) else {
                    unreachable!("it is a PUBLISH")
                };
                assert_eq!((heard, payload.len(), Stamp::read(payload)), (qos, 300, Some(stamp)));
                assert_eq!(packet_id, if qos == QoS::AtMostOnce { [0, 0] } else { [0x12, 0x34] });
            }
        }
    }

    #[test]
    fn a_refusal_is_not_an_acknowledgement() {
        let puback = |reason: &'static [u8]| Frame { first: PUBACK, body: reason, size: reason.len() + 2 };
        assert!(matches!(heard(puback(&[0, 1]), Version::V311), Heard::Acknowledged));
        assert!(matches!(heard(puback(&[0, 1, 0x10]), Version::V5), Heard::Acknowledged));
        assert!(matches!(heard(puback(&[0, 1, 0x97]), Version::V5), Heard::Other));
    }
}

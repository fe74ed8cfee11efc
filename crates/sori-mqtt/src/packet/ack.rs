//! PUBACK, PUBREC, PUBREL and PUBCOMP: four packets of one form.

use alloc::vec::Vec;

use super::{Packet, encode_reason_and_properties, read_reason_and_properties, reason_and_properties_len};
use crate::reader::Reader;
use crate::{DecodeError, Direction, Frame, PacketId, PacketType, Properties, ReasonCode, Version, writer};

/// The body of a PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Ack<'a> {
    /// The identifier of the PUBLISH. [MQTT-2.2.1-5] [MQTT311-2.3.1-6]
    pub packet_id: PacketId,
    /// Always `Success` before MQTT 5.0.
    pub reason_code: ReasonCode,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP in its shortest form, which is the same in all versions: success, without properties.
/// Whatever is not of this form is `None`, legal or not.
#[inline]
pub(super) fn decode_short(frame: Frame<'_>) -> Option<Packet<'static>> {
    let [high, low] = frame.body else { return None };
    let ack = Ack::success(PacketId::new(u16::from_be_bytes([*high, *low]))?);
    match frame.first {
        0x40 => Some(Packet::PubAck(ack)),
        0x50 => Some(Packet::PubRec(ack)),
        0x62 => Some(Packet::PubRel(ack)),
        0x70 => Some(Packet::PubComp(ack)),
        _ => None,
    }
}

impl<'a> Ack<'a> {
    /// Success, without properties.
    #[must_use]
    pub const fn success(packet_id: PacketId) -> Self {
        Self { packet_id, reason_code: ReasonCode::Success, properties: Properties::EMPTY }
    }

    /// [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
    pub(super) fn decode(
        kind: PacketType,
        mut reader: Reader<'a>,
        version: Version,
        direction: Direction,
    ) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id(kind)?;
        if !version.is_v5() {
            reader.end()?;
            return Ok(Self::success(packet_id));
        }
        let (reason_code, properties) = read_reason_and_properties(reader, kind, direction)?;
        Ok(Self { packet_id, reason_code, properties })
    }

    /// Appends the packet of type `kind`, which is PUBACK, PUBREC, PUBREL or PUBCOMP.
    #[inline]
    pub fn encode(&self, kind: PacketType, version: Version, out: &mut Vec<u8>) {
        debug_assert!(self.reason_code.allowed_in(kind), "the reason code belongs to the packet");
        if self.reason_code == ReasonCode::Success && self.properties.is_empty() {
            let [high, low] = self.packet_id.value().to_be_bytes();
            return out.extend_from_slice(&[kind.first_byte(), 2, high, low]);
        }
        if !writer::fixed_header(kind.first_byte(), self.body_len(version), out) {
            return;
        }
        writer::packet_id(self.packet_id, out);
        if version.is_v5() {
            encode_reason_and_properties(self.reason_code, self.properties, out);
        }
    }

    /// The size of the packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        writer::packet_len(self.body_len(version))
    }

    fn body_len(&self, version: Version) -> usize {
        2 + if version.is_v5() { reason_and_properties_len(self.reason_code, self.properties) } else { 0 }
    }
}

//! UNSUBACK: the server's answer to UNSUBSCRIBE.

use alloc::vec::Vec;

use crate::property::Place;
use crate::reader::Reader;
use crate::{DecodeError, Direction, PacketId, PacketType, Properties, ReasonCode, Version, writer};

/// An UNSUBACK packet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct UnsubAck<'a> {
    /// The identifier of the UNSUBSCRIBE. [MQTT-2.2.1-6] [MQTT311-2.3.1-7]
    pub packet_id: PacketId,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
    /// One reason code for each filter, in their order, each one that UNSUBACK may carry; before MQTT 5.0 none.
    pub reason_codes: &'a [u8],
}

impl<'a> UnsubAck<'a> {
    /// [MQTT-3.11.3-2]
    pub(super) fn decode(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id(PacketType::UnsubAck)?;
        if !version.is_v5() {
            reader.end()?;
            return Ok(Self { packet_id, properties: Properties::EMPTY, reason_codes: &[] });
        }
        let place = Place::Packet(PacketType::UnsubAck);
        let properties = Properties::read(&mut reader, place, Direction::ToClient)?;
        let reason_codes = reader.rest();
        if reason_codes.is_empty() {
            return Err(DecodeError::protocol("list of reason codes", "is empty"));
        }
        let allowed =
            |code: &u8| ReasonCode::from_u8(*code).is_some_and(|reason| reason.allowed_in(PacketType::UnsubAck));
        if !reason_codes.iter().all(allowed) {
            return Err(DecodeError::protocol("reason code", "does not belong here"));
        }
        Ok(Self { packet_id, properties, reason_codes })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if !writer::fixed_header(PacketType::UnsubAck.first_byte(), self.body_len(version), out) {
            return;
        }
        writer::packet_id(self.packet_id, out);
        if version.is_v5() {
            self.properties.encode(out);
            out.extend_from_slice(self.reason_codes);
        }
    }

    /// The size of the packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        writer::packet_len(self.body_len(version))
    }

    fn body_len(&self, version: Version) -> usize {
        2 + if version.is_v5() { self.properties.encoded_len() + self.reason_codes.len() } else { 0 }
    }
}

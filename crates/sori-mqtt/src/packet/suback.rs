//! SUBACK: the server's answer to SUBSCRIBE.

use alloc::vec::Vec;

use crate::property::Place;
use crate::reader::Reader;
use crate::{DecodeError, Direction, PacketId, PacketType, Properties, ReasonCode, Version, writer};

/// The only return code before MQTT 5.0 that says no.
const FAILURE: u8 = 0x80;

/// A SUBACK packet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct SubAck<'a> {
    /// The identifier of the SUBSCRIBE. [MQTT-2.2.1-6] [MQTT311-2.3.1-7]
    pub packet_id: PacketId,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
    /// One reason code for each filter, in their order; each is one that SUBACK may carry.
    pub reason_codes: &'a [u8],
}

impl<'a> SubAck<'a> {
    /// [MQTT-3.9.3-2] [MQTT311-3.9.3-2]
    pub(super) fn decode(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id(PacketType::SubAck)?;
        let properties = if version.is_v5() {
            Properties::read(&mut reader, Place::Packet(PacketType::SubAck), Direction::ToClient)?
        } else {
            Properties::EMPTY
        };
        let reason_codes = reader.rest();
        if reason_codes.is_empty() {
            return Err(DecodeError::protocol("list of reason codes", "is empty"));
        }
        if !reason_codes.iter().all(|code| allowed(*code, version)) {
            return Err(DecodeError::protocol("reason code", "does not belong here"));
        }
        Ok(Self { packet_id, properties, reason_codes })
    }

    /// Appends the packet. Before MQTT 5.0 every failure becomes 0x80.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if !writer::fixed_header(PacketType::SubAck.first_byte(), self.body_len(version), out) {
            return;
        }
        writer::packet_id(self.packet_id, out);
        if version.is_v5() {
            self.properties.encode(out);
            out.extend_from_slice(self.reason_codes);
        } else {
            out.extend(self.reason_codes.iter().map(|code| (*code).min(FAILURE)));
        }
    }

    /// The size of the packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        writer::packet_len(self.body_len(version))
    }

    fn body_len(&self, version: Version) -> usize {
        2 + if version.is_v5() { self.properties.encoded_len() } else { 0 } + self.reason_codes.len()
    }
}

fn allowed(code: u8, version: Version) -> bool {
    if version.is_v5() {
        ReasonCode::from_u8(code).is_some_and(|reason| reason.allowed_in(PacketType::SubAck))
    } else {
        // MQTT 3.1 has no failure code, but brokers send 0x80 there as well.
        matches!(code, 0..=2 | FAILURE)
    }
}

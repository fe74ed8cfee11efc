//! DISCONNECT: the last packet of a connection.

use alloc::vec::Vec;

use super::{encode_reason_and_properties, read_reason_and_properties, reason_and_properties_len};
use crate::reader::Reader;
use crate::{DecodeError, Direction, PacketType, Properties, ReasonCode, Version, writer};

/// A whole DISCONNECT without reason code and properties, which is the only one before MQTT 5.0.
pub const DISCONNECT: [u8; 2] = [PacketType::Disconnect.first_byte(), 0];

/// A DISCONNECT packet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Disconnect<'a> {
    /// Why the connection ends; always `Success` before MQTT 5.0.
    pub reason_code: ReasonCode,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    /// [MQTT-3.14.2-1]
    pub(super) fn decode(reader: Reader<'a>, version: Version, direction: Direction) -> Result<Self, DecodeError> {
        if !version.is_v5() {
            if direction == Direction::ToClient {
                return Err(DecodeError::protocol("packet", "is not for a server to send before MQTT 5.0"));
            }
            reader.end()?;
            return Ok(Self { reason_code: ReasonCode::Success, properties: Properties::EMPTY });
        }
        let (reason_code, properties) = read_reason_and_properties(reader, PacketType::Disconnect, direction)?;
        Ok(Self { reason_code, properties })
    }

    /// Appends the packet.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if !version.is_v5() {
            out.extend_from_slice(&DISCONNECT);
        } else if writer::fixed_header(PacketType::Disconnect.first_byte(), self.body_len(), out) {
            encode_reason_and_properties(self.reason_code, self.properties, out);
        }
    }

    /// The size of the packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        if version.is_v5() { writer::packet_len(self.body_len()) } else { DISCONNECT.len() }
    }

    fn body_len(&self) -> usize {
        reason_and_properties_len(self.reason_code, self.properties)
    }
}

//! AUTH: a step of extended authentication, MQTT 5.0 only.

use alloc::vec::Vec;

use super::{encode_reason_and_properties, read_reason_and_properties, reason_and_properties_len};
use crate::reader::Reader;
use crate::{DecodeError, Direction, PacketType, Properties, ReasonCode, Version, writer};

/// An AUTH packet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Auth<'a> {
    /// Where the authentication stands.
    pub reason_code: ReasonCode,
    /// Authentication method and data among them.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    /// [MQTT-3.15.2-1]
    pub(super) fn decode(reader: Reader<'a>, direction: Direction) -> Result<Self, DecodeError> {
        let (reason_code, properties) = read_reason_and_properties(reader, PacketType::Auth, direction)?;
        // [MQTT-4.12.0-5]
        if properties.authentication_method().is_none() {
            return Err(DecodeError::protocol("authentication method", "is missing"));
        }
        Ok(Self { reason_code, properties })
    }

    /// Appends the packet; before MQTT 5.0 there is none, and nothing is appended.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        if version.is_v5() && writer::fixed_header(PacketType::Auth.first_byte(), self.body_len(), out) {
            encode_reason_and_properties(self.reason_code, self.properties, out);
        }
    }

    /// The size of the packet in bytes.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        if version.is_v5() { writer::packet_len(self.body_len()) } else { 0 }
    }

    fn body_len(&self) -> usize {
        reason_and_properties_len(self.reason_code, self.properties)
    }
}

//! CONNACK: the server's answer to CONNECT.

use alloc::vec::Vec;

use super::read_reason_code;
use crate::property::Place;
use crate::reader::Reader;
use crate::{DecodeError, Direction, PacketType, Properties, ReasonCode, Version, writer};

/// A CONNACK packet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct ConnAck<'a> {
    /// The server kept the session; it does not exist in MQTT 3.1.
    pub session_present: bool,
    /// `Success`, or why the server refuses.
    pub reason_code: ReasonCode,
    /// MQTT 5.0 only.
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    pub(super) fn decode(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let flags = reader.byte("acknowledge flags")?;
        // [MQTT-3.2.2-1]; MQTT 3.1 does not use this byte at all.
        if flags > 1 && version != Version::V31 {
            return Err(DecodeError::malformed("acknowledge flags", "have a reserved bit set"));
        }
        let session_present = flags & 1 != 0 && version != Version::V31;
        let (reason_code, properties) = if version.is_v5() {
            // [MQTT-3.2.2-8]
            let reason_code = read_reason_code(&mut reader, PacketType::ConnAck, Direction::ToClient)?;
            let place = Place::Packet(PacketType::ConnAck);
            (reason_code, Properties::read(&mut reader, place, Direction::ToClient)?)
        } else {
            let Some(reason_code) = ReasonCode::from_connect_return_code(reader.byte("return code")?) else {
                return Err(DecodeError::protocol("return code", "is above 5"));
            };
            (reason_code, Properties::EMPTY)
        };
        reader.end()?;
        // [MQTT-3.2.2-6] [MQTT311-3.2.2-4]
        if session_present && reason_code != ReasonCode::Success {
            return Err(DecodeError::protocol("session present", "is set in a refusal"));
        }
        Ok(Self { session_present, reason_code, properties })
    }

    /// Appends the packet. Before MQTT 5.0, nothing is appended if no return code fits the reason: the connection is
    /// closed without a CONNACK then. [MQTT311-3.2.2-6]
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let Some(code) = self.code(version) else { return };
        if !writer::fixed_header(PacketType::ConnAck.first_byte(), self.body_len(version), out) {
            return;
        }
        // [MQTT-3.2.2-6] [MQTT311-3.2.2-4]; in MQTT 3.1 the byte is always 0.
        let session_present =
            self.session_present && self.reason_code == ReasonCode::Success && version != Version::V31;
        out.extend_from_slice(&[u8::from(session_present), code]);
        if version.is_v5() {
            self.properties.encode(out);
        }
    }

    /// The bytes that `encode` appends.
    #[must_use]
    pub fn encoded_len(&self, version: Version) -> usize {
        if self.code(version).is_some() { writer::packet_len(self.body_len(version)) } else { 0 }
    }

    fn code(&self, version: Version) -> Option<u8> {
        if version.is_v5() { Some(self.reason_code.value()) } else { self.reason_code.connect_return_code() }
    }

    fn body_len(&self, version: Version) -> usize {
        2 + if version.is_v5() { self.properties.encoded_len() } else { 0 }
    }
}

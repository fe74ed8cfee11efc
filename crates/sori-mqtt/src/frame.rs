//! The fixed header: where one packet ends and the next begins.

use crate::variable_byte_integer::{Decoded, VARIABLE_BYTE_INTEGER_MAX, decode_variable_byte_integer};
use crate::{DecodeError, PacketType, ReasonCode};

/// The size of the largest packet there can be, fixed header included.
pub const PACKET_SIZE_MAX: usize = VARIABLE_BYTE_INTEGER_MAX as usize + 5;

/// One whole packet, not looked into yet.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Frame<'a> {
    /// The first byte: packet type and flags.
    pub first: u8,
    /// Everything after the fixed header.
    pub body: &'a [u8],
    /// The bytes of the whole packet.
    pub size: usize,
}

impl Frame<'_> {
    /// The type in the high half of the first byte; type 0 does not exist.
    #[must_use]
    #[inline]
    pub const fn packet_type(&self) -> Option<PacketType> {
        PacketType::from_u8(self.first >> 4)
    }

    /// The low half of the first byte.
    #[must_use]
    #[inline]
    pub const fn flags(&self) -> u8 {
        self.first & 0x0F
    }
}

/// What [`split`] found at the start of the bytes.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Split<'a> {
    /// More bytes are needed.
    Incomplete {
        /// The size of the whole packet, once its header is there.
        size: Option<usize>,
    },
    /// The first packet; the next one begins [`Frame::size`] bytes later.
    Frame(Frame<'a>),
}

/// Finds the first packet in `bytes`, without looking past what that needs.
///
/// # Errors
///
/// There is no packet type 0. A remaining length of more than four bytes, or of more bytes than needed, is malformed. A packet of more than
/// `size_max` bytes is too large as soon as its header is there.
#[inline]
pub fn split(bytes: &[u8], size_max: usize) -> Result<Split<'_>, DecodeError> {
    // Nearly all packets are like this: whole, legal, and shorter than 128 bytes.
    if let [first @ 0x10..=0xFF, length @ 0..=0x7F, rest @ ..] = bytes
        && let Some(body) = rest.get(..usize::from(*length))
        && body.len() + 2 <= size_max
    {
        return Ok(Split::Frame(Frame { first: *first, body, size: body.len() + 2 }));
    }
    split_any(bytes, size_max)
}

fn split_any(bytes: &[u8], size_max: usize) -> Result<Split<'_>, DecodeError> {
    let [first, rest @ ..] = bytes else { return Ok(Split::Incomplete { size: None }) };
    if PacketType::from_u8(*first >> 4).is_none() {
        return Err(DecodeError::protocol("packet type", "is 0"));
    }
    let (remaining, header) = match rest {
        [length, ..] if *length < 0x80 => (usize::from(*length), 2),
        _ => match decode_variable_byte_integer(rest) {
            Decoded::Value(value, length) => (value as usize, length + 1),
            Decoded::Incomplete => return Ok(Split::Incomplete { size: None }),
            Decoded::Malformed => return Err(malformed_length(*first)),
        },
    };
    let size = header + remaining;
    if size > size_max {
        return Err(too_large(*first));
    }
    match bytes.get(header..size) {
        Some(body) => Ok(Split::Frame(Frame { first: *first, body, size })),
        None => Ok(Split::Incomplete { size: Some(size) }),
    }
}

#[cold]
fn malformed_length(first: u8) -> DecodeError {
    in_packet(first, DecodeError::malformed("remaining length", "is not in its shortest form of at most four bytes"))
        .silently()
}

#[cold]
fn too_large(first: u8) -> DecodeError {
    in_packet(first, DecodeError::new(ReasonCode::PacketTooLarge, "remaining length", "is above the limit"))
}

fn in_packet(first: u8, error: DecodeError) -> DecodeError {
    match PacketType::from_u8(first >> 4) {
        Some(packet) => error.in_packet(packet),
        None => error,
    }
}

#[cfg(test)]
mod tests;

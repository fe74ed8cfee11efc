//! Appends the fields of a packet to a buffer.

use alloc::vec::Vec;

use crate::variable_byte_integer::VARIABLE_BYTE_INTEGER_MAX;
use crate::{PacketId, encode_variable_byte_integer, variable_byte_integer_len};

/// The longest string or binary field; its length has two bytes.
const FIELD_LENGTH_MAX: usize = u16::MAX as usize;

/// The size of a packet whose body has `body_len` bytes.
#[inline]
pub(crate) const fn packet_len(body_len: usize) -> usize {
    1 + variable_byte_integer_len(if body_len > u32::MAX as usize { u32::MAX } else { body_len as u32 }) + body_len
}

/// Appends the fixed header and makes room for the body. False, and nothing appended, if a body of this length does
/// not fit into any packet.
#[inline]
#[must_use]
pub(crate) fn fixed_header(first: u8, body_len: usize, out: &mut Vec<u8>) -> bool {
    fixed_header_with_room(first, body_len, body_len, out)
}

/// The same where only `room` bytes of the body are written behind it.
#[inline]
#[must_use]
pub(crate) fn fixed_header_with_room(first: u8, body_len: usize, room: usize, out: &mut Vec<u8>) -> bool {
    let Ok(length) = u32::try_from(body_len) else { return false };
    if length > VARIABLE_BYTE_INTEGER_MAX {
        return false;
    }
    out.reserve(packet_len(body_len) - body_len + room);
    match length {
        // Nearly all packets; their headers are as good as constants.
        0..0x80 => out.extend_from_slice(&[first, length as u8]),
        0x80..0x4000 => out.extend_from_slice(&[first, length as u8 | 0x80, (length >> 7) as u8]),
        _ => {
            out.push(first);
            encode_variable_byte_integer(length, out);
        }
    }
    true
}

#[inline]
pub(crate) fn two_bytes(value: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn four_bytes(value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[inline]
pub(crate) fn packet_id(value: PacketId, out: &mut Vec<u8>) {
    two_bytes(value.value(), out);
}

/// The part of `value` that fits: a field never says a length that its bytes do not have.
#[inline]
fn fitting(value: &[u8]) -> &[u8] {
    debug_assert!(value.len() <= FIELD_LENGTH_MAX, "a field holds at most 65,535 bytes");
    value.get(..FIELD_LENGTH_MAX).unwrap_or(value)
}

/// The part of `value` that fits, cut between two characters.
#[inline]
fn fitting_text(value: &str) -> &str {
    debug_assert!(value.len() <= FIELD_LENGTH_MAX, "a string holds at most 65,535 bytes");
    if value.len() <= FIELD_LENGTH_MAX {
        return value;
    }
    // A character has at most four bytes, so one of four neighbouring places is between two.
    (FIELD_LENGTH_MAX - 3..=FIELD_LENGTH_MAX).rev().find_map(|end| value.get(..end)).unwrap_or_default()
}

#[inline]
pub(crate) fn binary_len(value: &[u8]) -> usize {
    2 + fitting(value).len()
}

/// Binary data of at most 65,535 bytes; more is cut off.
#[inline]
pub(crate) fn binary(value: &[u8], out: &mut Vec<u8>) {
    let value = fitting(value);
    two_bytes(value.len() as u16, out);
    out.extend_from_slice(value);
}

#[inline]
pub(crate) fn string_len(value: &str) -> usize {
    2 + fitting_text(value).len()
}

/// A string of at most 65,535 bytes; more is cut off.
#[inline]
pub(crate) fn string(value: &str, out: &mut Vec<u8>) {
    binary(fitting_text(value).as_bytes(), out);
}

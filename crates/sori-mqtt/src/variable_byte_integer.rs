//! Integers of one to four bytes, seven bits in each, the lowest first.

use alloc::vec::Vec;

/// The largest number of four bytes.
pub(crate) const VARIABLE_BYTE_INTEGER_MAX: u32 = 268_435_455;

/// How many bytes the encoding of `value` takes. Larger values than 268,435,455 do not exist and count as that one.
#[must_use]
#[inline]
pub const fn variable_byte_integer_len(value: u32) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// Appends `value` in as few bytes as possible [MQTT-1.5.5-1]. Values above 268,435,455 are written as that one.
#[inline]
pub fn encode_variable_byte_integer(value: u32, out: &mut Vec<u8>) {
    let mut rest = value.min(VARIABLE_BYTE_INTEGER_MAX);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// What [`decode_variable_byte_integer`] found.
#[derive(Eq, PartialEq, Debug)]
pub(crate) enum Decoded {
    /// The value and the number of bytes it took.
    Value(u32, usize),
    /// The bytes end before the number does.
    Incomplete,
    /// More than four bytes, or more bytes than needed.
    Malformed,
}

/// Reads the number at the start of `bytes` and never looks past its end.
pub(crate) fn decode_variable_byte_integer(bytes: &[u8]) -> Decoded {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            // A last byte of zero says that fewer bytes would have done. [MQTT-1.5.5-1]
            return if *byte == 0 && index > 0 { Decoded::Malformed } else { Decoded::Value(value, index + 1) };
        }
    }
    if bytes.len() < 4 { Decoded::Incomplete } else { Decoded::Malformed }
}

#[cfg(test)]
mod tests;

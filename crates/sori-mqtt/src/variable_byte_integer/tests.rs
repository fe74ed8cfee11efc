//! Tests of `variable_byte_integer`.

use alloc::vec::Vec;

use super::*;

fn encoded(value: u32) -> Vec<u8> {
    let mut out = Vec::new();
    encode_variable_byte_integer(value, &mut out);
    out
}

/// The smallest and the largest number of each length.
const EDGES: [(u32, &[u8]); 8] = [
    (0, &[0x00]),
    (127, &[0x7F]),
    (128, &[0x80, 0x01]),
    (16_383, &[0xFF, 0x7F]),
    (16_384, &[0x80, 0x80, 0x01]),
    (2_097_151, &[0xFF, 0xFF, 0x7F]),
    (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
    (268_435_455, &[0xFF, 0xFF, 0xFF, 0x7F]),
];

#[test]
fn mqtt5_1_5_5_1_takes_as_few_bytes_as_possible() {
    for (value, bytes) in EDGES {
        assert_eq!(encoded(value), bytes);
        assert_eq!(variable_byte_integer_len(value), bytes.len());
        assert_eq!(decode_variable_byte_integer(bytes), Decoded::Value(value, bytes.len()));
    }
}

#[test]
fn mqtt5_1_5_5_1_a_number_in_more_bytes_than_needed_is_malformed() {
    for bytes in [&[0x80, 0x00][..], &[0xFF, 0x00], &[0x80, 0x80, 0x00], &[0x81, 0x80, 0x80, 0x00]] {
        assert_eq!(decode_variable_byte_integer(bytes), Decoded::Malformed, "{bytes:02x?}");
    }
}

#[test]
fn five_bytes_are_malformed_before_the_fifth_is_there() {
    assert_eq!(decode_variable_byte_integer(&[0x80, 0x80, 0x80, 0x80]), Decoded::Malformed);
    assert_eq!(decode_variable_byte_integer(&[0xFF, 0xFF, 0xFF, 0xFF, 0x01]), Decoded::Malformed);
}

#[test]
fn the_beginning_of_a_number_is_incomplete() {
    for (_, bytes) in EDGES {
        for end in 0..bytes.len() {
            assert_eq!(decode_variable_byte_integer(&bytes[..end]), Decoded::Incomplete);
        }
    }
}

#[test]
fn nothing_behind_the_number_is_looked_at() {
    assert_eq!(decode_variable_byte_integer(&[0x05, 0xFF, 0xFF, 0xFF, 0xFF]), Decoded::Value(5, 1));
}

#[test]
fn a_value_that_does_not_exist_is_written_as_the_largest() {
    assert_eq!(encoded(u32::MAX), [0xFF, 0xFF, 0xFF, 0x7F]);
    assert_eq!(variable_byte_integer_len(u32::MAX), 4);
}

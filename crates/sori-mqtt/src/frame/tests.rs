//! Tests of `frame`.

use alloc::vec;
use alloc::vec::Vec;

use super::*;

fn frame_of(bytes: &[u8]) -> Frame<'_> {
    match split(bytes, PACKET_SIZE_MAX) {
        Ok(Split::Frame(frame)) => frame,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn the_first_of_two_packets_is_found() {
    let bytes = [0x30, 0x03, 1, 2, 3, 0xC0, 0x00];
    let frame = frame_of(&bytes);
    assert_eq!(frame, Frame { first: 0x30, body: &[1, 2, 3], size: 5 });
    assert_eq!((frame.packet_type(), frame.flags()), (Some(PacketType::Publish), 0));
    assert_eq!(frame_of(&bytes[frame.size..]), Frame { first: 0xC0, body: &[], size: 2 });
}

#[test]
fn every_beginning_of_a_packet_is_incomplete_and_tells_the_size_once_it_is_known() {
    for (length, header) in [(0, 2), (1, 2), (127, 2), (128, 3), (16_383, 3), (16_384, 4)] {
        let mut bytes = vec![0x30];
        crate::encode_variable_byte_integer(length, &mut bytes);
        bytes.resize(header + length as usize, 7);
        for end in 0..bytes.len() {
            let size = (end >= header).then_some(bytes.len());
            assert_eq!(split(&bytes[..end], bytes.len()), Ok(Split::Incomplete { size }));
        }
        assert_eq!(frame_of(&bytes).size, bytes.len());
    }
}

#[test]
fn the_limit_counts_the_whole_packet_and_holds_as_soon_as_the_header_is_there() {
    let header = [0x30, 0x80, 0x01];
    assert_eq!(split(&header, 131), Ok(Split::Incomplete { size: Some(131) }));
    let error = split(&header, 130).expect_err("131 bytes are more than 130");
    assert_eq!(error.reason_code(), ReasonCode::PacketTooLarge);
    assert_eq!(error.packet_type(), Some(PacketType::Publish));
    assert!(!error.closes_silently());
    assert_eq!(split(&[0xC0, 0x00], 1).map_err(|error| error.reason_code()), Err(ReasonCode::PacketTooLarge));
}

// covers: [MQTT-1.5.5-1]
#[test]
fn a_malformed_length_is_noticed_without_any_byte_behind_it() {
    for bytes in [&[0x10, 0x80, 0x80, 0x80, 0x80][..], &[0x30, 0x80, 0x00], &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]] {
        let error = split(bytes, PACKET_SIZE_MAX).expect_err("no such length");
        assert_eq!(error.reason_code(), ReasonCode::MalformedPacket);
        assert!(error.closes_silently(), "nobody knows where the next packet begins");
    }
}

#[test]
fn the_largest_packet_is_the_largest() {
    let bytes = [0x30, 0xFF, 0xFF, 0xFF, 0x7F];
    assert_eq!(split(&bytes, PACKET_SIZE_MAX), Ok(Split::Incomplete { size: Some(PACKET_SIZE_MAX) }));
}

// covers: [MQTT-2.1.3-1] [MQTT311-2.2.2-2]
#[test]
fn packet_type_0_is_refused_at_its_first_byte() {
    for first in 0..=0x0F {
        let error = split(&[first], PACKET_SIZE_MAX).expect_err("there is no packet type 0");
        assert_eq!((error.reason_code(), error.packet_type()), (ReasonCode::ProtocolError, None));
    }
    let types: Vec<_> = (1..=15_u8).map(|kind| frame_of(&[kind << 4, 0]).packet_type()).collect();
    assert_eq!(types, PacketType::ALL.map(Some));
}

//! What is written is read again as what it was.

use proptest::prelude::*;
use sori_mqtt::{DecodeError, Direction, Frame, PACKET_SIZE_MAX, Packet, PacketType, Split, Version, decode, split};

use crate::generate::{Sample, sample};

/// The one packet in `bytes`.
pub(crate) fn frame_of(bytes: &[u8]) -> Frame<'_> {
    match split(bytes, PACKET_SIZE_MAX) {
        Ok(Split::Frame(frame)) if frame.size == bytes.len() => frame,
        other => unreachable!("one whole packet was written, not {other:?}"),
    }
}

pub(crate) fn read(bytes: &[u8], version: Version, direction: Direction) -> Result<Packet<'_>, DecodeError> {
    decode(frame_of(bytes), version, direction)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_packet_that_was_encoded_is_decoded_as_the_same_packet(sample in sample()) {
        let bytes = sample.encoded();
        let decoded = read(&bytes, sample.version, sample.direction);
        sample.with_packet(|packet| {
            prop_assert_eq!(packet.encoded_len(sample.version), bytes.len());
            prop_assert_eq!(decoded, Ok(packet));
            Ok(())
        })?;
    }

    #[test]
    fn a_packet_that_is_cut_short_is_incomplete_or_wrong_or_says_less(sample in sample()) {
        let bytes = sample.encoded();
        for end in 0..bytes.len().min(600) {
            let split = split(&bytes[..end], PACKET_SIZE_MAX);
            let incomplete = matches!(split, Ok(Split::Incomplete { size }) if size.is_none_or(|size| size == bytes.len()));
            prop_assert!(incomplete, "{:?}", split);
        }
        check_shorter_bodies(&sample, frame_of(&bytes))?;
    }
}

/// A frame whose body ends too early is wrong, unless its type has no fixed end.
fn check_shorter_bodies(sample: &Sample, whole: Frame<'_>) -> Result<(), TestCaseError> {
    let v5 = sample.version.is_v5();
    let open_ended = match whole.packet_type() {
        Some(PacketType::Publish | PacketType::Subscribe | PacketType::Unsubscribe | PacketType::SubAck) => true,
        Some(PacketType::Connect | PacketType::ConnAck | PacketType::Auth) => false,
        _ => v5,
    };
    let complete = decode(whole, sample.version, sample.direction);
    for end in 0..whole.body.len().min(600) {
        let body = &whole.body[..end];
        let result = decode(Frame { body, ..whole }, sample.version, sample.direction);
        prop_assert_ne!(&result, &complete);
        prop_assert!(result.is_err() || open_ended, "{:?}", result);
    }
    Ok(())
}

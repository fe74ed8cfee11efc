//! No bytes from outside do any harm.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sori_mqtt::{Direction, Frame, PACKET_SIZE_MAX, Packet, PacketType, Split, Version, decode, split};

use crate::generate::sample;
use crate::round_trip::{frame_of, read};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];
const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// Whatever is accepted can be written, and is read again as the same.
fn check(frame: Frame<'_>, version: Version, direction: Direction) -> Result<bool, TestCaseError> {
    let packet = match decode(frame, version, direction) {
        Ok(packet) => packet,
        Err(error) => {
            prop_assert!(error.reason_code().is_error());
            prop_assert!(!error.to_string().is_empty());
            return Ok(false);
        }
    };
    let spoken = if let Packet::Connect(connect) = packet { connect.version } else { version };
    let mut bytes = Vec::new();
    packet.encode(spoken, &mut bytes);
    prop_assert_eq!(packet.encoded_len(spoken), bytes.len());
    prop_assert!(frame_of(&bytes).body.len() <= frame.body.len(), "the shortest form is written");
    prop_assert_eq!(read(&bytes, spoken, direction), Ok(packet));
    let shown = format!("{packet:?}");
    prop_assert!(!shown.is_empty());
    Ok(true)
}

fn check_everywhere(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut rest = bytes;
    while let Ok(Split::Frame(frame)) = split(rest, PACKET_SIZE_MAX) {
        for version in VERSIONS {
            for direction in DIRECTIONS {
                check(frame, version, direction)?;
            }
        }
        rest = &rest[frame.size..];
    }
    Ok(())
}

/// A change to some bytes of a packet.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![any::<u8>(), select(vec![0, 1, 2, 3, 0x7F, 0x80, 0xFF, b'+', b'#', b'/', b'$'])];
    prop_oneof![
        6 => (any::<Index>(), byte.clone()).prop_map(|(index, byte)| Change::Set(index, byte)),
        2 => (any::<Index>(), byte).prop_map(|(index, byte)| Change::Insert(index, byte)),
        2 => any::<Index>().prop_map(Change::Remove),
        1 => any::<Index>().prop_map(Change::Cut),
    ]
}

fn apply(change: &Change, bytes: &mut Vec<u8>) {
    match change {
        Change::Set(index, byte) => {
            let index = index.index(bytes.len() + 1);
            if let Some(old) = bytes.get_mut(index) {
                *old = *byte;
            }
        }
        Change::Insert(index, byte) => bytes.insert(index.index(bytes.len() + 1), *byte),
        Change::Remove(index) if !bytes.is_empty() => {
            bytes.remove(index.index(bytes.len()));
        }
        Change::Remove(_) => {}
        Change::Cut(index) => bytes.truncate(index.index(bytes.len() + 1)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn arbitrary_bytes_are_refused_or_understood(bytes in vec(any::<u8>(), 0..200)) {
        check_everywhere(&bytes)?;
    }

    #[test]
    fn arbitrary_bodies_are_refused_or_understood(kind in 1..16_u8, flags in 0..16_u8, body in vec(any::<u8>(), 0..40)) {
        let flags = if flags < 4 { 2 } else { flags & 1 };
        let frame = Frame { first: kind << 4 | flags, body: &body, size: body.len() + 2 };
        for version in VERSIONS {
            for direction in DIRECTIONS {
                check(frame, version, direction)?;
            }
        }
    }

    #[test]
    fn changed_packets_are_refused_or_understood(sample in sample(), changes in vec(change(), 1..4)) {
        let mut bytes = sample.encoded();
        for change in &changes {
            apply(change, &mut bytes);
        }
        check_everywhere(&bytes)?;
    }

    #[test]
    fn changed_bodies_are_refused_or_understood(sample in sample(), changes in vec(change(), 1..4)) {
        // The frame is put right again, so that more changes reach the fields.
        let bytes = sample.encoded();
        let Ok(Split::Frame(frame)) = split(&bytes, PACKET_SIZE_MAX) else { unreachable!() };
        let mut body = frame.body.to_vec();
        for change in &changes {
            apply(change, &mut body);
        }
        let size = body.len() + 2;
        check(Frame { first: frame.first, body: &body, size }, sample.version, sample.direction)?;
    }
}

#[test]
fn generated_packets_are_of_every_type() {
    let mut runner = TestRunner::deterministic();
    let mut seen = [false; 16];
    for _ in 0..2_000 {
        let sample = sample().new_tree(&mut runner).expect("a sample").current();
        sample.with_packet(|packet| seen[packet.packet_type() as usize] = true);
    }
    assert!(PacketType::ALL.iter().all(|kind| seen[*kind as usize]));
}

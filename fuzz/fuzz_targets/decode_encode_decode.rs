//! A packet that was decoded can be encoded, and is the same packet when it is decoded again.
//!
//! The first byte chooses version and direction, the rest is a stream of packets.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_mqtt::{Direction, Packet, Split, Version, decode, split};

fuzz_target!(|data: &[u8]| {
    let Some((choice, mut rest)) = data.split_first() else { return };
    let version = [Version::V31, Version::V311, Version::V5][usize::from(choice % 3)];
    let direction = [Direction::ToServer, Direction::ToClient][usize::from(choice / 3 % 2)];
    while let Ok(Split::Frame(frame)) = split(rest, 1 << 20) {
        if let Ok(packet) = decode(frame, version, direction) {
            // A CONNECT says itself which version it is.
            let version = if let Packet::Connect(connect) = &packet { connect.version } else { version };
            check(&packet, version, direction);
        }
        rest = &rest[frame.size..];
    }
});

fn check(packet: &Packet<'_>, version: Version, direction: Direction) {
    let mut encoded = Vec::new();
    packet.encode(version, &mut encoded);
    assert_eq!(encoded.len(), packet.encoded_len(version), "{packet:?}");
    let Ok(Split::Frame(frame)) = split(&encoded, usize::MAX) else { panic!("not a packet: {packet:?}") };
    assert_eq!(frame.size, encoded.len());
    let again = decode(frame, version, direction).expect("what was encoded is legal");
    assert_eq!(format!("{packet:?}"), format!("{again:?}"));
    let mut encoded_again = Vec::new();
    again.encode(version, &mut encoded_again);
    assert_eq!(encoded, encoded_again);
}

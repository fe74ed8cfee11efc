//! Whatever the bytes are, decoding ends with packets or with an error, and every field can be read.
//!
//! The first byte chooses version and direction, the rest is a stream of packets.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sori_mqtt::{Direction, Packet, Properties, Split, TopicName, Version, decode, split};

fuzz_target!(|data: &[u8]| {
    let Some((choice, mut rest)) = data.split_first() else { return };
    let version = [Version::V31, Version::V311, Version::V5][usize::from(choice % 3)];
    let direction = [Direction::ToServer, Direction::ToClient][usize::from(choice / 3 % 2)];
    while let Ok(Split::Frame(frame)) = split(rest, 1 << 20) {
        assert!(frame.size <= rest.len() && frame.body.len() < frame.size);
        match decode(frame, version, direction) {
            Ok(packet) => read(&packet),
            Err(error) => assert!(error.reason_code().is_error() && !error.to_string().is_empty()),
        }
        rest = &rest[frame.size..];
    }
});

fn read(packet: &Packet<'_>) {
    match packet {
        Packet::Connect(connect) => {
            read_properties(connect.properties);
            if let Some(will) = connect.will {
                assert!(TopicName::new(will.topic).is_ok());
                read_properties(will.properties);
            }
        }
        Packet::Publish(publish) => {
            assert!(publish.topic.is_empty() || TopicName::new(publish.topic).is_ok());
            read_properties(publish.properties);
        }
        Packet::Subscribe(subscribe) => {
            let name = TopicName::new("a/b/c").expect("legal");
            assert!(subscribe.filters().inspect(|(filter, _)| drop(filter.matches(name).to_string())).count() > 0);
            read_properties(subscribe.properties);
        }
        Packet::Unsubscribe(unsubscribe) => {
            assert!(unsubscribe.filters().count() > 0);
            read_properties(unsubscribe.properties);
        }
        _ => {}
    }
}

/// Reading must not stop before the end.
fn read_properties(properties: Properties<'_>) {
    let read: usize = properties.iter().map(|property| property.encoded_len()).sum();
    // A variable byte integer inside may be written in one way only, so the lengths agree.
    assert_eq!(read, properties.len());
}

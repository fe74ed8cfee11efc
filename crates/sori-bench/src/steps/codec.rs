//! Packets, read and written.

use std::hint::black_box;
use std::io;

use sori_mqtt::{
    Connect, Direction, Packet, PacketId, Properties, Property, PropertyBuffer, Publish, QoS, Split, Version, Will,
    decode, split,
};

use super::{Prepared, Step};
use crate::feed;

const PACKETS: usize = 100;
const FILTERS: [&str; 3] = ["sensors/17/temperature", "sensors/+/humidity", "alarms/#"];

pub(super) const STEPS: [Step; 8] = [
    Step::new("decode-publish", "a PUBLISH of MQTT 3.1.1, 64 bytes", || {
        decoding(&publish(Version::V311), Version::V311)
    }),
    Step::new("decode-publish-v5", "the same of MQTT 5.0 with three properties", || {
        decoding(&publish(Version::V5), Version::V5)
    }),
    Step::new("decode-connect", "a CONNECT of MQTT 5.0 with will, name and password", || {
        decoding(&connect(), Version::V5)
    }),
    Step::new("decode-subscribe", "a SUBSCRIBE with three filters, each looked at", || {
        decoding(&subscribe(), Version::V311)
    }),
    Step::new("encode-publish", "a PUBLISH of MQTT 3.1.1, 64 bytes", || {
        encoding(publish(Version::V311), Version::V311)
    }),
    Step::new("encode-publish-v5", "the same of MQTT 5.0 with three properties", || {
        encoding(publish(Version::V5), Version::V5)
    }),
    Step::new("encode-connect", "a CONNECT of MQTT 5.0 with will, name and password", || {
        encoding(connect(), Version::V5)
    }),
    Step::new("encode-subscribe", "a SUBSCRIBE with three filters", || encoding(subscribe(), Version::V311)),
];

fn publish(version: Version) -> Vec<u8> {
    let mut properties = PropertyBuffer::new();
    if version.is_v5() {
        properties
            .push(Property::MessageExpiryInterval(3600))
            .push(Property::ContentType("application/json"))
            .push(Property::UserProperty("unit", "celsius"));
    }
    let mut bytes = Vec::new();
    Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: FILTERS[0],
        packet_id: Some(PacketId::FIRST),
        properties: properties.as_properties(),
        payload: &[b'.'; 64],
    }
    .encode(version, &mut bytes);
    bytes
}

fn connect() -> Vec<u8> {
    let mut properties = PropertyBuffer::new();
    properties.push(Property::SessionExpiryInterval(3600)).push(Property::ReceiveMaximum(100));
    let mut bytes = Vec::new();
    Connect {
        version: Version::V5,
        bridge: false,
        clean_start: false,
        keep_alive: 60,
        client_id: "thermometer-17",
        will: Some(Will {
            topic: "sensors/17/state",
            payload: b"offline",
            qos: QoS::AtLeastOnce,
            retain: true,
            properties: Properties::EMPTY,
        }),
        user_name: Some("sensor"),
        password: Some(b"secret"),
        properties: properties.as_properties(),
    }
    .encode(&mut bytes);
    bytes
}

fn subscribe() -> Vec<u8> {
    feed::subscribe(&FILTERS, QoS::AtLeastOnce)
}

/// Takes a row of the same packets apart.
fn decoding(packet: &[u8], version: Version) -> io::Result<Prepared> {
    let bytes = packet.repeat(PACKETS);
    Ok(Prepared::new(PACKETS as u64, move |counting| {
        counting.work(|| {
            let mut rest = bytes.as_slice();
            while let Ok(Split::Frame(frame)) = split(rest, usize::MAX) {
                rest = &rest[frame.size..];
                let packet = decode(frame, version, Direction::ToServer).expect("a packet of ours is valid");
                if let Packet::Subscribe(subscribe) = &packet {
                    subscribe.filters().for_each(|filter| _ = black_box(filter));
                }
                black_box(packet);
            }
        });
    }))
}

/// Writes the same packet again and again, into a buffer that has its size.
fn encoding(packet: Vec<u8>, version: Version) -> io::Result<Prepared> {
    let mut out = Vec::with_capacity(PACKETS * packet.len());
    Ok(Prepared::new(PACKETS as u64, move |counting| {
        let Ok(Split::Frame(frame)) = split(&packet, usize::MAX) else { return };
        let decoded = decode(frame, version, Direction::ToServer).expect("a packet of ours is valid");
        out.clear();
        counting.work(|| {
            for _ in 0..PACKETS {
                black_box(&decoded).encode(version, &mut out);
            }
        });
    }))
}

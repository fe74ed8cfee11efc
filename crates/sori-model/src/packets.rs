//! The packets of the scenarios, all of MQTT 3.1.1, and reading what came back.

use sori_mqtt::{
    Connect, Direction, Packet, PacketId, Properties, Publish, QoS, RetainHandling, Split, Subscribe, SubscribeOptions,
    TopicFilter, Unsubscribe, Version, decode, split,
};

const VERSION: Version = Version::V311;

pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}

pub(crate) fn connect(client_id: &str, clean_start: bool) -> Vec<u8> {
    let connect = Connect {
        version: VERSION,
        bridge: false,
        clean_start,
        keep_alive: 0,
        client_id,
        will: None,
        user_name: None,
        password: None,
        properties: Properties::EMPTY,
    };
    encoded(|out| connect.encode(out))
}

pub(crate) fn subscribe(filter: &str, qos: QoS) -> Vec<u8> {
    let options = SubscribeOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::SendAlways,
    };
    let filters = [(TopicFilter::new(filter).expect("a filter"), options)];
    encoded(|out| Subscribe::new(PacketId::FIRST, Properties::EMPTY, &filters).encode(VERSION, out))
}

pub(crate) fn unsubscribe(filter: &str) -> Vec<u8> {
    let filters = [TopicFilter::new(filter).expect("a filter")];
    encoded(|out| Unsubscribe::new(PacketId::FIRST, Properties::EMPTY, &filters).encode(VERSION, out))
}

/// A PUBLISH of QoS 0.
pub(crate) fn publish(topic: &str, payload: &str) -> Vec<u8> {
    published(topic, payload, false)
}

/// A PUBLISH of QoS 0 with RETAIN 1.
pub(crate) fn retain(topic: &str, payload: &str) -> Vec<u8> {
    published(topic, payload, true)
}

fn published(topic: &str, payload: &str, retain: bool) -> Vec<u8> {
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain,
        topic,
        packet_id: None,
        properties: Properties::EMPTY,
        payload: payload.as_bytes(),
    };
    encoded(|out| publish.encode(VERSION, out))
}

/// The messages in what a client received, as "payload", or "payload retained" when it was read from the store.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Ok(Split::Frame(frame)) = split(bytes, usize::MAX) {
        if let Packet::Publish(publish) = decode(frame, VERSION, Direction::ToClient).expect("the broker's packets") {
            let mut text = String::from_utf8_lossy(publish.payload).into_owned();
            if publish.retain {
                text.push_str(" retained");
            }
            found.push(text);
        }
        bytes = &bytes[frame.size..];
    }
    assert!(bytes.is_empty(), "the broker writes whole packets");
    found
}

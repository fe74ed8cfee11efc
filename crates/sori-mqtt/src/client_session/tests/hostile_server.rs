//! A server that breaks the rules: a typed error, a DISCONNECT with its reason, never a panic.

use proptest::prelude::*;

use super::*;

/// The server sends these bytes after CONNACK; what the client says then.
fn answer_to(version: Version, bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let mut client = Client::connected(ConnectOptions { maximum_packet_size: 1_000, ..options(version) }, &[]);
    // Identifier 1: QoS 1, 2: QoS 2, 3: SUBSCRIBE, 4: UNSUBSCRIBE, each unanswered.
    let _ = (client.publish(1, "one"), client.publish(2, "two"));
    let filter = TopicFilter::new("f").expect("legal");
    client.session.subscribe(&[(filter, SubscribeOptions::default())], Properties::EMPTY).expect("connected");
    client.session.unsubscribe(&[filter], Properties::EMPTY).expect("connected");
    client.sent();
    let events = client.feed_bytes(bytes);
    (events, client.sent())
}

#[test]
fn a_server_of_another_protocol_is_recognised_by_its_first_byte() {
    for words in [&b"HTTP/1.1 400 Bad Request"[..], b"SSH-2.0-x", b"220 mail", b"\x15\x03\x03\x00\x02"] {
        let mut client = Client::new(options(Version::V5));
        client.session.connect(client.now).expect("idle");
        let events = client.feed_bytes(&words[..1]);
        assert!(events[0].starts_with("error: the server broke the protocol"), "{events:?}");
    }
}

#[test]
// covers: [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.5-1] [MQTT-1.5.7-1] [MQTT-2.1.3-1] [MQTT-3.3.1-4] [MQTT-3.14.1-1]
// covers: [MQTT-3.14.2-1] [MQTT-3.15.1-1] [MQTT-3.4.2-1] [MQTT-4.13.2-1] [MQTT-3.3.2-8] [MQTT-3.3.1-2]
fn mqtt5_4_13_1_1_the_server_is_told_what_is_wrong_with_a_packet() {
    for (bytes, fault) in [
        (&[0x00, 0][..], "packet type 0"),
        (&[0x10, 0], "CONNECT"),
        (&[0x82, 6, 0, 1, 0, 0, 1, 0x61], "SUBSCRIBE"),
        (&[0xC0, 0], "PINGREQ"),
        (&[0x36, 6, 0, 1, 0x61, 0, 1, 0], "QoS 3"),
        (&[0x38, 4, 0, 1, 0x61, 0], "DUP at QoS 0"),
        (&[0x30, 4, 0, 1, 0xFF, 0], "not UTF-8"),
        (&[0x30, 6, 0, 3, 0xED, 0xA0, 0x80, 0], "a surrogate"),
        (&[0x30, 4, 0, 1, 0x00, 0], "U+0000"),
        (&[0x30, 4, 0, 1, 0x23, 0], "wildcard in a topic name"),
        (&[0x30, 3, 0, 0, 0], "empty topic without alias"),
        (&[0x30, 6, 0, 0, 3, 0x23, 0, 0], "alias 0"),
        (&[0x30, 9, 0, 1, 0x61, 5, 0x26, 0, 1, 0xFF, 0], "user property not UTF-8"),
        (&[0x32, 6, 0, 1, 0x61, 0, 0, 0], "identifier 0"),
        (&[0x30, 0x80, 0x80, 0x80, 0x80, 0x01], "length of five bytes"),
        (&[0x30, 0x84, 0x00, 0, 1, 0x61, 0], "length longer than needed"),
        (&[0x30, 0xFF, 0xFF, 0x03], "too large for this client"),
        (&[0x40, 1, 0], "PUBACK cut short"),
        (&[0x40, 3, 0, 1, 0x92], "reason code of another packet"),
        (&[0x42, 2, 0, 1], "flags"),
        (&[0x90, 3, 0, 3, 0], "no code"),
        (&[0xE1, 0], "DISCONNECT flags"),
        (&[0xE0, 1, 0x04], "DISCONNECT with a client's code"),
        (&[0xF1, 0], "AUTH flags"),
    ] {
        let reason_code = match split(bytes, 1_000) {
            Ok(Split::Frame(frame)) => decode(frame, Version::V5, Direction::ToClient).expect_err(fault).reason_code(),
            other => other.expect_err(fault).reason_code(),
        };
        let (events, sent) = answer_to(Version::V5, bytes);
        assert!(events.first().is_some_and(|event| event.starts_with("error: ")), "{fault}: {events:?}");
        assert_eq!(sent, [format!("DISCONNECT {:#04x}", reason_code.value())], "{fault}: {events:?}");
    }
}

#[test]
fn mqtt5_4_13_1_1_a_legal_packet_at_the_wrong_time_has_its_reason_code() {
    for (bytes, reason_code, fault) in [
        (&[0x20, 3, 0, 0, 0][..], 0x82, "second CONNACK"),
        (&[0x30, 6, 0, 0, 3, 0x23, 0, 9], 0x94, "alias above the maximum"),
        (&[0x40, 2, 0, 2], 0x82, "PUBACK for QoS 2"),
        (&[0x40, 2, 0, 3], 0x82, "PUBACK for SUBSCRIBE"),
        (&[0x50, 2, 0, 1], 0x82, "PUBREC for QoS 1"),
        (&[0x70, 2, 0, 1], 0x82, "PUBCOMP for QoS 1"),
        (&[0x90, 4, 0, 1, 0, 0], 0x82, "SUBACK for QoS 1"),
        (&[0x90, 4, 0, 4, 0, 0], 0x82, "SUBACK for UNSUBSCRIBE"),
        (&[0xB0, 4, 0, 3, 0, 0], 0x82, "UNSUBACK for SUBSCRIBE"),
        (&[0x90, 5, 0, 3, 0, 0, 0], 0x82, "two codes for one filter"),
        (&[0xF0, 6, 0x18, 4, 0x15, 0, 1, 0x4D], 0x82, "AUTH without method"),
    ] {
        let (events, sent) = answer_to(Version::V5, bytes);
        assert!(events.first().is_some_and(|event| event.starts_with("error: ")), "{fault}: {events:?}");
        assert_eq!(sent, [format!("DISCONNECT {reason_code:#04x}")], "{fault}: {events:?}");
    }
}

#[test]
// covers: [MQTT311-1.5.3-1] [MQTT311-1.5.3-2] [MQTT311-2.2.2-1] [MQTT311-2.2.2-2] [MQTT311-3.3.1-2] [MQTT311-3.3.1-4]
// covers: [MQTT311-4.8.0-2]
fn mqtt311_4_8_0_1_each_fault_ends_the_connection() {
    for bytes in [
        &[0x20, 2, 0, 0][..],
        &[0x36, 5, 0, 1, 0x61, 0, 1],
        &[0x38, 3, 0, 1, 0x61],
        &[0x30, 3, 0, 1, 0xFF],
        &[0x30, 3, 0, 1, 0x00],
        &[0x42, 2, 0, 1],
        &[0x40, 2, 0, 2],
        &[0x90, 4, 0, 3, 0, 0],
        &[0xE0, 0],
        &[0xF0, 0],
    ] {
        let (events, sent) = answer_to(Version::V311, bytes);
        assert!(events.first().is_some_and(|event| event.starts_with("error: ")), "{bytes:x?}: {events:?}");
        assert_eq!(sent, [""; 0], "MQTT 3.1.1 has no word for it");
    }
}

#[test]
// covers: [MQTT311-1.5.3-3]
fn mqtt5_1_5_4_3_a_byte_order_mark_is_kept() {
    for version in VERSIONS {
        let mut client = Client::connected(options(version), &[]);
        assert_eq!(client.incoming(0, 0, "\u{FEFF}t"), ["message 0 '\u{FEFF}t'"]);
    }
}

#[test]
fn what_comes_before_connack_is_a_violation() {
    for version in VERSIONS {
        for bytes in [&[0xD0, 0][..], &[0x30, 4, 0, 1, 0x61, 0], &[0x40, 2, 0, 1], &[0x90, 3, 0, 1, 0]] {
            let mut client = Client::new(options(version));
            client.session.connect(client.now).expect("idle");
            client.sent();
            let events = client.feed_bytes(bytes);
            assert_eq!(events.len(), 1, "{events:?}");
            assert!(events[0].starts_with("error: the server broke the protocol"), "{events:?}");
            assert_eq!((client.session.is_open(), client.session.output()), (false, &b""[..]));
        }
    }
}

#[test]
// covers: [MQTT-3.3.4-9]
fn more_messages_than_the_own_receive_maximum_are_a_violation() {
    let mut client = Client::connected(ConnectOptions { receive_maximum: 2, ..options(Version::V5) }, &[]);
    client.incoming(2, 1, "t");
    client.incoming(1, 9, "t");
    client.incoming(2, 2, "t");
    client.sent();
    assert_eq!(client.incoming(2, 2, "t"), [""; 0], "a repetition is none more");
    client.sent();
    let events = client.incoming(2, 3, "t");
    assert_eq!(events, ["error: the server broke the protocol: more messages in flight than the receive maximum"]);
    assert_eq!(client.sent(), ["DISCONNECT 0x93"]);
}

#[test]
fn a_claimed_size_costs_no_memory() {
    let mut client = Client::connected(options(Version::V5), &[]);
    client.feed_bytes(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1]);
    assert!(client.session.is_open());
    assert!(client.session.input.capacity() < 1_000);
}

#[test]
fn nothing_is_read_after_an_error() {
    let mut client = Client::connected(options(Version::V5), &[]);
    let events = client.feed_bytes(&[0x00, 0, 0x30, 4, 0, 1, 0x61, 0]);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(client.feed_bytes(&[0x30, 4, 0, 1, 0x61, 0]), [""; 0]);
}

/// Packets that are nearly right find more than noise.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), any::<u8>()], 0..12);
    (any::<u8>(), body).prop_map(|(first, body)| {
        let mut packet = Vec::from([first, body.len() as u8]);
        packet.extend(body);
        packet
    })
}

proptest! {
    #[test]
    fn whatever_comes_nothing_panics(
        version in prop_oneof![Just(Version::V31), Just(Version::V311), Just(Version::V5)],
        packets in prop::collection::vec(packet(), 0..20),
        connack in any::<bool>(),
    ) {
        let with = ConnectOptions { topic_alias_maximum: 4, receive_maximum: 3, ..lasting(version) };
        let mut client = Client::new(with);
        client.session.connect(client.now).expect("idle");
        if connack {
            client.accept(false, &[]);
        }
        for packet in packets {
            let _ = (client.publish(1, "one"), client.publish(2, "two"));
            client.feed_bytes(&packet);
            client.sent();
            if !client.session.is_open() {
                client.session.connection_lost();
                client.connect(true, &[]);
            }
        }
    }
}

//! Tests of the packet `publish`.

use super::*;
use crate::{PacketId, QoS};

fn published(bytes: &[u8], version: Version) -> Publish<'_> {
    match accepted(bytes, version, ToServer) {
        Packet::Publish(publish) => publish,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn every_part_is_where_it_belongs() {
    let bytes = packet(0x3D, &[&field("a/b"), &[0x12, 0x34], &[2, 0x01, 1], b"payload"]);
    let publish = published(&bytes, V5);
    assert_eq!((publish.dup, publish.qos, publish.retain), (true, QoS::ExactlyOnce, true));
    assert_eq!((publish.topic, publish.packet_id), ("a/b", PacketId::new(0x1234)));
    assert_eq!(publish.properties.payload_format_indicator(), Some(true));
    assert_eq!(publish.payload, b"payload");
}

#[test]
fn a_payload_may_be_empty_or_anything() {
    for payload in [&b""[..], b"\0", b"\xFF\xFE"] {
        assert_eq!(published(&packet(0x30, &[&field("a"), payload]), V311).payload, payload);
    }
}

// covers: [MQTT311-2.3.1-5]
#[test]
fn mqtt5_2_2_1_2_qos_0_has_no_packet_identifier() {
    let bytes = packet(0x30, &[&field("a"), &[0, 7]]);
    let publish = published(&bytes, V311);
    assert_eq!((publish.packet_id, publish.payload), (None, &[0, 7][..]));
}

// covers: [MQTT-2.2.1-4] [MQTT311-2.3.1-1] [MQTT311-2.3.1-4]
#[test]
fn mqtt5_2_2_1_3_a_packet_identifier_is_not_0() {
    for first in [0x32, 0x34] {
        assert_eq!(refused(&packet(first, &[&field("a"), &[0, 0]]), V311, ToServer), ReasonCode::ProtocolError);
        assert_eq!(refused(&packet(first, &[&field("a"), &[0, 0, 0]]), V5, ToClient), ReasonCode::ProtocolError);
        assert_eq!(refused(&packet(first, &[&field("a"), &[1]]), V311, ToServer), ReasonCode::MalformedPacket);
    }
}

// covers: [MQTT311-3.3.1-2]
#[test]
fn mqtt5_3_3_1_2_dup_at_qos_0_is_malformed() {
    assert_eq!(refused(&packet(0x38, &[&field("a")]), V311, ToServer), ReasonCode::MalformedPacket);
    assert_eq!(refused(&packet(0x39, &[&field("a"), &[0]]), V5, ToClient), ReasonCode::MalformedPacket);
    assert!(published(&packet(0x38, &[&field("a")]), V31).dup, "MQTT 3.1 has no such rule");
}

// covers: [MQTT311-3.3.1-4]
#[test]
fn mqtt5_3_3_1_4_qos_3_is_malformed() {
    for version in VERSIONS {
        for first in [0x36, 0x37, 0x3E, 0x3F] {
            let bytes = packet(first, &[&field("a"), &[0, 1, 0]]);
            assert_eq!(refused(&bytes, version, ToServer), ReasonCode::MalformedPacket);
        }
    }
}

// covers: [MQTT311-3.3.2-1]
#[test]
fn mqtt5_3_3_2_1_the_topic_name_is_first_and_a_string() {
    for version in VERSIONS {
        for topic in [&b"a\xFF"[..], b"a\0", b"a\x01", b"\xED\xA0\x80"] {
            assert_eq!(refused(&packet(0x30, &[&field(topic), &[0]]), version, ToServer), ReasonCode::MalformedPacket);
        }
        for body in [&[][..], &[0], &[0, 2, b'a']] {
            assert_eq!(refused(&packet(0x30, &[body]), version, ToServer), ReasonCode::MalformedPacket);
        }
    }
}

// covers: [MQTT311-3.3.2-2] [MQTT-4.7.0-1] [MQTT311-4.7.1-1]
#[test]
fn mqtt5_3_3_2_2_the_topic_name_has_no_wildcard() {
    for version in VERSIONS {
        for topic in ["#", "+", "a/+/b", "a/b#", "a long topic name with +"] {
            assert_eq!(refused(&packet(0x30, &[&field(topic), &[0]]), version, ToServer), ReasonCode::MalformedPacket);
        }
    }
}

// covers: [MQTT-4.7.3-1] [MQTT311-4.7.3-1]
#[test]
fn an_empty_topic_needs_an_alias() {
    assert_eq!(published(&packet(0x30, &[&[0, 0], &[3, 0x23, 0, 9], b"x"]), V5).properties.topic_alias(), Some(9));
    assert_eq!(refused(&packet(0x30, &[&[0, 0], &[0], b"x"]), V5, ToServer), ReasonCode::MalformedPacket);
    assert_eq!(refused(&packet(0x30, &[&[0, 0], &[2, 0x01, 1]]), V5, ToServer), ReasonCode::MalformedPacket);
    for version in [V31, V311] {
        let bytes = packet(0x30, &[&[0, 0], &[3, 0x23, 0, 9]]);
        assert_eq!(refused(&bytes, version, ToServer), ReasonCode::MalformedPacket);
    }
}

#[test]
fn mqtt5_3_3_2_8_alias_0_has_its_own_reason_code() {
    let bytes = packet(0x30, &[&field("a"), &[3, 0x23, 0, 0]]);
    assert_eq!(refused(&bytes, V5, ToServer), ReasonCode::TopicAliasInvalid);
}

#[test]
fn mqtt5_3_3_4_6_only_a_server_sends_subscription_identifiers() {
    let bytes = packet(0x30, &[&field("a"), &[4, 0x0B, 1, 0x0B, 2]]);
    assert_eq!(refused(&bytes, V5, ToServer), ReasonCode::ProtocolError);
    let Packet::Publish(publish) = accepted(&bytes, V5, ToClient) else { unreachable!() };
    assert_eq!(publish.properties.subscription_identifiers().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn properties_are_left_out_before_mqtt_5() {
    let bytes = packet(0x30, &[&field("a"), &[2, 0x01, 1], b"x"]);
    let mut out = Vec::new();
    published(&bytes, V5).encode(V311, &mut out);
    assert_eq!(out, packet(0x30, &[&field("a"), b"x"]));
}

#[test]
fn both_ways_to_decode_say_the_same() {
    let right = packet(0x32, &[&field("a"), &[0, 1], b"x"]);
    let wrong = packet(0x32, &[&field("a+"), &[0, 1], b"x"]);
    for bytes in [right, wrong] {
        let Ok(Split::Frame(frame)) = split(&bytes, PACKET_SIZE_MAX) else { unreachable!() };
        assert_eq!(decode_publish(frame, V311, ToServer).map(Packet::Publish), decode(frame, V311, ToServer));
    }
}

#[test]
fn a_message_that_fits_into_no_packet_is_not_written() {
    let payload = alloc::vec![0; 268_435_455 - 3];
    let mut publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "a",
        packet_id: None,
        properties: Properties::EMPTY,
        payload: &payload,
    };
    assert_eq!(publish.encoded_len(V311), PACKET_SIZE_MAX);
    assert!(publish.encoded_len(V5) > PACKET_SIZE_MAX, "one byte more, for the property length");
    let mut out = Vec::from([7]);
    publish.encode(V5, &mut out);
    assert_eq!(out, [7]);
    publish.topic = "ab";
    publish.encode(V311, &mut out);
    assert_eq!(out, [7]);
}

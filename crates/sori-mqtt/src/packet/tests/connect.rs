//! Tests of the packet `connect`.

use super::*;
use crate::{Property, PropertyBuffer};

const CLEAN: u8 = 0x02;

fn connect(version: Version, flags: u8, fields: &[&[u8]]) -> Vec<u8> {
    let name = field(if version == V31 { "MQIsdp" } else { "MQTT" });
    let none: &[u8] = if version.is_v5() { &[0] } else { &[] };
    packet(0x10, &[&name, &[version.level(), flags, 0, 10], none, &fields.concat()])
}

/// What a server makes of the packet: how it answers, or nothing if it closes without a word.
#[track_caller]
fn answer(bytes: &[u8]) -> Option<(ReasonCode, Option<Version>)> {
    // The version given is not looked at: there is none before CONNECT.
    let error = read(bytes, V31, ToServer).expect_err("the packet is wrong");
    assert_eq!(read(bytes, V5, ToServer), Err(error));
    (!error.closes_silently()).then_some((error.reason_code(), error.version()))
}

fn connected(bytes: &[u8]) -> Connect<'_> {
    match accepted(bytes, V311, ToServer) {
        Packet::Connect(connect) => connect,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn every_version_is_recognised_with_and_without_the_bridge_bit() {
    for (name, level, version, bridge) in
        [("MQIsdp", 3, V31, false), ("MQTT", 4, V311, false), ("MQIsdp", 0x83, V31, true), ("MQTT", 0x84, V311, true)]
    {
        let bytes = packet(0x10, &[&field(name), &[level, CLEAN, 0x01, 0x02], &field("id")]);
        let connect = connected(&bytes);
        assert_eq!((connect.version, connect.bridge, connect.keep_alive), (version, bridge, 0x0102));
        assert!(connect.clean_start && connect.client_id == "id" && connect.will.is_none());
    }
    let bytes = connect(V5, 0, &[&field("")]);
    assert!(!connected(&bytes).clean_start && connected(&bytes).version == V5);
}

// covers: [MQTT311-3.1.2-1]
#[test]
fn mqtt5_3_1_2_1_another_protocol_name_is_no_mqtt() {
    for name in ["", "MQT", "MQTU", "MQTTT", "mqtt", "MQIsdq"] {
        let bytes = packet(0x10, &[&field(name), &[4, CLEAN, 0, 10], &field("id")]);
        assert_eq!(answer(&bytes), None, "{name}");
    }
}

// covers: [MQTT311-3.1.2-2]
#[test]
fn mqtt5_3_1_2_2_an_unknown_level_is_answered() {
    for (name, level, version) in [
        ("MQTT", 0, None),
        ("MQTT", 2, None),
        ("MQTT", 6, None),
        ("MQTT", 0x85, None),
        ("MQIsdp", 2, None),
        ("MQIsdp", 255, None),
        ("MQTT", 3, Some(V31)),
        ("MQIsdp", 4, Some(V311)),
        ("MQIsdp", 5, Some(V5)),
    ] {
        let bytes = packet(0x10, &[&field(name), &[level, CLEAN, 0, 10], &field("id")]);
        assert_eq!(answer(&bytes), Some((ReasonCode::UnsupportedProtocolVersion, version)), "{name} {level}");
    }
}

#[test]
fn a_packet_that_ends_before_its_properties_gets_no_answer() {
    for rest in [&[5][..], &[5, CLEAN], &[5, CLEAN, 0]] {
        let bytes = packet(0x10, &[&field("MQTT"), rest]);
        assert_eq!(answer(&bytes), None);
        assert_eq!(refused(&bytes, V5, ToServer), ReasonCode::MalformedPacket);
    }
    let bytes = packet(0x10, &[&field("MQTT"), &[5, CLEAN, 0, 10]]);
    assert_eq!(answer(&bytes), Some((ReasonCode::MalformedPacket, Some(V5))));
}

#[test]
fn a_packet_that_ends_before_its_version_gets_no_answer() {
    for bytes in [packet(0x10, &[]), packet(0x10, &[&[0, 4]]), packet(0x10, &[&field("MQTT")])] {
        assert_eq!(answer(&bytes), None);
    }
}

// covers: [MQTT311-3.1.2-3]
#[test]
fn mqtt5_3_1_2_3_the_reserved_flag_is_0() {
    for version in [V311, V5] {
        let bytes = connect(version, CLEAN | 1, &[&field("id")]);
        assert_eq!(answer(&bytes), None);
        assert_eq!(refused(&bytes, version, ToServer), ReasonCode::MalformedPacket);
    }
    assert!(read(&connect(V31, CLEAN | 1, &[&field("id")]), V31, ToServer).is_ok(), "unused in MQTT 3.1");
}

// covers: [MQTT311-3.1.2-14]
#[test]
fn mqtt5_3_1_2_12_will_qos_3_is_refused() {
    for version in VERSIONS {
        for qos in 0..4 {
            let none: &[u8] = if version.is_v5() { &[0] } else { &[] };
            let bytes = connect(version, CLEAN | 4 | qos << 3, &[&field("id"), none, &field("topic"), &field("gone")]);
            match connected_or_not(&bytes) {
                Some(connect) => assert_eq!(connect.will.map(|will| will.qos as u8), Some(qos)),
                None => assert_eq!(qos, 3),
            }
        }
    }
}

fn connected_or_not(bytes: &[u8]) -> Option<Connect<'_>> {
    match read(bytes, V311, ToServer) {
        Ok(Packet::Connect(connect)) => Some(connect),
        _ => None,
    }
}

// covers: [MQTT-3.1.2-13] [MQTT311-3.1.2-11] [MQTT311-3.1.2-13] [MQTT311-3.1.2-15]
#[test]
fn mqtt5_3_1_2_11_without_a_will_its_qos_and_retain_are_0() {
    for version in VERSIONS {
        for flags in [0x08, 0x10, 0x20, 0x28] {
            assert_eq!(answer(&connect(version, CLEAN | flags, &[&field("id")])), None, "{flags:02x}");
        }
    }
    for version in VERSIONS {
        let mut out = Vec::new();
        Connect { will: None, ..connected(&connect(version, CLEAN, &[&field("id")])) }.encode(&mut out);
        assert_eq!(out, connect(version, CLEAN, &[&field("id")]));
    }
}

// covers: [MQTT311-3.1.2-9]
#[test]
fn mqtt5_3_1_2_9_a_will_has_all_its_fields() {
    let malformed = Some((ReasonCode::MalformedPacket, Some(V5)));
    let fields: [&[u8]; 4] = [&field("id"), &[0], &field("topic"), &field("gone")];
    for count in 1..4 {
        assert_eq!(answer(&connect(V5, CLEAN | 4, &fields[..count])), malformed);
    }
    assert_eq!(answer(&connect(V311, CLEAN | 4, &[fields[0]])), None);
    assert_eq!(answer(&connect(V311, CLEAN | 4, &[fields[0], fields[2]])), None);
}

// covers: [MQTT311-3.1.3-10] [MQTT-4.7.0-1]
#[test]
fn mqtt5_3_1_3_11_the_will_topic_is_a_topic_name() {
    for topic in [&b"a/#"[..], b"+", b"", b"a\0", b"a\xFF", b"a\x01"] {
        let fields: [&[u8]; 4] = [&field("id"), &[0], &field(topic), &field("gone")];
        assert_eq!(answer(&connect(V5, CLEAN | 4, &fields)), Some((ReasonCode::MalformedPacket, Some(V5))));
        assert_eq!(answer(&connect(V311, CLEAN | 4, &[fields[0], fields[2], fields[3]])), None);
    }
}

// covers: [MQTT-3.1.2-18] [MQTT311-3.1.2-18] [MQTT311-3.1.2-20]
#[test]
fn mqtt5_3_1_2_16_without_its_flag_a_field_is_one_too_many() {
    for (flags, fields) in [(0, 1), (0x80, 2)] {
        let mut content = field("id");
        for _ in 0..fields {
            content.extend_from_slice(&field("x"));
        }
        let malformed = Some((ReasonCode::MalformedPacket, Some(V5)));
        assert_eq!(answer(&connect(V5, CLEAN | flags, &[&content])), malformed);
        assert_eq!(answer(&connect(V311, CLEAN | flags, &[&content])), None);
    }
}

// covers: [MQTT-3.1.2-19] [MQTT311-3.1.2-19] [MQTT311-3.1.2-21]
#[test]
fn mqtt5_3_1_2_17_with_its_flag_a_field_is_there() {
    for version in VERSIONS {
        assert_eq!(answer(&connect(version, CLEAN | 0x80, &[&field("id")])), None);
        assert_eq!(answer(&connect(version, CLEAN | 0xC0, &[&field("id"), &field("user")])), None);
        let bytes = connect(version, CLEAN | 0xC0, &[&field("id"), &field("user"), &field([0, 255])]);
        let connect = connected(&bytes);
        assert_eq!((connect.user_name, connect.password), (Some("user"), Some(&[0, 255][..])));
    }
}

// covers: [MQTT-3.1.2-19]
#[test]
fn mqtt311_3_1_2_22_a_password_needs_a_user_name_before_mqtt_5() {
    let fields: [&[u8]; 2] = [&field("id"), &field("secret")];
    for version in [V31, V311] {
        let bytes = connect(version, CLEAN | 0x40, &fields);
        assert_eq!(answer(&bytes), None);
        assert_eq!(refused(&bytes, version, ToServer), ReasonCode::MalformedPacket);
    }
    let bytes = connect(V5, CLEAN | 0x40, &fields);
    assert_eq!((connected(&bytes).user_name, connected(&bytes).password), (None, Some(&b"secret"[..])));
}

// covers: [MQTT-3.1.3-3] [MQTT-3.1.3-8] [MQTT311-3.1.3-3] [MQTT311-3.1.3-4]
#[test]
fn mqtt5_3_1_3_4_the_client_id_is_a_string() {
    for id in [&b"a\xED\xA0\x80"[..], b"a\0b", b"a\x1F"] {
        let expected = Some((ReasonCode::ClientIdentifierNotValid, Some(V5)));
        assert_eq!(answer(&connect(V5, CLEAN, &[&field(id)])), expected);
        assert_eq!(answer(&connect(V311, CLEAN, &[&field(id)])), None);
    }
    assert_eq!(answer(&connect(V5, CLEAN, &[])), Some((ReasonCode::MalformedPacket, Some(V5))));
    assert_eq!(answer(&connect(V311, CLEAN, &[])), None);
}

// covers: [MQTT311-3.1.3-8]
#[test]
fn mqtt311_3_1_3_7_an_empty_client_id_needs_a_clean_session() {
    let empty = field("");
    assert_eq!(answer(&connect(V311, 0, &[&empty])), Some((ReasonCode::ClientIdentifierNotValid, Some(V311))));
    assert_eq!(connected(&connect(V311, CLEAN, &[&empty])).client_id, "");
    assert_eq!(connected(&connect(V5, 0, &[&empty])).client_id, "");
    // MQTT 3.1 knows no empty client identifier at all.
    for flags in [0, CLEAN] {
        assert_eq!(answer(&connect(V31, flags, &[&empty])), Some((ReasonCode::ClientIdentifierNotValid, Some(V31))));
    }
}

// covers: [MQTT311-3.1.3-11]
#[test]
fn mqtt5_3_1_3_12_the_user_name_is_a_string() {
    for version in VERSIONS {
        for name in [&b"a\xED\xA0\x80"[..], b"a\0b", b"a\x7F"] {
            assert_eq!(answer(&connect(version, CLEAN | 0x80, &[&field("id"), &field(name)])), None);
        }
    }
}

// covers: [MQTT311-3.1.3-1]
#[test]
fn mqtt5_3_1_3_1_the_payload_has_its_order() {
    let mut properties = PropertyBuffer::new();
    properties.push(Property::ReceiveMaximum(9));
    let mut will_properties = PropertyBuffer::new();
    will_properties.push(Property::WillDelayInterval(5));
    let connect = Connect {
        version: V5,
        bridge: false,
        clean_start: false,
        keep_alive: 1,
        client_id: "id",
        will: Some(Will {
            topic: "t",
            payload: b"p",
            qos: crate::QoS::ExactlyOnce,
            retain: true,
            properties: will_properties.as_properties(),
        }),
        user_name: Some("u"),
        password: Some(b"s"),
        properties: properties.as_properties(),
    };
    let mut out = Vec::new();
    connect.encode(&mut out);
    let expected: [&[u8]; 10] = [
        &field("MQTT"),
        &[5, 0xF4, 0, 1],
        &[3, 0x21, 0, 9],
        &field("id"),
        &[5, 0x18, 0, 0, 0, 5],
        &field("t"),
        &field("p"),
        &field("u"),
        &field("s"),
        &[],
    ];
    assert_eq!(out, packet(0x10, &expected));
    assert_eq!(accepted(&out, V5, ToServer), Packet::Connect(connect));
}

#[test]
fn a_will_has_its_own_properties() {
    let will = |properties: &[u8]| connect(V5, CLEAN | 4, &[&field("id"), properties, &field("topic"), &field("gone")]);
    assert!(connected_or_not(&will(&[2, 0x01, 1])).is_some());
    assert_eq!(answer(&will(&[3, 0x21, 0, 1])), Some((ReasonCode::ProtocolError, Some(V5))));
    assert_eq!(answer(&will(&[2, 0x01, 2])), Some((ReasonCode::ProtocolError, Some(V5))));
    assert_eq!(answer(&will(&[1, 0x01])), Some((ReasonCode::MalformedPacket, Some(V5))));
}

#[test]
fn mqtt311_3_1_4_1_a_malformed_connect_gets_no_connack() {
    assert_eq!(answer(&connect(V311, CLEAN, &[&field("id"), &[0]])), None);
    assert_eq!(answer(&connect(V31, CLEAN, &[&field("id"), &[0]])), None);
    assert_eq!(answer(&connect(V5, CLEAN, &[&field("id"), &[0]])), Some((ReasonCode::MalformedPacket, Some(V5))));
}

#[test]
fn a_bridge_of_mqtt_5_has_no_bit_for_it() {
    let plain = connect(V5, CLEAN, &[&field("id")]);
    let mut out = Vec::new();
    Connect { bridge: true, ..connected(&plain) }.encode(&mut out);
    assert_eq!(out, plain);
}

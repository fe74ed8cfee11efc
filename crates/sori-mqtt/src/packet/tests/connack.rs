//! Tests of the packet `connack`.

use super::*;

#[test]
fn the_answer_of_every_version() {
    for (version, bytes) in [(V31, &[0x20, 2, 0, 0][..]), (V311, &[0x20, 2, 1, 0]), (V5, &[0x20, 3, 1, 0, 0])] {
        let Packet::ConnAck(connack) = accepted(bytes, version, ToClient) else { unreachable!() };
        assert_eq!((connack.session_present, connack.reason_code), (version != V31, ReasonCode::Success));
    }
}

#[test]
fn mqtt5_3_2_2_1_reserved_acknowledge_flags_are_0() {
    for flags in [0x02, 0x80, 0xFF] {
        assert_eq!(refused(&[0x20, 3, flags, 0, 0], V5, ToClient), ReasonCode::MalformedPacket);
        assert_eq!(refused(&[0x20, 2, flags, 0], V311, ToClient), ReasonCode::MalformedPacket);
        assert!(read(&[0x20, 2, flags, 0], V31, ToClient).is_ok(), "MQTT 3.1 does not use the byte");
    }
}

// covers: [MQTT311-3.2.2-4]
#[test]
fn mqtt5_3_2_2_6_a_refusal_has_no_session() {
    assert_eq!(refused(&[0x20, 3, 1, 0x87, 0], V5, ToClient), ReasonCode::ProtocolError);
    assert_eq!(refused(&[0x20, 2, 1, 5], V311, ToClient), ReasonCode::ProtocolError);
    let connack =
        ConnAck { session_present: true, reason_code: ReasonCode::NotAuthorized, properties: Properties::EMPTY };
    for (version, expected) in [(V31, &[0x20, 2, 0, 5][..]), (V311, &[0x20, 2, 0, 5]), (V5, &[0x20, 3, 0, 0x87, 0])] {
        let mut out = Vec::new();
        connack.encode(version, &mut out);
        assert_eq!(out, expected);
    }
}

#[test]
fn mqtt5_3_2_2_8_only_the_codes_of_connack() {
    assert_eq!(refused(&[0x20, 3, 0, 0x8E, 0], V5, ToClient), ReasonCode::ProtocolError);
    assert_eq!(refused(&[0x20, 3, 0, 0x01, 0], V5, ToClient), ReasonCode::ProtocolError);
    assert_eq!(refused(&[0x20, 2, 0, 6], V311, ToClient), ReasonCode::ProtocolError);
}

#[test]
fn mqtt311_3_2_2_6_no_connack_where_no_return_code_fits() {
    let connack =
        ConnAck { session_present: false, reason_code: ReasonCode::MalformedPacket, properties: Properties::EMPTY };
    let mut out = Vec::new();
    connack.encode(V311, &mut out);
    assert!(out.is_empty() && connack.encoded_len(V311) == 0);
    connack.encode(V5, &mut out);
    assert_eq!(out, [0x20, 3, 0, 0x81, 0]);
}

#[test]
fn every_return_code_comes_back() {
    for code in 0..=5 {
        accepted(&[0x20, 2, 0, code], V311, ToClient);
    }
}

//! Tests of the packet `disconnect_auth`.

use super::*;

#[test]
fn the_shortest_disconnect_is_a_normal_one() {
    for version in VERSIONS {
        let Packet::Disconnect(disconnect) = accepted(&DISCONNECT, version, ToServer) else { unreachable!() };
        assert_eq!(disconnect.reason_code, ReasonCode::Success);
    }
    accepted(&DISCONNECT, V5, ToClient);
    for version in [V31, V311] {
        assert_eq!(refused(&DISCONNECT, version, ToClient), ReasonCode::ProtocolError);
        assert_eq!(refused(&[0xE0, 1, 0], version, ToServer), ReasonCode::MalformedPacket);
    }
}

#[test]
fn mqtt5_3_14_2_1_disconnect_has_its_own_codes_on_each_side() {
    for direction in [ToServer, ToClient] {
        for code in 0..=255 {
            let bytes = [0xE0, 1, code];
            let allowed =
                ReasonCode::from_u8(code).is_some_and(|reason| reason.allowed_from(PacketType::Disconnect, direction));
            match read(&bytes, V5, direction) {
                Ok(Packet::Disconnect(disconnect)) => {
                    assert!(allowed && disconnect.reason_code.value() == code);
                }
                Ok(other) => unreachable!("{other:?}"),
                Err(error) => {
                    assert!(!allowed && error.reason_code() == ReasonCode::ProtocolError);
                    assert!(error.closes_silently(), "the peer has gone already");
                }
            }
        }
    }
}

#[test]
fn mqtt5_3_14_2_2_a_server_sends_no_session_expiry_interval() {
    let bytes = packet(0xE0, &[&[0x00, 5, 0x11, 0, 0, 0, 1]]);
    accepted(&bytes, V5, ToServer);
    assert_eq!(refused(&bytes, V5, ToClient), ReasonCode::ProtocolError);
}

#[test]
fn a_disconnect_with_a_reason_is_short() {
    accepted(&[0xE0, 1, 0x8E], V5, ToClient);
    accepted(&packet(0xE0, &[&[0x9C, 4, 0x1C], &field("x")]), V5, ToClient);
    let mut out = Vec::new();
    Disconnect { reason_code: ReasonCode::ServerBusy, properties: Properties::EMPTY }.encode(V311, &mut out);
    assert_eq!(out, DISCONNECT);
}

#[test]
fn mqtt5_3_15_2_1_auth_has_its_own_codes_on_each_side() {
    for (direction, codes) in [(ToServer, [0x18, 0x19]), (ToClient, [0x00, 0x18])] {
        for code in 0..=255 {
            let bytes = packet(0xF0, &[&[code, 4, 0x15], &field("m")]);
            assert_eq!(read(&bytes, V5, direction).is_ok(), codes.contains(&code), "{code:02x}");
        }
    }
}

#[test]
fn mqtt5_4_12_0_5_auth_names_its_method() {
    let bytes = packet(0xF0, &[&[0x18, 8, 0x15], &field("m"), &[0x16], &field("d")]);
    let Packet::Auth(auth) = accepted(&bytes, V5, ToServer) else { unreachable!() };
    assert_eq!(auth.properties.authentication_method(), Some("m"));
    assert_eq!(auth.properties.authentication_data(), Some(&b"d"[..]));
    for bytes in [&[0xF0, 0][..], &[0xF0, 1, 0x18], &[0xF0, 2, 0x18, 0]] {
        assert_eq!(refused(bytes, V5, ToServer), ReasonCode::ProtocolError);
        assert_eq!(refused(bytes, V5, ToClient), ReasonCode::ProtocolError);
    }
}

#[test]
fn auth_is_new_in_mqtt_5() {
    let bytes = packet(0xF0, &[&[0x18, 4, 0x15], &field("m")]);
    let Packet::Auth(auth) = accepted(&bytes, V5, ToServer) else { unreachable!() };
    for version in [V31, V311] {
        assert_eq!(refused(&bytes, version, ToServer), ReasonCode::ProtocolError);
        let mut out = Vec::new();
        auth.encode(version, &mut out);
        assert!(out.is_empty() && auth.encoded_len(version) == 0);
    }
}

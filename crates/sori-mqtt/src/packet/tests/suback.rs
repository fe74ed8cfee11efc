//! Tests of the packet `suback`.

use super::*;

// covers: [MQTT311-3.9.3-2]
#[test]
fn mqtt5_3_9_3_2_suback_has_its_own_codes() {
    for code in 0..=255 {
        let allowed = ReasonCode::from_u8(code).is_some_and(|reason| reason.allowed_in(PacketType::SubAck));
        let bytes = packet(0x90, &[&[0, 1, 0, 1, code]]);
        let fault = read(&bytes, V5, ToClient).err().map(|error| error.reason_code());
        assert_eq!(fault, (!allowed).then_some(ReasonCode::ProtocolError), "{code:02x}");
        let bytes = packet(0x90, &[&[0, 1, 1, code]]);
        assert_eq!(read(&bytes, V311, ToClient).is_ok(), matches!(code, 0..=2 | 0x80), "{code:02x}");
    }
}

#[test]
fn mqtt5_3_11_3_2_unsuback_has_its_own_codes() {
    for code in 0..=255 {
        let allowed = ReasonCode::from_u8(code).is_some_and(|reason| reason.allowed_in(PacketType::UnsubAck));
        let bytes = packet(0xB0, &[&[0, 1, 0, 0x11, code]]);
        let fault = read(&bytes, V5, ToClient).err().map(|error| error.reason_code());
        assert_eq!(fault, (!allowed).then_some(ReasonCode::ProtocolError), "{code:02x}");
    }
}

// covers: [MQTT-3.9.3-1] [MQTT311-3.9.3-1]
#[test]
fn mqtt5_3_11_3_1_codes_keep_their_order() {
    let bytes = packet(0x90, &[&[0, 1, 0, 0x02, 0x87, 0x00]]);
    let Packet::SubAck(suback) = accepted(&bytes, V5, ToClient) else { unreachable!() };
    assert_eq!(suback.reason_codes, [0x02, 0x87, 0x00]);
    let mut out = Vec::new();
    // Before MQTT 5.0 there is one code for all failures.
    suback.encode(V311, &mut out);
    assert_eq!(out, packet(0x90, &[&[0, 1, 0x02, 0x80, 0x00]]));

    let bytes = packet(0xB0, &[&[0, 1, 0, 0x11, 0x00, 0x87]]);
    let Packet::UnsubAck(unsuback) = accepted(&bytes, V5, ToClient) else { unreachable!() };
    assert_eq!(unsuback.reason_codes, [0x11, 0x00, 0x87]);
    out.clear();
    unsuback.encode(V311, &mut out);
    assert_eq!(out, [0xB0, 2, 0, 1]);
}

// covers: [MQTT311-2.3.1-7]
#[test]
fn mqtt5_2_2_1_6_an_answer_has_an_identifier_that_is_not_0_and_something_to_say() {
    for first in [0x90, 0xB0] {
        assert_eq!(refused(&packet(first, &[&[0, 0, 0, 0]]), V5, ToClient), ReasonCode::ProtocolError);
        assert_eq!(refused(&packet(first, &[&[0, 1, 0]]), V5, ToClient), ReasonCode::ProtocolError);
    }
    assert_eq!(refused(&packet(0x90, &[&[0, 1]]), V311, ToClient), ReasonCode::ProtocolError);
    accepted(&packet(0xB0, &[&[0, 1]]), V311, ToClient);
}

//! Tests of the packet `ack`.

use super::*;
use crate::PacketId;

const ACKS: [(u8, PacketType); 4] =
    [(0x40, PacketType::PubAck), (0x50, PacketType::PubRec), (0x62, PacketType::PubRel), (0x70, PacketType::PubComp)];

fn ack_of(packet: Packet<'_>) -> Ack<'_> {
    match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => ack,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn success_without_properties_is_the_identifier_alone() {
    for (first, kind) in ACKS {
        for version in VERSIONS {
            for direction in [ToServer, ToClient] {
                let bytes = packet(first, &[&[0x12, 0x34]]);
                let packet = accepted(&bytes, version, direction);
                assert_eq!(packet.packet_type(), kind);
                assert_eq!(PacketId::new(0x1234).map(Ack::success), Some(ack_of(packet)));
            }
        }
    }
}

#[test]
fn an_error_without_properties_has_three_bytes() {
    for (first, kind) in ACKS {
        let code = if matches!(kind, PacketType::PubAck | PacketType::PubRec) { 0x87 } else { 0x92 };
        let bytes = packet(first, &[&[0, 1, code]]);
        assert_eq!(ack_of(accepted(&bytes, V5, ToClient)).reason_code.value(), code);
        // Before MQTT 5.0 there is only the identifier.
        assert_eq!(refused(&bytes, V311, ToClient), ReasonCode::MalformedPacket);
        let mut out = Vec::new();
        ack_of(accepted(&bytes, V5, ToClient)).encode(kind, V311, &mut out);
        assert_eq!(out, packet(first, &[&[0, 1]]));
    }
}

#[test]
fn properties_come_with_their_length_and_their_code() {
    for (first, _) in ACKS {
        let bytes = packet(first, &[&[0, 1, 0], &[4, 0x1F], &field("r")]);
        assert_eq!(ack_of(accepted(&bytes, V5, ToServer)).properties.reason_string(), Some("r"));
        // A length of 0 may be written, but never is.
        let empty = packet(first, &[&[0, 1, 0, 0]]);
        assert_eq!(read(&empty, V5, ToServer).map(|packet| ack_of(packet).properties), Ok(Properties::EMPTY));
        assert_eq!(refused(&packet(first, &[&[0, 1, 0, 1]]), V5, ToServer), ReasonCode::MalformedPacket);
        assert_eq!(refused(&packet(first, &[&[0, 1, 0, 0, 0]]), V5, ToServer), ReasonCode::MalformedPacket);
    }
}

// covers: [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
#[test]
fn mqtt5_3_4_2_1_only_the_codes_of_this_packet() {
    for (first, kind) in ACKS {
        for (code, direction) in (0..=255).flat_map(|code| [(code, ToServer), (code, ToClient)]) {
            let bytes = packet(first, &[&[0, 1, code, 0]]);
            let allowed = ReasonCode::from_u8(code).is_some_and(|reason| reason.allowed_from(kind, direction));
            let result = read(&bytes, V5, direction).map(|packet| ack_of(packet).reason_code.value());
            let expected = if allowed { Ok(code) } else { Err(ReasonCode::ProtocolError) };
            assert_eq!(result.map_err(|error| error.reason_code()), expected, "{bytes:02x?}");
        }
    }
}

// covers: [MQTT311-2.3.1-6]
#[test]
fn mqtt5_2_2_1_5_an_acknowledgement_has_an_identifier_that_is_not_0() {
    for (first, _) in ACKS {
        for version in VERSIONS {
            assert_eq!(refused(&packet(first, &[&[0, 0]]), version, ToServer), ReasonCode::ProtocolError);
            assert_eq!(refused(&packet(first, &[&[1]]), version, ToServer), ReasonCode::MalformedPacket);
            assert_eq!(refused(&packet(first, &[]), version, ToServer), ReasonCode::MalformedPacket);
        }
    }
}

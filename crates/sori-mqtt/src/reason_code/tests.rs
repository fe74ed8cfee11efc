//! Tests of `reason_code`.

use alloc::vec::Vec;

use super::*;
use Direction::{ToClient, ToServer};
use PacketType::{Auth, ConnAck, Disconnect, PubAck, PubComp, PubRec, PubRel, SubAck, UnsubAck};

/// The packets that carry reason codes, as the standard lists them packet by packet; the table in the code goes the
/// other way, code by code.
const BY_PACKET: &[(PacketType, Direction, &[u8])] = &[
    // [MQTT-3.2.2-8]
    (
        ConnAck,
        ToClient,
        &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A,
            0x9B, 0x9C, 0x9D, 0x9F,
        ],
    ),
    (ConnAck, ToServer, &[]),
    // [MQTT-3.4.2-1]
    (PubAck, ToServer, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    // 0x95 is Mosquitto's own: a payload above its limit.
    (PubAck, ToClient, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x95, 0x97, 0x99]),
    // [MQTT-3.5.2-1]
    (PubRec, ToServer, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    // 0x95 is Mosquitto's own: a payload above its limit.
    (PubRec, ToClient, &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x95, 0x97, 0x99]),
    // [MQTT-3.6.2-1]
    (PubRel, ToServer, &[0x00, 0x92]),
    (PubRel, ToClient, &[0x00, 0x92]),
    // [MQTT-3.7.2-1]
    (PubComp, ToServer, &[0x00, 0x92]),
    (PubComp, ToClient, &[0x00, 0x92]),
    // [MQTT-3.9.3-2]
    (SubAck, ToClient, &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]),
    // [MQTT-3.11.3-2]
    (UnsubAck, ToClient, &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]),
    // [MQTT-3.14.2-1]
    (Disconnect, ToServer, &[0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]),
    (
        Disconnect,
        ToClient,
        &[
            0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
            0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
        ],
    ),
    // [MQTT-3.15.2-1]
    (Auth, ToServer, &[0x18, 0x19]),
    (Auth, ToClient, &[0x00, 0x18]),
];

// covers: [MQTT-3.2.2-8] [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-3.9.3-2] [MQTT-3.11.3-2]
// covers: [MQTT-3.15.2-1]
#[test]
fn mqtt5_3_14_2_1_every_packet_has_its_own_reason_codes() {
    for (packet, direction, codes) in BY_PACKET {
        let allowed: Vec<u8> = (0..=255)
            .filter(|code| ReasonCode::from_u8(*code).is_some_and(|code| code.allowed_from(*packet, *direction)))
            .collect();
        assert_eq!(&allowed, codes, "{packet:?} {direction:?}");
    }
    for reason in ReasonCode::ALL {
        for packet in PacketType::ALL {
            let from_any = reason.allowed_from(packet, ToServer) || reason.allowed_from(packet, ToClient);
            assert_eq!(reason.allowed_in(packet), from_any, "{reason:?} {packet:?}");
        }
    }
}

#[test]
fn packets_without_a_reason_code_allow_none() {
    use PacketType::{Connect, PingReq, PingResp, Publish, Subscribe, Unsubscribe};
    for reason in ReasonCode::ALL {
        for packet in [Connect, Publish, Subscribe, Unsubscribe, PingReq, PingResp] {
            assert!(!reason.allowed_in(packet));
        }
    }
}

#[test]
fn numbers_and_codes_go_both_ways() {
    for value in 0..=255 {
        if let Some(reason) = ReasonCode::from_u8(value) {
            assert_eq!(reason.value(), value);
            assert_eq!(reason.is_error(), value >= 0x80);
            assert!(ReasonCode::ALL.contains(&reason));
        }
    }
    assert_eq!(ReasonCode::ALL.len(), 43);
    assert!(ReasonCode::ALL.iter().all(|reason| ReasonCode::from_u8(reason.value()) == Some(*reason)));
}

#[test]
fn granted_qos_is_its_own_number() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        assert_eq!(ReasonCode::granted(qos).value(), qos as u8);
    }
}

#[test]
fn mqtt311_3_2_2_6_return_codes_are_0_to_5_and_some_reasons_have_none() {
    for code in 0..=5 {
        let reason = ReasonCode::from_connect_return_code(code);
        assert_eq!(reason.and_then(ReasonCode::connect_return_code), Some(code));
    }
    assert_eq!(ReasonCode::from_connect_return_code(6), None);
    assert_eq!(ReasonCode::MalformedPacket.connect_return_code(), None);
    assert_eq!(ReasonCode::ProtocolError.connect_return_code(), None);
    for (code, reason) in CONNECT_RETURN_CODES {
        assert!(reason.allowed_in(ConnAck) && (*code == 0) == (*reason == ReasonCode::Success));
    }
}

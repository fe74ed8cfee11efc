//! Tests of the packet `flags`.

use super::*;

/// A legal packet of each type but PUBLISH, which has flags of its own.
fn samples(version: Version) -> Vec<(Vec<u8>, Direction)> {
    let v5 = version.is_v5();
    let none: &[u8] = if v5 { &[0] } else { &[] };
    let name = field(if version == V31 { "MQIsdp" } else { "MQTT" });
    let mut samples = Vec::from([
        (packet(0x10, &[&name, &[version.level(), 2, 0, 0], none, &field("id")]), ToServer),
        (packet(0x20, &[&[0, 0], none]), ToClient),
        (packet(0x40, &[&[0, 1]]), ToServer),
        (packet(0x50, &[&[0, 1]]), ToServer),
        (packet(0x62, &[&[0, 1]]), ToServer),
        (packet(0x70, &[&[0, 1]]), ToServer),
        (packet(0x82, &[&[0, 1], none, &field("a"), &[0]]), ToServer),
        (packet(0x90, &[&[0, 1], none, &[0]]), ToClient),
        (packet(0xA2, &[&[0, 1], none, &field("a")]), ToServer),
        (packet(0xB0, &[&[0, 1], none, if v5 { &[0] } else { &[] }]), ToClient),
        (packet(0xC0, &[]), ToServer),
        (packet(0xD0, &[]), ToClient),
        (packet(0xE0, &[]), ToServer),
    ]);
    if v5 {
        samples.push((packet(0xF0, &[&[0x18, 4, 0x15], &field("m")]), ToServer));
    }
    samples
}

// covers: [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]
// covers: [MQTT311-2.2.2-1] [MQTT311-2.2.2-2] [MQTT311-3.6.1-1] [MQTT311-3.8.1-1] [MQTT311-3.10.1-1]
// covers: [MQTT311-3.14.1-1]
#[test]
fn mqtt5_2_1_3_1_every_other_flag_than_the_listed_ones_is_refused() {
    for version in [V311, V5] {
        for (mut bytes, direction) in samples(version) {
            let listed = bytes[0];
            accepted(&bytes, version, direction);
            for flags in (0..16).filter(|flags| listed & 0x0F != *flags) {
                bytes[0] = listed & 0xF0 | flags;
                let expected = match listed >> 4 {
                    // CONNACK, PUBREL, DISCONNECT and AUTH, as Mosquitto's tests have it.
                    2 | 6 | 14 | 15 => ReasonCode::ProtocolError,
                    _ => ReasonCode::MalformedPacket,
                };
                assert_eq!(refused(&bytes, version, direction), expected, "{bytes:02x?}");
            }
        }
    }
}

#[test]
fn in_mqtt_3_1_dup_may_be_set_and_unused_flags_are_not_looked_at() {
    for (mut bytes, direction) in samples(V31) {
        let listed = bytes[0];
        accepted(&bytes, V31, direction);
        for flags in 0..16 {
            bytes[0] = listed & 0xF0 | flags;
            let accepted = match listed >> 4 {
                6 | 8 | 10 => flags & 0b0110 == 0b0010,
                _ => true,
            };
            assert_eq!(read(&bytes, V31, direction).is_ok(), accepted, "{bytes:02x?}");
        }
    }
}

#[test]
fn nothing_follows_the_last_field() {
    for version in VERSIONS {
        for (bytes, direction) in samples(version) {
            // A further byte would be one more reason code there.
            if matches!(bytes[0] >> 4, 9 | 11) && (version.is_v5() || bytes[0] >> 4 == 9) {
                continue;
            }
            let mut longer = bytes.clone();
            longer.push(0xFE);
            longer[1] += 1;
            assert!(read(&longer, version, direction).is_err(), "{longer:02x?}");
        }
    }
}

#[test]
fn a_body_that_is_cut_short_is_refused() {
    for version in VERSIONS {
        for (bytes, direction) in samples(version) {
            // In MQTT 5.0 some packets may end earlier: then they say less, and are still whole.
            let shortest = match (version, bytes[0] >> 4) {
                (V5, 4..=7) => 2,
                (_, 12..=14) => 0,
                _ => bytes.len() - 2,
            };
            for length in 0..shortest {
                let mut shorter = bytes[..2 + length].to_vec();
                shorter[1] = length as u8;
                assert!(read(&shorter, version, direction).is_err(), "{shorter:02x?}");
            }
        }
    }
}

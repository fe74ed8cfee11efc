//! Which reason code for which fault: the specification's rules of thumb, fault by fault and packet by packet. A 3.1.1
//! connection is closed silently for the same bytes.
//!
//! Malformed Packet is 0x81, Protocol Error is 0x82. Where sections of the standard and the tests of Mosquitto differ
//! about which of the two it is, both are right here.

use super::broker::{Broker, everywhere};
use super::properties::{Form, TABLE, Value};
use super::wire::{Kind, Packet, Version, raw, v5, v31, v311};
use super::wire::{auth, disconnect, puback, pubcomp, publish, pubrec, pubrel, subscribe, unsubscribe};

const MALFORMED: u8 = 0x81;
const PROTOCOL_ERROR: u8 = 0x82;

/// A connection of 5.0 that sends these bytes is told one of the codes, and closed; one of 3.x is just closed.
#[track_caller]
fn refuses(broker: &Broker, connect: &Packet, bytes: &[u8], codes: &[u8]) {
    let mut a = broker.connect(connect.clone());
    a.send_bytes(bytes);
    assert!(a.is_closed(), "not refused: {bytes:02X?}");
    a.expect_disconnect_with_one_of(codes);
}

fn versions() -> [Packet; 3] {
    [v5("a"), v311("a"), v31("a")]
}

// covers: [MQTT-4.13.2-1] [MQTT311-2.2.2-2]
#[test]
fn mqtt5_4_13_1_1_packets_that_only_a_server_sends_are_refused() {
    everywhere(|broker| {
        for connect in versions() {
            for bytes in [raw(0x20, &[0, 0, 0]), raw(0x90, &[0, 1, 0, 0]), raw(0xB0, &[0, 1, 0, 0]), raw(0xD0, &[])] {
                refuses(broker, &connect, &bytes, &[MALFORMED, PROTOCOL_ERROR]);
            }
        }
    });
}

#[test]
fn mqtt5_4_13_1_1_packet_type_0_is_refused() {
    everywhere(|broker| {
        for connect in versions() {
            for flags in 0..16 {
                refuses(broker, &connect, &raw(flags, &[]), &[MALFORMED, PROTOCOL_ERROR]);
            }
        }
        refuses(broker, &v311("a"), &raw(0xF0, &[]), &[]);
    });
}

#[test]
fn mqtt5_2_1_3_1_reserved_flag_bits_carry_the_listed_value() {
    everywhere(|broker| {
        let packets = [puback(1), pubrec(1), pubcomp(1), super::wire::pingreq()];
        for packet in packets {
            for flags in 1..16 {
                for connect in [v5("a"), v311("a")] {
                    let mut a = broker.connect(connect);
                    a.send(packet.clone().flags(flags));
                    a.expect_disconnect(MALFORMED);
                }
            }
        }
    });
}

// covers: [MQTT-2.2.2-1]
#[test]
fn mqtt5_1_5_5_1_variable_byte_integers_of_five_bytes_or_too_many_are_malformed() {
    everywhere(|broker| {
        // The remaining length. (Five bytes: the row "remaining length not limited to 4 bytes".)
        for connect in [v5("a"), v311("a")] {
            for bytes in [&[0xC0, 0x80, 0x80, 0x80, 0x80, 0][..], &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]] {
                let mut a = broker.connect(connect.clone());
                a.send_bytes(bytes);
                a.expect_gone(&[MALFORMED, PROTOCOL_ERROR, 0x95]);
            }
            // One of more digits than it needs.
            for bytes in [&[0xC0, 0x80, 0][..], &[0x30, 0x84, 0x00, 0, 1, b't', 0]] {
                let mut a = broker.connect(connect.clone());
                a.send_bytes(bytes);
                a.expect_gone(&[MALFORMED]);
            }
        }
        // The property length, and a Subscription Identifier.
        refuses(broker, &v5("a"), &raw(0x30, &[0, 1, b't', 0x80, 0]), &[MALFORMED]);
        refuses(broker, &v5("a"), &raw(0x30, &[0, 1, b't', 0x80, 0x80, 0x80, 0x80, 0]), &[MALFORMED]);
        let subscribe = [0, 1, 3, 0x0B, 0x81, 0, 0, 1, b't', 0];
        refuses(broker, &v5("a"), &raw(0x82, &subscribe), &[MALFORMED]);
        let subscribe = [0, 1, 6, 0x0B, 0x80, 0x80, 0x80, 0x80, 1, 0, 1, b't', 0];
        refuses(broker, &v5("a"), &raw(0x82, &subscribe), &[MALFORMED]);
    });
}

/// Every packet of a client cut short by one byte after the other, its remaining length telling the truth.
#[test]
fn mqtt5_4_13_1_1_packets_cut_at_every_byte_are_malformed() {
    everywhere(|broker| {
        let packets = [
            publish("topic").qos(1).id(1).message_expiry(5).user_property("key", "value"),
            subscribe(1).subscription_id(300).filter("a/b", 1).filter("c", 2),
            unsubscribe(1).user_property("k", "v").filter("a/b", 0).filter("c", 0),
            puback(1).code(0x80).user_property("k", "v"),
            pubrec(1).code(0x80).user_property("k", "v"),
            pubrel(1).code(0x92).user_property("k", "v"),
            pubcomp(1).code(0x92).user_property("k", "v"),
            disconnect().code(4).user_property("k", "v"),
        ];
        for packet in packets {
            let bytes = packet.encode(Version::V5);
            let body = &bytes[2..];
            for end in 0..body.len() {
                let kind = packet.kind;
                let short = &body[..end];
                // Some beginnings are packets of their own.
                let whole = match kind {
                    // Topic, identifier, properties are there; the rest would be payload.
                    Kind::PubAck | Kind::PubRec | Kind::PubRel | Kind::PubComp => end == 2 || end == 3,
                    Kind::Disconnect => end < 2,
                    // After one whole filter.
                    Kind::Subscribe => end == 2 + 4 + 6,
                    Kind::Unsubscribe => end == 2 + 8 + 5,
                    _ => false,
                };
                if !whole {
                    refuses(broker, &v5("a"), &raw(bytes[0], short), &[MALFORMED, PROTOCOL_ERROR]);
                }
            }
        }
    });
}

#[test]
fn mqtt311_4_8_0_1_packets_cut_at_every_byte_are_closed() {
    everywhere(|broker| {
        let packets = [
            publish("topic").qos(1).id(1),
            subscribe(1).filter("a/b", 1),
            unsubscribe(1).filter("a/b", 0),
            puback(1),
            pubrec(1),
            pubrel(1),
            pubcomp(1),
        ];
        for packet in packets {
            let bytes = packet.encode(Version::V311);
            for end in 2..bytes.len() {
                refuses(broker, &v311("a"), &raw(bytes[0], &bytes[2..end]), &[]);
            }
        }
    });
}

#[test]
fn mqtt5_4_13_1_1_trailing_bytes_are_malformed() {
    everywhere(|broker| {
        let packets =
            [puback(1), pubrec(1), pubrel(1), pubcomp(1), subscribe(1).filter("t", 0), unsubscribe(1).filter("t", 0)];
        for packet in packets {
            let bytes = [packet.encode(Version::V311)[2..].to_vec(), vec![0]].concat();
            let first = packet.encode(Version::V311)[0];
            refuses(broker, &v311("a"), &raw(first, &bytes), &[]);
            let mut full = packet.clone().user_property("k", "v").encode(Version::V5)[2..].to_vec();
            full.push(0);
            refuses(broker, &v5("a"), &raw(first, &full), &[MALFORMED, PROTOCOL_ERROR]);
        }
        // PINGREQ has no body in either version; a broker may be lenient about what it ignores, but not go on reading
        // it as a packet.
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.send_bytes(&raw(0xC0, &[0]));
            a.expect_gone(&[MALFORMED, PROTOCOL_ERROR]);
        }
    });
}

fn example(form: Form) -> Value {
    match form {
        Form::Byte => Value::Byte(1),
        Form::Two => Value::Two(1),
        Form::Four => Value::Four(1000),
        Form::Variable => Value::Variable(1),
        Form::Text => Value::Text(b"x".to_vec()),
        Form::Binary => Value::Binary(b"x".to_vec()),
        Form::Pair => Value::Pair(b"k".to_vec(), b"v".to_vec()),
    }
}

/// The properties that a client may send in each packet.
fn allowed(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Connect => &[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27],
        Kind::Publish => &[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26],
        Kind::Subscribe => &[0x0B, 0x26],
        Kind::Unsubscribe => &[0x26],
        // Server Reference is of no use from a client, but not forbidden.
        Kind::Disconnect => &[0x11, 0x1C, 0x1F, 0x26],
        Kind::Auth => &[0x15, 0x16, 0x1F, 0x26],
        _ => &[0x1F, 0x26],
    }
}

fn each_packet() -> [Packet; 9] {
    [
        publish("t"),
        puback(1).code(0x80),
        pubrec(1).code(0x80),
        pubrel(1).code(0x92),
        pubcomp(1).code(0x92),
        subscribe(1).filter("t", 0),
        unsubscribe(1).filter("t", 0),
        disconnect().code(4),
        auth(0x19),
    ]
}

#[test]
fn mqtt5_4_13_1_1_misplaced_properties_are_refused() {
    everywhere(|broker| {
        for packet in each_packet() {
            for row in TABLE.iter().filter(|row| !allowed(packet.kind).contains(&row.id)) {
                let bytes = packet.clone().property(row.id, example(row.form)).encode(Version::V5);
                refuses(broker, &v5("a"), &bytes, &[MALFORMED, PROTOCOL_ERROR]);
            }
        }
        for row in TABLE.iter().filter(|row| !allowed(Kind::Connect).contains(&row.id)) {
            let mut a = broker.open();
            a.send(v5("a").property(row.id, example(row.form)));
            a.expect_connect_refused(&[MALFORMED, PROTOCOL_ERROR]);
        }
    });
}

#[test]
fn mqtt5_4_13_1_1_unknown_properties_are_malformed() {
    everywhere(|broker| {
        let unknown = (0..=255_u8).filter(|id| *id < 0x80 && TABLE.iter().all(|row| row.id != *id));
        for id in unknown {
            let bytes = publish("t").property(id, Value::Byte(1)).encode(Version::V5);
            refuses(broker, &v5("a"), &bytes, &[MALFORMED]);
        }
        for packet in each_packet() {
            let bytes = packet.property(0x7F, Value::Byte(1)).encode(Version::V5);
            refuses(broker, &v5("a"), &bytes, &[MALFORMED, PROTOCOL_ERROR]);
        }
        let mut a = broker.open();
        a.send(v5("a").property(0x7F, Value::Byte(1)));
        a.expect_connect_refused(&[MALFORMED]);
    });
}

#[test]
fn mqtt5_4_13_1_1_a_property_twice_is_a_protocol_error() {
    everywhere(|broker| {
        for packet in each_packet() {
            for row in TABLE.iter().filter(|row| row.id != 0x26 && allowed(packet.kind).contains(&row.id)) {
                let twice = packet.clone().property(row.id, example(row.form)).property(row.id, example(row.form));
                refuses(broker, &v5("a"), &twice.encode(Version::V5), &[MALFORMED, PROTOCOL_ERROR]);
            }
        }
        for id in allowed(Kind::Connect).iter().filter(|id| **id != 0x26) {
            let form = TABLE.iter().find(|row| row.id == *id).unwrap().form;
            let mut a = broker.open();
            a.send(v5("a").property(*id, example(form)).property(*id, example(form)));
            a.expect_connect_refused(&[PROTOCOL_ERROR]);
        }
    });
}

#[test]
fn mqtt5_4_13_1_1_user_property_may_come_again_in_every_packet() {
    everywhere(|broker| {
        for packet in each_packet() {
            let twice = packet.user_property("k", "v").user_property("k", "v");
            let mut a = broker.connect(v5("a"));
            a.send(twice.clone());
            if matches!(twice.kind, Kind::Disconnect) {
                a.expect_closed();
            } else if twice.kind != Kind::Auth {
                assert!(!a.is_closed(), "refused: {twice}");
            }
        }
        broker.connect(v5("a").user_property("k", "v").user_property("k", "v")).expect_alive();
    });
}

#[test]
fn mqtt5_4_13_1_1_values_out_of_range_in_connect_are_protocol_errors() {
    everywhere(|broker| {
        let packets = [
            v5("a").receive_maximum(0),
            v5("a").maximum_packet_size(0),
            v5("a").request_problem_information(2),
            v5("a").request_response_information(2),
        ];
        for packet in packets {
            let mut a = broker.open();
            a.send(packet);
            a.expect_connect_refused(&[PROTOCOL_ERROR]);
        }
        for packet in [v5("a").will(publish("w").payload_format(2)), v5("a").will(publish("w").topic_alias(1))] {
            let mut a = broker.open();
            a.send(packet);
            a.expect_connect_refused(&[MALFORMED, PROTOCOL_ERROR]);
        }
    });
}

#[test]
fn mqtt5_4_13_1_1_payload_format_indicator_is_0_or_1() {
    everywhere(|broker| {
        for indicator in [2, 0x80, 0xFF] {
            let bytes = publish("t").payload_format(indicator).encode(Version::V5);
            refuses(broker, &v5("a"), &bytes, &[MALFORMED, PROTOCOL_ERROR]);
        }
    });
}

/// 0x99 is for a payload that is not what its Payload Format Indicator says; a broker need not look.
#[test]
fn payload_that_is_not_the_utf_8_that_it_claims_to_be() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(publish("t").payload(b"\xFF").payload_format(1).qos(1).id(1));
        let answer = a.receive();
        assert!(matches!(answer.code, 0 | 0x10 | 0x99), "{answer}");
    });
}

/// The reason codes that a client may send in each acknowledgement.
// covers: [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1]
#[test]
fn mqtt5_3_7_2_1_reason_codes_of_acknowledgements_are_the_listed_ones() {
    everywhere(|broker| {
        let first = &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99][..];
        let second = &[0, 0x92][..];
        for (packet, codes) in [(puback(9), first), (pubrec(9), first), (pubrel(9), second), (pubcomp(9), second)] {
            for code in 0..=255 {
                if codes.contains(&code) {
                    let mut a = broker.connect(v5("a"));
                    a.send(packet.clone().code(code));
                    assert!(!a.is_closed(), "refused: {} with {code:#04X}", packet.clone());
                } else {
                    let bytes = packet.clone().code(code).encode(Version::V5);
                    refuses(broker, &v5("a"), &bytes, &[MALFORMED, PROTOCOL_ERROR]);
                }
            }
        }
    });
}

/// Bytes that come in one segment before the fault are still served, those after it are not.
#[test]
fn packets_before_a_fault_are_served_and_none_after_it() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut watcher = broker.connect(v5("watcher"));
            watcher.subscribe("#", 0);
            let mut a = broker.connect(connect);
            a.send_together([publish("before"), publish("t").qos(3).id(1), publish("after")]);
            watcher.expect(publish("before"));
            watcher.expect_nothing();
            a.expect_disconnect(MALFORMED);
        }
    });
}

/// Every first byte and a few lengths with zeros behind them: no answer but a disconnect with 0x81, 0x82 or the like.
#[test]
fn no_short_packet_does_harm() {
    everywhere(|broker| {
        let mut witness = broker.connect(v5("witness"));
        for connect in [v5("a"), v311("a"), v31("a")] {
            for first in 0..=255_u8 {
                for length in [0, 1, 2, 3, 5, 8] {
                    for fill in [0, 1, 0xFF] {
                        let mut a = broker.connect(connect.clone());
                        a.send_bytes(&raw(first, &vec![fill; length]));
                        // Whatever it is, the reader finds it well-formed.
                        a.drain();
                    }
                }
            }
        }
        witness.expect_alive();
    });
}

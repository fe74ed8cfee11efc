//! DISCONNECT, both ways.

use super::broker::everywhere;
use super::wire::{Version, disconnect, pingreq, pubcomp, publish, pubrec, pubrel, raw, subscribe, v5, v31, v311};

// covers: [MQTT-3.14.4-2] [MQTT311-3.14.4-1] [MQTT311-3.14.4-2]
#[test]
fn mqtt5_3_14_4_1_after_disconnect_the_connection_is_closed_and_nothing_sent() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("#", 0);
        for connect in [v5("a"), v311("a"), v31("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 0);
            // What follows the DISCONNECT in the same segment is not for this connection any more.
            a.send_together([pingreq(), disconnect(), publish("t").payload("late"), pingreq()]);
            a.expect(super::wire::pingresp());
            a.expect_closed();
            watcher.expect_nothing();
        }
    });
}

// covers: [MQTT311-3.14.1-1]
#[test]
fn mqtt5_3_14_1_1_reserved_bits_of_disconnect_must_be_0() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("w", 0);
        for flags in 1..16 {
            for connect in [v5("a"), v311("a")] {
                let mut a = broker.connect(connect.will(publish("w").payload("x")));
                a.send(disconnect().flags(flags));
                // Mosquitto's tests want 0x82.
                a.expect_disconnect_with_one_of(&[0x81, 0x82]);
                // It was no DISCONNECT: the will goes out.
                watcher.expect(publish("w").payload("x"));
            }
        }
    });
}

#[test]
fn mqtt5_3_14_2_1_codes_that_a_client_may_not_send_are_refused() {
    everywhere(|broker| {
        for code in [0x01, 0x02, 0x05, 0x10, 0x7F, 0x84, 0x8A, 0xA3, 0xFF, 0x8B, 0x8D, 0x8E] {
            let mut a = broker.connect(v5("a"));
            a.send(disconnect().code(code));
            // Whether anything is still said to a client that wants to go is up to the broker.
            let last = a.drain();
            assert!(last.len() <= 1 && last.iter().all(|packet| matches!(packet.code, 0x81 | 0x82)), "{last:?}");
            a.expect_closed();
        }
    });
}

#[test]
fn mqtt5_3_14_2_1_every_form_of_disconnect_is_taken() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("w", 0);
        let normal: [&[u8]; 4] = [&[], &[0], &[0, 0], &[0, 4, 0x1F, 0, 1, b'r']];
        for body in normal {
            let mut a = broker.connect(v5("a").will(publish("w")));
            a.send_bytes(&raw(0xE0, body));
            a.expect_closed();
            watcher.expect_nothing();
        }
        let mut old = broker.connect(v311("a").will(publish("w")));
        old.send_bytes(&[0xE0, 0]);
        old.expect_closed();
        watcher.expect_nothing();
    });
}

#[test]
fn mqtt5_3_14_0_1_no_disconnect_before_the_connack() {
    everywhere(|broker| {
        // Faults in the very first bytes, of every kind of packet.
        let faults: [Vec<u8>; 6] = [
            raw(0x10, &[]),
            raw(0xF0, &[0x18, 0]),
            raw(0xE0, &[]),
            raw(0x30, b"\0\x01t\0x"),
            vec![0x10, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            raw(0x00, &[]),
        ];
        for bytes in faults {
            let mut a = broker.open();
            a.speaks(Version::V5);
            a.send_bytes(&bytes);
            a.expect_connect_refused(&[0x81, 0x82]);
        }
    });
}

/// 3.1.1 has no DISCONNECT from the server.
// covers: [MQTT311-4.8.0-1]
#[test]
fn mqtt311_4_8_0_1_a_protocol_violation_is_closed_silently() {
    everywhere(|broker| {
        for connect in [v311("a"), v31("a")] {
            let faults = [
                raw(0x00, &[]),
                raw(0xF0, &[]),
                raw(0x20, &[0, 0]),
                raw(0xD0, &[]),
                raw(0x36, b"\0\x01t\0\x01"),
                raw(0x82, &[0, 1]),
                raw(0x30, &[]),
                vec![0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            ];
            for bytes in faults {
                let mut a = broker.connect(connect.clone());
                a.send_bytes(&bytes);
                a.expect_closed();
            }
        }
    });
}

/// The reader refuses a Session Expiry Interval in what the broker sends, and any other property that is not a server's.
// covers: [MQTT-3.14.2-2]
#[test]
fn mqtt5_3_14_2_2_the_brokers_disconnect_has_no_session_expiry_interval() {
    everywhere(|broker| {
        let connect = v5("a").session_expiry(100);
        let mut a = broker.connect(connect.clone());
        let mut b = broker.connect(connect.clone());
        a.expect_disconnect(0x8E);
        b.send(publish("t").qos(3).id(1));
        b.expect_disconnect(0x81);
        let mut c = broker.connect(connect.keep_alive(1));
        broker.seconds(3);
        c.expect_disconnect(0x8D);
    });
}

/// The stream may be cut anywhere: the same packets in pieces of any size have the same answers.
// covers: [MQTT-4.2.0-1]
#[test]
fn mqtt5_4_2_0_1_the_byte_stream_may_be_cut_anywhere() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let packets = [
                connect.clone(),
                subscribe(1).filter("t", 2),
                publish("t").payload("x").qos(2).id(2),
                pubrel(2),
                pingreq(),
                pubrec(1),
                pubcomp(1),
                publish("t").payload([7; 300]),
                disconnect(),
            ];
            let version = if connect.connect_part().level == 5 { Version::V5 } else { Version::V311 };
            let bytes: Vec<u8> = packets.iter().flat_map(|packet| packet.encode(version)).collect();
            let answers = |size: usize| {
                let mut a = broker.open();
                a.speaks(version);
                let mut answers = Vec::new();
                for piece in bytes.chunks(size) {
                    a.send_bytes(piece);
                    answers.extend(a.drain());
                }
                assert!(a.is_closed());
                answers
            };
            let whole = answers(bytes.len());
            assert_eq!(whole.len(), 8, "{whole:?}");
            for size in 1..60 {
                let mut pieces = answers(size);
                // The order of a message and of the acknowledgement of another is open.
                for answer in &whole {
                    let position = pieces.iter().position(|piece| piece == answer);
                    pieces.remove(position.unwrap_or_else(|| panic!("no {answer} in pieces of {size}: {pieces:?}")));
                }
                assert!(pieces.is_empty(), "{pieces:?}");
            }
        }
    });
}

#[test]
fn a_stopping_broker_says_0x8b_to_5_0_clients_and_closes_the_others() {
    everywhere(|broker| {
        let mut five = broker.connect(v5("five"));
        let mut four = broker.connect(v311("four"));
        let mut silent = broker.open();
        broker.shutdown();
        five.expect_disconnect(0x8B);
        four.expect_closed();
        silent.expect_closed();
    });
}

//! CONNECT and what it decides at once: protocol, flags, client identifier, the answer. MQTT 5.0 and 3.1.1, 3.1.

use super::broker::{everywhere, setup};
use super::wire::{Version, connack, disconnect, pingreq, pingresp, publish, raw, suback, subscribe, v5, v31, v311};

#[test]
fn mqtt5_3_1_0_2_second_connect_is_a_protocol_error() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(v5("a"));
        a.expect_disconnect(0x82);
        // Whatever stands in it: the codes of CONNACK, 0x84 and 0x85, are none of DISCONNECT.
        for connect in [v5("a").client_id_bytes(b"\xFF"), v5("a").protocol("MQTT", 9)] {
            let mut a = broker.connect(v5("a"));
            a.send(connect);
            a.expect_disconnect(0x82);
        }
    });
}

#[test]
fn mqtt311_3_1_0_2_second_connect_closes() {
    everywhere(|broker| {
        for connect in [v311("a"), v31("a")] {
            let mut a = broker.connect(connect.clone());
            a.send(connect);
            a.expect_closed();
        }
    });
}

#[test]
fn mqtt5_3_1_0_1_first_packet_must_be_connect() {
    everywhere(|broker| {
        let packets = [publish("t"), subscribe(1).filter("t", 0), pingreq(), disconnect()];
        for packet in packets {
            let mut a = broker.open();
            a.send(packet);
            a.expect_closed();
        }
    });
}

// covers: [MQTT311-3.1.2-1]
#[test]
fn mqtt5_3_1_2_1_protocol_name_other_than_mqtt_is_refused() {
    everywhere(|broker| {
        for name in ["MQTU", "MQT", "MQTTT", "mqtt", ""] {
            for level in [4, 5] {
                let mut a = broker.open();
                a.send(v5("a").protocol(name, level));
                a.expect_connect_refused(&[0x81, 0x84, 1]);
            }
        }
        broker.connect(v5("a")).expect_alive();
        broker.connect(v311("a")).expect_alive();
    });
}

/// A refusal for the version is written in a form that the client may not know: all that counts is its code.
#[test]
fn mqtt5_3_1_2_2_unsupported_protocol_version_is_refused() {
    everywhere(|broker| {
        for level in [0, 1, 2, 6, 7, 0x7F] {
            for speaks in [Version::V311, Version::V5] {
                let mut a = broker.open();
                let bytes = v5("a").protocol("MQTT", level).encode(Version::V5);
                a.speaks(speaks);
                a.send_bytes(&bytes);
                let answer = a.received_bytes();
                let allowed: [&[u8]; 3] = [&[], &[0x20, 2, 0, 1], &[0x20, 3, 0, 0x84, 0]];
                assert!(allowed.contains(&&answer[..]), "level {level}: {answer:02X?}");
                a.expect_closed();
            }
        }
    });
}

#[test]
fn mqtt311_3_1_2_2_unsupported_level_is_refused_with_code_1() {
    everywhere(|broker| {
        // Level 3 belongs to the name "MQIsdp", level 4 to "MQTT".
        for (name, level) in [("MQTT", 3), ("MQIsdp", 4)] {
            let mut a = broker.open();
            a.speaks(Version::V311);
            a.send_bytes(&v311("a").protocol(name, level).encode(Version::V311));
            a.expect_refused(1);
        }
    });
}

// covers: [MQTT311-3.1.2-3]
#[test]
fn mqtt5_3_1_2_3_reserved_connect_flag_must_be_0() {
    everywhere(|broker| {
        let mut a = broker.open();
        a.send(v5("a").connect_flags(0b11));
        a.expect_connect_refused(&[0x81]);
        let mut b = broker.open();
        b.send(v311("b").connect_flags(0b11));
        b.expect_closed();
        broker.connect(v5("a").connect_flags(0b10)).expect_alive();
    });
}

// covers: [MQTT-3.1.2-12] [MQTT311-3.1.2-14]
#[test]
fn mqtt5_3_1_2_12_will_qos_3_is_malformed() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.open();
            a.send(connect.will(publish("w").payload("x")).connect_flags(0b0001_1110));
            a.expect_connect_refused(&[0x81]);
        }
    });
}

// covers: [MQTT-3.1.2-13] [MQTT311-3.1.2-11] [MQTT311-3.1.2-13] [MQTT311-3.1.2-15]
#[test]
fn mqtt5_3_1_2_11_will_qos_and_retain_without_a_will_are_malformed() {
    everywhere(|broker| {
        for flags in [0b0000_1010, 0b0001_0010, 0b0010_0010] {
            for connect in [v5("a"), v311("a")] {
                let mut a = broker.open();
                a.send(connect.connect_flags(flags));
                a.expect_connect_refused(&[0x81]);
            }
        }
    });
}

// covers: [MQTT-3.1.2-9] [MQTT311-3.1.2-9] [MQTT-3.1.2-17] [MQTT-3.1.2-19] [MQTT311-3.1.2-19] [MQTT311-3.1.2-21]
#[test]
fn mqtt5_3_1_4_1_connect_that_lacks_a_field_is_refused() {
    everywhere(|broker| {
        // Will, user name, password announced by the flags, but not there.
        for flags in [0b0000_0110, 0b1000_0010, 0b1100_0010] {
            let mut a = broker.open();
            a.send(v5("a").connect_flags(flags));
            a.expect_connect_refused(&[0x81]);
            let mut b = broker.open();
            b.send(v311("b").connect_flags(flags));
            b.expect_closed();
        }
    });
}

// covers: [MQTT-3.1.2-16] [MQTT-3.1.2-18] [MQTT311-3.1.2-18] [MQTT311-3.1.2-20]
#[test]
fn mqtt311_3_1_4_1_connect_with_fields_that_the_flags_do_not_announce_is_refused() {
    everywhere(|broker| {
        for flags in [0b0000_0010, 0b1000_0010] {
            let mut a = broker.open();
            a.send(v5("a").user("u").password("p").connect_flags(flags));
            a.expect_connect_refused(&[0x81]);
            let mut b = broker.open();
            b.send(v311("b").user("u").password("p").connect_flags(flags));
            b.expect_closed();
        }
    });
}

/// A CONNECT cut short in its body by one byte after the other, its remaining length telling the truth.
#[test]
fn mqtt5_3_1_4_1_connect_cut_at_every_byte_is_refused() {
    everywhere(|broker| {
        let full = v5("a").keep_alive(60).session_expiry(5).will(publish("w").payload("x")).user("u").password("p");
        for (connect, version) in [(full.clone(), Version::V5), (full.protocol("MQTT", 4), Version::V311)] {
            let bytes = connect.encode(version);
            for end in 0..bytes.len() - 2 {
                let mut a = broker.open();
                a.speaks(version);
                a.send_bytes(&raw(0x10, &bytes[2..2 + end]));
                a.expect_connect_refused(&[0x81, 0x85]);
            }
            let mut a = broker.open();
            a.speaks(version);
            a.send_bytes(&bytes);
            a.expect(connack());
        }
    });
}

#[test]
fn mqtt311_3_1_2_22_password_without_user_name_closes() {
    everywhere(|broker| {
        let mut a = broker.open();
        a.send(v311("a").password("p"));
        a.expect_closed();
    });
}

#[test]
fn mqtt5_3_1_2_19_password_without_user_name_is_allowed() {
    everywhere(|broker| broker.connect(v5("a").password("p")).expect_alive());
}

// covers: [MQTT311-3.1.3-5]
#[test]
fn mqtt5_3_1_3_5_client_ids_of_1_to_23_letters_and_digits_are_accepted() {
    everywhere(|broker| {
        let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        for start in 0..all.len() {
            let length = 1 + start % 23;
            let id: String = all.chars().cycle().skip(start).take(length).collect();
            for connect in [v5(&id), v311(&id), v31(&id)] {
                broker.connect(connect).expect_alive();
            }
        }
    });
}

#[test]
fn mqtt31_client_id_longer_than_23_may_be_accepted() {
    everywhere(|broker| {
        let mut a = broker.open();
        a.send(v31("abcdefghijklmnopqrstuvwxyz0123456789"));
        let answer = a.receive();
        assert!(answer.code == 0 || answer.code == 2, "{answer}");
    });
}

// covers: [MQTT-3.1.3-7] [MQTT-3.2.2-16]
#[test]
fn mqtt5_3_1_3_6_empty_client_id_is_assigned_a_unique_one() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("").session_expiry(100));
        let mut b = broker.connect(v5(""));
        let (first, second) = (a.connack.text(0x12).unwrap(), b.connack.text(0x12).unwrap());
        assert_ne!(first, second);
        assert!(!first.is_empty() && !a.session_present());
        a.subscribe("t", 1);
        a.leave();
        // The assigned identifier names the session from now on.
        let again = broker.connect(v5(&first).clean(false).session_expiry(100));
        assert!(again.session_present());
        assert!(!again.connack.has(0x12), "an identifier was assigned to a client that has one");
        b.expect_alive();
    });
}

#[test]
fn mqtt5_3_1_3_6_empty_client_id_is_allowed_without_clean_start() {
    everywhere(|broker| {
        let a = broker.connect(v5("").clean(false));
        assert!(!a.session_present() && a.connack.has(0x12));
    });
}

#[test]
fn mqtt311_3_1_3_6_empty_client_id_with_clean_session_is_accepted() {
    everywhere(|broker| {
        let mut a = broker.connect(v311(""));
        let mut b = broker.connect(v311(""));
        a.expect_alive();
        b.expect_alive();
    });
}

// covers: [MQTT311-3.1.3-7] [MQTT311-3.2.2-4] [MQTT311-3.2.2-5]
#[test]
fn mqtt311_3_1_3_8_empty_client_id_without_clean_session_is_refused_with_code_2() {
    everywhere(|broker| {
        let mut a = broker.open();
        a.send(v311("").clean(false));
        a.expect_refused(2);
    });
}

#[test]
fn mqtt31_empty_client_id_is_refused_with_code_2() {
    everywhere(|broker| {
        for clean in [true, false] {
            let mut a = broker.open();
            a.send(v31("").clean(clean));
            a.expect_refused(2);
        }
    });
}

// covers: [MQTT-3.2.2-7] [MQTT-3.14.0-1]
#[test]
fn mqtt5_3_1_3_8_refused_client_id_gets_0x85_or_0x80() {
    setup().listener(|listener| listener.allow_zero_length_client_id = false).run(|broker| {
        let mut a = broker.open();
        a.send(v5(""));
        // 0x85 is what the standard proposes, 0x80 what Mosquitto's tests want.
        let answer = a.receive();
        assert!(matches!(answer.code, 0x80 | 0x85), "{answer}");
        a.expect_closed();
        broker.connect(v5("a")).expect_alive();
    });
}

#[test]
fn mqtt311_3_1_3_9_refused_client_id_gets_code_2() {
    setup().listener(|listener| listener.allow_zero_length_client_id = false).run(|broker| {
        let mut a = broker.open();
        a.send(v311(""));
        a.expect_refused(2);
    });
}

#[test]
fn client_ids_without_the_prefix_that_all_must_have_are_refused() {
    setup().settings(|settings| settings.client_id_prefix = "sensor-".into()).run(|broker| {
        for (connect, code) in [(v5("motor-1"), 0x87), (v5("sensor"), 0x87), (v5(""), 0x87), (v311("motor-1"), 5)] {
            let mut a = broker.open();
            a.send(connect);
            a.expect_refused(code);
        }
        broker.connect(v5("sensor-1")).expect_alive();
        broker.connect(v311("sensor-2")).expect_alive();
    });
}

// covers: [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT311-1.5.3-1] [MQTT311-1.5.3-2] [MQTT-3.1.3-4] [MQTT311-3.1.3-4]
#[test]
fn mqtt5_1_5_4_1_ill_formed_texts_in_connect_are_refused() {
    everywhere(|broker| {
        let bad: [&[u8]; 6] = [b"a\0b", b"\xED\xA0\x80", b"\xED\xBF\xBF", b"\xC0\x80", b"\xF5\x80\x80\x80", b"ab\xFF"];
        for text in bad {
            for connect in [v5("a"), v311("a")] {
                let damaged = [
                    connect.clone().client_id_bytes(text),
                    connect.clone().user(text),
                    connect.clone().will(publish(text).payload("x")),
                ];
                for packet in damaged {
                    let mut a = broker.open();
                    a.send(packet);
                    a.expect_connect_refused(&[0x81, 0x85]);
                }
            }
        }
    });
}

// covers: [MQTT311-3.1.4-4] [MQTT-3.2.0-1] [MQTT-3.2.0-2] [MQTT311-3.2.0-1]
#[test]
fn mqtt5_3_1_4_5_connect_is_answered_with_one_connack_before_anything_else() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            let mut a = broker.open();
            // All in one segment: the answers come in order, the CONNACK first and once.
            a.send_together([connect, subscribe(1).filter("t", 0), publish("t").payload("x"), pingreq()]);
            a.expect(connack());
            a.expect(suback(1, &[0]));
            a.expect_in_any_order([publish("t").payload("x"), pingresp()]);
            a.expect_nothing();
        }
    });
}

/// What came before the CONNECT was refused must have no effect, nor what comes after it.
// covers: [MQTT311-3.1.4-5]
#[test]
fn mqtt5_3_1_4_6_after_a_refusal_nothing_is_processed() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("#", 0);
        for refused in [v311("").clean(false), v5("a").receive_maximum(0)] {
            let mut a = broker.open();
            a.send_together([refused.clone(), publish("t").payload("x"), pingreq()]);
            a.expect_connect_refused(&[2, 0x82]);
        }
        watcher.expect_nothing();
    });
}

#[test]
fn mqtt311_3_1_4_1_malformed_connect_is_closed_without_connack() {
    everywhere(|broker| {
        let mut a = broker.open();
        a.send(v311("a").connect_flags(0b0001_1110).will(publish("w")));
        a.expect_closed();
        let mut b = broker.open();
        b.send_bytes(&[0x11, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 0]);
        b.expect_closed();
    });
}

/// Nobody waits for ever for a connection that says nothing, or says its CONNECT one byte a second.
#[test]
fn connect_time_out_closes_silent_and_trickling_connections() {
    everywhere(|broker| {
        let mut silent = broker.open();
        let mut trickling = broker.open();
        let mut ready = broker.connect(v5("ready"));
        let bytes = v5("trickling").user("a longer user name").encode(Version::V5);
        for byte in &bytes[..9] {
            trickling.send_bytes(&[*byte]);
            broker.seconds(1);
        }
        assert!(!silent.is_closed() && !trickling.is_closed(), "closed before ten seconds");
        trickling.send_bytes(&bytes[9..10]);
        broker.seconds(2);
        silent.expect_closed();
        trickling.expect_closed();
        ready.expect_alive();
    });
}

#[test]
fn connect_may_arrive_cut_at_every_byte() {
    everywhere(|broker| {
        let bytes = v5("a").will(publish("w").payload("x")).user("u").encode(Version::V5);
        for cut in 1..bytes.len() {
            let mut a = broker.open();
            a.send_bytes(&bytes[..cut]);
            a.expect_nothing();
            a.send_bytes(&bytes[cut..]);
            a.expect(connack());
        }
    });
}

//! PUBLISH from a client: what the broker answers at each QoS, and what it does with identifiers and flags.

use super::broker::everywhere;
use super::wire::{
    RETAIN_AS_PUBLISHED, puback, pubcomp, publish, pubrec, pubrel, raw, subscribe, unsubscribe, v5, v31, v311,
};

// covers: [MQTT-2.2.1-2] [MQTT311-2.3.1-5] [MQTT311-3.3.4-1]
#[test]
fn mqtt5_3_3_4_1_each_qos_has_its_answer() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            let mut watcher = broker.connect(v5("watcher"));
            watcher.subscribe("t", 2);
            let mut a = broker.connect(connect);
            a.send(publish("t").payload("0"));
            a.expect_nothing();
            a.send(publish("t").payload("1").qos(1).id(7));
            a.expect(puback(7));
            a.send(publish("t").payload("2").qos(2).id(9));
            a.expect(pubrec(9));
            a.send(pubrel(9));
            a.expect(pubcomp(9));
            for qos in 0..3 {
                watcher.expect_message(publish("t").payload(qos.to_string()).qos(qos));
            }
            a.expect_nothing();
            watcher.leave();
        }
    });
}

// covers: [MQTT-3.4.2-1] [MQTT-3.5.2-1]
#[test]
fn mqtt5_3_4_2_1_no_matching_subscribers_is_told() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        let mut b = broker.connect(v5("b"));
        a.send(publish("t").qos(1).id(1));
        a.expect(puback(1).code(0x10));
        a.send(publish("t").qos(2).id(2));
        // A QoS 2 message is routed when it is released: nobody knows yet.
        a.expect(pubrec(2));
        a.send(pubrel(2));
        a.expect(pubcomp(2));
        b.subscribe("t", 0);
        a.send(publish("t").qos(1).id(3));
        a.expect(puback(3));
        b.unsubscribe("t");
        a.send(publish("t").qos(1).id(4));
        a.expect(puback(4).code(0x10));
    });
}

// covers: [MQTT-4.3.2-4] [MQTT311-2.3.1-6] [MQTT311-4.3.2-2]
#[test]
fn mqtt5_2_2_1_5_acknowledgements_repeat_the_identifier() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 0);
            for id in [1, 2, 255, 256, 0x1234, u16::MAX] {
                a.send(publish("t").qos(1).id(id));
                a.expect_in_any_order([puback(id), publish("t")]);
                a.send(publish("t").qos(2).id(id));
                a.expect(pubrec(id));
                a.send(pubrel(id));
                a.expect_in_any_order([pubcomp(id), publish("t")]);
            }
        }
    });
}

#[test]
fn mqtt5_4_3_2_5_after_puback_the_identifier_is_a_new_message_whatever_dup_says() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut watcher = broker.connect(v5("watcher"));
            watcher.subscribe("t", 1);
            let mut a = broker.connect(connect);
            for message in [publish("t").qos(1).id(5), publish("t").qos(1).id(5).dup()] {
                a.send(message);
                a.expect(puback(5));
                watcher.expect_message(publish("t").qos(1));
            }
        }
    });
}

// covers: [MQTT311-3.3.1-3]
#[test]
fn mqtt5_3_3_1_3_dup_is_not_passed_on() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut watcher = broker.connect(v5("watcher"));
            watcher.subscribe("t", 2 | RETAIN_AS_PUBLISHED);
            let mut a = broker.connect(connect);
            a.publish(publish("t").qos(1).dup());
            watcher.expect_message(publish("t").qos(1));
            a.publish(publish("t").qos(2).dup());
            watcher.expect_message(publish("t").qos(2));
        }
    });
}

// covers: [MQTT311-3.3.1-2] [MQTT-4.3.1-1] [MQTT311-4.3.1-1]
#[test]
fn mqtt5_3_3_1_2_dup_with_qos_0_is_malformed() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.send(publish("t").dup());
            a.expect_disconnect_with_one_of(&[0x81, 0x82]);
        }
    });
}

// covers: [MQTT311-3.3.1-4]
#[test]
fn mqtt5_3_3_1_4_both_qos_bits_set_is_malformed() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.send(publish("t").qos(3).id(1));
            a.expect_disconnect(0x81);
        }
    });
}

// covers: [MQTT311-2.3.1-1]
#[test]
fn mqtt5_2_2_1_3_identifier_0_is_refused() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let packets = [
                publish("t").qos(1).id(0),
                publish("t").qos(2).id(0),
                subscribe(0).filter("t", 0),
                unsubscribe(0).filter("t", 0),
            ];
            for packet in packets {
                let mut a = broker.connect(connect.clone());
                a.send(packet);
                a.expect_disconnect_with_one_of(&[0x81, 0x82]);
            }
        }
    });
}

// covers: [MQTT-4.3.3-8] [MQTT311-4.3.3-2] [MQTT-3.3.1-1]
#[test]
fn mqtt5_4_3_3_10_until_pubrel_a_repeated_publish_gets_pubrec_and_is_not_delivered_again() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            let mut watcher = broker.connect(v5("watcher"));
            watcher.subscribe("t", 2);
            let mut a = broker.connect(connect);
            a.send(publish("t").payload("x").qos(2).id(5));
            a.expect(pubrec(5));
            for _ in 0..3 {
                a.send(publish("t").payload("x").qos(2).id(5).dup());
                a.expect(pubrec(5));
            }
            a.send(pubrel(5));
            a.expect(pubcomp(5));
            watcher.expect_message(publish("t").payload("x").qos(2));
            watcher.expect_nothing();
        }
    });
}

// covers: [MQTT-4.3.3-11]
#[test]
fn mqtt5_4_3_3_12_after_pubcomp_the_identifier_is_a_new_message() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut watcher = broker.connect(v5("watcher"));
            watcher.subscribe("t", 2);
            let mut a = broker.connect(connect);
            for payload in ["first", "second"] {
                a.publish(publish("t").payload(payload).qos(2).id(5));
                watcher.expect_message(publish("t").payload(payload).qos(2));
            }
        }
    });
}

/// The duplicate filter is part of the session, not of the connection.
// covers: [MQTT-4.3.3-10] [MQTT311-4.3.3-2] [MQTT311-3.1.2-4]
#[test]
fn mqtt5_4_4_0_1_resent_qos_2_publish_is_delivered_once_across_connections() {
    everywhere(|broker| {
        let connects = [v5("a").clean(false).session_expiry(100), v311("b").clean(false)];
        for connect in connects {
            let mut watcher = broker.connect(v5("watcher"));
            watcher.subscribe("t", 2);
            let mut a = broker.connect(connect.clone());
            a.send(publish("t").payload("x").qos(2).id(5));
            a.expect(pubrec(5));
            a.cut();
            let mut again = broker.connect(connect.clone());
            assert!(again.session_present());
            again.send(publish("t").payload("x").qos(2).id(5).dup());
            again.expect(pubrec(5));
            again.send(pubrel(5));
            again.expect(pubcomp(5));
            watcher.expect_message(publish("t").payload("x").qos(2));
            watcher.expect_nothing();
            // After a release whose PUBCOMP was lost, the PUBREL comes once more: no error, it is recovery.
            again.cut();
            let mut again = broker.connect(connect);
            again.send(pubrel(5));
            again.expect(pubcomp(5));
            watcher.expect_nothing();
        }
    });
}

#[test]
fn mqtt5_3_6_2_1_pubrel_for_an_unknown_identifier_is_answered() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(pubrel(77));
        let answer = a.receive();
        // 0x92 tells of it; Mosquitto's tests want the plain form.
        assert!(answer.id == Some(77) && matches!(answer.code, 0 | 0x92), "{answer}");
        a.expect_alive();
        let mut b = broker.connect(v311("b"));
        b.send(pubrel(77));
        b.expect(pubcomp(77));
    });
}

/// The short forms of a PUBREL and its full one mean the same.
#[test]
fn pubrel_is_taken_in_every_form() {
    everywhere(|broker| {
        let forms: [&[u8]; 5] = [&[0, 5], &[0, 5, 0], &[0, 5, 0, 0], &[0, 5, 0, 4, 0x1F, 0, 1, b'r'], &[0, 5, 0x92, 0]];
        for form in forms {
            let mut a = broker.connect(v5("a"));
            a.send(publish("t").qos(2).id(5));
            a.expect(pubrec(5));
            a.send_bytes(&raw(0x62, form));
            a.expect(pubcomp(5));
        }
    });
}

// covers: [MQTT-3.3.2-19] [MQTT-3.3.2-13] [MQTT-1.5.4-2] [MQTT311-3.3.2-1]
#[test]
fn mqtt5_3_3_2_1_ill_formed_texts_in_publish_are_malformed() {
    everywhere(|broker| {
        let bad: [&[u8]; 4] = [b"a\0b", b"\xED\xA0\x80", b"\xC0\x80", b"ab\xFF"];
        for text in bad {
            let mut b = broker.connect(v311("b"));
            b.send(publish(text));
            b.expect_closed();
            let packets = [
                publish(text),
                publish("t").response_topic(text),
                publish("t").property(0x03, super::properties::Value::Text(text.to_vec())),
                publish("t").property(0x26, super::properties::Value::Pair(text.to_vec(), b"v".to_vec())),
                publish("t").property(0x26, super::properties::Value::Pair(b"k".to_vec(), text.to_vec())),
            ];
            for packet in packets {
                let mut a = broker.connect(v5("a"));
                a.send(packet);
                a.expect_disconnect_with_one_of(&[0x81]);
            }
        }
    });
}

// covers: [MQTT-1.5.7-1]
#[test]
fn mqtt5_1_5_7_1_both_halves_of_a_user_property_follow_the_string_rules() {
    everywhere(|broker| {
        for (key, value) in [(&b"\0"[..], &b"v"[..]), (b"k", b"\0"), (b"\xFF", b"v"), (b"k", b"\xFF")] {
            let mut a = broker.connect(v5("a"));
            a.send(publish("t").property(0x26, super::properties::Value::Pair(key.to_vec(), value.to_vec())));
            a.expect_disconnect(0x81);
        }
        let mut a = broker.connect(v5("a"));
        a.subscribe("t", 0);
        a.send(publish("t").user_property("", ""));
        a.expect(publish("t").user_property("", ""));
    });
}

// covers: [MQTT311-1.5.3-3]
#[test]
fn mqtt5_1_5_4_3_a_byte_order_mark_is_kept_wherever_it_stands() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("+", 0);
            let topic = "\u{FEFF}to\u{FEFF}pic\u{FEFF}";
            a.send(publish(topic).payload("\u{FEFF}x"));
            a.expect(publish(topic).payload("\u{FEFF}x"));
            a.subscribe("topic", 0);
            a.unsubscribe("+");
            a.send(publish("\u{FEFF}topic"));
            a.expect_nothing();
        }
    });
}

// covers: [MQTT-4.7.0-1] [MQTT311-4.7.1-1] [MQTT311-3.3.2-2]
#[test]
fn mqtt5_3_3_2_2_wildcards_in_a_topic_name_are_refused() {
    everywhere(|broker| {
        for topic in ["+", "#", "a/+", "a/#", "a/+/b", "a+", "#b"] {
            let mut a = broker.connect(v5("a"));
            a.send(publish(topic));
            // 0x90 is the precise one; Mosquitto's tests want 0x81.
            a.expect_disconnect_with_one_of(&[0x81, 0x90]);
            let mut b = broker.connect(v311("b"));
            b.send(publish(topic));
            b.expect_closed();
        }
    });
}

// covers: [MQTT-4.7.3-1] [MQTT311-4.7.3-1]
#[test]
fn mqtt5_4_7_3_1_an_empty_topic_name_is_refused() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.send(publish("").payload("x"));
            // The table of faults says 0x82, Mosquitto's tests 0x81.
            a.expect_disconnect_with_one_of(&[0x81, 0x82]);
        }
    });
}

// covers: [MQTT-3.3.2-14]
#[test]
fn mqtt5_3_3_2_14_wildcards_in_a_response_topic_are_refused() {
    everywhere(|broker| {
        for topic in ["+", "a/#", "a+"] {
            let mut a = broker.connect(v5("a"));
            a.send(publish("t").response_topic(topic));
            a.expect_disconnect_with_one_of(&[0x81, 0x82, 0x90]);
            let mut b = broker.open();
            b.send(v5("b").will(publish("w").response_topic(topic)));
            b.expect_connect_refused(&[0x81, 0x82, 0x90]);
        }
    });
}

// covers: [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
#[test]
fn mqtt5_3_3_2_4_properties_of_a_message_are_passed_on_unchanged_and_in_order() {
    everywhere(|broker| {
        let message = publish("t")
            .payload("x")
            .payload_format(1)
            .content_type("text/plain")
            .response_topic("answer/here")
            .correlation_data(&[0, 1, 0xFF])
            .user_property("b", "1")
            .user_property("a", "2")
            .user_property("b", "1")
            .user_property("b", "0");
        let mut live = broker.connect(v5("live"));
        let mut old = broker.connect(v311("old"));
        let mut offline = broker.connect(v5("offline").session_expiry(100));
        for client in [&mut live, &mut old, &mut offline] {
            client.subscribe("t", 1);
        }
        offline.leave();
        let mut a = broker.connect(v5("a"));
        for qos in 0..2 {
            a.publish(message.clone().qos(qos).retain());
            live.expect_message(message.clone().qos(qos));
            old.expect_message(publish("t").payload("x").qos(qos));
        }
        broker.connect(v5("offline").clean(false)).expect_message(message.clone().qos(1));
        let mut late = broker.connect(v5("late"));
        late.subscribe("t", 1);
        late.expect_message(message.qos(1).retain());
    });
}

#[test]
fn payload_format_indicator_0_and_none_stay_apart() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.subscribe("t", 0);
        for message in [publish("t"), publish("t").payload_format(0), publish("t").payload_format(1)] {
            a.send(message.clone());
            a.expect(message);
        }
    });
}

/// Messages of every size from nothing to the limit, with content that looks like packets.
#[test]
fn payloads_arrive_as_they_were_sent() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 0);
            for length in [0, 1, 2, 117, 118, 119, 127, 128, 129, 16_380, 16_384, 65_535, 65_536, 1_000_000] {
                let payload: Vec<u8> = (0..length).map(|position| (position % 251) as u8).collect();
                a.send(publish("t").payload(&payload));
                a.expect(publish("t").payload(&payload));
            }
        }
    });
}

/// A message of QoS 2 whose handshake hangs does not hold up what comes after it; each is routed when it is released.
#[test]
fn a_publisher_may_leave_qos_2_messages_unreleased() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("t", 1);
        let mut a = broker.connect(v5("a"));
        for id in 1..=20 {
            a.send(publish("t").payload([id as u8]).qos(2).id(id));
            a.expect(pubrec(id));
        }
        a.publish(publish("t").payload("other").qos(0));
        watcher.expect_message(publish("t").payload("other"));
        watcher.expect_nothing();
        for id in (1..=20).rev() {
            a.send(pubrel(id));
            a.expect(pubcomp(id));
            watcher.expect_message(publish("t").payload([id as u8]).qos(1));
        }
    });
}

/// With PUBREC the broker has taken the message over: it reaches its subscribers even if the publisher never comes back.
// covers: [MQTT-4.3.3-8] [MQTT311-4.3.3-2]
#[test]
fn mqtt5_4_3_3_8_a_qos_2_message_without_pubrel_is_delivered_when_its_session_ends() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("t", 2);
        for connect in [v5("a"), v5("a").session_expiry(10), v311("a"), v311("b").clean(false)] {
            let mut a = broker.connect(connect.clone());
            a.send(publish("t").payload("x").qos(2).id(5));
            a.expect(pubrec(5));
            a.cut();
            broker.seconds(11);
            // The session of 3.1.1 does not end by itself.
            broker.connect(connect.clean(true)).leave();
            watcher.expect_message(publish("t").payload("x").qos(2));
            watcher.expect_nothing();
        }
    });
}

/// A PUBLISH without DUP that uses an unreleased identifier is another message, in place of the one before.
#[test]
fn an_unreleased_identifier_may_be_used_for_another_message() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut watcher = broker.connect(v5("watcher"));
            watcher.subscribe("#", 2);
            let mut a = broker.connect(connect);
            a.send(publish("t").payload("first").qos(2).id(5));
            a.expect(pubrec(5));
            a.send(publish("u").payload("second").qos(2).id(5));
            a.expect(pubrec(5));
            a.send(pubrel(5));
            a.expect(pubcomp(5));
            watcher.expect_message(publish("u").payload("second").qos(2));
            watcher.expect_nothing();
        }
    });
}

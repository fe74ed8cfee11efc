//! SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK and the options of a subscription.

use super::broker::everywhere;
use super::wire::{
    NO_LOCAL, Packet, RETAIN_AS_PUBLISHED, pingresp, publish, pubrel, raw, suback, subscribe, unsuback, unsubscribe,
    v5, v31, v311,
};

// covers: [MQTT-3.8.4-2] [MQTT-2.2.1-6] [MQTT311-3.8.4-1] [MQTT311-3.8.4-2] [MQTT311-2.3.1-7]
#[test]
fn mqtt5_3_8_4_1_subscribe_is_answered_with_suback_of_its_identifier() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            let mut a = broker.connect(connect);
            for id in [1, 2, 256, u16::MAX] {
                a.send(subscribe(id).filter("t", 1));
                a.expect(suback(id, &[1]));
                a.expect_nothing();
            }
        }
    });
}

// covers: [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT311-3.8.4-4] [MQTT311-3.8.4-5]
// covers: [MQTT311-3.9.3-1] [MQTT311-3.9.3-2]
#[test]
fn mqtt5_3_8_4_5_several_filters_have_one_suback_with_a_code_each_in_order() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            let mut a = broker.connect(connect);
            a.send(subscribe(9).filter("a", 2).filter("b/+", 0).filter("c/#", 1).filter("a/b", 2));
            a.expect(suback(9, &[2, 0, 1, 2]));
            let mut publisher = broker.connect(v5("publisher"));
            for (topic, qos) in [("a", 2), ("b/x", 0), ("c/d/e", 1), ("a/b", 2)] {
                publisher.publish(publish(topic).qos(2));
                a.expect_message(publish(topic).qos(qos));
            }
        }
    });
}

// covers: [MQTT-3.8.3-2] [MQTT311-3.8.3-3]
#[test]
fn mqtt5_3_8_3_2_subscribe_without_filters_is_refused() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            for packet in [subscribe(1), unsubscribe(1)] {
                let mut a = broker.connect(connect.clone());
                a.send(packet);
                // The table of faults says 0x82, Mosquitto's tests 0x81.
                a.expect_disconnect_with_one_of(&[0x81, 0x82]);
            }
        }
    });
}

// covers: [MQTT-3.10.3-2] [MQTT311-3.10.3-2] [MQTT-3.10.1-1] [MQTT-3.6.1-1] [MQTT311-3.8.1-1] [MQTT311-3.10.1-1]
// covers: [MQTT311-3.6.1-1] [MQTT-2.1.3-1] [MQTT311-2.2.2-1] [MQTT311-2.2.2-2]
#[test]
fn mqtt5_3_8_1_1_wrong_reserved_flags_are_malformed() {
    everywhere(|broker| {
        let packets = [subscribe(1).filter("t", 0), unsubscribe(1).filter("t", 0), pubrel(1)];
        for packet in packets {
            for flags in (0..16).filter(|flags| *flags != 0b0010) {
                for connect in [v5("a"), v311("a")] {
                    let mut a = broker.connect(connect);
                    a.send(packet.clone().flags(flags));
                    // Mosquitto's tests want 0x82 for PUBREL.
                    a.expect_disconnect_with_one_of(&[0x81, 0x82]);
                }
            }
        }
    });
}

/// MQTT 3.1 has a DUP flag in these packets.
#[test]
fn mqtt31_subscribe_unsubscribe_and_pubrel_may_carry_dup() {
    everywhere(|broker| {
        let mut a = broker.connect(v31("a"));
        a.send(subscribe(1).filter("t", 1).flags(0b1010));
        a.expect(suback(1, &[1]));
        a.send(publish("u").qos(2).id(3));
        a.receive();
        a.send(pubrel(3).flags(0b1010));
        assert_eq!(a.receive().id, Some(3));
        a.send(unsubscribe(2).filter("t", 0).flags(0b1010));
        a.expect(unsuback(2, &[]));
        a.expect_alive();
    });
}

// covers: [MQTT311-3.8.3-4]
#[test]
fn mqtt5_3_8_3_5_reserved_option_bits_are_malformed() {
    everywhere(|broker| {
        for options in [0x03, 0x40, 0x80, 0xC0, 0x30, 0x33] {
            let mut a = broker.connect(v5("a"));
            a.send(subscribe(1).filter("t", options));
            // Retain Handling 3 is a Protocol Error, the others are malformed.
            let codes: &[u8] = if options == 0x30 { &[0x81, 0x82] } else { &[0x81] };
            a.expect_disconnect_with_one_of(codes);
        }
        for options in (0..8).map(|bit| 1_u8 << bit).filter(|options| *options > 2).chain([3]) {
            let mut b = broker.connect(v311("b"));
            b.send(subscribe(1).filter("t", options));
            b.expect_closed();
        }
    });
}

// covers: [MQTT-3.8.3-1] [MQTT-3.10.3-1] [MQTT311-3.8.3-1] [MQTT311-3.10.3-1]
#[test]
fn mqtt5_3_8_3_1_ill_formed_filters_are_malformed() {
    everywhere(|broker| {
        let bad: [&[u8]; 5] = [b"a\0b", b"\xED\xA0\x80", b"\xC0\x80", b"ab\xFF", b""];
        for text in bad {
            for connect in [v5("a"), v311("a")] {
                for packet in [subscribe(1).filter(text, 0), unsubscribe(1).filter(text, 0)] {
                    let mut a = broker.connect(connect.clone());
                    a.send(packet);
                    a.expect_disconnect_with_one_of(&[0x81, 0x82, 0x8F]);
                }
            }
        }
    });
}

/// One bad filter among good ones: all of the packet is refused, none of it takes effect.
#[test]
fn a_malformed_filter_refuses_the_whole_packet() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a").session_expiry(100));
        a.send(subscribe(1).filter("t", 1).filter("b\0d", 1));
        a.expect_disconnect_with_one_of(&[0x81]);
        broker.connect(v5("publisher")).publish(publish("t").qos(1));
        broker.connect(v5("a").clean(false)).expect_nothing();
    });
}

// covers: [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT311-4.7.1-2] [MQTT311-4.7.1-3]
#[test]
fn mqtt5_4_7_1_1_misplaced_wildcards_are_refused() {
    everywhere(|broker| {
        for filter in ["#/a", "a/#/b", "a#", "a/b#", "##", "a+", "+a", "a/b+/c", "++", "a/+b", "a/#b"] {
            for connect in [v5("a"), v311("a")] {
                let mut a = broker.connect(connect.clone());
                a.send(subscribe(1).filter(filter, 0));
                if !a.is_closed() && connect.connect_part().level == 5 {
                    a.expect(suback(1, &[0x8F]));
                    continue;
                }
                // The standard calls it Malformed Packet or Topic Filter Invalid.
                a.expect_disconnect_with_one_of(&[0x81, 0x8F]);
            }
        }
    });
}

// covers: [MQTT311-3.8.4-3]
#[test]
fn mqtt5_3_8_4_3_the_same_filter_again_replaces_the_subscription() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut publisher = broker.connect(v5("publisher"));
            let mut a = broker.connect(connect);
            for qos in [2, 0, 1] {
                a.subscribe("t/+", qos);
                publisher.publish(publish("t/x").qos(2));
                a.expect_message(publish("t/x").qos(qos));
                a.expect_nothing();
            }
            a.unsubscribe("t/+");
            publisher.publish(publish("t/x").qos(2));
            a.expect_nothing();
        }
    });
}

/// Replacing a subscription loses none of what was already sent or queued.
// covers: [MQTT-3.8.4-4]
#[test]
fn mqtt5_3_8_4_4_replacing_a_subscription_loses_no_message() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("t").payload("kept").qos(1).retain());
        let mut a = broker.connect(v5("a").receive_maximum(1));
        a.subscribe("t", 1);
        a.expect_message(publish("t").payload("kept").qos(1).retain());
        for number in 0..5_u8 {
            publisher.publish(publish("t").payload([number]).qos(1));
        }
        a.subscribes(subscribe(100).filter("t", 1));
        for number in 0..5_u8 {
            a.expect_message(publish("t").payload([number]).qos(1));
        }
        a.expect_message(publish("t").payload("kept").qos(1).retain());
        a.expect_nothing();
    });
}

#[test]
fn mqtt5_3_8_3_3_no_local_does_not_send_back_to_the_publishing_client() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        let mut b = broker.connect(v5("b"));
        a.subscribe("t", 1 | NO_LOCAL);
        b.subscribe("t", 1 | NO_LOCAL);
        a.publish(publish("t").payload("from a").qos(1));
        b.expect_message(publish("t").payload("from a").qos(1));
        a.expect_nothing();
        b.publish(publish("t").payload("from b").qos(1));
        a.expect_message(publish("t").payload("from b").qos(1));
        b.expect_nothing();
        // Without the option a publisher hears itself.
        a.subscribe("t", 1);
        a.send(publish("t").payload("again"));
        a.expect(publish("t").payload("again"));
    });
}

/// It is the client identifier that counts, not the connection.
#[test]
fn mqtt5_3_8_3_3_no_local_holds_across_connections_of_one_client() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(100).will(publish("t").payload("will"));
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", 1 | NO_LOCAL);
        a.cut();
        // Its own will is not for it either.
        let mut again = broker.connect(connect);
        again.expect_nothing();
        again.publish(publish("t").qos(1));
        again.expect_nothing();
    });
}

#[test]
fn mqtt5_3_8_3_4_no_local_on_a_shared_subscription_is_a_protocol_error() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(subscribe(1).filter("$share/g/t", NO_LOCAL));
        a.expect_disconnect(0x82);
    });
}

// covers: [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT311-3.10.4-1] [MQTT311-3.10.4-4] [MQTT311-3.10.4-5]
#[test]
fn mqtt5_3_10_4_1_unsubscribe_compares_filters_character_by_character() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let v5 = connect.connect_part().level == 5;
            let answer = |id, code| if v5 { unsuback(id, &[code]) } else { unsuback(id, &[]) };
            let mut a = broker.connect(connect);
            a.subscribe("a/+", 0);
            for (id, other) in [(2, "a/b"), (3, "a/#"), (4, "A/+"), (5, "a/+/"), (6, "/a/+"), (7, "+/+")] {
                a.send(unsubscribe(id).filter(other, 0));
                a.expect(answer(id, 0x11));
            }
            a.send(publish("a/b"));
            a.expect(publish("a/b"));
            a.send(unsubscribe(0x1234).filter("a/+", 0));
            a.expect(answer(0x1234, 0));
            a.send(publish("a/b"));
            a.expect_nothing();
            a.send(unsubscribe(8).filter("a/+", 0));
            a.expect(answer(8, 0x11));
        }
    });
}

// covers: [MQTT-3.11.3-1] [MQTT-3.11.3-2] [MQTT311-3.10.4-6]
#[test]
fn mqtt5_3_10_4_6_several_filters_have_one_unsuback_with_a_code_each_in_order() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(subscribe(1).filter("a", 0).filter("b", 0).filter("$share/g/c", 0));
        a.expect(suback(1, &[0, 0, 0]));
        a.send(unsubscribe(2).filter("x", 0).filter("a", 0).filter("$share/g/c", 0).filter("c", 0).filter("a", 0));
        a.expect(unsuback(2, &[0x11, 0, 0, 0x11, 0x11]));
        for topic in ["a", "b", "c"] {
            a.send(publish(topic));
        }
        a.expect(publish("b"));
        a.expect_nothing();
        let mut b = broker.connect(v311("b"));
        b.send(subscribe(1).filter("a", 0).filter("b", 0));
        b.expect(suback(1, &[0, 0]));
        b.send(unsubscribe(2).filter("a", 0).filter("b", 0));
        b.expect(unsuback(2, &[]));
        a.send(publish("a"));
        b.expect_nothing();
    });
}

// covers: [MQTT-3.11.3-1]
#[test]
fn mqtt5_3_11_3_1_very_many_filters_have_their_codes_in_order_as_well() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        for number in (0..100).filter(|number| number % 3 > 0) {
            a.subscribe(format!("f/{number}"), 0);
        }
        a.send((0..100).fold(unsubscribe(9), |packet, number| packet.filter(format!("f/{}", number / 2 * 2), 0)));
        let there = |number: u32| number.is_multiple_of(2) && !number.is_multiple_of(3);
        let codes: Vec<u8> = (0..100).map(|number| if there(number) { 0 } else { 0x11 }).collect();
        a.expect(unsuback(9, &codes));
    });
}

// covers: [MQTT-3.10.4-3] [MQTT311-3.10.4-2] [MQTT311-3.10.4-3]
#[test]
fn mqtt5_3_10_4_2_after_unsuback_nothing_is_added_and_what_was_begun_is_completed() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut publisher = broker.connect(v5("publisher"));
            let mut a = broker.connect(connect);
            a.subscribe("t", 2);
            publisher.publish(publish("t").payload("one").qos(1));
            publisher.publish(publish("t").payload("two").qos(2));
            let begun: Vec<Packet> = (0..2).map(|_| a.receive()).collect();
            a.unsubscribe("t");
            publisher.publish(publish("t").payload("three").qos(1));
            a.expect_nothing();
            for message in &begun {
                a.acknowledge(message);
            }
            a.expect_nothing();
        }
    });
}

/// Messages sent but not acknowledged survive the subscription that brought them.
#[test]
fn mqtt5_3_10_4_3_begun_deliveries_are_resent_even_without_the_subscription() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(100);
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", 2);
        publisher.publish(publish("t").payload("one").qos(2));
        let id = a.receive().id.unwrap();
        a.unsubscribe("t");
        a.cut();
        broker.connect(connect).expect(publish("t").payload("one").qos(2).id(id).dup());
    });
}

// covers: [MQTT311-3.12.4-1]
#[test]
fn mqtt5_3_12_4_1_pingreq_is_answered_by_pingresp() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            let mut a = broker.connect(connect);
            a.send_bytes(&raw(0xC0, &[]));
            a.expect(pingresp());
            a.expect_nothing();
        }
    });
}

// covers: [MQTT311-3.3.2-3]
#[test]
fn mqtt5_3_3_2_3_a_delivered_topic_matches_the_filter() {
    everywhere(|broker| {
        let topics = ["a", "b", "a/b", "a/b/c", "/a", "a/", "/", "//", "A", "a//b", "$a", "$SYS/x", "a/$b", " ", "a b"];
        let filters = [
            "a", "+", "#", "a/#", "a/+", "+/b", "/#", "+/+", "/+", "a/+/c", "+/#", "a//b", "$a", "$SYS/#", "a/+/#",
            "$+",
        ];
        for connect in [v5("a"), v311("a")] {
            let mut publisher = broker.connect(v5("publisher"));
            for filter in filters {
                // `$+` is no valid filter: `+` must fill its level.
                if filter == "$+" {
                    continue;
                }
                let mut a = broker.connect(connect.clone());
                a.subscribe(filter, 0);
                a.drain();
                for topic in topics.iter().filter(|topic| !topic.starts_with("$SYS")) {
                    publisher.send(publish(topic).payload("x"));
                    match matches(filter, topic) {
                        true => _ = a.expect(publish(topic).payload("x")),
                        false => a.expect_nothing(),
                    }
                }
            }
        }
    });
}

/// The rules of section 4.7, slowly.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) => true,
            ([first, filter @ ..], [level, topic @ ..]) => (*first == "+" || first == level) && levels(filter, topic),
            (filter, topic) => filter.is_empty() && topic.is_empty(),
        }
    }
    let hidden = topic.starts_with('$') && filter.starts_with(['+', '#']);
    !hidden && levels(&filter.split('/').collect::<Vec<_>>(), &topic.split('/').collect::<Vec<_>>())
}

// covers: [MQTT311-4.7.2-1]
#[test]
fn mqtt5_4_7_2_1_a_leading_wildcard_does_not_match_topics_beginning_with_dollar() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut publisher = broker.connect(v5("publisher"));
            publisher.publish(publish("$mine/x").payload("retained").qos(1).retain());
            let mut a = broker.connect(connect);
            for filter in ["#", "+/x", "+/#", "$share/g/#", "$share/h/+/x"] {
                a.subscribe(filter, 0);
            }
            publisher.send(publish("$mine/x").payload("live"));
            a.expect_nothing();
            a.subscribe("$mine/#", 0);
            a.expect(publish("$mine/x").payload("retained").retain());
            publisher.send(publish("$mine/x").payload("live"));
            a.expect(publish("$mine/x").payload("live"));
            a.expect_nothing();
            publisher.publish(publish("$mine/x").qos(1).retain());
        }
    });
}

// covers: [MQTT311-4.7.3-4]
#[test]
fn mqtt5_4_7_3_4_topics_are_not_normalised() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            // Composed and decomposed, upper and lower case, with and without blanks and slashes.
            let topics = ["\u{e9}", "e\u{301}", "K", "\u{212A}", "k", "k ", "k/", "/k", "k//", "\u{FB01}", "fi"];
            for topic in topics {
                a.subscribe(topic, 0);
                for other in topics {
                    a.send(publish(other));
                }
                a.expect(publish(topic));
                a.expect_nothing();
                a.unsubscribe(topic);
            }
        }
    });
}

// covers: [MQTT311-4.7.3-3] [MQTT-4.7.3-2] [MQTT311-4.7.3-2]
#[test]
fn mqtt5_4_7_3_3_topics_of_65535_bytes_work() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            for topic in ["x".repeat(65_535), "/".repeat(65_535), "a/".repeat(32_767) + "b"] {
                a.subscribe(&topic, 0);
                a.send(publish(&topic).payload("x"));
                a.expect(publish(&topic).payload("x"));
                a.unsubscribe(&topic);
                a.send(publish(&topic).payload("x"));
                a.expect_nothing();
            }
        }
    });
}

/// The same filter twice in one SUBSCRIBE: as if there had been two packets.
#[test]
fn mqtt5_3_8_4_5_the_last_of_equal_filters_in_one_subscribe_counts() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.send(subscribe(1).filter("t", 0).filter("u", 1).filter("t", 2));
            a.expect(suback(1, &[0, 1, 2]));
            broker.connect(v5("publisher")).publish(publish("t").qos(2));
            a.expect_message(publish("t").qos(2));
            a.expect_nothing();
        }
    });
}

/// All of a subscription's options are part of the session.
#[test]
fn subscription_options_survive_with_the_session() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(100);
        let mut a = broker.connect(connect.clone());
        a.subscribes(subscribe(1).subscription_id(5).filter("t", 1 | NO_LOCAL | RETAIN_AS_PUBLISHED));
        a.leave();
        let mut a = broker.connect(connect);
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("t").payload("x").qos(2).retain());
        a.expect_message(publish("t").payload("x").qos(1).retain().subscription_id(5));
        a.publish(publish("t").payload("own").qos(1));
        a.expect_nothing();
    });
}

/// Thousands of filters in one packet, and as many subscriptions of one client.
#[test]
fn a_client_may_have_many_subscriptions() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            let packet = (0..3000).fold(subscribe(1), |packet, number| packet.filter(format!("many/{number}/+"), 0));
            a.subscribes(packet);
            for number in [0, 1, 1499, 2999] {
                a.send(publish(format!("many/{number}/x")));
                a.expect(publish(format!("many/{number}/x")));
            }
            a.send(publish("many/3000/x"));
            a.expect_nothing();
        }
    });
}

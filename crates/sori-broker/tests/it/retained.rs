//! Retained messages: stored, replaced, removed, and which subscription is sent them.

use std::collections::BTreeMap;

use super::broker::everywhere;
use super::wire::{
    Packet, RETAIN_AS_PUBLISHED, RETAINED_IF_NEW, RETAINED_NEVER, publish, suback, subscribe, v5, v31, v311,
};

// covers: [MQTT311-3.3.1-5] [MQTT311-3.3.1-6] [MQTT311-3.3.1-7] [MQTT311-3.3.1-8]
#[test]
fn mqtt5_3_3_1_5_a_retained_message_replaces_the_one_of_its_topic() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a"), v31("a")] {
            let mut publisher = broker.connect(connect.clone().client_id_bytes(b"publisher"));
            publisher.publish(publish("t").payload("old").qos(2).retain());
            publisher.publish(publish("t").payload("new").qos(1).retain());
            publisher.publish(publish("u").payload("other").retain());
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 2);
            a.expect_message(publish("t").payload("new").qos(1).retain());
            a.subscribe("#", 0);
            a.expect_messages_in_any_order(&[
                publish("t").payload("new").retain(),
                publish("u").payload("other").retain(),
            ]);
            publisher.publish(publish("t").payload("zero").retain());
            a.drain();
            a.subscribe("t", 2);
            a.expect_message(publish("t").payload("zero").retain());
            a.expect_nothing();
        }
    });
}

// covers: [MQTT-3.3.1-7] [MQTT311-3.3.1-10] [MQTT311-3.3.1-11]
#[test]
fn mqtt5_3_3_1_6_an_empty_retained_payload_is_delivered_and_removes_the_message() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut publisher = broker.connect(v5("publisher"));
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 1);
            publisher.publish(publish("t").payload("x").qos(1).retain());
            a.expect_message(publish("t").payload("x").qos(1));
            publisher.publish(publish("t").qos(1).retain());
            a.expect_message(publish("t").qos(1));
            for _ in 0..2 {
                let mut late = broker.connect(connect.clone().client_id_bytes(b"late"));
                late.subscribe("t", 1);
                late.expect_nothing();
                // Removing what is not there is a message like any other, and never stored.
                publisher.publish(publish("t").retain());
                late.expect(publish("t"));
            }
        }
    });
}

// covers: [MQTT311-3.3.1-12]
#[test]
fn mqtt5_3_3_1_8_without_retain_the_stored_message_is_left_alone() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("t").payload("kept").qos(1).retain());
        publisher.publish(publish("t").payload("passing").qos(1));
        publisher.publish(publish("t").qos(1));
        publisher.publish(publish("u").payload("passing").qos(1));
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("+", 1);
            a.expect_message(publish("t").payload("kept").qos(1).retain());
            a.expect_nothing();
        }
    });
}

#[test]
fn mqtt5_3_3_1_9_retain_handling_0_sends_the_retained_messages_at_each_subscribe() {
    everywhere(|broker| {
        broker.connect(v5("publisher")).publish(publish("t").payload("x").qos(1).retain());
        let mut a = broker.connect(v5("a"));
        for _ in 0..3 {
            a.subscribe("t", 0);
            a.expect(publish("t").payload("x").retain());
            a.expect_nothing();
        }
        let mut b = broker.connect(v311("b"));
        for _ in 0..3 {
            b.subscribe("t", 0);
            b.expect(publish("t").payload("x").retain());
            b.expect_nothing();
        }
    });
}

#[test]
fn mqtt5_3_3_1_10_retain_handling_1_sends_them_only_to_a_new_subscription() {
    everywhere(|broker| {
        broker.connect(v5("publisher")).publish(publish("t").payload("x").qos(1).retain());
        let connect = v5("a").clean(false).session_expiry(100);
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", RETAINED_IF_NEW);
        a.expect(publish("t").payload("x").retain());
        a.subscribe("t", 1 | RETAINED_IF_NEW);
        a.expect_nothing();
        // Another filter is another subscription, though it matches the same topic.
        a.subscribe("+", RETAINED_IF_NEW);
        a.expect(publish("t").payload("x").retain());
        a.leave();
        let mut a = broker.connect(connect);
        a.subscribe("t", RETAINED_IF_NEW);
        a.expect_nothing();
        a.unsubscribe("t");
        a.subscribe("t", RETAINED_IF_NEW);
        a.expect(publish("t").payload("x").retain());
    });
}

#[test]
fn mqtt5_3_3_1_11_retain_handling_2_sends_none() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("t").payload("x").qos(1).retain());
        let mut a = broker.connect(v5("a"));
        a.subscribe("t", RETAINED_NEVER);
        a.subscribe("t", 1 | RETAINED_NEVER);
        a.expect_nothing();
        publisher.publish(publish("t").payload("y").qos(1).retain());
        a.expect_message(publish("t").payload("y").qos(1));
    });
}

// covers: [MQTT-3.3.1-13] [MQTT311-3.3.1-9]
#[test]
fn mqtt5_3_3_1_12_retain_as_published_decides_about_the_flag_of_live_messages() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut without = broker.connect(v5("without"));
        let mut with = broker.connect(v5("with"));
        let mut old = broker.connect(v311("old"));
        without.subscribe("t", 0);
        with.subscribe("t", RETAIN_AS_PUBLISHED);
        old.subscribe("t", 0);
        publisher.send(publish("t").payload("x").retain());
        without.expect(publish("t").payload("x"));
        with.expect(publish("t").payload("x").retain());
        old.expect(publish("t").payload("x"));
        publisher.send(publish("t").payload("y"));
        without.expect(publish("t").payload("y"));
        with.expect(publish("t").payload("y"));
        old.expect(publish("t").payload("y"));
        // What is sent because of a new subscription is RETAIN 1 in either case.
        without.subscribe("t", 0);
        without.expect(publish("t").payload("x").retain());
        with.subscribe("t", RETAIN_AS_PUBLISHED);
        with.expect(publish("t").payload("x").retain());
        // The removal is passed on the same way.
        publisher.send(publish("t").retain());
        without.expect(publish("t"));
        with.expect(publish("t").retain());
    });
}

/// The flag of a queued message is decided when it is queued.
#[test]
fn mqtt5_3_3_1_13_retain_as_published_holds_for_queued_messages() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for (options, retain) in [(1, false), (1 | RETAIN_AS_PUBLISHED, true)] {
            let mut a = broker.connect(v5("a").session_expiry(100));
            a.subscribe("t", options);
            a.leave();
            publisher.publish(publish("t").payload("x").qos(1).retain());
            let mut a = broker.connect(v5("a").clean(false));
            a.expect_message(Packet { retain, ..publish("t").payload("x").qos(1) });
            publisher.publish(publish("t").retain());
        }
    });
}

#[test]
fn mqtt311_3_1_2_7_retained_messages_are_not_part_of_a_session() {
    everywhere(|broker| {
        for connect in [v5("p"), v311("p")] {
            let mut publisher = broker.connect(connect.clone());
            publisher.publish(publish("t").payload("x").qos(1).retain());
            publisher.cut();
            broker.connect(connect).leave();
            broker.seconds(100_000);
            let mut a = broker.connect(v311("a"));
            a.subscribe("t", 0);
            a.expect(publish("t").payload("x").retain());
        }
    });
}

#[test]
fn retained_messages_are_not_sent_to_shared_subscriptions() {
    everywhere(|broker| {
        broker.connect(v5("publisher")).publish(publish("t").payload("x").qos(1).retain());
        let mut a = broker.connect(v5("a"));
        a.subscribe("$share/g/t", 1);
        a.expect_nothing();
        a.subscribe("$share/g/#", 1);
        a.expect_nothing();
    });
}

#[test]
fn each_filter_of_one_subscribe_brings_its_retained_messages() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("a/b").payload("1").qos(1).retain());
        publisher.publish(publish("a/c").payload("2").qos(1).retain());
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribes(subscribe(1).filter("a/+", 1).filter("a/b", 0).filter("x", 0));
            a.expect_messages_in_any_order(&[
                publish("a/b").payload("1").qos(1).retain(),
                publish("a/c").payload("2").qos(1).retain(),
                publish("a/b").payload("1").retain(),
            ]);
            a.expect_nothing();
        }
    });
}

/// More retained messages than fit into the window come as it opens.
#[test]
fn many_retained_messages_wait_for_the_window() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut expected: Vec<Packet> = Vec::new();
        for number in 0..300 {
            let message = publish(format!("many/{number}")).payload("x").qos(1).retain();
            publisher.publish(message.clone());
            expected.push(message);
        }
        let mut a = broker.connect(v5("a").receive_maximum(3));
        a.subscribe("many/#", 1);
        a.expect_messages_in_any_order(&expected);
        a.expect_nothing();
    });
}

/// The row of ATTACKS about assertions by retained messages: random operations against a map.
#[test]
fn flashmq_2024_42644_random_retained_operations_agree_with_a_map() {
    everywhere(|broker| {
        let topics = ["a", "a/b", "a/b/c", "/", "//", "a/", "/a", "$x/a", "b", "a//c"];
        let filters = ["#", "+", "a/#", "+/+", "a/+/c", "/#", "$x/#", "a/b", "+/", "/+"];
        let mut publishers = [broker.connect(v5("p0")), broker.connect(v311("p1")), broker.connect(v31("p2"))];
        let mut kept: BTreeMap<&str, u8> = BTreeMap::new();
        let mut state = 12345_u32;
        let mut random = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for step in 0..600 {
            let topic = topics[random(topics.len())];
            let publisher = &mut publishers[random(3)];
            let qos = random(3) as u8;
            match random(4) {
                0 => {
                    publisher.publish(publish(topic).qos(qos).retain());
                    kept.remove(topic);
                }
                1 => publisher.publish(publish(topic).payload("not kept").qos(qos)),
                _ => {
                    let payload = step as u8;
                    publisher.publish(publish(topic).payload([payload]).qos(qos).retain());
                    kept.insert(topic, payload);
                }
            }
            if step % 20 == 0 {
                let filter = filters[random(filters.len())];
                let mut a = broker.connect(v5("a"));
                a.subscribe(filter, 0);
                let expected: Vec<Packet> = kept
                    .iter()
                    .filter(|(topic, _)| super::subscribe::matches(filter, topic))
                    .map(|(topic, payload)| publish(topic).payload([*payload]).retain())
                    .collect();
                a.expect_messages_in_any_order(&expected);
                a.expect_nothing();
            }
        }
    });
}

#[test]
fn the_suback_comes_with_the_retained_messages_in_one_turn() {
    everywhere(|broker| {
        broker.connect(v5("publisher")).publish(publish("t").payload("x").qos(1).retain());
        let mut a = broker.connect(v5("a"));
        a.send(subscribe(1).filter("t", 0));
        a.expect_in_any_order([suback(1, &[0]), publish("t").payload("x").retain()]);
    });
}

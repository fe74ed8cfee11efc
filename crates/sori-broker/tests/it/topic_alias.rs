//! Topic Alias, both ways.

use std::collections::BTreeMap;

use super::broker::{everywhere, setup};
use super::wire::{Packet, publish, v5, v311};

#[test]
fn mqtt5_3_3_2_12_every_alias_up_to_the_announced_maximum_is_accepted() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("#", 0);
        let mut a = broker.connect(v5("a"));
        let maximum = a.connack.number(0x22).unwrap() as u16;
        for alias in 1..=maximum {
            a.send(publish(format!("t/{alias}")).topic_alias(alias));
            watcher.expect(publish(format!("t/{alias}")));
        }
        for alias in (1..=maximum).rev() {
            a.send(publish("").topic_alias(alias).payload("x"));
            watcher.expect(publish(format!("t/{alias}")).payload("x"));
        }
        // A new topic with the alias replaces its meaning.
        a.send(publish("other").topic_alias(1));
        watcher.expect(publish("other"));
        a.send(publish("").topic_alias(1));
        watcher.expect(publish("other"));
        a.send(publish("").topic_alias(2));
        watcher.expect(publish("t/2"));
    });
}

#[test]
fn mqtt5_3_3_2_8_alias_0_is_invalid() {
    everywhere(|broker| {
        for topic in ["t", ""] {
            let mut a = broker.connect(v5("a"));
            a.send(publish(topic).topic_alias(0));
            a.expect_disconnect(0x94);
        }
    });
}

// covers: [MQTT-3.2.2-17]
#[test]
fn mqtt5_3_3_2_9_an_alias_above_the_maximum_is_invalid() {
    everywhere(|broker| {
        for alias in [11, 12, 0x0100, u16::MAX] {
            let mut a = broker.connect(v5("a"));
            a.send(publish("t").topic_alias(alias));
            a.expect_disconnect(0x94);
        }
    });
    setup().listener(|listener| listener.topic_alias_max = u16::MAX).run(|broker| {
        let mut a = broker.connect(v5("a"));
        a.subscribe("t", 0);
        a.send(publish("t").topic_alias(u16::MAX));
        a.send(publish("").topic_alias(u16::MAX));
        a.expect(publish("t"));
        a.expect(publish("t"));
    });
}

#[test]
fn mqtt5_3_2_2_18_without_an_announced_maximum_every_alias_is_invalid() {
    setup().listener(|listener| listener.topic_alias_max = 0).run(|broker| {
        let mut a = broker.connect(v5("a"));
        assert!(matches!(a.connack.number(0x22), None | Some(0)));
        a.send(publish("t").topic_alias(1));
        a.expect_disconnect(0x94);
    });
}

#[test]
fn an_alias_without_a_meaning_is_refused() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(publish("").topic_alias(3));
        a.expect_disconnect_with_one_of(&[0x82, 0x94]);
    });
}

#[test]
fn mqtt5_3_3_2_7_aliases_do_not_outlive_the_connection() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(100);
        let mut a = broker.connect(connect.clone());
        a.send(publish("t").topic_alias(1));
        a.leave();
        let mut a = broker.connect(connect);
        a.send(publish("").topic_alias(1));
        a.expect_disconnect_with_one_of(&[0x82, 0x94]);
    });
}

#[test]
fn aliases_of_two_clients_are_apart() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("#", 0);
        let mut a = broker.connect(v5("a"));
        let mut b = broker.connect(v5("b"));
        a.send(publish("from/a").topic_alias(1));
        b.send(publish("from/b").topic_alias(1));
        a.send(publish("").topic_alias(1));
        for topic in ["from/a", "from/b", "from/a"] {
            watcher.expect(publish(topic));
        }
    });
}

/// A message by alias is stored under its topic.
#[test]
fn aliases_are_resolved_before_messages_are_queued_or_retained() {
    everywhere(|broker| {
        let mut offline = broker.connect(v311("offline").clean(false));
        offline.subscribe("t", 1);
        offline.leave();
        let mut a = broker.connect(v5("a"));
        a.publish(publish("t").topic_alias(1).payload("first").qos(1));
        a.publish(publish("").topic_alias(1).payload("second").qos(1).retain());
        let mut offline = broker.connect(v311("offline").clean(false));
        offline.expect_message(publish("t").payload("first").qos(1));
        offline.expect_message(publish("t").payload("second").qos(1));
        let mut late = broker.connect(v5("late"));
        late.subscribe("t", 0);
        late.expect(publish("t").payload("second").retain());
    });
}

/// Reads messages as a client with aliases does, and says how many came without their topic.
fn resolve(aliases: &mut BTreeMap<u32, Vec<u8>>, messages: Vec<Packet>) -> (Vec<Vec<u8>>, usize) {
    let mut short = 0;
    let topics = messages.into_iter().map(|message| match message.number(0x23) {
        None => message.topic,
        Some(alias) if message.topic.is_empty() => {
            short += 1;
            aliases.get(&alias).expect("[MQTT-4.7.3-1] an alias that has a meaning").clone()
        }
        Some(alias) => {
            aliases.insert(alias, message.topic.clone());
            message.topic
        }
    });
    (topics.collect(), short)
}

// covers: [MQTT-3.1.2-26]
#[test]
fn mqtt5_3_3_2_11_the_broker_keeps_to_the_clients_topic_alias_maximum() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for maximum in [1, 3, 10, u16::MAX] {
            let connect = v5("a").clean(false).session_expiry(100).topic_alias_maximum(maximum);
            // The client checks the bound.
            for _ in 0..2 {
                let mut a = broker.connect(connect.clone());
                a.subscribe("#", 0);
                let mut aliases = BTreeMap::new();
                let mut short = 0;
                for round in 0..3 {
                    for number in 0..15 {
                        publisher.publish(publish(format!("topic/{number}")));
                    }
                    let (topics, shortened) = resolve(&mut aliases, a.drain());
                    let expected: Vec<Vec<u8>> = (0..15).map(|number| format!("topic/{number}").into()).collect();
                    assert_eq!(topics, expected, "round {round}");
                    short += shortened;
                }
                assert!(short > 0, "no alias was used though the client takes {maximum}");
                a.cut();
            }
        }
    });
}

#[test]
fn mqtt5_3_1_2_27_without_topic_alias_maximum_no_alias_is_sent() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in [v5("a"), v5("a").topic_alias_maximum(0)] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 0);
            for _ in 0..5 {
                publisher.publish(publish("t").topic_alias(1));
                a.expect(publish("t"));
            }
        }
    });
}

#[test]
fn the_brokers_own_alias_setting_bounds_it_too() {
    setup().listener(|listener| listener.topic_alias_max_broker = 0).run(|broker| {
        let mut a = broker.connect(v5("a").topic_alias_maximum(10));
        a.subscribe("t", 0);
        for _ in 0..3 {
            a.send(publish("t"));
            a.expect(publish("t"));
        }
    });
}

/// A message that is not sent, being too large, must not define an alias.
#[test]
fn a_dropped_message_defines_no_alias() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").topic_alias_maximum(10).maximum_packet_size(60));
        a.subscribe("#", 0);
        publisher.publish(publish("long/topic").payload([1; 100]));
        publisher.publish(publish("long/topic").payload("x"));
        let message = a.receive();
        assert_eq!((&message.topic[..], &message.payload[..]), (&b"long/topic"[..], &b"x"[..]));
    });
}

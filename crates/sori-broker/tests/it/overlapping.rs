//! Subscription Identifiers, and subscriptions of one client that overlap.

use super::broker::{everywhere, setup};
use super::wire::{Packet, publish, subscribe, v5, v311};

// covers: [MQTT-3.3.4-3]
#[test]
fn mqtt5_3_3_4_5_several_copies_carry_each_their_own_identifier() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.subscribes(subscribe(1).subscription_id(1).filter("t/#", 0));
        a.subscribes(subscribe(2).subscription_id(268_435_455).filter("t/+", 2));
        a.subscribes(subscribe(3).filter("t/x", 1));
        broker.connect(v5("publisher")).publish(publish("t/x").payload("x").qos(2));
        a.expect_messages_in_any_order(&[
            publish("t/x").payload("x").subscription_id(1),
            publish("t/x").payload("x").qos(2).subscription_id(268_435_455),
            publish("t/x").payload("x").qos(1),
        ]);
        a.expect_nothing();
    });
}

// covers: [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT311-3.3.5-1]
#[test]
fn mqtt5_3_3_4_4_one_copy_carries_the_highest_qos_and_all_the_identifiers() {
    setup().settings(|settings| settings.allow_duplicate_messages = false).run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a"));
        a.subscribes(subscribe(1).subscription_id(1).filter("t/#", 0));
        a.subscribes(subscribe(2).subscription_id(200).filter("t/+", 2));
        a.subscribes(subscribe(3).filter("t/x", 1));
        publisher.publish(publish("t/x").payload("x").qos(2));
        let got = a.receive();
        let mut ids: Vec<u32> = got
            .properties
            .iter()
            .filter(|property| property.id == 0x0B)
            .map(|property| property.value.number())
            .collect();
        ids.sort_unstable();
        assert_eq!((ids, got.qos), (vec![1, 200], 2), "{got}");
        a.acknowledge(&got);
        a.expect_nothing();
        let mut old = broker.connect(v311("old"));
        for (filter, qos) in [("t/x", 1), ("t/#", 2), ("#", 0)] {
            old.subscribe(filter, qos);
        }
        for published in 0..3 {
            publisher.publish(publish("t/x").qos(published));
            old.expect_message(publish("t/x").qos(published));
            old.expect_nothing();
        }
    });
}

/// With one delivery for each subscription, the highest QoS is among them.
#[test]
fn mqtt5_3_3_4_2_overlapping_subscriptions_deliver_at_the_highest_qos_too() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("t/+", 0);
            a.subscribe("t/#", 2);
            publisher.publish(publish("t/x").qos(2));
            a.expect_messages_in_any_order(&[publish("t/x"), publish("t/x").qos(2)]);
            a.expect_nothing();
        }
    });
}

#[test]
fn an_identifier_belongs_to_each_filter_of_its_subscribe() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.subscribes(subscribe(1).subscription_id(7).filter("x", 0).filter("y", 0));
        a.subscribes(subscribe(2).subscription_id(7).filter("z", 0));
        for topic in ["x", "y", "z"] {
            a.send(publish(topic));
            a.expect(publish(topic).subscription_id(7));
        }
    });
}

#[test]
fn a_replaced_subscription_has_the_new_identifier_or_none() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.subscribes(subscribe(1).subscription_id(7).filter("t", 0));
        a.subscribes(subscribe(2).subscription_id(8).filter("t", 0));
        a.send(publish("t"));
        a.expect(publish("t").subscription_id(8));
        a.subscribes(subscribe(3).filter("t", 0));
        a.send(publish("t"));
        a.expect(publish("t"));
    });
}

#[test]
fn retained_and_queued_messages_carry_the_identifier() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("t").payload("kept").qos(1).retain());
        let mut a = broker.connect(v5("a").session_expiry(100));
        a.subscribes(subscribe(1).subscription_id(7).filter("t", 1));
        a.expect_message(publish("t").payload("kept").qos(1).retain().subscription_id(7));
        a.leave();
        publisher.publish(publish("t").payload("queued").qos(1));
        let mut a = broker.connect(v5("a").clean(false).session_expiry(100));
        a.expect_message(publish("t").payload("queued").qos(1).subscription_id(7));
        // And so does a message after the resume: the identifier is part of the subscription.
        publisher.publish(publish("t").payload("live").qos(1));
        a.expect(publish("t").payload("live").qos(1).id(3).subscription_id(7));
        a.cut();
        let mut a = broker.connect(v5("a").clean(false));
        a.expect(publish("t").payload("live").qos(1).id(3).dup().subscription_id(7));
    });
}

#[test]
fn subscription_identifier_0_is_a_protocol_error() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(subscribe(1).subscription_id(0).filter("t", 0));
        // Mosquitto's tests want 0x81.
        a.expect_disconnect_with_one_of(&[0x81, 0x82]);
    });
}

#[test]
fn two_subscription_identifiers_in_one_subscribe_are_a_protocol_error() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(subscribe(1).subscription_id(1).subscription_id(2).filter("t", 0));
        a.expect_disconnect_with_one_of(&[0x81, 0x82]);
    });
}

#[test]
fn mqtt5_3_3_4_6_a_subscription_identifier_from_a_client_is_refused() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(publish("t").subscription_id(1));
        a.expect_disconnect_with_one_of(&[0x81, 0x82]);
    });
}

/// Two subscriptions of which one may not hear its own client.
#[test]
fn no_local_holds_for_its_own_subscription_only() {
    for duplicates in [true, false] {
        setup().settings(|settings| settings.allow_duplicate_messages = duplicates).run(|broker| {
            let mut a = broker.connect(v5("a"));
            a.subscribes(subscribe(1).subscription_id(1).filter("t/+", super::wire::NO_LOCAL));
            a.subscribes(subscribe(2).subscription_id(2).filter("t/#", 0));
            a.send(publish("t/x"));
            a.expect(publish("t/x").subscription_id(2));
            a.expect_nothing();
        });
    }
}

/// A shared subscription and an own one of the same client are two subscriptions.
#[test]
fn shared_and_own_subscriptions_of_one_client_both_deliver() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        a.subscribes(subscribe(1).subscription_id(1).filter("$share/g/t", 1));
        a.subscribes(subscribe(2).subscription_id(2).filter("t", 1));
        broker.connect(v5("publisher")).publish(publish("t").qos(1));
        let expected: Vec<Packet> = (1..3).map(|id| publish("t").qos(1).subscription_id(id)).collect();
        a.expect_messages_in_any_order(&expected);
        a.expect_nothing();
    });
}

#[test]
fn upgrade_outgoing_qos_delivers_at_the_subscriptions_qos() {
    setup().settings(|settings| settings.upgrade_outgoing_qos = true).run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v311("a"));
        a.subscribe("t", 2);
        for qos in 0..3 {
            publisher.publish(publish("t").qos(qos));
            a.expect_message(publish("t").qos(2));
        }
    });
}

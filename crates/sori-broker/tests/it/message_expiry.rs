//! Message Expiry Interval: what waits too long is dropped, what is sent in time says how long it may still live.

use super::broker::everywhere;
use super::wire::{publish, pubrec, pubrel, v5, v311};

#[test]
fn mqtt5_3_3_2_6_the_waiting_time_is_taken_off() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(1000);
        let mut a = broker.connect(connect.clone());
        let mut publisher = broker.connect(v5("publisher"));
        a.subscribe("t", 1);
        publisher.publish(publish("t").qos(1).message_expiry(10));
        a.expect_message(publish("t").qos(1).message_expiry(10));
        a.leave();
        publisher.publish(publish("t").payload("x").qos(1).message_expiry(10));
        publisher.publish(publish("t").payload("no end").qos(1));
        broker.seconds(4);
        publisher.publish(publish("t").payload("y").qos(1).message_expiry(10));
        broker.seconds(2);
        let mut a = broker.connect(connect);
        a.expect_message(publish("t").payload("x").qos(1).message_expiry(4));
        a.expect_message(publish("t").payload("no end").qos(1));
        a.expect_message(publish("t").payload("y").qos(1).message_expiry(8));
    });
}

#[test]
fn mqtt5_3_3_2_5_an_expired_message_is_not_delivered() {
    everywhere(|broker| {
        let connects = [v5("a").clean(false).session_expiry(1000), v311("b").clean(false)];
        for connect in connects {
            let mut publisher = broker.connect(v5("publisher"));
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 2);
            a.leave();
            publisher.publish(publish("t").payload("short").qos(1).message_expiry(5));
            publisher.publish(publish("t").payload("long").qos(2).message_expiry(50));
            publisher.publish(publish("t").payload("short").qos(2).message_expiry(5));
            broker.seconds(6);
            let mut a = broker.connect(connect);
            let got = a.receive();
            assert_eq!(got.payload, b"long");
            a.acknowledge(&got);
            a.expect_nothing();
        }
    });
}

/// A message that waits for the window expires there.
#[test]
fn mqtt5_3_3_2_5_messages_expire_while_they_wait_for_the_window() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").receive_maximum(1));
        a.subscribe("t", 1);
        publisher.publish(publish("t").payload("first").qos(1).message_expiry(5));
        publisher.publish(publish("t").payload("second").qos(1).message_expiry(5));
        publisher.publish(publish("t").payload("third").qos(1).message_expiry(60));
        let first = a.receive();
        assert_eq!(first.payload, b"first");
        broker.seconds(20);
        a.acknowledge(&first);
        a.expect_message(publish("t").payload("third").qos(1).message_expiry(40));
        a.expect_nothing();
    });
}

/// Each subscriber's copy has its own fate.
#[test]
fn mqtt5_3_3_2_5_only_the_copy_that_waited_is_dropped() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut ready = broker.connect(v5("ready"));
        let mut offline = broker.connect(v5("offline").session_expiry(1000));
        ready.subscribe("t", 1);
        offline.subscribe("t", 1);
        offline.leave();
        publisher.publish(publish("t").qos(1).message_expiry(5));
        ready.expect_message(publish("t").qos(1).message_expiry(5));
        broker.seconds(10);
        broker.connect(v5("offline").clean(false)).expect_nothing();
    });
}

#[test]
fn mqtt5_3_3_2_6_retained_messages_expire_on_time_and_tell_what_is_left() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("t").payload("x").qos(1).retain().message_expiry(10));
        publisher.publish(publish("u").payload("y").qos(1).retain());
        broker.seconds(7);
        let mut a = broker.connect(v5("a"));
        a.subscribe("t", 0);
        a.expect(publish("t").payload("x").retain().message_expiry(3));
        broker.seconds(4);
        for connect in [v5("b"), v311("c")] {
            let mut late = broker.connect(connect);
            late.subscribe("#", 0);
            late.expect(publish("u").payload("y").retain());
            late.expect_nothing();
        }
    });
}

// covers: [MQTT-4.3.3-13]
#[test]
fn mqtt5_4_3_3_7_what_was_sent_once_does_not_expire() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(1000);
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", 2);
        publisher.publish(publish("t").payload("one").qos(2).message_expiry(5));
        publisher.publish(publish("t").payload("two").qos(2).message_expiry(5));
        let ids = [a.receive().id.unwrap(), a.receive().id.unwrap()];
        broker.seconds(20);
        // The handshake goes on ...
        a.send(pubrec(ids[0]));
        a.expect(pubrel(ids[0]));
        a.cut();
        // ... and a resend happens.
        let mut a = broker.connect(connect);
        a.expect(pubrel(ids[0]));
        let again = a.receive();
        assert_eq!((&again.payload[..], again.id, again.dup), (&b"two"[..], Some(ids[1]), true));
    });
}

/// As receiver, too: a QoS 2 message that expired in between is released as any other.
#[test]
fn mqtt5_4_3_3_13_the_receivers_handshake_goes_on_after_the_expiry() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("t", 2);
        let mut a = broker.connect(v5("a"));
        a.send(publish("t").qos(2).id(1).message_expiry(1));
        a.expect(pubrec(1));
        broker.seconds(10);
        a.send(pubrel(1));
        a.expect(super::wire::pubcomp(1));
        // Its onward delivery had not begun: it is too late for it.
        watcher.expect_nothing();
    });
}

/// Also when nobody asks: an expired message does not fill a bounded queue for ever.
#[test]
fn expired_messages_make_room_in_a_full_queue() {
    super::broker::setup().settings(|settings| settings.queued_messages_max = 5).run(|broker| {
        let connect = v5("a").clean(false).session_expiry(1000);
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", 1);
        a.leave();
        for _ in 0..50 {
            publisher.publish(publish("t").payload("old").qos(1).message_expiry(5));
        }
        broker.seconds(10);
        publisher.publish(publish("t").payload("new").qos(1));
        broker.connect(connect).expect_message(publish("t").payload("new").qos(1));
    });
}

#[test]
fn mqtt5_3_3_2_6_the_longest_interval_is_no_special_value() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a").session_expiry(u32::MAX));
        let mut publisher = broker.connect(v5("publisher"));
        a.subscribe("t", 1);
        publisher.publish(publish("t").qos(1).message_expiry(u32::MAX));
        a.expect_message(publish("t").qos(1).message_expiry(u32::MAX));
        a.leave();
        publisher.publish(publish("t").qos(1).message_expiry(u32::MAX));
        broker.seconds(100);
        let mut a = broker.connect(v5("a").clean(false).session_expiry(u32::MAX));
        a.expect_message(publish("t").qos(1).message_expiry(u32::MAX - 100));
    });
}

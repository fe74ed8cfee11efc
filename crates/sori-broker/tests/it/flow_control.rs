//! Receive Maximum, both ways: what the client may have in flight, and what the broker may.

use super::broker::{Client, everywhere, setup};
use super::wire::{pingreq, pingresp, puback, pubcomp, publish, pubrec, pubrel, suback, subscribe, v5, v311};

// covers: [MQTT-4.9.0-1] [MQTT-4.9.0-2]
#[test]
fn mqtt5_3_3_4_9_no_more_in_flight_than_the_clients_receive_maximum() {
    everywhere(|broker| {
        for maximum in [1, 2, 5, 19] {
            let mut publisher = broker.connect(v5("publisher"));
            let mut a = broker.connect(v5("a").receive_maximum(maximum));
            a.subscribe("t", 2);
            for number in 0..40_u8 {
                publisher.publish(publish("t").payload([number]).qos(1 + number % 2));
            }
            // The client checks that no further one comes before one is finished.
            let mut next = 0;
            let mut in_flight = a.drain();
            assert_eq!(in_flight.len(), usize::from(maximum));
            while !in_flight.is_empty() {
                for message in in_flight {
                    assert_eq!(message.payload, [next]);
                    next += 1;
                    a.acknowledge(&message);
                }
                in_flight = a.drain();
            }
            assert_eq!(next, 40);
        }
    });
}

/// PUBREC alone does not free the place: the QoS 2 message is unfinished until PUBCOMP.
#[test]
fn mqtt5_4_9_0_2_a_qos_2_message_counts_until_pubcomp() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").receive_maximum(1));
        a.subscribe("t", 2);
        publisher.publish(publish("t").payload("one").qos(2));
        publisher.publish(publish("t").payload("two").qos(2));
        let id = a.expect(publish("t").payload("one").qos(2).id(1)).id.unwrap();
        a.send(pubrec(id));
        a.expect(pubrel(id));
        a.expect_nothing();
        a.send(pubcomp(id));
        a.expect_message(publish("t").payload("two").qos(2));
    });
}

// covers: [MQTT-4.9.0-3]
#[test]
fn mqtt5_3_3_4_10_other_packets_are_not_held_back() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").receive_maximum(1));
        a.subscribe("t", 2);
        publisher.publish(publish("t").payload("one").qos(1));
        publisher.publish(publish("t").payload("two").qos(1));
        a.expect(publish("t").payload("one").qos(1).id(1));
        // The window is closed; all else works.
        a.send(pingreq());
        a.expect(pingresp());
        a.send(subscribe(7).filter("u", 0));
        a.expect(suback(7, &[0]));
        publisher.publish(publish("u").payload("zero"));
        a.expect(publish("u").payload("zero"));
        a.send(publish("v").qos(1).id(3));
        a.expect(puback(3).code(0x10));
        a.send(publish("v").qos(2).id(4));
        a.expect(pubrec(4));
        a.send(pubrel(4));
        a.expect(pubcomp(4));
        a.expect_nothing();
        a.send(puback(1));
        a.expect_message(publish("t").payload("two").qos(1));
    });
}

/// After a resume the resent messages fill the window of the new connection, which may be smaller.
#[test]
fn mqtt5_3_3_4_9_resent_messages_count_too() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let connect = v5("a").clean(false).session_expiry(100);
        let mut a = broker.connect(connect.clone().receive_maximum(10));
        a.subscribe("t", 1);
        for number in 0..10_u8 {
            publisher.publish(publish("t").payload([number]).qos(1));
        }
        assert_eq!(a.drain().len(), 10);
        a.cut();
        publisher.publish(publish("t").payload([10]).qos(1));
        let mut a = broker.connect(connect.receive_maximum(3));
        for number in 0..11_u8 {
            let message = a.receive();
            assert_eq!((message.payload.as_slice(), message.dup), (&[number][..], number < 10));
            a.send(puback(message.id.unwrap()));
        }
    });
}

/// The quota is per connection: it starts full again, whatever was unfinished before.
#[test]
fn mqtt5_4_9_0_1_the_quota_starts_anew_with_each_connection() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let connect = v5("a").clean(false).session_expiry(100).receive_maximum(2);
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", 1);
        for _ in 0..5 {
            publisher.publish(publish("t").qos(1));
            publisher.publish(publish("t").qos(1));
            let ids: Vec<u16> = a.drain().iter().filter_map(|message| message.id).collect();
            assert_eq!(ids.len(), 2);
            a.send(puback(ids[0]));
            a.cut();
            a = broker.connect(connect.clone());
            a.expect(publish("t").qos(1).id(ids[1]).dup());
            a.send(puback(ids[1]));
        }
    });
}

/// MQTT 3.1.1 clients cannot ask for a window; the broker's own setting bounds it.
#[test]
fn the_inflight_setting_bounds_3_1_1_clients() {
    setup().settings(|settings| settings.inflight_messages_max = 3).run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        assert_eq!(publisher.connack.number(0x21), Some(3));
        for connect in [v311("a"), v5("b")] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 1);
            for number in 0..9_u8 {
                publisher.publish(publish("t").payload([number]).qos(1));
            }
            for round in 0..3_u8 {
                let messages = a.drain();
                assert_eq!(messages.len(), 3);
                for (position, message) in messages.into_iter().enumerate() {
                    assert_eq!(message.payload, [round * 3 + position as u8]);
                    a.acknowledge(&message);
                }
            }
        }
    });
}

/// Sends `count` QoS 2 messages that are never released.
fn flood(client: &mut Client, count: u16) {
    for id in 1..=count {
        client.send(publish("t").qos(2).id(id));
    }
}

#[test]
fn mqtt5_3_3_4_7_a_strict_broker_disconnects_at_the_first_message_beyond() {
    setup().settings(|settings| settings.strict_receive_maximum = true).run(|broker| {
        let mut a = broker.connect(v5("a"));
        flood(&mut a, 20);
        assert_eq!(a.drain().len(), 20);
        a.expect_alive();
        // One more of QoS 0 is no matter; the next of QoS 2 is.
        a.send(publish("t"));
        a.expect_alive();
        a.send(publish("t").qos(2).id(21));
        a.expect_disconnect(0x93);
        let mut b = broker.connect(v5("b"));
        flood(&mut b, 20);
        b.drain();
        b.send(publish("t").qos(1).id(21));
        b.expect_disconnect(0x93);
    });
}

#[test]
fn mqtt5_3_3_4_7_released_messages_give_their_place_back() {
    setup().settings(|settings| settings.strict_receive_maximum = true).run(|broker| {
        let mut a = broker.connect(v5("a"));
        for _ in 0..3 {
            flood(&mut a, 20);
            assert_eq!(a.drain().len(), 20);
            for id in 1..=20 {
                a.send(pubrel(id));
                a.expect(pubcomp(id));
            }
        }
        // QoS 1 is answered at once and so never in the way.
        for id in 1..=100 {
            a.send(publish("t").qos(1).id(id));
            a.expect(puback(id).code(0x10));
        }
        // A message that comes again is the same message.
        flood(&mut a, 20);
        flood(&mut a, 20);
        assert_eq!(a.drain().len(), 40);
        a.expect_alive();
    });
}

#[test]
fn mqtt5_3_3_4_7_a_lenient_broker_disconnects_after_a_thousand_beyond() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a"));
        flood(&mut a, 1020);
        assert_eq!(a.drain().len(), 1020);
        a.expect_alive();
        flood(&mut a, 1022);
        let answers = a.drain();
        assert_eq!(answers.last().map(|last| last.code), Some(0x93), "{:?}", answers.last());
        a.expect_closed();
    });
}

/// The announced Receive Maximum is that of MQTT 5.0; 3.1.1 has no such rule.
#[test]
fn receive_maximum_does_not_bind_3_1_1_clients() {
    setup().settings(|settings| settings.strict_receive_maximum = true).run(|broker| {
        let mut a = broker.connect(v311("a"));
        flood(&mut a, 100);
        assert_eq!(a.drain().len(), 100);
        a.expect_alive();
    });
}

/// A subscriber that stops reading costs its own bounded queue; others do not notice, and it is served again later.
#[test]
fn nanomq_2024_48077_a_stalled_subscriber_is_bounded_and_recovers() {
    setup().settings(|settings| settings.queued_messages_max = 100).run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut stalled = broker.connect(v5("stalled"));
        let mut other = broker.connect(v5("other"));
        stalled.subscribe("t", 1);
        other.subscribe("t", 1);
        stalled.stall(true);
        let payload = vec![7; 10_000];
        for _ in 0..2000 {
            publisher.publish(publish("t").payload(&payload).qos(1));
            other.expect_message(publish("t").payload(&payload).qos(1));
        }
        stalled.stall(false);
        let mut received = 0;
        loop {
            let messages = stalled.drain();
            if messages.is_empty() {
                break;
            }
            for message in messages {
                received += 1;
                stalled.acknowledge(&message);
            }
        }
        // What is queued, what is in flight, and as much room as that has.
        assert!((100..=145).contains(&received), "{received} messages");
        publisher.publish(publish("t").payload("after").qos(1));
        stalled.expect_message(publish("t").payload("after").qos(1));
    });
}

/// A closed window holds back what it counts, QoS 1 and 2, and nothing else: retained messages of QoS 0 come.
#[test]
fn mqtt5_4_9_0_3_retained_messages_of_qos_0_do_not_wait_for_the_window() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("kept/1").payload("x").qos(1).retain());
        publisher.publish(publish("kept/2").payload("y").retain());
        let mut a = broker.connect(v5("a").receive_maximum(1));
        a.subscribe("t", 1);
        publisher.publish(publish("t").qos(1));
        a.expect(publish("t").qos(1).id(1));
        a.subscribe("kept/+", 0);
        a.expect_messages_in_any_order(&[
            publish("kept/1").payload("x").retain(),
            publish("kept/2").payload("y").retain(),
        ]);
        // Those of QoS 1 do wait. The client counts.
        a.subscribe("+/1", 1);
        a.expect_nothing();
        a.send(puback(1));
        a.expect_message(publish("kept/1").payload("x").qos(1).retain());
    });
}

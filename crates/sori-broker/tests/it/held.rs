//! What must be durable before a packet leaves, one test for each row of the table in docs/durability.md; and everything
//! else, which does not wait.
//!
//! The store is held up: what it is given it keeps only when the test lets it. A power cut then shows that what was
//! said is true, and that nothing was said that is not.

use super::broker::{Broker, Client, Setup, setup};
use super::wire::{
    Packet, Version, connack, disconnect, pingreq, pingresp, puback, pubcomp, publish, pubrec, pubrel, suback,
    subscribe, unsuback, unsubscribe, v5, v31, v311,
};

fn recorded() -> Setup {
    setup().settings(|settings| settings.keeps_records = true)
}

/// Runs `meanwhile` with a store that keeps nothing until afterwards.
fn with_the_store_held<T>(broker: &Broker, meanwhile: impl FnOnce() -> T) -> T {
    broker.world().hold_store(true);
    let result = meanwhile();
    broker.world().hold_store(false);
    result
}

fn power_cut(broker: &Broker) {
    broker.world().power_cut();
}

/// The power fails before the store keeps anything of what `meanwhile` does.
fn lost_with_the_power(broker: &Broker, meanwhile: impl FnOnce()) {
    broker.world().hold_store(true);
    meanwhile();
    broker.world().power_cut();
    broker.world().hold_store(false);
}

/// CONNECT of a session that outlives its connection.
fn kept(id: &str) -> Packet {
    v5(id).clean(false).session_expiry(10_000)
}

/// Both versions of the same.
fn kept_in_both(id: &str) -> [Packet; 2] {
    [kept(&format!("{id} 5")), v311(&format!("{id} 3")).clean(false)]
}

/// Sends `packet`: nothing comes of it until the store has kept it, and then `answer` does.
#[track_caller]
fn answered_when_durable(broker: &Broker, client: &mut Client, packet: Packet, answer: Packet) {
    with_the_store_held(broker, || {
        client.send(packet);
        client.expect_nothing();
        broker.millis(500);
        client.expect_nothing();
    });
    client.expect(answer);
}

/// A session that is there, subscribed to `filter`, and offline.
fn waits_offline(broker: &Broker, connect: &Packet, filter: &str) {
    let mut client = broker.connect(connect.clone());
    client.subscribe(filter, 2);
    client.cut();
}

fn session_present() -> Packet {
    Packet { session_present: true, ..connack() }
}

// The table.

#[test]
fn puback_after_the_message_for_every_persistent_session_and_the_retained_value() {
    recorded().run(|broker| {
        let readers: Vec<Packet> = (0..4).map(|n| kept(&format!("reader {n}"))).collect();
        for reader in &readers {
            waits_offline(broker, reader, "t");
        }
        for (round, connect) in kept_in_both("a").into_iter().chain([v5("b"), v311("c"), v31("d")]).enumerate() {
            let mut publisher = broker.connect(connect);
            let both = format!("both {round}");
            let only_retained = format!("r/{round}");
            let message = publish("t").payload(&both).qos(1).retain();
            answered_when_durable(broker, &mut publisher, message.id(1), puback(1));
            let retained = publish(&only_retained).payload("x").qos(1).retain().id(2);
            let code = if publisher.version() == Version::V5 { 0x10 } else { 0 };
            answered_when_durable(broker, &mut publisher, retained, puback(2).code(code));
            lost_with_the_power(broker, || {
                // Never acknowledged.
                publisher.send(publish("t").payload("lost").qos(1).id(3));
            });
            for reader in &readers {
                let mut reader = broker.connect(reader.clone());
                reader.expect_message(publish("t").payload(&both).qos(1));
                reader.expect_nothing();
                reader.cut();
            }
            let mut late = broker.connect(v5("late"));
            late.subscribe("t", 1);
            late.expect_message(publish("t").payload(&both).qos(1).retain());
            late.subscribe(&only_retained, 1);
            late.expect_message(publish(&only_retained).payload("x").qos(1).retain());
        }
    });
}

/// The removal of a retained message is a change like any other.
#[test]
fn puback_after_the_removal_of_the_retained_value() {
    recorded().run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("r").payload("x").qos(1).retain());
        answered_when_durable(broker, &mut publisher, publish("r").qos(1).retain().id(9), puback(9).code(0x10));
        power_cut(broker);
        let mut late = broker.connect(v5("late"));
        late.subscribe("r", 1);
        late.expect_nothing();
    });
}

#[test]
fn pubrec_after_the_message_and_its_identifier() {
    recorded().run(|broker| {
        let reader = kept("z reader");
        waits_offline(broker, &reader, "t");
        for connect in kept_in_both("a") {
            let mut a = broker.connect(connect.clone());
            let message = publish("t").payload("once").qos(2).id(7);
            with_the_store_held(broker, || {
                a.send(message.clone());
                // What is repeated is not acknowledged any sooner.
                a.send(message.clone().dup());
                a.expect_nothing();
            });
            a.expect(pubrec(7));
            a.expect(pubrec(7));
            power_cut(broker);
            a = broker.connect(connect);
            a.send(message.dup());
            a.expect(pubrec(7));
            a.send(pubrel(7));
            a.expect(pubcomp(7));
            let mut reader = broker.connect(reader.clone());
            reader.expect_message(publish("t").payload("once").qos(2));
            reader.expect_nothing();
        }
    });
}

/// The publisher keeps no session, but those who are owed the message do.
#[test]
fn pubrec_to_a_clean_session_after_the_message_that_others_are_owed() {
    recorded().run(|broker| {
        let reader = kept("z reader");
        waits_offline(broker, &reader, "t");
        for connect in [v5("a"), v311("b")] {
            let mut a = broker.connect(connect);
            answered_when_durable(broker, &mut a, publish("t").payload("once").qos(2).id(7), pubrec(7));
            // The client will not come back to release it, so what it was told is kept is on its way now.
            power_cut(broker);
            let mut reader = broker.connect(reader.clone());
            reader.expect_message(publish("t").payload("once").qos(2));
            power_cut(broker);
            broker.connect(kept("z reader")).expect_nothing();
        }
    });
}

#[test]
fn pubcomp_after_the_release_of_the_identifier() {
    recorded().run(|broker| {
        let reader = kept("z reader");
        waits_offline(broker, &reader, "t");
        for connect in kept_in_both("a") {
            let mut a = broker.connect(connect.clone());
            a.send(publish("t").payload("once").qos(2).id(7));
            a.expect(pubrec(7));
            lost_with_the_power(broker, || {
                a.send(pubrel(7));
                a.expect_nothing();
            });
            a = broker.connect(connect.clone());
            answered_when_durable(broker, &mut a, pubrel(7), pubcomp(7));
            power_cut(broker);
            a = broker.connect(connect);
            a.send(pubrel(7));
            a.take_somewhere(&pubcomp(7));
            let mut reader = broker.connect(reader.clone());
            reader.expect_message(publish("t").payload("once").qos(2));
            reader.expect_nothing();
        }
    });
}

#[test]
fn pubrel_after_pubrec_is_noted() {
    recorded().run(|broker| {
        for connect in kept_in_both("reader") {
            let mut reader = broker.connect(connect.clone());
            reader.subscribe("t", 2);
            broker.connect(v5("publisher")).publish(publish("t").payload("once").qos(2));
            let id = reader.receive().id.unwrap();
            answered_when_durable(broker, &mut reader, pubrec(id), pubrel(id));
            power_cut(broker);
            reader = broker.connect(connect.clone());
            // Not PUBLISH: the client may have forgotten that it has had the message.
            reader.expect(pubrel(id));
            reader.send(pubcomp(id));
            reader.expect_nothing();
            broker.connect(connect.clean(true)).leave();
        }
    });
}

#[test]
fn publish_at_qos_2_from_a_persistent_session_after_it_and_its_identifier() {
    recorded().run(|broker| {
        let mut watchers: Vec<Client> = (0..3).map(|n| broker.connect(v5(&format!("watcher {n}")))).collect();
        for (qos, watcher) in (0..).zip(&mut watchers) {
            watcher.subscribe("t", qos);
        }
        for connect in kept_in_both("a") {
            let mut a = broker.connect(connect);
            with_the_store_held(broker, || {
                a.send(publish("t").payload("x").qos(2).id(7));
                a.send(pubrel(7));
                watchers.iter_mut().for_each(Client::expect_nothing);
            });
            a.expect(pubrec(7));
            a.expect(pubcomp(7));
            for (qos, watcher) in (0..).zip(&mut watchers) {
                watcher.expect_message(publish("t").payload("x").qos(qos));
            }
        }
    });
}

#[test]
fn publish_at_qos_2_to_a_persistent_session_after_the_message_and_its_identifier() {
    recorded().run(|broker| {
        for connect in kept_in_both("reader") {
            let mut reader = broker.connect(connect.clone());
            reader.subscribe("t", 2);
            let mut publisher = broker.connect(v5("publisher"));
            publisher.send(publish("t").payload("1").qos(2).id(1));
            publisher.expect(pubrec(1));
            with_the_store_held(broker, || {
                publisher.send(pubrel(1));
                reader.expect_nothing();
            });
            publisher.expect(pubcomp(1));
            let first = reader.receive();
            assert_eq!((first.qos, &*first.payload), (2, &b"1"[..]));
            // What waited for the client, and what is retained.
            reader.cut();
            publisher.publish(publish("t").payload("2").qos(2));
            publisher.publish(publish("r").payload("3").qos(2).retain());
            with_the_store_held(broker, || {
                let mut held = broker.open();
                held.send(connect.clone());
                held.expect_nothing();
                reader = held;
            });
            reader.expect(session_present());
            reader.expect(publish("t").payload("1").qos(2).id(first.id.unwrap()).dup());
            let second = reader.receive();
            with_the_store_held(broker, || {
                reader.send(subscribe(9).filter("r", 2));
                reader.expect_nothing();
            });
            reader.expect(suback(9, &[2]));
            let third = reader.receive();
            power_cut(broker);
            // The same identifiers after the crash.
            reader = broker.connect(connect.clone());
            for message in [first, second, third] {
                let again = publish(&message.topic).payload(&message.payload).qos(2).id(message.id.unwrap()).dup();
                reader.expect(Packet { retain: message.retain, ..again });
            }
            broker.connect(connect.clean(true)).leave();
            broker.connect(v5("publisher")).publish(publish("r").retain());
        }
    });
}

/// A message whose turn has come because the one before is finished: nothing else of that connection waits.
/// A store without room may hold a message back for longer than it lives.
#[test]
fn mqtt5_3_3_2_5_and_3_3_2_6_a_held_publish_tells_what_is_left_of_its_time_or_does_not_leave() {
    recorded().run(|broker| {
        let mut five = broker.connect(kept("five").topic_alias_maximum(5));
        let mut three = broker.connect(v311("three").clean(false));
        let mut plain = broker.connect(v5("plain"));
        five.subscribe("t", 2);
        three.subscribe("t", 1);
        plain.subscribe("t", 0);
        let mut publisher = broker.connect(kept("publisher"));
        let begin = |publisher: &mut Client, id, seconds: u32| {
            let message = publish("t").payload(format!("for {seconds} s"));
            publisher.send(message.qos(2).id(id).message_expiry(seconds));
            publisher.expect(pubrec(id));
        };
        begin(&mut publisher, 1, 3);
        begin(&mut publisher, 2, 30);
        with_the_store_held(broker, || {
            publisher.send(pubrel(1));
            publisher.send(pubrel(2));
            broker.millis(10_000);
            five.expect_nothing();
            plain.expect_nothing();
        });
        publisher.expect(pubcomp(1));
        publisher.expect(pubcomp(2));
        five.expect_message(publish("t").payload("for 30 s").qos(2).message_expiry(20));
        three.expect_message(publish("t").payload("for 30 s").qos(1));
        plain.expect_message(publish("t").payload("for 30 s").message_expiry(20));
        // Nothing counts as in flight that was not sent, not even after a crash.
        power_cut(broker);
        let mut five = broker.connect(kept("five"));
        five.expect_nothing();
        broker.connect(v311("three").clean(false)).expect_nothing();
    });
}

#[test]
fn publish_at_qos_2_whose_turn_has_come_after_its_identifier() {
    recorded().run(|broker| {
        let connect = kept("reader").receive_maximum(1);
        let mut reader = broker.connect(connect.clone());
        reader.subscribe("t", 2);
        let mut publisher = broker.connect(v5("publisher"));
        publisher.publish(publish("t").payload("1").qos(2));
        publisher.publish(publish("t").payload("2").qos(2));
        let first = reader.receive().id.unwrap();
        reader.send(pubrec(first));
        reader.expect(pubrel(first));
        with_the_store_held(broker, || {
            reader.send(pubcomp(first));
            reader.expect_nothing();
        });
        let second = reader.receive().id.unwrap();
        power_cut(broker);
        reader = broker.connect(connect.clone());
        reader.expect(publish("t").payload("2").qos(2).id(second).dup());
        reader.expect_nothing();
    });
}

#[test]
fn a_will_s_publication_after_its_removal() {
    recorded().run(|broker| {
        let reader = kept("z reader");
        let mut watcher = broker.connect(reader.clone());
        watcher.subscribe("w", 1);
        for (round, connect) in kept_in_both("a").into_iter().chain([v5("b"), v311("c")]).enumerate() {
            let payload = format!("gone {round}");
            let will = publish("w").payload(&payload).qos(1);
            let mut early = broker.connect(v5("early"));
            early.subscribe("w", 0);
            let mut a = broker.connect(connect.clone().will(will.clone()));
            with_the_store_held(broker, || {
                a.cut();
                watcher.expect_nothing();
                early.expect_nothing();
            });
            early.expect_message(publish("w").payload(&payload));
            watcher.expect_message(will);
            power_cut(broker);
            watcher = broker.connect(reader.clone());
            broker.seconds(100);
            watcher.expect_nothing();
            // The power fails before anybody could see it: it comes after the restart, once.
            let payload = format!("later {round}");
            let will = publish("w").payload(&payload).qos(1);
            let mut a = broker.connect(connect.clone().will(will.clone()));
            lost_with_the_power(broker, || {
                a.cut();
                watcher.expect_nothing();
            });
            watcher = broker.connect(reader.clone());
            broker.seconds(1);
            watcher.expect_message(will);
            power_cut(broker);
            watcher = broker.connect(reader.clone());
            broker.seconds(1);
            watcher.expect_nothing();
        }
    });
}

#[test]
fn connack_after_the_old_session_s_removal() {
    recorded().run(|broker| {
        for connect in kept_in_both("a") {
            waits_offline(broker, &connect, "t");
            broker.connect(v5("publisher")).publish(publish("t").payload("old").qos(1));
            lost_with_the_power(broker, || {
                let mut a = broker.open();
                a.send(connect.clone().clean(true));
                a.expect_nothing();
            });
            // Nobody was told that it is gone.
            let mut a = broker.connect(connect.clone());
            assert!(a.session_present());
            a.receive();
            a.cut();
            let mut a = broker.open();
            answered_when_durable(broker, &mut a, connect.clone().clean(true), connack());
            power_cut(broker);
            broker.connect(v5("publisher")).publish(publish("t").payload("new").qos(1));
            let mut a = broker.connect(connect);
            a.expect_nothing();
        }
    });
}

/// The CONNECT that ended the old session is never answered. The next one finds none, and may not say so yet.
#[test]
fn connack_after_the_removal_that_an_earlier_connect_began() {
    recorded().run(|broker| {
        for (connect, clean) in kept_in_both("a").into_iter().zip([v5("a 5"), v311("a 3")]) {
            waits_offline(broker, &connect, "t");
            broker.world().hold_store(true);
            let mut first = broker.open();
            first.send(clean.clone());
            first.expect_nothing();
            first.cut();
            let mut second = broker.open();
            second.send(clean.clone());
            second.expect_nothing();
            broker.world().hold_store(false);
            second.expect(connack());
            power_cut(broker);
            assert!(!broker.connect(connect).session_present());
            // All is settled: what needs no record does not wait.
            broker.connect(clean.clone()).cut();
            with_the_store_held(broker, || broker.connect(clean).cut());
        }
    });
}

/// A session that is kept begins, or goes on with other promises: what CONNACK says is true after a crash.
#[test]
fn connack_after_the_session_it_speaks_of() {
    recorded().run(|broker| {
        for connect in kept_in_both("a") {
            let mut a = broker.open();
            answered_when_durable(broker, &mut a, connect.clone(), connack());
            power_cut(broker);
            let mut a = broker.open();
            let will = publish("w").payload("x").qos(1);
            answered_when_durable(broker, &mut a, connect.clone().will(will.clone()), session_present());
            let mut watcher = broker.connect(kept("watcher"));
            watcher.subscribe("w", 1);
            power_cut(broker);
            broker.seconds(1);
            broker.connect(kept("watcher")).expect_message(will);
            broker.connect(connect.clean(true)).leave();
        }
        // One that ends with its connection and has no will promises nothing.
        with_the_store_held(broker, || {
            broker.connect(v5("b")).leave();
            broker.connect(v311("b")).leave();
        });
    });
}

#[test]
fn suback_and_unsuback_after_the_change() {
    recorded().run(|broker| {
        for connect in kept_in_both("a") {
            let codes: &[u8] = if connect.connect_part().level == 5 { &[0] } else { &[] };
            let mut a = broker.connect(connect.clone());
            answered_when_durable(broker, &mut a, subscribe(1).filter("t", 1), suback(1, &[1]));
            power_cut(broker);
            a = broker.connect(connect.clone());
            broker.connect(v5("publisher")).publish(publish("t").payload("x").qos(1));
            a.expect_message(publish("t").payload("x").qos(1));
            lost_with_the_power(broker, || a.send(unsubscribe(2).filter("t", 0)));
            a = broker.connect(connect.clone());
            broker.connect(v5("publisher")).publish(publish("t").payload("y").qos(1));
            a.expect_message(publish("t").payload("y").qos(1));
            answered_when_durable(broker, &mut a, unsubscribe(3).filter("t", 0), unsuback(3, codes));
            power_cut(broker);
            broker.connect(v5("publisher")).send(publish("t").payload("z").qos(1).id(1));
            broker.connect(connect).expect_nothing();
        }
    });
}

#[test]
fn disconnect_is_seen_after_the_new_expiry() {
    recorded().run(|broker| {
        let mut a = broker.connect(kept("a"));
        with_the_store_held(broker, || {
            a.send(disconnect().session_expiry(5));
            a.expect_nothing();
        });
        a.expect_closed();
        power_cut(broker);
        broker.seconds(6);
        let mut a = broker.connect(kept("a"));
        assert!(!a.session_present());
        // Without a new one nothing waits.
        with_the_store_held(broker, || {
            a.send(disconnect());
            a.expect_closed();
        });
        // The end of a session is the shortest expiry.
        let mut a = broker.connect(kept("a"));
        with_the_store_held(broker, || {
            a.send(disconnect().session_expiry(0));
            a.expect_nothing();
        });
        a.expect_closed();
        power_cut(broker);
        assert!(!broker.connect(kept("a")).session_present());
    });
}

// What does not wait.

#[test]
fn what_needs_no_record_does_not_wait() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("offline"), "owed");
        let mut reader = broker.connect(kept("reader"));
        reader.subscribe("t", 2);
        let mut clean = broker.connect(v5("clean"));
        clean.subscribe("#", 2);
        let mut a = broker.connect(kept("a"));
        let mut b = broker.connect(v311("b"));
        with_the_store_held(broker, || {
            a.send(publish("owed").payload("1").qos(1).id(1));
            // Live subscribers may have it before.
            clean.expect_message(publish("owed").payload("1").qos(1));
            // The same connection.
            a.expect_alive();
            a.send(publish("t").payload("2"));
            reader.expect(publish("t").payload("2"));
            clean.expect(publish("t").payload("2"));
            // Other connections.
            b.publish(publish("free").payload("3").qos(1));
            clean.expect_message(publish("free").payload("3").qos(1));
            b.publish(publish("free").payload("4").qos(2));
            clean.expect_message(publish("free").payload("4").qos(2));
            b.subscribe("more", 1);
            b.unsubscribe("more");
            let mut c = broker.connect(v5("c"));
            c.expect_alive();
            c.leave();
            // A QoS 1 message to a persistent session that is there: its own shard may send it again, never lose it.
            b.send(publish("t").payload("5").qos(1).id(5));
            reader.expect_message(publish("t").payload("5").qos(1));
            clean.expect_message(publish("t").payload("5").qos(1));
            b.expect_nothing();
            a.expect_nothing();
        });
        a.expect(puback(1));
        b.expect(puback(5));
    });
}

/// [MQTT-4.6.0-2] [MQTT-4.6.0-3]
#[test]
fn mqtt5_4_6_0_2_held_acknowledgements_leave_in_their_order() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("offline"), "owed");
        for connect in [v5("a"), v311("b"), kept("c")] {
            let mut a = broker.connect(connect);
            a.subscribe("live", 1);
            a.send(publish("live").payload("0").qos(2).id(10));
            a.take_somewhere(&pubrec(10));
            let (clean, code) = (a.version() == Version::V5, 0x10);
            let nobody = |id| if clean { puback(id).code(code) } else { puback(id) };
            with_the_store_held(broker, || {
                a.send(publish("owed").payload("1").qos(1).id(1));
                // These need no record, and come behind.
                a.send(publish("nobody").payload("2").qos(1).id(2));
                a.send(publish("owed").payload("3").qos(2).id(3));
                a.send(publish("nobody").payload("4").qos(1).id(4));
                a.send(publish("owed").payload("5").qos(1).id(5));
                a.expect_nothing();
            });
            for answer in [puback(1), nobody(2), pubrec(3), nobody(4), puback(5)] {
                a.expect(answer);
            }
            a.expect_nothing();
        }
    });
}

#[test]
fn retained_messages_follow_a_held_suback() {
    recorded().run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..5_u8 {
            publisher.publish(publish(format!("r/{number}")).payload([number]).qos(1).retain());
        }
        for connect in kept_in_both("a") {
            let mut a = broker.connect(connect);
            with_the_store_held(broker, || {
                a.send(subscribe(1).filter("r/+", 0));
                // A live message to the new subscription does not overtake its SUBACK either.
                publisher.send(publish("r/live").payload("live"));
                a.expect_nothing();
                a.send(pingreq());
                a.expect(pingresp());
            });
            a.expect(suback(1, &[0]));
            let mut topics: Vec<Vec<u8>> = a.drain().into_iter().map(|message| message.topic).collect();
            topics.sort();
            let expected = ["r/0", "r/1", "r/2", "r/3", "r/4", "r/live"].map(|topic| topic.as_bytes().to_vec());
            assert_eq!(topics, expected);
        }
    });
}

/// [MQTT-3.2.0-1] [MQTT311-3.2.0-1]
#[test]
fn mqtt5_3_2_0_1_nothing_leaves_before_a_held_connack() {
    recorded().run(|broker| {
        for connect in kept_in_both("a") {
            waits_offline(broker, &connect, "t");
            let mut publisher = broker.connect(v5("publisher"));
            publisher.publish(publish("t").payload("1").qos(1));
            let mut a = broker.open();
            let is_v5 = connect.connect_part().level == 5;
            with_the_store_held(broker, || {
                a.send_together([
                    connect.clone(),
                    pingreq(),
                    subscribe(1).filter("u", 0),
                    publish("nobody").payload("x").qos(1).id(2),
                ]);
                publisher.send(publish("t").payload("2"));
                a.expect_nothing();
            });
            a.expect(session_present());
            let rest = a.drain();
            let position = |packet: &Packet| rest.iter().position(|got| packet.is_met_by(got)).unwrap();
            let puback = if is_v5 { puback(2).code(0x10) } else { puback(2) };
            assert!(position(&suback(1, &[0])) < position(&puback), "{rest:?}");
            position(&pingresp());
            position(
                &publish("t").payload("1").qos(1).id(rest.iter().find_map(|p| p.id.filter(|_| p.qos == 1)).unwrap()),
            );
            position(&publish("t").payload("2"));
            assert_eq!(rest.len(), 5, "{rest:?}");
        }
    });
}

/// What was held for a connection that dies is not said, and is asked for again; what others wait for comes.
#[test]
fn a_connection_that_dies_takes_its_held_packets_with_it_and_nothing_else() {
    recorded().run(|broker| {
        let reader = kept("z reader");
        waits_offline(broker, &reader, "t");
        let mut a = broker.connect(kept("a"));
        let mut b = broker.connect(kept("b"));
        let mut next = None;
        with_the_store_held(broker, || {
            a.send(publish("t").payload("1").qos(1).id(1));
            a.send(publish("t").payload("2").qos(2).id(2));
            a.send(subscribe(3).filter("s", 1));
            b.send(publish("t").payload("3").qos(1).id(1));
            a.cut();
            // Back at once, while everything still waits.
            let mut again = broker.open();
            again.send(kept("a"));
            again.send(publish("t").payload("2").qos(2).id(2).dup());
            again.expect_nothing();
            next = Some(again);
            b.expect_nothing();
        });
        b.expect(puback(1));
        let mut a = next.unwrap();
        a.expect(session_present());
        a.expect(pubrec(2));
        a.send(pubrel(2));
        a.expect(pubcomp(2));
        b.publish(publish("s").payload("x").qos(1));
        a.expect_message(publish("s").payload("x").qos(1));
        let mut reader = broker.connect(reader.clone());
        let payloads: Vec<Vec<u8>> = reader.drain().into_iter().map(|message| message.payload).collect();
        assert_eq!(payloads, [b"1", b"3", b"2"]);
    });
}

/// Taken over while its CONNACK is held: the one that came first is not told anything but the end.
#[test]
fn take_over_of_a_connection_whose_connack_is_held() {
    recorded().run(|broker| {
        let (mut first, mut second) = (broker.open(), broker.open());
        with_the_store_held(broker, || {
            first.send(kept("a"));
            first.expect_nothing();
            second.send(kept("a"));
            second.expect_nothing();
        });
        first.expect_closed();
        second.receive();
        second.expect_alive();
        power_cut(broker);
        assert!(broker.connect(kept("a")).session_present());
    });
}

/// The shutdown does not claim what is not durable.
#[test]
fn a_shutdown_waits_for_nobody_and_acknowledges_nothing_that_is_not_durable() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("offline"), "t");
        let mut a = broker.connect(v5("a"));
        lost_with_the_power(broker, || {
            a.send(publish("t").payload("x").qos(1).id(1));
            broker.shutdown();
            assert!(a.drain().iter().all(|packet| packet.id != Some(1)));
        });
    });
}

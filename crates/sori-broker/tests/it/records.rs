//! Records: a broker that loses everything in memory goes on from what its shards said must survive.

use super::broker::{Broker, Setup, setup};
use super::wire::{
    NO_LOCAL, Packet, RETAIN_AS_PUBLISHED, disconnect, puback, pubcomp, publish, pubrec, pubrel, subscribe, v5, v311,
};

fn recorded() -> Setup {
    setup().settings(|settings| settings.keeps_records = true)
}

/// The two ways to ask for a session that outlives its connection.
fn durable(id: &str) -> [Packet; 2] {
    [v5(id).clean(false).session_expiry(1000), v311(id).clean(false)]
}

#[test]
fn what_ends_with_its_connection_makes_no_record() {
    recorded().run(|broker| {
        let mut a = broker.connect(v5("a"));
        let mut b = broker.connect(v311("b"));
        for client in [&mut a, &mut b] {
            client.subscribe("t/#", 2);
            client.subscribe("$share/g/u", 1);
        }
        for qos in 0..3 {
            a.publish(publish("t/x").payload("x").qos(qos));
        }
        for client in [&mut a, &mut b] {
            for qos in 0..3 {
                client.expect_message(publish("t/x").payload("x").qos(qos));
            }
            client.unsubscribe("t/#");
        }
        a.leave();
        b.cut();
        assert_eq!(broker.records(), 0);
        // QoS 0 to a connected durable session neither.
        let mut c = broker.connect(v5("c").session_expiry(100));
        c.subscribe("t", 2);
        let before = broker.records();
        for _ in 0..10 {
            c.send(publish("t").payload("x"));
            c.expect(publish("t").payload("x"));
        }
        assert_eq!(broker.records(), before);
    });
}

#[test]
fn nothing_is_recorded_unless_the_settings_say_so() {
    setup().run(|broker| {
        let mut a = broker.connect(v5("a").session_expiry(100).will(publish("w")));
        a.subscribe("t", 2);
        a.publish(publish("t").qos(2).retain().payload("x"));
        a.cut();
        assert_eq!(broker.records(), 0);
    });
}

#[test]
fn subscriptions_survive_with_their_options() {
    recorded().run(|broker| {
        let connect = v5("a").clean(false).session_expiry(100);
        let mut a = broker.connect(connect.clone());
        a.subscribes(subscribe(1).subscription_id(5).filter("t", 1 | NO_LOCAL | RETAIN_AS_PUBLISHED));
        a.subscribes(subscribe(2).filter("replaced", 2).filter("gone", 1).filter("$share/g/s", 1));
        a.subscribes(subscribe(3).subscription_id(6).filter("replaced", 0));
        a.unsubscribe("gone");
        for _ in 0..2 {
            broker.crash();
            let mut a = broker.connect(connect.clone());
            assert!(a.session_present());
            let mut publisher = broker.connect(v5("publisher"));
            publisher.publish(publish("t").payload("x").qos(2).retain());
            a.expect_message(publish("t").payload("x").qos(1).retain().subscription_id(5));
            for topic in ["replaced", "gone", "s"] {
                publisher.publish(publish(topic).qos(2));
            }
            a.expect_message(publish("replaced").subscription_id(6));
            a.expect_message(publish("s").qos(1));
            a.publish(publish("t").payload("own").qos(1));
            a.expect_nothing();
        }
    });
}

#[test]
fn the_queue_survives_in_order_with_all_that_belongs_to_its_messages() {
    recorded().settings(|settings| settings.queue_qos0_messages = true).run(|broker| {
        let connect = v5("a").clean(false).session_expiry(1000);
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(connect.clone().receive_maximum(1));
        a.subscribes(subscribe(1).subscription_id(5).filter("t", 2 | RETAIN_AS_PUBLISHED));
        let message =
            |number: u8| publish("t").payload([number]).qos(number % 3).user_property("k", "v").message_expiry(100);
        for number in 1..=3 {
            publisher.publish(message(number));
        }
        a.cut();
        for number in 4..30 {
            publisher.publish(Packet { retain: number == 7, ..message(number) });
        }
        broker.seconds(10);
        broker.crash();
        broker.seconds(10);
        let mut a = broker.connect(connect);
        let mut last = 0;
        while last < 29 {
            let got = a.receive();
            let number = got.payload[0];
            // Number 3 is of QoS 0 and was sent to the first connection; others of QoS 0 are not kept.
            assert!(number == last + 1 || (number % 3 == 1 && number == last + 2), "{number} after {last}");
            last = number;
            let expected = message(number).subscription_id(5);
            assert_eq!((got.qos, got.retain, got.dup), (number % 3, number == 7, number == 1), "{got}");
            assert_eq!(got.number(0x02), Some(80));
            assert_eq!((got.number(0x0B), got.has(0x26)), (Some(5), expected.has(0x26)));
            a.acknowledge(&got);
        }
        a.expect_nothing();
    });
}

#[test]
fn messages_in_flight_survive_in_their_states() {
    recorded().run(|broker| {
        for connect in durable("a") {
            let mut publisher = broker.connect(v5("publisher"));
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 2);
            for (payload, qos) in [("1", 1), ("2", 2), ("3", 2), ("4", 1), ("5", 2), ("6", 1), ("7", 2)] {
                publisher.publish(publish("t").payload(payload).qos(qos));
            }
            let ids: Vec<u16> = (0..7).map(|_| a.receive().id.unwrap()).collect();
            // Finished: 4, 5. Released: 2. Refused in 5.0, finished in 3.1.1: 6, 7.
            a.send(pubrec(ids[1]));
            a.expect(pubrel(ids[1]));
            a.send(puback(ids[3]));
            a.send(pubrec(ids[4]));
            a.expect(pubrel(ids[4]));
            a.send(pubcomp(ids[4]));
            if connect.connect_part().level == 5 {
                a.send(puback(ids[5]).code(0x80));
                a.send(pubrec(ids[6]).code(0x80));
            } else {
                a.send(puback(ids[5]));
                a.send(pubrec(ids[6]));
                a.expect(pubrel(ids[6]));
                a.send(pubcomp(ids[6]));
            }
            for _ in 0..2 {
                broker.crash();
                a = broker.connect(connect.clone());
                assert!(a.session_present());
                a.take_somewhere(&pubrel(ids[1]));
                a.expect(publish("t").payload("1").qos(1).id(ids[0]).dup());
                a.expect(publish("t").payload("3").qos(2).id(ids[2]).dup());
                a.expect_nothing();
            }
            a.send(pubcomp(ids[1]));
            a.send(puback(ids[0]));
            a.send(pubrec(ids[2]));
            a.expect(pubrel(ids[2]));
            a.send(pubcomp(ids[2]));
            broker.crash();
            // Identifiers go on after the last one.
            a = broker.connect(connect.clone());
            a.expect_nothing();
            broker.connect(v5("publisher")).publish(publish("t").payload("8").qos(1));
            a.expect(publish("t").payload("8").qos(1).id(8));
            broker.connect(connect.clean(true)).leave();
        }
    });
}

// covers: [MQTT-4.3.3-8] [MQTT-4.3.3-10]
/// Identifiers of what is finished are free, whichever comes next; clients of Mosquitto have seen both.
#[test]
// covers: [MQTT-2.2.1-4] [MQTT311-2.3.1-4]
fn packet_identifiers_begin_anew_after_a_restart_unless_the_client_was_there_or_has_one_in_flight() {
    #[derive(Clone, Copy, PartialEq)]
    enum End {
        Connected,
        Stopped,
        Away,
        AwayInFlight,
    }
    for end in [End::Connected, End::Stopped, End::Away, End::AwayInFlight] {
        recorded().run(|broker| {
            for connect in durable("a") {
                let mut publisher = broker.connect(v5("publisher"));
                let mut a = broker.connect(connect.clone());
                a.subscribe("t", 2);
                for qos in 1..=2 {
                    publisher.publish(publish("t").payload("x").qos(qos));
                    let message = a.receive();
                    assert_eq!(message.id, Some(u16::from(qos)));
                    if end != End::AwayInFlight {
                        a.acknowledge(&message);
                    }
                }
                if matches!(end, End::Away | End::AwayInFlight) {
                    a.cut();
                }
                if end != End::Connected {
                    broker.shutdown();
                }
                broker.crash();
                // Whoever goes on does so however often there is a crash before the client is back.
                broker.crash();
                let mut a = broker.connect(connect.clone());
                if end == End::AwayInFlight {
                    assert_eq!(
                        a.drain().iter().map(|again| (again.id, again.dup)).collect::<Vec<_>>(),
                        [(Some(1), true), (Some(2), true)]
                    );
                }
                broker.connect(v5("publisher")).publish(publish("t").payload("y").qos(2));
                let next = if end == End::Away { 1 } else { 3 };
                assert_eq!(a.receive().id, Some(next));
                a.leave();
                broker.connect(connect.clean(true)).leave();
            }
        });
    }
}

#[test]
fn mqtt5_4_3_3_10_incoming_qos_2_identifiers_survive() {
    recorded().run(|broker| {
        for connect in durable("a") {
            let mut watcher = broker.connect(v5("watcher").clean(false).session_expiry(1000));
            watcher.subscribe("t", 2);
            let mut a = broker.connect(connect.clone());
            a.send(publish("t").payload("1").qos(2).id(1));
            a.expect(pubrec(1));
            a.send(publish("t").payload("2").qos(2).id(2));
            a.expect(pubrec(2));
            a.send(pubrel(2));
            a.expect(pubcomp(2));
            watcher.expect_message(publish("t").payload("2").qos(2));
            broker.crash();
            let mut watcher = broker.connect(v5("watcher").clean(false).session_expiry(1000));
            a = broker.connect(connect.clone());
            a.send(publish("t").payload("1").qos(2).id(1).dup());
            a.expect(pubrec(1));
            watcher.expect_nothing();
            broker.crash();
            let mut watcher = broker.connect(v5("watcher").clean(false).session_expiry(1000));
            a = broker.connect(connect.clone());
            a.send(pubrel(1));
            a.expect(pubcomp(1));
            watcher.expect_message(publish("t").payload("1").qos(2));
            // PUBREL that was handled before comes again: no second delivery.
            broker.crash();
            let mut watcher = broker.connect(v5("watcher").clean(false).session_expiry(1000));
            a = broker.connect(connect.clone());
            for id in [1, 2] {
                a.send(pubrel(id));
                a.expect(pubcomp(id));
            }
            watcher.expect_nothing();
            a.publish(publish("t").payload("new").qos(2).id(1));
            watcher.expect_message(publish("t").payload("new").qos(2));
            broker.connect(connect.clean(true)).leave();
        }
    });
}

/// Nobody hears its own unreleased message after the crash that No Local keeps from it, and everybody else does.
#[test]
fn no_local_knows_the_publisher_of_an_unreleased_message_after_a_crash() {
    recorded().run(|broker| {
        let connects: Vec<Packet> = ["a", "b", "c"].iter().map(|id| v5(id).clean(false).session_expiry(100)).collect();
        let mut clients: Vec<_> = connects.iter().map(|connect| broker.connect(connect.clone())).collect();
        for client in &mut clients {
            client.subscribe("t", 1 | NO_LOCAL);
        }
        for (client, payload) in clients.iter_mut().zip(["a", "b", "c"]) {
            client.send(publish("t").payload(payload).qos(2).id(1));
            client.expect(pubrec(1));
        }
        // Another session in front changes everybody's place.
        broker.connect(v5("0").session_expiry(100)).cut();
        broker.crash();
        let mut clients: Vec<_> = connects.iter().map(|connect| broker.connect(connect.clone())).collect();
        for client in &mut clients {
            client.send(pubrel(1));
            client.take_somewhere(&pubcomp(1));
        }
        for (client, own) in clients.iter_mut().zip(["a", "b", "c"]) {
            let others: Vec<Packet> = ["a", "b", "c"]
                .iter()
                .filter(|other| **other != own)
                .map(|other| publish("t").payload(other).qos(1))
                .collect();
            client.expect_messages_in_any_order(&others);
            client.expect_nothing();
        }
    });
}

#[test]
fn retained_messages_survive_and_stay_current() {
    recorded().run(|broker| {
        let read = |broker: &Broker, expected: &[Packet]| {
            let mut late = broker.connect(v5("late"));
            late.subscribe("#", 2);
            late.expect_messages_in_any_order(expected);
            late.expect_nothing();
        };
        let mut a = broker.connect(v5("a"));
        for round in 0..5 {
            a.publish(publish("often").payload([round]).qos(1).retain());
        }
        a.publish(publish("once").payload("x").qos(2).retain().user_property("k", "v"));
        a.publish(publish("removed").payload("x").retain());
        a.publish(publish("removed").retain());
        a.publish(publish("expires").payload("x").retain().message_expiry(10));
        broker.crash();
        read(
            broker,
            &[
                publish("often").payload([4]).qos(1).retain(),
                publish("once").payload("x").qos(2).retain().user_property("k", "v"),
                publish("expires").payload("x").retain().message_expiry(10),
            ],
        );
        // Changes after a restart are newer than those before it.
        let mut a = broker.connect(v5("a"));
        a.publish(publish("often").payload("new").qos(1).retain());
        a.publish(publish("once").qos(1).retain());
        broker.seconds(11);
        broker.crash();
        read(broker, &[publish("often").payload("new").qos(1).retain()]);
        let mut a = broker.connect(v5("a"));
        a.publish(publish("once").payload("again").retain());
        broker.crash();
        broker.crash();
        read(broker, &[publish("often").payload("new").qos(1).retain(), publish("once").payload("again").retain()]);
    });
}

#[test]
fn a_session_ends_when_it_would_have_without_the_crash() {
    recorded().run(|broker| {
        let connect = v5("a").clean(false).session_expiry(100);
        broker.connect(connect.clone()).cut();
        broker.seconds(60);
        broker.crash();
        broker.seconds(30);
        assert!(broker.connect(connect.clone()).session_present());
        // Connected at the crash: its interval begins with the restart, once.
        broker.crash();
        broker.seconds(60);
        broker.crash();
        broker.seconds(50);
        assert!(!broker.connect(connect.clone()).session_present());
        // Over already at the restart.
        broker.connect(connect.clone()).cut();
        broker.seconds(101);
        broker.crash();
        assert!(!broker.connect(connect).session_present());
    });
}

#[test]
fn ended_sessions_do_not_come_back() {
    recorded().run(|broker| {
        let connect = v5("a").clean(false).session_expiry(100);
        let ends: [fn(&Broker, Packet); 5] = [
            |broker, connect| broker.connect(connect.clean(true)).cut(),
            |broker, connect| {
                let mut a = broker.connect(connect);
                a.send(disconnect().session_expiry(0));
            },
            |broker, _| {
                let mut a = broker.connect(v5("a").clean(false));
                a.cut();
            },
            // Taken over by one that keeps nothing, which is connected at the crash.
            |broker, _| _ = broker.connect(v5("a").clean(false)),
            |broker, _| broker.seconds(200),
        ];
        for (number, end) in ends.iter().enumerate() {
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 1);
            a.cut();
            broker.connect(v5("publisher")).publish(publish("t").qos(1));
            end(broker, connect.clone());
            broker.crash();
            let mut a = broker.connect(connect.clone());
            // A clean start begins a session of its own, without what was in the old one.
            assert_eq!(a.session_present(), number == 0);
            broker.connect(v5("publisher")).publish(publish("t").qos(1));
            a.expect_nothing();
            broker.connect(v5("a")).leave();
        }
    });
}

#[test]
fn each_will_is_published_once_whatever_crashes() {
    recorded().run(|broker| {
        let reader = v5("z reader").clean(false).session_expiry(10_000);
        let mut first = broker.connect(reader.clone());
        first.subscribe("w/#", 1);
        let will = |name: &str| publish(format!("w/{name}")).payload("gone").qos(1);
        let mut published = broker.connect(v5("published").will(will("published")));
        published.cut();
        let mut discarded = broker.connect(v5("discarded").will(will("discarded")));
        discarded.leave();
        let _at_once = broker.connect(v5("at once").will(will("at-once")));
        let _old = broker.connect(v311("old").clean(false).will(will("old")));
        let _delayed = broker.connect(v5("delayed").session_expiry(1000).will(will("delayed").will_delay(50)));
        let mut waiting = broker.connect(v5("waiting").session_expiry(1000).will(will("waiting").will_delay(50)));
        waiting.cut();
        broker.seconds(20);
        first.expect_message(will("published"));
        first.expect_nothing();
        // The clients that were connected have lost their connections; their delays begin now.
        broker.crash();
        let mut second = broker.connect(reader.clone());
        second.expect_messages_in_any_order(&[will("at-once"), will("old")]);
        broker.seconds(29);
        second.expect_nothing();
        broker.seconds(2);
        second.expect_message(will("waiting"));
        broker.crash();
        let mut third = broker.connect(reader.clone());
        broker.seconds(18);
        third.expect_nothing();
        broker.seconds(2);
        third.expect_message(will("delayed"));
        third.expect_nothing();
        for _ in 0..3 {
            broker.crash();
            broker.seconds(500);
        }
        broker.connect(reader).expect_nothing();
    });
}

#[test]
fn a_client_that_is_back_in_time_cancels_its_will_for_ever() {
    recorded().run(|broker| {
        let reader = v5("reader").clean(false).session_expiry(10_000);
        broker.connect(reader.clone()).subscribe("w", 1);
        let connect = v5("a").clean(false).session_expiry(1000);
        let _a = broker.connect(connect.clone().will(publish("w").qos(1).will_delay(50)));
        broker.crash();
        broker.seconds(10);
        let mut a = broker.connect(connect);
        broker.seconds(100);
        a.leave();
        broker.crash();
        broker.seconds(100);
        broker.connect(reader).expect_nothing();
    });
}

/// What a full queue let go of does not come back, and what it kept does.
#[test]
fn dropped_messages_stay_dropped() {
    use sori_broker::QueueFull;
    for policy in [QueueFull::DropNewest, QueueFull::DropOldest, QueueFull::LatestValue] {
        let limits = recorded().settings(|settings| {
            settings.queue_full = policy;
            settings.queued_messages_max = 5;
        });
        limits.run(|broker| {
            let connect = v5("a").clean(false).session_expiry(100);
            let mut a = broker.connect(connect.clone().maximum_packet_size(100));
            a.subscribe("t/+", 1);
            let mut publisher = broker.connect(v5("publisher"));
            publisher.publish(publish("t/0").payload([0; 200]).qos(1));
            a.cut();
            for number in 0..20_u8 {
                publisher.publish(publish(format!("t/{}", number % 3)).payload([number]).qos(1));
            }
            let before = broker.totals();
            broker.crash();
            let after = broker.totals();
            assert_eq!((before.queued, before.queued_bytes), (after.queued, after.queued_bytes));
            let mut a = broker.connect(connect);
            let numbers: Vec<u8> = a.drain().iter().map(|message| message.payload[0]).collect();
            assert_eq!(numbers.len(), 5, "{policy:?}: {numbers:?}");
            match policy {
                QueueFull::DropNewest => assert_eq!(numbers, [0, 1, 2, 3, 4]),
                QueueFull::DropOldest => assert_eq!(numbers, [15, 16, 17, 18, 19]),
                _ => assert!(numbers.ends_with(&[17, 18, 19]), "{numbers:?}"),
            }
        });
    }
}

/// The gauges of what is kept are the same before and after.
#[test]
fn the_state_after_a_crash_is_the_state_before_it() {
    recorded().run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..12_u16 {
            let connect = v5(&format!("s{number}")).clean(false).session_expiry(1000).receive_maximum(1 + number % 4);
            let mut client = broker.connect(connect);
            client.subscribe("t", (number % 3) as u8);
            client.subscribe(format!("$share/g{}/t", number % 2), 2);
            if number % 2 == 0 {
                client.cut();
            }
        }
        for number in 0..20_u8 {
            publisher.publish(publish("t").payload([number; 10]).qos(number % 3));
        }
        publisher.leave();
        let state = |broker: &Broker| {
            let totals = broker.totals();
            (totals.sessions, totals.queued, totals.queued_bytes, totals.inflight)
        };
        let before = state(broker);
        assert!(before.1 > 0 && before.3 > 0);
        for _ in 0..3 {
            broker.crash();
            assert_eq!(state(broker), before);
        }
    });
}

/// A member of a shared group that was lost with the machine keeps what it was given.
#[test]
fn members_of_a_group_keep_what_was_begun_with_them() {
    recorded().run(|broker| {
        let connects: Vec<Packet> = (0..3).map(|n| v5(&format!("m{n}")).clean(false).session_expiry(1000)).collect();
        let mut members: Vec<_> = connects.iter().map(|connect| broker.connect(connect.clone())).collect();
        for member in &mut members {
            member.subscribe("$share/g/t", 2);
        }
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..30_u8 {
            publisher.publish(publish("t").payload([number]).qos(2));
        }
        broker.crash();
        let mut all: Vec<u8> = Vec::new();
        for connect in &connects {
            let mut member = broker.connect(connect.clone());
            loop {
                let messages = member.drain();
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    all.push(message.payload[0]);
                    member.acknowledge(&message);
                }
            }
        }
        all.sort_unstable();
        assert_eq!(all, (0..30).collect::<Vec<u8>>());
    });
}

/// After a crash nobody is connected, and a group's messages go to those that come back.
#[test]
fn restored_members_of_a_group_are_offline_until_they_come_back() {
    recorded().run(|broker| {
        let connects: Vec<Packet> = (0..3).map(|n| v5(&format!("m{n}")).clean(false).session_expiry(1000)).collect();
        for connect in &connects {
            broker.connect(connect.clone()).subscribe("$share/g/t", 1);
        }
        broker.crash();
        let mut back = broker.connect(connects[1].clone());
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..9_u8 {
            publisher.publish(publish("t").payload([number]).qos(1));
            back.expect_message(publish("t").payload([number]).qos(1));
        }
    });
}

//! The bounds that an operator sets: queues, memory, sessions, versions, and what a client is told at each of them.

use std::sync::Arc;

use sori_broker::{Event, QueueFull, VersionSet};
use sori_mqtt::ReasonCode;

use super::broker::{Client, setup};
use super::wire::{Kind, Packet, puback, publish, pubrec, pubrel, subscribe, v5, v31, v311};

/// Acknowledges all that comes, and says what it was.
fn payloads(client: &mut Client) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let messages: Vec<Packet> = client.drain();
        if messages.is_empty() {
            return all;
        }
        for message in messages.into_iter().filter(|packet| packet.kind == Kind::Publish) {
            client.acknowledge(&message);
            all.push(message.payload);
        }
    }
}

/// An offline session is sent 20 numbered messages in 4 topics, and tells what it finds when it comes back.
fn queued_under(policy: QueueFull) -> Vec<u8> {
    let found = std::cell::RefCell::new(Vec::new());
    let limits = setup().settings(|settings| {
        settings.queue_full = policy;
        settings.queued_messages_max = 5;
        settings.inflight_messages_max = 1;
    });
    limits.run(|broker| {
        let mut a = broker.connect(v5("a").session_expiry(100));
        a.subscribe("t/#", 1);
        a.leave();
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..20_u8 {
            publisher.publish(publish(format!("t/{}", number % 4)).payload([number]).qos(1));
        }
        *found.borrow_mut() = payloads(&mut broker.connect(v5("a").clean(false))).concat();
    });
    found.into_inner()
}

#[test]
fn a_full_queue_follows_its_policy() {
    let newest_dropped = queued_under(QueueFull::DropNewest);
    assert!((5..=6).contains(&newest_dropped.len()), "{newest_dropped:?}");
    assert_eq!(newest_dropped, (0..newest_dropped.len() as u8).collect::<Vec<u8>>());
    let oldest_dropped = queued_under(QueueFull::DropOldest);
    assert!((5..=6).contains(&oldest_dropped.len()), "{oldest_dropped:?}");
    assert!(oldest_dropped.ends_with(&[16, 17, 18, 19]), "{oldest_dropped:?}");
    assert!(oldest_dropped.is_sorted());
    let latest = queued_under(QueueFull::LatestValue);
    for newest in 16..20 {
        assert!(latest.contains(&newest), "{latest:?} lacks the latest value {newest}");
    }
    assert_eq!(queued_under(QueueFull::Disconnect), newest_dropped);
}

#[test]
fn quota_exceeded_disconnects_a_slow_client_where_the_policy_says_so() {
    let limits = setup().settings(|settings| {
        settings.queue_full = QueueFull::Disconnect;
        settings.queued_messages_max = 5;
    });
    limits.run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in [v5("a").receive_maximum(2), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 1);
            for _ in 0..50 {
                publisher.publish(publish("t").qos(1));
            }
            assert!(a.is_closed());
            let last = a.drain().pop().unwrap();
            assert!(last.kind == Kind::Publish || last.code == 0x97, "{last}");
            publisher.expect_alive();
        }
    });
}

#[test]
fn queued_bytes_are_bounded() {
    setup().settings(|settings| settings.queued_bytes_max = 10_000).run(|broker| {
        let mut a = broker.connect(v5("a").session_expiry(100).receive_maximum(1));
        let mut publisher = broker.connect(v5("publisher"));
        a.subscribe("t", 1);
        for number in 0..100_u8 {
            publisher.publish(publish("t").payload([number; 1000]).qos(1));
        }
        let received = payloads(&mut a);
        assert!((9..=12).contains(&received.len()), "{} messages", received.len());
        // There is room again.
        publisher.publish(publish("t").payload("after").qos(1));
        a.expect_message(publish("t").payload("after").qos(1));
    });
}

/// How many messages of so many bytes each arrive at a client that acknowledges nothing before all are published, or is away
/// meanwhile. The figures are Mosquitto 2.1.2's.
#[test]
fn the_message_that_goes_beyond_a_bound_in_bytes_is_let_in() {
    struct Bounds {
        messages: u64,
        bytes: u64,
        inflight_bytes: u64,
    }
    let messages = Bounds { messages: 3, bytes: 0, inflight_bytes: 0 };
    let bytes = Bounds { messages: 0, bytes: 10, inflight_bytes: 0 };
    let both = Bounds { messages: 0, bytes: 10, inflight_bytes: 15 };
    for (bounds, is_there, sizes, arrive) in [
        (&messages, false, [1; 12].as_slice(), 3),
        (&messages, true, &[1; 12], 7),
        (&bytes, false, &[100; 3], 1),
        (&bytes, false, &[4; 8], 3),
        (&bytes, false, &[6; 3], 2),
        (&bytes, false, &[10, 1], 1),
        (&bytes, true, &[100; 6], 3),
        (&bytes, true, &[4; 14], 5),
        (&bytes, true, &[20; 8], 3),
        (&both, false, &[100; 3], 1),
        (&both, false, &[4; 8], 3),
        (&both, true, &[100; 6], 2),
        (&both, true, &[4; 14], 9),
        (&both, true, &[20; 8], 3),
    ] {
        let bounded = setup().settings(|settings| {
            settings.inflight_messages_max = 2;
            settings.queued_messages_max = bounds.messages;
            settings.queued_bytes_max = bounds.bytes;
            settings.inflight_bytes_max = bounds.inflight_bytes;
        });
        bounded.run(|broker| {
            for connect in [v5("a").session_expiry(100), v311("a")].map(|connect| connect.clean(false)) {
                let mut publisher = broker.connect(v5("publisher"));
                let mut a = broker.connect(connect.clone());
                a.subscribe("t", 1);
                if !is_there {
                    a.leave();
                }
                let dropped = broker.totals().dropped_queue_full;
                for size in sizes {
                    publisher.publish(publish("t").payload(vec![7; *size]).qos(1));
                }
                let lost = (sizes.len() - arrive) as u64;
                let case = format!("{sizes:?} with {}, {}, {is_there}", bounds.messages, bounds.bytes);
                assert_eq!(broker.totals().dropped_queue_full - dropped, lost, "{case}");
                if !is_there {
                    a = broker.connect(connect.clone());
                }
                assert_eq!(payloads(&mut a).len(), arrive, "{case}");
                assert_eq!((broker.totals().queued, broker.totals().queued_bytes), (0, 0), "{case}");
                a.leave();
                broker.connect(connect.clean(true)).leave();
            }
        });
    }
}

/// Where the oldest messages make room, they do so until the queue is below the bound, however large the new one is.
#[test]
fn a_message_above_queued_bytes_drops_what_is_older() {
    let bounded = setup().settings(|settings| {
        settings.queued_bytes_max = 10;
        settings.queue_full = QueueFull::DropOldest;
    });
    bounded.run(|broker| {
        let connect = v311("a").clean(false);
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", 1);
        a.leave();
        for size in [4, 4, 4, 100] {
            publisher.publish(publish("t").payload(vec![7; size]).qos(1));
        }
        assert_eq!(broker.totals().dropped_queue_full, 1);
        publisher.publish(publish("t").payload("last").qos(1));
        assert_eq!(broker.totals().dropped_queue_full, 4);
        let mut a = broker.connect(connect);
        assert_eq!(payloads(&mut a), [b"last"]);
    });
}

/// A QoS 2 message above the bound in bytes is taken over when no other waits for its PUBREL.
#[test]
fn a_qos_2_message_above_queued_bytes_is_taken_over_alone() {
    setup().settings(|settings| settings.queued_bytes_max = 10).run(|broker| {
        let mut a = broker.connect(v5("a"));
        a.send(publish("t").payload([7; 100]).qos(2).id(1));
        a.expect(pubrec(1));
        a.send(publish("t").payload([7; 100]).qos(2).id(2));
        a.expect(pubrec(2).code(0x97));
        a.send(pubrel(1));
        a.receive();
        a.send(publish("t").payload([7; 100]).qos(2).id(2));
        a.expect(pubrec(2));
    });
}

#[test]
fn bytes_in_flight_are_bounded() {
    setup().settings(|settings| settings.inflight_bytes_max = 3000).run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in [v5("a"), v311("a")] {
            for qos in [1, 2] {
                let mut a = broker.connect(connect.clone());
                a.subscribe("t", 2);
                // The bytes of what is finished are free again, round after round.
                for _ in 0..3 {
                    for number in 0..10_u8 {
                        publisher.publish(publish("t").payload([number; 1000]).qos(qos));
                    }
                    let first = a.drain();
                    assert!((2..=4).contains(&first.len()), "{} messages in flight", first.len());
                    for message in &first {
                        a.acknowledge(message);
                    }
                    assert_eq!(first.len() + payloads(&mut a).len(), 10);
                }
                // One that is larger than the limit goes out alone.
                publisher.publish(publish("t").payload([7; 9000]).qos(qos));
                a.expect_message(publish("t").payload([7; 9000]).qos(qos));
            }
        }
    });
}

#[test]
fn refused_messages_give_their_bytes_in_flight_back() {
    setup().settings(|settings| settings.inflight_bytes_max = 3000).run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a"));
        a.subscribe("t", 2);
        for number in 0..20_u8 {
            publisher.publish(publish("t").payload([number; 2000]).qos(1 + number % 2));
            let message = a.receive();
            assert_eq!(message.payload[0], number);
            let id = message.id.unwrap();
            a.send(if message.qos == 1 { puback(id).code(0x80) } else { pubrec(id).code(0x80) });
        }
    });
}

/// At the memory limit the broker refuses instead of growing: 0x97, and nothing is acknowledged to a 3.1.1 client
/// that was not taken over.
// covers: [MQTT311-4.8.0-2]
#[test]
fn mqtt311_4_8_0_2_at_the_memory_limit_nothing_is_acknowledged_that_is_not_kept() {
    setup().settings(|settings| settings.memory_limit = 100_000).run(|broker| {
        for connect in [v5("publisher"), v311("publisher")] {
            let mut publisher = broker.connect(connect);
            let mut kept: usize = 0;
            for number in 0..50 {
                publisher.send(publish(format!("t/{number}")).payload([1; 10_000]).qos(1).id(1).retain());
                match publisher.drain().first() {
                    Some(answer) if answer.kind == Kind::PubAck && answer.code < 0x80 => kept += 1,
                    Some(answer) => assert_eq!(answer.code, 0x97, "{answer}"),
                    None => {}
                }
                if publisher.is_closed() {
                    break;
                }
            }
            assert!((1..=12).contains(&kept), "{kept} messages of 10,000 bytes kept");
            let mut reader = broker.connect(v5("reader"));
            reader.subscribe("t/#", 1);
            assert_eq!(payloads(&mut reader).len(), kept);
            // Room is made by removing; then messages are taken again.
            for number in 0..50 {
                broker.connect(v5("remover")).publish(publish(format!("t/{number}")).qos(1).retain());
            }
            broker.connect(v5("again")).publish(publish("t/0").payload([1; 10_000]).qos(1).retain());
            broker.connect(v5("remover")).publish(publish("t/0").qos(1).retain());
        }
    });
}

#[test]
fn more_clients_than_allowed_are_refused() {
    setup().settings(|settings| settings.clients_max = Some(3)).run(|broker| {
        let mut clients: Vec<Client> = (0..3).map(|number| broker.connect(v5(&format!("c{number}")))).collect();
        let mut five = broker.open();
        five.send(v5("too many"));
        five.expect_refused(0x89);
        let mut four = broker.open();
        four.send(v311("too many"));
        four.expect_connect_refused(&[3]);
        // The same client again is not one more.
        clients[0] = broker.connect(v5("c0"));
        clients[1].leave();
        broker.connect(v5("c3")).expect_alive();
    });
}

#[test]
fn a_listener_takes_only_its_versions() {
    let only = |version| VersionSet::NONE.with(version);
    let cases = [
        (only(sori_mqtt::Version::V5), v5("a"), v311("b"), 1),
        (only(sori_mqtt::Version::V5), v5("a"), v31("b"), 1),
        (only(sori_mqtt::Version::V311), v311("a"), v5("b"), 0x84),
        (only(sori_mqtt::Version::V31), v31("a"), v5("b"), 0x84),
        (only(sori_mqtt::Version::V31), v31("a"), v311("b"), 1),
    ];
    for (versions, taken, refused, code) in cases {
        setup().listener(|listener| listener.versions = versions).run(|broker| {
            broker.connect(taken.clone()).expect_alive();
            let mut b = broker.open();
            b.send(refused.clone());
            b.expect_refused(code);
        });
    }
}

#[test]
fn a_mount_point_is_put_before_every_topic_and_taken_off_again() {
    setup().listener(|listener| listener.mount_point = Some(Arc::from("house/"))).run(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect.will(publish("w").payload("gone")));
            let mut b = broker.connect(v5("b"));
            a.subscribe("t/+", 1);
            b.subscribe("#", 0);
            b.subscribe("$share/g/t/x", 0);
            a.publish(publish("t/x").payload("1").qos(1));
            a.expect_message(publish("t/x").payload("1").qos(1));
            b.expect(publish("t/x").payload("1"));
            b.expect(publish("t/x").payload("1"));
            a.unsubscribe("t/+");
            a.publish(publish("t/x").payload("2").qos(1).retain());
            a.expect_nothing();
            b.expect(publish("t/x").payload("2"));
            b.expect(publish("t/x").payload("2"));
            a.cut();
            b.expect(publish("w").payload("gone"));
            let mut late = broker.connect(v5("late"));
            late.subscribe("+/x", 0);
            late.expect(publish("t/x").payload("2").retain());
            late.publish(publish("t/x").qos(1).retain());
        }
    });
}

#[test]
fn the_user_name_can_be_the_client_id() {
    setup().listener(|listener| listener.use_username_as_client_id = true).run(|broker| {
        let mut a = broker.connect(v5("x").user("alice"));
        let mut b = broker.connect(v5("y").user("alice"));
        a.expect_disconnect(0x8E);
        b.expect_alive();
        // Who has no user name may not come in, in Mosquitto's words.
        for (connect, code) in
            [(v31("z"), 5), (v311("z"), 5), (v5("z"), 0x87), (v5("z").user(""), 0x87), (v5(""), 0x87)]
        {
            broker.events();
            let mut nobody = broker.open();
            nobody.send(connect.clone());
            nobody.expect_refused(code);
            let events = broker.events();
            let [Event::Refused { client_id, reason_code: ReasonCode::NotAuthorized, .. }] = &events[..] else {
                panic!("{events:?}")
            };
            assert_eq!(client_id.as_deref(), Some("z").filter(|_| connect != v5("")));
        }
    });
}

/// Assigned Client Identifier is for who brought none, also when it is the user name.
// covers: [MQTT-3.1.3-7]
#[test]
fn mqtt5_3_2_2_16_who_brings_a_client_id_is_assigned_none() {
    for by_name in [true, false] {
        setup().listener(|listener| listener.use_username_as_client_id = by_name).run(|broker| {
            let own = broker.connect(v5("own").user("alice"));
            assert_eq!(own.connack.text(0x12), None);
            let none = broker.connect(v5("").user("bob"));
            let assigned = none.connack.text(0x12).expect("it has none of its own");
            assert_eq!(assigned == "bob", by_name, "{assigned}");
        });
    }
}

#[test]
fn assigned_client_ids_begin_with_the_listeners_prefix() {
    setup().listener(|listener| listener.auto_id_prefix = "house-".into()).run(|broker| {
        let assigned = broker.connect(v5("")).connack.text(0x12).unwrap();
        assert!(assigned.starts_with("house-") && assigned.len() > 20, "{assigned}");
    });
}

/// With duplicates allowed or not, many overlapping subscriptions in one SUBSCRIBE and many messages.
#[test]
fn queued_qos_0_messages_are_bounded_for_a_stalled_client() {
    setup().settings(|settings| settings.queued_messages_max = 50).run(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a"));
        a.subscribes(subscribe(1).filter("t", 0));
        a.stall(true);
        for number in 0..5000_u32 {
            publisher.send(publish("t").payload([number.to_be_bytes().as_slice(), &[0; 5000]].concat()));
        }
        a.stall(false);
        let received = a.drain();
        // 5,000 messages are 25 MB. What was written before the queue bounded it comes too.
        assert!(received.len() < 1000, "{} messages", received.len());
        let numbers: Vec<&[u8]> = received.iter().map(|message| &message.payload[..4]).collect();
        assert!(numbers.is_sorted());
        publisher.send(publish("t").payload("after"));
        a.expect(publish("t").payload("after"));
    });
}

/// A topic may have thousands of levels, unless the operator says otherwise.
#[test]
fn topics_of_too_many_levels_are_refused() {
    setup().settings(|settings| settings.topic_levels_max = 200).run(|broker| {
        let (deep, deeper) = ("/".repeat(199), "/".repeat(201));
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect.clone());
            a.subscribe(&deep, 0);
            a.send(publish(&deep));
            a.expect(publish(&deep));
            for packet in [publish(&deeper), subscribe(1).filter(&deeper, 0)] {
                let mut a = broker.connect(connect.clone());
                a.send(packet);
                a.expect_disconnect(0x81);
            }
            let mut will = broker.open();
            will.send(connect.will(publish(&deeper)));
            will.expect_connect_refused(&[0x81, 0x90]);
        }
    });
}

#[test]
fn quota_exceeded_is_told_by_puback_and_pubrec() {
    setup().settings(|settings| settings.memory_limit = 20_000).run(|broker| {
        let mut a = broker.connect(v5("a"));
        a.publish(publish("first").payload([1; 15_000]).qos(1).retain());
        a.send(publish("second").payload([1; 15_000]).qos(1).id(8).retain());
        a.expect(puback(8).code(0x97));
        a.send(publish("second").payload([1; 15_000]).qos(2).id(9).retain());
        a.expect(pubrec(9).code(0x97));
        // The connection goes on, and small things still fit.
        a.publish(publish("third").payload("x").qos(2).retain());
        let mut late = broker.connect(v5("late"));
        late.subscribe("+", 0);
        late.expect_messages_in_any_order(&[
            publish("first").payload([1; 15_000]).retain(),
            publish("third").payload("x").retain(),
        ]);
        late.expect_nothing();
    });
}

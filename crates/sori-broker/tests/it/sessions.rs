//! Session state: what is kept after a connection, for how long, and who owns it.

use sori_broker::{Event, Settings};

use super::broker::{Client, everywhere, setup};
use super::wire::{Packet, disconnect, pubcomp, publish, pubrec, pubrel, subscribe, v5, v31, v311};

/// The two ways to ask for a session that outlives its connection.
fn durable(id: &str) -> [Packet; 2] {
    [v5(id).clean(false).session_expiry(1000), v311(id).clean(false)]
}

// covers: [MQTT311-3.1.2-6] [MQTT-3.1.4-4] [MQTT311-3.1.4-3]
#[test]
fn mqtt5_3_1_2_4_clean_start_discards_the_session() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in durable("a") {
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 2);
            publisher.publish(publish("t").payload("in flight").qos(1));
            a.receive();
            a.send(publish("u").payload("not released").qos(2).id(7));
            a.receive();
            a.cut();
            publisher.publish(publish("t").payload("queued").qos(1));
            let mut a = broker.connect(connect.clone().clean(true));
            assert!(!a.session_present());
            a.expect_nothing();
            // Neither the subscription nor the incoming identifier is left.
            publisher.publish(publish("t").payload("new").qos(1));
            a.expect_nothing();
            let mut watcher = broker.connect(v5("watcher"));
            watcher.subscribe("u", 2);
            a.send(publish("u").payload("another").qos(2).id(7));
            a.expect(pubrec(7));
            a.send(pubrel(7));
            a.expect(pubcomp(7));
            watcher.expect_message(publish("u").payload("another").qos(2));
            a.leave();
        }
    });
}

// covers: [MQTT-3.1.2-23] [MQTT-4.5.0-1] [MQTT311-3.1.2-4] [MQTT311-3.1.2-5] [MQTT311-4.1.0-1] [MQTT-3.1.3-2]
// covers: [MQTT311-3.1.3-2]
#[test]
fn mqtt5_3_1_2_5_without_clean_start_the_session_is_resumed() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in durable("a") {
            let mut a = broker.connect(connect.clone());
            a.subscribe("t/+", 2);
            a.leave();
            for qos in 0..3 {
                publisher.publish(publish("t/x").payload([qos]).qos(qos));
            }
            // Another client identifier is another session.
            let mut other = broker.connect(connect.clone().client_id_bytes(b"A"));
            assert!(!other.session_present());
            other.expect_nothing();
            broker.connect(v5("A")).leave();
            let mut a = broker.connect(connect.clone());
            assert!(a.session_present());
            a.expect_message(publish("t/x").payload([1]).qos(1));
            a.expect_message(publish("t/x").payload([2]).qos(2));
            publisher.publish(publish("t/y").qos(0));
            a.expect(publish("t/y"));
            a.expect_nothing();
            broker.connect(connect.clean(true)).leave();
        }
    });
}

#[test]
fn mqtt5_3_1_2_6_without_clean_start_and_without_a_session_one_is_created() {
    everywhere(|broker| {
        for connect in [v5("a").clean(false), v311("b").clean(false), v31("c").clean(false)] {
            let mut a = broker.connect(connect);
            assert!(!a.session_present());
            a.subscribe("t", 1);
            a.send(publish("t"));
            a.expect(publish("t"));
        }
    });
}

// covers: [MQTT311-4.1.0-2]
#[test]
fn mqtt5_4_1_0_1_session_state_is_kept_while_connected() {
    everywhere(|broker| {
        for connect in [v5("a"), v5("b").session_expiry(1), v311("c")] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 1);
            broker.seconds(1_000_000);
            a.publish(publish("t").qos(1));
            a.expect_message(publish("t").qos(1));
        }
    });
}

#[test]
fn mqtt5_4_1_0_2_the_session_is_dropped_when_its_expiry_passed() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let connect = v5("a").clean(false).session_expiry(60);
        let open = |present: bool| {
            let a = broker.connect(connect.clone());
            assert_eq!(a.session_present(), present);
            a
        };
        let mut a = open(false);
        a.subscribe("t", 1);
        a.cut();
        broker.millis(59_900);
        publisher.publish(publish("t").payload("x").qos(1));
        let mut a = open(true);
        a.expect_message(publish("t").payload("x").qos(1));
        // The clock starts anew with each close.
        a.leave();
        broker.seconds(59);
        let mut a = open(true);
        a.leave();
        broker.millis(60_100);
        publisher.send(publish("t").payload("y").qos(1).id(1));
        publisher.expect(super::wire::puback(1).code(0x10));
        open(false).expect_nothing();
    });
}

#[test]
fn mqtt5_4_1_0_2_expiry_0_or_absent_ends_the_session_with_the_connection() {
    everywhere(|broker| {
        for connect in [v5("a").clean(false), v5("a").clean(false).session_expiry(0), v311("a")] {
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 1);
            a.cut();
            assert!(!broker.connect(v5("a").clean(false)).session_present());
        }
    });
}

#[test]
fn mqtt5_3_1_2_23_the_greatest_expiry_never_ends_the_session() {
    everywhere(|broker| {
        let mut a = broker.connect(v5("a").clean(false).session_expiry(u32::MAX));
        a.subscribe("t", 1);
        a.leave();
        let mut old = broker.connect(v311("old").clean(false));
        old.leave();
        let mut almost = broker.connect(v5("almost").session_expiry(u32::MAX - 1));
        almost.leave();
        broker.seconds(u64::from(u32::MAX) + 1);
        assert!(broker.connect(v5("a").clean(false)).session_present());
        assert!(broker.connect(v311("old").clean(false)).session_present());
        assert!(!broker.connect(v5("almost").clean(false)).session_present());
    });
}

#[test]
fn disconnect_may_change_the_session_expiry() {
    everywhere(|broker| {
        let start = v5("a").clean(false).session_expiry(10);
        let mut a = broker.connect(start.clone());
        a.send(disconnect().session_expiry(100));
        a.expect_closed();
        broker.seconds(90);
        let mut a = broker.connect(start.clone());
        assert!(a.session_present());
        a.send(disconnect().session_expiry(0));
        a.expect_closed();
        assert!(!broker.connect(start).session_present());
    });
}

#[test]
fn session_expiry_in_disconnect_after_0_in_connect_is_a_protocol_error() {
    everywhere(|broker| {
        for connect in [v5("a"), v5("a").session_expiry(0)] {
            let mut a = broker.connect(connect);
            a.send(disconnect().session_expiry(10));
            a.expect_disconnect(0x82);
            assert!(!broker.connect(v5("a").clean(false)).session_present());
        }
        // Repeating the 0 changes nothing and is allowed.
        let mut a = broker.connect(v5("a"));
        a.send(disconnect().session_expiry(0));
        a.expect_closed();
    });
}

#[test]
fn persistent_client_expiration_ends_offline_sessions_of_3_x() {
    setup().settings(|settings| settings.persistent_client_expiration = Some(100)).run(|broker| {
        let connect = v311("a").clean(false);
        broker.connect(connect.clone()).leave();
        broker.seconds(99);
        let mut a = broker.connect(connect.clone());
        assert!(a.session_present());
        broker.seconds(1000);
        a.leave();
        broker.seconds(101);
        assert!(!broker.connect(connect).session_present());
    });
}

/// For a client of MQTT 5.0 the shorter time counts, and it is told when that is not its own: MQTT 5.0 section 3.2.2.3.2.
#[test]
fn persistent_client_expiration_is_the_most_for_sessions_of_5_0() {
    let most = |seconds| move |settings: &mut Settings| settings.persistent_client_expiration = seconds;
    let never = u32::MAX;
    for (setting, asked, told, lasts) in [
        (Some(100), 5000, Some(100), 100),
        (Some(100), never, Some(100), 100),
        (Some(100), 100, None, 100),
        (Some(100), 60, None, 60),
        (None, 60, None, 60),
    ] {
        for at_the_end in [false, true] {
            setup().settings(most(setting)).run(|broker| {
                let case = format!("{setting:?} {asked} {at_the_end}");
                let connect = v5("a").clean(false);
                let leave = || {
                    // What is asked for in DISCONNECT has the same limit.
                    let mut a = broker.connect(connect.clone().session_expiry(if at_the_end { 1 } else { asked }));
                    let expected = told.filter(|_| !at_the_end);
                    assert_eq!(a.connack.number(0x11), expected, "{case}");
                    let is_present = a.session_present();
                    let end = disconnect();
                    a.send(if at_the_end { end.session_expiry(asked) } else { end });
                    a.expect_closed();
                    is_present
                };
                leave();
                broker.seconds(lasts - 1);
                assert!(leave(), "{case}");
                broker.events();
                broker.seconds(lasts + 1);
                assert_eq!(broker.events(), [Event::Expired { client_id: "a".into() }], "{case}");
                assert!(!leave(), "{case}");
            });
        }
    }
}

/// Who asks for no session is given none, whatever the setting.
#[test]
fn persistent_client_expiration_keeps_no_session_that_nobody_asked_for() {
    setup().settings(|settings| settings.persistent_client_expiration = Some(100)).run(|broker| {
        let mut a = broker.connect(v5("a").clean(false));
        assert_eq!(a.connack.number(0x11), None);
        a.leave();
        assert!(!broker.connect(v5("a").clean(false)).session_present());
        assert!(!broker.events().iter().any(|event| matches!(event, Event::Expired { .. })));
    });
}

/// A reload counts for sessions that are there, from when their clients went: shorter, longer, for the first time, and
/// no more.
#[test]
fn a_changed_persistent_client_expiration_counts_for_offline_sessions() {
    let expire = |seconds| move |settings: &mut Settings| settings.persistent_client_expiration = seconds;
    for (before, after, rest) in
        [(Some(100), Some(60), 60), (Some(60), Some(100), 100), (None, Some(100), 100), (Some(60), None, 1000)]
    {
        setup().settings(expire(before)).run(|broker| {
            let new = |id, asked| v5(id).clean(false).session_expiry(asked);
            let all = [v311("old").clean(false), new("new", 5000), new("for ever", u32::MAX)];
            for connect in &all {
                broker.connect(connect.clone()).leave();
            }
            broker.seconds(50);
            broker.reconfigure(expire(after));
            broker.seconds(rest - 50 - 1);
            for connect in &all {
                let mut client = broker.connect(connect.clone());
                assert!(client.session_present(), "{before:?} {after:?}");
                client.leave();
            }
            broker.seconds(rest + 1);
            for connect in all {
                assert_eq!(broker.connect(connect).session_present(), after.is_none(), "{before:?} {after:?}");
            }
        });
    }
}

/// A shorter time that has passed already ends the session at once.
#[test]
fn a_persistent_client_expiration_that_has_passed_ends_the_session() {
    setup().run(|broker| {
        broker.connect(v311("a").clean(false)).leave();
        broker.seconds(500);
        broker.reconfigure(|settings| settings.persistent_client_expiration = Some(100));
        broker.seconds(1);
        assert_eq!(broker.totals().sessions_expired, 1);
    });
}

/// What a reload changed, and what was changed while the broker was down, holds after the start too.
#[test]
fn a_changed_persistent_client_expiration_survives_a_restart() {
    let expire = |seconds| move |settings: &mut Settings| settings.persistent_client_expiration = Some(seconds);
    for at_reload in [true, false] {
        let kept = |settings: &mut Settings| settings.keeps_records = true;
        setup().settings(kept).settings(expire(1000)).run(|broker| {
            let connect = v311("a").clean(false);
            broker.connect(connect.clone()).leave();
            broker.seconds(50);
            if at_reload {
                broker.reconfigure(expire(100));
            } else {
                broker.plan_settings(expire(100));
            }
            broker.crash();
            broker.crash();
            broker.seconds(49);
            assert!(broker.connect(connect.clone()).session_present(), "{at_reload}");
            broker.connect(connect.clone()).leave();
            broker.seconds(40);
            broker.crash();
            broker.seconds(61);
            assert!(!broker.connect(connect).session_present(), "{at_reload}");
        });
    }
}

/// DISCONNECT has changed the interval: a restart, and what is set at it or later, lengthens the session no more.
#[test]
fn a_shorter_interval_in_disconnect_survives_a_restart() {
    let kept = |settings: &mut Settings| settings.keeps_records = true;
    for setting in [None, Some(1000)] {
        setup().settings(kept).run(|broker| {
            let mut a = broker.connect(v5("a").clean(false).session_expiry(u32::MAX));
            a.send(disconnect().session_expiry(100));
            a.expect_closed();
            broker.seconds(50);
            broker.crash();
            broker.reconfigure(|settings| settings.persistent_client_expiration = setting);
            broker.seconds(49);
            assert_eq!(broker.totals().sessions_expired, 0, "{setting:?}");
            broker.seconds(2);
            assert_eq!(broker.totals().sessions_expired, 1, "{setting:?}");
        });
    }
}

/// The end of a session of MQTT 5.0 is recorded, not when its client went: a shorter setting that comes with a start counts
/// from there at the latest, a longer one lengthens nothing, and the same one is counted from when the client went.
#[test]
fn a_persistent_client_expiration_limits_sessions_of_5_0_across_a_restart() {
    let expire = |seconds| move |settings: &mut Settings| settings.persistent_client_expiration = seconds;
    let kept = |settings: &mut Settings| settings.keeps_records = true;
    for (before, after, lasts) in [
        (Some(1000), Some(1000), 950),
        (Some(1000), Some(100), 100),
        (Some(60), Some(1000), 10),
        (None, Some(100), 100),
    ] {
        for asked in [5000, u32::MAX] {
            setup().settings(kept).settings(expire(before)).run(|broker| {
                let case = format!("{before:?} {after:?} {asked}");
                let connect = v5("a").clean(false).session_expiry(asked);
                broker.connect(connect.clone()).leave();
                broker.seconds(50);
                broker.plan_settings(expire(after));
                broker.crash();
                broker.seconds(5);
                broker.crash();
                broker.seconds(lasts - 5 - 1);
                assert_eq!(broker.totals().sessions_expired, 0, "{case}");
                broker.seconds(2);
                assert_eq!(broker.totals().sessions_expired, 1, "{case}");
                assert!(!broker.connect(connect).session_present(), "{case}");
            });
        }
    }
}

#[test]
fn qos_0_is_queued_for_offline_sessions_only_when_asked_for() {
    for queued in [false, true] {
        setup().settings(|settings| settings.queue_qos0_messages = queued).run(|broker| {
            for connect in durable("a") {
                let mut a = broker.connect(connect.clone());
                a.subscribe("t", 1);
                a.leave();
                broker.connect(v5("publisher")).publish(publish("t").payload("x"));
                let mut a = broker.connect(connect);
                if queued {
                    a.expect(publish("t").payload("x"));
                }
                a.expect_nothing();
            }
        });
    }
}

/// The queue of an offline session has a bound; what is beyond it is dropped, what is within arrives.
#[test]
fn a_full_queue_drops_the_newest() {
    setup().settings(|settings| settings.queued_messages_max = 10).run(|broker| {
        for connect in durable("a") {
            let mut publisher = broker.connect(v5("publisher"));
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 1);
            a.leave();
            for number in 0..100_u8 {
                publisher.publish(publish("t").payload([number]).qos(1));
            }
            let mut a = broker.connect(connect);
            let mut received = Vec::new();
            loop {
                let messages = a.drain();
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    a.acknowledge(&message);
                    received.push(message.payload[0]);
                }
            }
            let first: Vec<u8> = (0..received.len() as u8).collect();
            assert_eq!(received, first);
            assert!((10..=30).contains(&received.len()), "{} messages", received.len());
        }
    });
}

/// Queued beyond the window: all of it arrives, in order, as the window opens.
#[test]
fn a_long_queue_is_delivered_in_order() {
    everywhere(|broker| {
        for connect in durable("a") {
            let mut publisher = broker.connect(v5("publisher"));
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 2);
            a.leave();
            for number in 0..200_u8 {
                publisher.publish(publish("t").payload([number]).qos(1 + number % 2));
            }
            let mut a = broker.connect(connect);
            for number in 0..200_u8 {
                a.expect_message(publish("t").payload([number]).qos(1 + number % 2));
            }
            a.expect_nothing();
        }
    });
}

#[test]
fn a_session_can_be_resumed_in_another_protocol_version() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v311("a").clean(false));
        a.subscribe("t", 1);
        a.leave();
        publisher.publish(publish("t").payload("1").qos(1).user_property("k", "v"));
        let mut a = broker.connect(v5("a").clean(false).session_expiry(100));
        assert!(a.session_present());
        a.expect_message(publish("t").payload("1").qos(1).user_property("k", "v"));
        a.leave();
        publisher.publish(publish("t").payload("2").qos(1).user_property("k", "v"));
        let mut a = broker.connect(v311("a").clean(false));
        assert!(a.session_present());
        a.expect_message(publish("t").payload("2").qos(1));
    });
}

// covers: [MQTT311-3.1.4-2]
#[test]
fn mqtt5_3_1_4_3_a_second_connection_of_one_client_takes_over() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for first in [v5("a").session_expiry(100), v311("a").clean(false), v31("a").clean(false)] {
            for second in [v5("a").clean(false).session_expiry(100), v311("a").clean(false)] {
                let mut old = broker.connect(first.clone());
                old.subscribe("t", 1);
                let mut new = broker.connect(second.clone());
                old.expect_disconnect(0x8E);
                assert!(new.session_present());
                publisher.publish(publish("t").payload("x").qos(1));
                new.expect_message(publish("t").payload("x").qos(1));
                broker.connect(v5("a")).leave();
            }
        }
    });
}

#[test]
fn mqtt5_3_1_4_3_take_over_with_clean_start_begins_anew() {
    everywhere(|broker| {
        let mut old = broker.connect(v5("a").session_expiry(100));
        old.subscribe("t", 1);
        let mut new = broker.connect(v5("a").session_expiry(100));
        old.expect_disconnect(0x8E);
        assert!(!new.session_present());
        broker.connect(v5("publisher")).publish(publish("t").qos(1));
        new.expect_nothing();
    });
}

/// The old connection is dead for the broker: what still comes by it has no effect.
#[test]
fn after_a_take_over_the_old_connection_is_not_heard() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("#", 0);
        let mut old = broker.connect(v5("a"));
        let mut new = broker.connect(v5("a"));
        old.expect_disconnect(0x8E);
        old.send(publish("t").payload("from the old one"));
        watcher.expect_nothing();
        old.cut();
        new.expect_alive();
    });
}

/// The row "several live owners of one client id after a race": whoever comes last owns it, each loser is told.
// covers: [MQTT-3.1.4-3]
#[test]
fn flashmq_take_over_race_leaves_one_owner() {
    everywhere(|broker| {
        let mut clients: Vec<Client> = Vec::new();
        for number in 0..200 {
            let connect = v5("one").clean(number % 7 == 0).session_expiry(number % 3 * 100);
            clients.push(broker.connect_on(number as u16 * 7 % 3, connect));
        }
        let mut owner = clients.pop().unwrap();
        for mut loser in clients {
            loser.expect_disconnect(0x8E);
        }
        owner.expect_alive();
    });
}

/// All their CONNECTs begun before the first of them is complete.
#[test]
fn flashmq_take_over_race_of_connects_that_wait_for_their_last_byte() {
    everywhere(|broker| {
        let connect = v5("one").clean(false).session_expiry(100);
        let bytes = connect.encode(super::wire::Version::V5);
        let (head, tail) = bytes.split_at(bytes.len() - 1);
        let mut clients: Vec<Client> = (0..60).map(|_| broker.open()).collect();
        for client in &mut clients {
            client.send_bytes(head);
        }
        for client in &mut clients {
            client.send_bytes(tail);
        }
        for (position, client) in clients.iter_mut().enumerate() {
            let answer = client.receive();
            assert_eq!((answer.code, answer.session_present), (0, position > 0), "{answer}");
        }
        let mut owner = clients.pop().unwrap();
        for client in &mut clients {
            client.expect_disconnect(0x8E);
        }
        owner.expect_alive();
    });
}

/// FlashMQ's resends had no DUP flag.
#[test]
fn flashmq_resends_carry_dup() {
    everywhere(|broker| {
        for connect in durable("a") {
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 2);
            let mut publisher = broker.connect(v5("publisher"));
            publisher.publish(publish("t").qos(1));
            publisher.publish(publish("t").qos(2));
            let ids = [a.receive().id.unwrap(), a.receive().id.unwrap()];
            // Cut, and taken over by a new connection: both resend.
            a.cut();
            let mut b = broker.connect(connect.clone());
            b.expect(publish("t").qos(1).id(ids[0]).dup());
            b.expect(publish("t").qos(2).id(ids[1]).dup());
            let mut c = broker.connect(connect.clone());
            b.expect_disconnect(0x8E);
            c.expect(publish("t").qos(1).id(ids[0]).dup());
            c.expect(publish("t").qos(2).id(ids[1]).dup());
            c.leave();
            broker.connect(connect.clean(true)).leave();
        }
    });
}

/// What was queued while offline and never sent is no resend.
#[test]
fn mqtt5_3_3_1_1_the_first_sending_of_a_queued_message_has_dup_0() {
    everywhere(|broker| {
        for connect in durable("a") {
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 1);
            a.cut();
            broker.connect(v5("publisher")).publish(publish("t").qos(1));
            broker.connect(connect).expect_message(publish("t").qos(1));
        }
    });
}

/// A session lives on the shard where it began; its later connections may come in anywhere.
#[test]
fn a_session_follows_its_client_to_every_shard() {
    everywhere(|broker| {
        let mut publisher = broker.connect_on(0, v5("publisher"));
        for connect in durable("a") {
            let mut a = broker.connect_on(1, connect.clone());
            a.subscribes(subscribe(1).filter("t", 2));
            a.cut();
            for round in 0..9_u8 {
                publisher.publish(publish("t").payload([round]).qos(2));
                let mut a = broker.connect_on(round.into(), connect.clone());
                assert!(a.session_present());
                a.expect_message(publish("t").payload([round]).qos(2));
                a.send(publish("back").payload([round]).qos(2).id(9));
                assert!(a.receive().code < 0x80);
                a.send(pubrel(9));
                assert_eq!(a.receive().id, Some(9));
                a.cut();
            }
        }
    });
}

/// Client identifiers of any length and content are told apart.
#[test]
fn mqtt5_3_1_3_2_long_and_strange_client_ids_are_sessions_of_their_own() {
    everywhere(|broker| {
        let long = "x".repeat(65_535);
        let ids = [&long[..65_534], &long, "a b", "a/b", "+", "#", "$SYS", "\u{e9}", "e\u{301}", "\u{1F980}"];
        for id in ids {
            let mut a = broker.connect(v5(id).clean(false).session_expiry(100));
            assert!(!a.session_present(), "{} bytes", id.len());
            a.leave();
        }
        for id in ids {
            assert!(broker.connect(v5(id).clean(false).session_expiry(100)).session_present());
        }
    });
}

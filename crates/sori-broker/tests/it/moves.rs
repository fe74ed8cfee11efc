//! A connection whose session lives on another shard moves there in the middle of its first packets. Nothing of what
//! the client sent may be lost, doubled or reordered by that, wherever its bytes were cut.

use super::broker::{Broker, Client, everywhere};
use super::wire::{
    Packet, Version, connack, disconnect, pingreq, pingresp, puback, pubcomp, publish, pubrec, pubrel, suback,
    subscribe, v5, v311,
};

/// A session on shard 0, offline.
fn session_on_shard_0(broker: &Broker, connect: &Packet) {
    let mut a = broker.connect_on(0, connect.clone());
    a.subscribe("mine", 1);
    a.cut();
}

#[test]
fn packets_behind_a_connect_move_with_the_connection() {
    everywhere(|broker| {
        for connect in [v5("a").clean(false).session_expiry(100), v311("a").clean(false)] {
            let version = if connect.connect_part().level == 5 { Version::V5 } else { Version::V311 };
            let packets = [
                connect.clone(),
                publish("t").payload("first").qos(1).id(1),
                publish("t").payload("second").qos(1).id(2),
                subscribe(3).filter("u", 0),
                publish("u").payload("third").qos(2).id(4),
                pubrel(4),
                pingreq(),
            ];
            let bytes: Vec<u8> = packets.iter().flat_map(|packet| packet.encode(version)).collect();
            let connect_size = connect.encode(version).len();
            session_on_shard_0(broker, &connect);
            for cut in connect_size - 1..bytes.len() {
                let mut watcher = broker.connect_on(2, v5("watcher"));
                watcher.subscribe("t", 0);
                let mut a = broker.open_on(1 + (cut % 2) as u16);
                a.speaks(version);
                a.send_bytes(&bytes[..cut]);
                a.send_bytes(&bytes[cut..]);
                let first = a.receive();
                assert!(connack().is_met_by(&Packet { session_present: false, ..first.clone() }), "{first}");
                assert!(first.session_present, "cut at {cut}");
                a.expect_in_any_order([
                    puback(1),
                    puback(2),
                    suback(3, &[0]),
                    publish("u").payload("third"),
                    pubrec(4),
                    pubcomp(4),
                    pingresp(),
                ]);
                a.expect_nothing();
                watcher.expect(publish("t").payload("first"));
                watcher.expect(publish("t").payload("second"));
                watcher.expect_nothing();
                a.cut();
            }
            broker.connect(connect.clean(true)).leave();
        }
    });
}

#[test]
fn a_moved_connection_may_leave_at_once() {
    everywhere(|broker| {
        let mut watcher = broker.connect(v5("watcher"));
        watcher.subscribe("w", 0);
        let connect = v5("a").clean(false).session_expiry(100).will(publish("w").payload("x"));
        session_on_shard_0(broker, &connect);
        watcher.expect(publish("w").payload("x"));
        for (last, will) in [(disconnect(), false), (disconnect().code(4), true), (publish("t").qos(3).id(1), true)] {
            for shard in 0..3 {
                let mut a = broker.open_on(shard);
                a.send_together([connect.clone(), last.clone()]);
                assert!(a.receive().session_present);
                a.drain();
                assert!(a.is_closed());
                if will {
                    watcher.expect(publish("w").payload("x"));
                }
                watcher.expect_nothing();
            }
        }
    });
}

/// Keep Alive and the limits of the CONNECT hold on the other shard as well.
#[test]
fn a_moved_connection_keeps_what_its_connect_said() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(100);
        session_on_shard_0(broker, &connect);
        let mut publisher = broker.connect_on(2, v5("publisher"));
        // The client checks Receive Maximum, Maximum Packet Size and Topic Alias Maximum.
        let full = connect.keep_alive(10).receive_maximum(2).maximum_packet_size(60).topic_alias_maximum(1);
        let mut a = broker.connect_on(1, full.will(publish("mine").payload("will").qos(1)));
        for number in 0..5_u8 {
            publisher.publish(publish("mine").payload([number; 100]).qos(1));
            publisher.publish(publish("mine").payload([number]).qos(1));
        }
        let mut seen: Vec<u8> = Vec::new();
        loop {
            let messages = a.drain();
            if messages.is_empty() {
                break;
            }
            for message in messages {
                a.acknowledge(&message);
                seen.extend(message.payload);
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        broker.seconds(16);
        a.expect_disconnect(0x8D);
        let mut again = broker.connect_on(2, v5("a").clean(false).session_expiry(100));
        again.expect_message(publish("mine").payload("will").qos(1));
    });
}

/// A new session whose client identifier is new belongs to the shard that accepted it; the identifier is free again when
/// it ends.
#[test]
fn an_ended_session_lets_its_client_start_on_any_shard() {
    everywhere(|broker| {
        for shard in [0, 1, 2, 1, 0, 2] {
            let mut a = broker.connect_on(shard, v5("a"));
            assert!(!a.session_present());
            a.subscribe("t", 1);
            a.publish(publish("t").payload([shard as u8]).qos(1));
            a.expect_message(publish("t").payload([shard as u8]).qos(1));
            a.leave();
            // The same with a session that expires, and with one that is discarded.
            let mut b = broker.connect_on(shard, v5("b").clean(false).session_expiry(5));
            assert!(!b.session_present());
            b.cut();
            broker.seconds(6);
            let mut c = broker.connect_on(shard, v5("c").session_expiry(100));
            assert!(!c.session_present());
            c.cut();
        }
    });
}

#[test]
fn take_over_on_another_shard_ends_the_connection_on_the_first() {
    everywhere(|broker| {
        for (first, second) in [(0, 1), (1, 2), (2, 0), (0, 2)] {
            for clean in [true, false] {
                let connect = v5("a").clean(clean).session_expiry(100);
                let mut old = broker.connect_on(first, connect.clone());
                old.subscribe("t", 1);
                let mut new = broker.connect_on(second, connect);
                old.expect_disconnect(0x8E);
                assert_eq!(new.session_present(), !clean);
                new.send(publish("t").payload("x").qos(1).id(9));
                if clean {
                    new.expect(puback(9).code(0x10));
                } else {
                    new.take_somewhere(&puback(9));
                    new.expect_message(publish("t").payload("x").qos(1));
                }
                broker.connect(v5("a")).leave();
            }
        }
    });
}

/// The state of a connection that must not be resumed is gone even when it is taken over while it lasts.
// covers: [MQTT311-3.1.2-6] [MQTT-4.1.0-2]
#[test]
fn mqtt311_3_1_2_6_a_clean_session_is_not_reused_by_a_take_over() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for old in [v311("a"), v5("a"), v5("a").session_expiry(0)] {
            for new in [v311("a").clean(false), v5("a").clean(false).session_expiry(100)] {
                let mut first = broker.connect(old.clone());
                first.subscribe("t", 1);
                let mut second = broker.connect(new);
                first.expect_disconnect(0x8E);
                assert!(!second.session_present(), "{old}");
                publisher.publish(publish("t").qos(1));
                second.expect_nothing();
                broker.connect(v5("a")).leave();
            }
        }
    });
}

/// One message, hundreds of subscribers on every shard.
#[test]
fn a_message_reaches_every_subscriber_once() {
    everywhere(|broker| {
        let mut subscribers: Vec<Client> = (0..300)
            .map(|number| {
                let id = format!("s{number}");
                let mut client = broker.connect(if number % 2 == 0 { v5(&id) } else { v311(&id) });
                let filter = ["t/a", "t/+", "#", "+/a", "t/#"][number % 5];
                client.subscribe(filter, (number % 3) as u8);
                client
            })
            .collect();
        for shard in 0..3 {
            let mut publisher = broker.connect_on(shard, v5("publisher"));
            publisher.publish(publish("t/a").payload([shard as u8]).qos(2));
        }
        for (number, client) in subscribers.iter_mut().enumerate() {
            for shard in 0..3_u8 {
                client.expect_message(publish("t/a").payload([shard]).qos((number % 3) as u8));
            }
            client.expect_nothing();
        }
    });
}

/// Also on a connection that moves to its session's shard.
#[test]
fn mqtt5_3_1_2_24_connack_obeys_maximum_packet_size_after_a_move() {
    let broker = super::broker::setup().broker(3);
    let mut first = broker.connect_on(0, v5("a").session_expiry(60));
    let mut second = broker.open_on(1);
    second.send(v5("a").clean(false).maximum_packet_size(15));
    assert_eq!(second.received_bytes(), b"");
    assert!(second.is_closed());
    first.expect_alive();
}

//! PUBLISH to a client: the broker as the sender of QoS 0, 1 and 2, and the order of messages.

use super::broker::{Client, everywhere};
use super::wire::{Packet, puback, pubcomp, publish, pubrec, pubrel, v5, v311};

// covers: [MQTT311-3.8.4-6] [MQTT-4.5.0-1] [MQTT311-4.5.0-1]
#[test]
fn mqtt5_3_8_4_8_delivery_qos_is_the_lower_of_published_and_granted() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut publisher = broker.connect(v5("publisher"));
            for granted in 0..3 {
                let mut a = broker.connect(connect.clone());
                a.subscribe("t", granted);
                for published in 0..3 {
                    publisher.publish(publish("t").payload("x").qos(published));
                    a.expect_message(publish("t").payload("x").qos(published.min(granted)));
                }
            }
        }
    });
}

// covers: [MQTT-4.3.2-2] [MQTT-4.3.2-3] [MQTT311-4.3.2-1] [MQTT-2.2.1-4] [MQTT311-2.3.1-4]
#[test]
fn mqtt5_4_3_2_1_qos_1_takes_an_unused_identifier_with_dup_0() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 1);
            for payload in ["1", "2", "3"] {
                publisher.publish(publish("t").payload(payload).qos(1));
            }
            // Nothing is acknowledged yet: three identifiers are in use. The client checks that they differ.
            let messages: Vec<Packet> = (0..3).map(|_| a.receive()).collect();
            assert!(messages.iter().all(|message| !message.dup));
            for message in messages.iter().rev() {
                a.acknowledge(message);
            }
            a.expect_nothing();
        }
    });
}

// covers: [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.3.3-3] [MQTT-4.3.3-5] [MQTT311-4.3.3-1]
#[test]
fn mqtt5_4_3_3_4_pubrec_is_answered_with_pubrel_of_the_same_identifier() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 2);
            publisher.publish(publish("t").payload("x").qos(2));
            let id = a.receive().id.unwrap();
            a.expect_nothing();
            a.send(pubrec(id));
            a.expect(pubrel(id));
            a.expect_nothing();
            // A PUBREC that comes again is answered again.
            a.send(pubrec(id));
            a.expect(pubrel(id));
            a.send(pubcomp(id));
            a.expect_alive();
        }
    });
}

/// On one connection nothing is sent again, however long the acknowledgement takes.
// covers: [MQTT-4.3.3-6]
#[test]
fn mqtt5_4_4_0_1_nothing_is_resent_while_connected() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.subscribe("t", 2);
            publisher.publish(publish("t").qos(1));
            publisher.publish(publish("t").qos(2));
            publisher.publish(publish("t").qos(2));
            let ids: Vec<u16> = (0..3).map(|_| a.receive().id.unwrap()).collect();
            a.send(pubrec(ids[2]));
            a.expect(pubrel(ids[2]));
            broker.seconds(100_000);
            a.expect_nothing();
        }
    });
}

// covers: [MQTT311-4.4.0-1] [MQTT-3.3.1-1] [MQTT311-3.3.1-1] [MQTT-4.3.3-6]
#[test]
fn mqtt5_4_4_0_1_unacknowledged_publish_and_pubrel_are_resent_on_resuming() {
    everywhere(|broker| {
        let connects = [v5("a").clean(false).session_expiry(100), v311("b").clean(false)];
        for connect in connects {
            let mut publisher = broker.connect(v5("publisher"));
            let mut a = broker.connect(connect.clone());
            a.subscribe("t", 2);
            for (payload, qos) in [("one", 1), ("two", 2), ("three", 2), ("four", 1)] {
                publisher.publish(publish("t").payload(payload).qos(qos));
            }
            let ids: Vec<u16> = (0..4).map(|_| a.receive().id.unwrap()).collect();
            a.send(pubrec(ids[1]));
            a.expect(pubrel(ids[1]));
            a.cut();
            for _ in 0..2 {
                a = broker.connect(connect.clone());
                assert!(a.session_present());
                // In the original order, with their identifiers, DUP set; the released one as PUBREL, whose place
                // among the others is open.
                a.take_somewhere(&pubrel(ids[1]));
                a.expect(publish("t").payload("one").qos(1).id(ids[0]).dup());
                a.expect(publish("t").payload("three").qos(2).id(ids[2]).dup());
                a.expect(publish("t").payload("four").qos(1).id(ids[3]).dup());
                a.expect_nothing();
                a.cut();
            }
            a = broker.connect(connect.clone());
            assert_eq!(a.drain().len(), 4);
            a.send(puback(ids[0]));
            a.send(pubcomp(ids[1]));
            a.send(pubrec(ids[2]));
            a.expect(pubrel(ids[2]));
            a.send(pubcomp(ids[2]));
            a.send(puback(ids[3]));
            a.cut();
            broker.connect(connect).expect_nothing();
        }
    });
}

// covers: [MQTT-4.4.0-2]
#[test]
fn mqtt5_4_4_0_2_puback_or_pubrec_of_0x80_or_more_ends_the_message() {
    everywhere(|broker| {
        let connect = v5("a").clean(false).session_expiry(100);
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(connect.clone());
        a.subscribe("t", 2);
        publisher.publish(publish("t").payload("one").qos(1));
        publisher.publish(publish("t").payload("two").qos(2));
        let ids: Vec<u16> = (0..2).map(|_| a.receive().id.unwrap()).collect();
        a.send(puback(ids[0]).code(0x83));
        a.send(pubrec(ids[1]).code(0x97));
        a.expect_nothing();
        a.cut();
        broker.connect(connect).expect_nothing();
    });
}

/// The identifier of a refused message is free again, and its place in the window too.
#[test]
fn mqtt5_4_9_0_2_refusals_give_the_place_in_the_window_back() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").receive_maximum(1));
        a.subscribe("t", 2);
        for payload in 0..6_u8 {
            publisher.publish(publish("t").payload([payload]).qos(1 + payload % 2));
        }
        for payload in 0..6_u8 {
            let message = a.receive();
            assert_eq!(message.payload, [payload]);
            a.expect_nothing();
            let id = message.id.unwrap();
            a.send(if message.qos == 1 { puback(id).code(0x80) } else { pubrec(id).code(0x80) });
        }
    });
}

// covers: [MQTT-3.3.1-1]
#[test]
fn mqtt5_4_3_3_9_after_a_refusing_pubrec_the_identifier_is_a_new_message() {
    // As receiver the broker refuses what access rules forbid: see `access`. As sender it may use the identifier again.
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a"));
        a.subscribe("t", 2);
        for payload in 0..200_u8 {
            publisher.publish(publish("t").payload([payload]).qos(2));
            let message = a.receive();
            assert_eq!((message.payload.as_slice(), message.dup), (&[payload][..], false));
            a.send(pubrec(message.id.unwrap()).code(0x80));
        }
    });
}

#[test]
fn identifiers_start_at_1_and_wrap_around_65535_without_0() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v311("a"));
        a.subscribe("t", 1);
        for number in 0..70_000_u32 {
            publisher.publish(publish("t").qos(1));
            let id = a.expect_message(publish("t").qos(1)).id.unwrap();
            assert_eq!(u32::from(id), number % 65_535 + 1);
        }
    });
}

// covers: [MQTT-4.6.0-6] [MQTT311-4.6.0-5] [MQTT311-4.6.0-6]
#[test]
fn mqtt5_4_6_0_5_messages_of_one_publisher_topic_and_qos_keep_their_order() {
    everywhere(|broker| {
        let mut subscribers: Vec<Client> = Vec::new();
        for shard in 0..3 {
            for (position, connect) in [v5("five"), v311("three")].into_iter().enumerate() {
                let connect = connect.client_id_bytes(format!("{position}-{shard}").as_bytes());
                let mut client = broker.connect_on(shard, connect);
                client.subscribe("t/#", 2);
                subscribers.push(client);
            }
        }
        let mut publishers: Vec<Client> =
            (0..3).map(|shard| broker.connect_on(shard, v5(&format!("publisher{shard}")))).collect();
        for number in 0..60_u8 {
            for (publisher, client) in publishers.iter_mut().enumerate() {
                for qos in 0..3 {
                    client.publish(publish(format!("t/{publisher}")).payload([number]).qos(qos));
                }
            }
            if number % 3 == 0 {
                for subscriber in &mut subscribers {
                    drain_in_order(subscriber);
                }
            }
        }
    });
}

/// Takes all that is there, acknowledges it, and finds each publisher's numbers rising per QoS.
fn drain_in_order(subscriber: &mut Client) {
    let mut last = std::collections::BTreeMap::new();
    loop {
        let messages: Vec<Packet> = subscriber.drain();
        if messages.is_empty() {
            return;
        }
        for message in messages {
            let number = message.payload[0];
            let before = last.insert((message.topic.clone(), message.qos), number);
            assert!(before < Some(number), "{number} after {before:?}: {message}");
            match (message.qos, message.id) {
                (1, Some(id)) => subscriber.send(puback(id)),
                (2, Some(id)) => {
                    subscriber.send(pubrec(id));
                    subscriber.take_somewhere(&pubrel(id));
                    subscriber.send(pubcomp(id));
                }
                _ => {}
            }
        }
    }
}

/// With a window of one, what waits goes out in the order in which it came, whatever its QoS.
#[test]
fn mqtt5_4_6_0_5_queued_messages_keep_their_order() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut a = broker.connect(v5("a").receive_maximum(1));
        a.subscribe("t", 2);
        for number in 0..40_u8 {
            publisher.publish(publish("t").payload([number]).qos(1 + number % 2));
        }
        for number in 0..40_u8 {
            a.expect_message(publish("t").payload([number]).qos(1 + number % 2));
        }
    });
}

/// A PUBACK for a QoS 2 message, a PUBREC for a QoS 1 message, a PUBCOMP too early.
#[test]
fn acknowledgements_of_the_wrong_kind_are_protocol_errors() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in [v5("a"), v311("a")] {
            for (qos, wrong) in [(1, pubrec(1)), (1, pubcomp(1)), (2, puback(1)), (2, pubcomp(1))] {
                let mut a = broker.connect(connect.clone());
                a.subscribe("t", 2);
                publisher.publish(publish("t").qos(qos));
                assert_eq!(a.receive().id, Some(1));
                a.send(wrong);
                a.expect_disconnect(0x82);
            }
        }
    });
}

#[test]
fn acknowledgements_of_unknown_identifiers_do_no_harm() {
    everywhere(|broker| {
        for connect in [v5("a"), v311("a")] {
            let mut a = broker.connect(connect);
            a.send(puback(5));
            a.expect_nothing();
            a.send(pubcomp(5));
            a.expect_nothing();
            a.send(pubrec(5));
            // The peer may still hold it from an earlier session: it gets its PUBREL.
            let answer = a.receive();
            assert!(answer.id == Some(5) && matches!(answer.code, 0 | 0x92), "{answer}");
            a.expect_alive();
        }
    });
}

/// A large payload that many get is not copied for each, and is theirs all the same: whole, between what came before and
/// what came after, in the form of each one's version, also when it is read piece by piece.
// covers: [MQTT-4.5.0-1] [MQTT311-4.5.0-1]
#[test]
fn a_large_payload_arrives_whole_at_all_who_get_it() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let large: Vec<u8> = (0..50_000u32).map(|n| (n % 251) as u8).collect();
        let mut clients: Vec<Client> = (0..12)
            .map(|n| {
                let name = format!("c{n}");
                broker.connect(match n % 4 {
                    0 => v5(&name),
                    1 => v311(&name),
                    2 => v5(&name).topic_alias_maximum(2),
                    _ => v311(&name).clean(false),
                })
            })
            .collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.subscribe("t", n as u8 % 3);
        }
        for qos in 0..3 {
            clients.iter_mut().for_each(|client| client.stall(true));
            publisher.publish(publish("t").payload("before").qos(qos));
            publisher.publish(publish("t").payload(&large).qos(qos));
            publisher.publish(publish("t").payload("after").qos(qos));
            for (n, client) in clients.iter_mut().enumerate() {
                client.stall(false);
                for payload in [&b"before"[..], &large, b"after"] {
                    let got = client.receive();
                    client.acknowledge(&got);
                    assert!(got.payload == payload && got.qos == qos.min(n as u8 % 3), "c{n} at QoS {qos}: {got}");
                }
            }
        }
    });
}

//! Shared subscriptions: who is sent what, and what happens when a member is lost.

use super::broker::{Broker, Client, everywhere};
use super::wire::{Packet, puback, publish, pubrec, suback, subscribe, unsubscribe, v5, v311};

/// `count` members of the group `$share/g/t`, each on the next shard.
fn members(broker: &Broker, count: u16, qos: u8) -> Vec<Client> {
    (0..count)
        .map(|number| {
            let mut member = broker.connect_on(number, v5(&format!("member{number}")));
            member.subscribe("$share/g/t", qos);
            member
        })
        .collect()
}

/// What the members have received, each acknowledged.
fn take_all(members: &mut [Client]) -> Vec<Vec<u8>> {
    members
        .iter_mut()
        .map(|member| {
            let mut numbers = Vec::new();
            loop {
                let messages = member.drain();
                if messages.is_empty() {
                    return numbers;
                }
                for message in messages {
                    numbers.push(message.payload[0]);
                    member.acknowledge(&message);
                }
            }
        })
        .collect()
}

#[test]
fn each_message_goes_to_one_member_and_all_members_have_their_share() {
    everywhere(|broker| {
        for qos in 0..3 {
            let mut publisher = broker.connect(v5("publisher"));
            let mut members = members(broker, 4, qos);
            for number in 0..80_u8 {
                publisher.publish(publish("t").payload([number]).qos(qos));
            }
            let shares = take_all(&mut members);
            let mut all: Vec<u8> = shares.concat();
            all.sort_unstable();
            assert_eq!(all, (0..80).collect::<Vec<u8>>());
            for share in shares {
                assert!((10..=30).contains(&share.len()), "{} of 80 messages for one of four", share.len());
            }
        }
    });
}

/// Publishers on every shard choose among the same members.
#[test]
fn publishers_on_all_shards_are_fair() {
    everywhere(|broker| {
        let mut members = members(broker, 3, 1);
        for shard in 0..3 {
            let mut publisher = broker.connect_on(shard, v5(&format!("publisher{shard}")));
            for number in 0..60_u8 {
                publisher.publish(publish("t").payload([number]).qos(1));
            }
        }
        let shares = take_all(&mut members);
        assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), 180);
        assert!(shares.iter().all(|share| (30..=90).contains(&share.len())));
    });
}

#[test]
fn groups_and_filters_are_apart() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let filters = ["$share/g/t", "$share/h/t", "$share/g/+", "t"];
        let mut clients: Vec<Client> = filters
            .iter()
            .enumerate()
            .map(|(number, filter)| {
                let mut client = broker.connect(v5(&format!("c{number}")));
                client.subscribe(filter, 0);
                client
            })
            .collect();
        publisher.send(publish("t").payload("x"));
        for client in &mut clients {
            client.expect(publish("t").payload("x"));
            client.expect_nothing();
        }
        publisher.send(publish("u"));
        clients[2].expect(publish("u"));
        clients[0].expect_nothing();
    });
}

// covers: [MQTT-4.8.2-2]
#[test]
fn mqtt5_4_8_2_1_a_shared_filter_has_a_share_name_and_a_filter() {
    everywhere(|broker| {
        for filter in ["$share//t", "$share/g", "$share/g/", "$share/+/t", "$share/#/t", "$share/a+/t", "$share/a#/t"] {
            for connect in [v5("a"), v311("a")] {
                for packet in [subscribe(1).filter(filter, 0), unsubscribe(1).filter(filter, 0)] {
                    let mut a = broker.connect(connect.clone());
                    a.send(packet.clone());
                    if a.is_closed() {
                        a.expect_disconnect_with_one_of(&[0x81, 0x82, 0x8F]);
                    } else {
                        let answer = a.receive();
                        let refused = answer.codes.iter().all(|code| *code >= 0x80) && !answer.codes.is_empty();
                        assert!(refused, "{filter}: {answer}");
                    }
                }
            }
        }
        let mut a = broker.connect(v5("a"));
        for (id, filter) in [(1, "$share/g/t"), (2, "$share/ g /#"), (3, "$share/$share/$x/+"), (4, "$share/g//")] {
            a.send(subscribe(id).filter(filter, 1));
            a.expect(suback(id, &[1]));
        }
        a.publish(publish("/").qos(1));
        a.publish(publish("$x/y").qos(1));
        a.expect_messages_in_any_order(&[publish("/").qos(1), publish("/").qos(1), publish("$x/y").qos(1)]);
        a.expect_nothing();
    });
}

/// `$share` is a name for subscribing only.
#[test]
fn nobody_publishes_to_a_share() {
    everywhere(|broker| {
        let mut members = members(broker, 1, 0);
        let mut publisher = broker.connect(v311("publisher"));
        publisher.send(publish("$share/g/t").payload("x"));
        members[0].expect_nothing();
    });
}

#[test]
fn mqtt5_4_8_2_3_each_member_is_served_at_its_own_granted_qos() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut members: Vec<Client> = (0..3)
            .map(|qos| {
                let mut member = broker.connect(v5(&format!("member{qos}")));
                member.subscribe("$share/g/t", qos);
                member
            })
            .collect();
        for _ in 0..30 {
            publisher.publish(publish("t").payload("x").qos(2));
        }
        let mut sum = 0;
        for (qos, member) in members.iter_mut().enumerate() {
            for message in member.drain() {
                assert_eq!(usize::from(message.qos), qos);
                sum += 1;
            }
        }
        assert_eq!(sum, 30);
    });
}

#[test]
fn a_member_that_unsubscribes_gets_nothing_more() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut members = members(broker, 2, 0);
        members[0].unsubscribe("$share/g/t");
        for _ in 0..10 {
            publisher.send(publish("t").payload("x"));
        }
        members[0].expect_nothing();
        assert_eq!(members[1].drain().len(), 10);
        members[1].unsubscribe("$share/g/t");
        publisher.send(publish("t").qos(1).id(1));
        publisher.expect(puback(1).code(0x10));
    });
}

/// A clean member's session ends with its connection: what it had not acknowledged goes to another member.
#[test]
fn unacknowledged_qos_1_messages_of_a_lost_member_go_to_another() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut members = members(broker, 2, 1);
        for number in 0..10_u8 {
            publisher.publish(publish("t").payload([number]).qos(1));
        }
        let lost = members[0].drain();
        assert!(!lost.is_empty());
        members[0].cut();
        let mut numbers: Vec<u8> = take_all(&mut members[1..]).concat();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<u8>>());
    });
}

/// What waited for the window of the lost member goes too, QoS 2 included: nothing of it was begun.
#[test]
fn queued_messages_of_a_lost_member_go_to_another() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut narrow = broker.connect(v5("narrow").receive_maximum(1));
        narrow.subscribe("$share/g/t", 2);
        for number in 0..10_u8 {
            publisher.publish(publish("t").payload([number]).qos(2));
        }
        let mut other = broker.connect(v5("other"));
        other.subscribe("$share/g/t", 2);
        let begun = narrow.receive().payload[0];
        narrow.cut();
        let numbers: Vec<u8> = take_all(std::slice::from_mut(&mut other)).concat();
        let expected: Vec<u8> = (0..10).filter(|number| *number != begun).collect();
        assert_eq!(numbers, expected);
    });
}

// covers: [MQTT-4.8.2-4]
#[test]
fn mqtt5_4_8_2_5_qos_2_begun_with_one_member_goes_to_nobody_else() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut members = members(broker, 2, 2);
        for number in 0..10_u8 {
            publisher.publish(publish("t").payload([number]).qos(2));
        }
        let begun: Vec<u8> = members[0].drain().iter().map(|message| message.payload[0]).collect();
        assert!(!begun.is_empty());
        members[0].cut();
        broker.seconds(10);
        let mut numbers: Vec<u8> = take_all(&mut members[1..]).concat();
        numbers.sort_unstable();
        let expected: Vec<u8> = (0..10).filter(|number| !begun.contains(number)).collect();
        assert_eq!(numbers, expected);
    });
}

/// With a session that outlives the connection, the begun QoS 2 message is completed with that member.
#[test]
fn mqtt5_4_8_2_4_qos_2_is_completed_with_its_member_when_it_comes_back() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let connect = v5("member").clean(false).session_expiry(100);
        let mut member = broker.connect(connect.clone());
        member.subscribe("$share/g/t", 2);
        publisher.publish(publish("t").payload("x").qos(2));
        let id = member.receive().id.unwrap();
        let mut other = broker.connect(v5("other"));
        other.subscribe("$share/g/t", 2);
        member.cut();
        broker.seconds(10);
        other.expect_nothing();
        let mut member = broker.connect(connect);
        let again = member.expect(publish("t").payload("x").qos(2).id(id).dup());
        member.acknowledge(&again);
        other.expect_nothing();
    });
}

#[test]
fn mqtt5_4_8_2_6_a_refused_message_goes_to_no_other_member() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut members = members(broker, 2, 2);
        for number in 0..10_u8 {
            publisher.publish(publish("t").payload([number]).qos(1 + number % 2));
        }
        let mut refused = 0;
        for message in members[0].drain() {
            let id = message.id.unwrap();
            members[0].send(if message.qos == 1 { puback(id).code(0x83) } else { pubrec(id).code(0x80) });
            refused += 1;
        }
        members[0].cut();
        let others: usize = take_all(&mut members[1..]).concat().len();
        assert_eq!(others + refused, 10);
    });
}

/// Online members are served before offline ones; with nobody online the message waits in an offline session.
#[test]
fn offline_members_are_chosen_only_when_nobody_is_online() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let connect = v5("offline").clean(false).session_expiry(100);
        let mut offline = broker.connect(connect.clone());
        offline.subscribe("$share/g/t", 1);
        offline.leave();
        let mut online = broker.connect(v5("online"));
        online.subscribe("$share/g/t", 1);
        for number in 0..10_u8 {
            publisher.publish(publish("t").payload([number]).qos(1));
        }
        assert_eq!(take_all(std::slice::from_mut(&mut online)).concat().len(), 10);
        online.leave();
        publisher.publish(publish("t").payload("waits").qos(1));
        let mut offline = broker.connect(connect);
        offline.expect_message(publish("t").payload("waits").qos(1));
        offline.expect_nothing();
    });
}

#[test]
fn shared_subscriptions_survive_in_a_session() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        for connect in [v5("a").clean(false).session_expiry(100), v311("b").clean(false)] {
            let mut a = broker.connect(connect.clone());
            a.subscribe("$share/g/t", 1);
            a.leave();
            let mut a = broker.connect(connect.clone());
            publisher.publish(publish("t").qos(1));
            a.expect_message(publish("t").qos(1));
            broker.connect(connect.clean(true)).leave();
        }
    });
}

/// Members of several protocol versions.
#[test]
fn versions_mix_in_a_group() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let mut clients = vec![broker.connect(v5("five")), broker.connect(v311("four"))];
        for client in &mut clients {
            client.subscribe("$share/g/t", 1);
        }
        for number in 0..20_u8 {
            publisher.publish(publish("t").payload([number]).qos(1));
        }
        let shares = take_all(&mut clients);
        assert!(shares.iter().all(|share| share.len() >= 5), "{shares:?}");
        let mut all: Vec<u8> = shares.concat();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<u8>>());
    });
}

/// A member that takes over its own session, again and again, loses nothing and doubles nothing at QoS 2.
#[test]
fn take_over_of_a_member_loses_nothing() {
    everywhere(|broker| {
        let mut publisher = broker.connect(v5("publisher"));
        let connect = v5("member").clean(false).session_expiry(100);
        let mut member = broker.connect(connect.clone());
        member.subscribe("$share/g/t", 2);
        let mut seen: Vec<u8> = Vec::new();
        for number in 0..20_u8 {
            publisher.publish(publish("t").payload([number]).qos(2));
            if number % 5 == 4 {
                member = broker.connect_on(number.into(), connect.clone());
            }
        }
        loop {
            let messages: Vec<Packet> = member.drain();
            if messages.is_empty() {
                break;
            }
            for message in messages {
                seen.push(message.payload[0]);
                member.acknowledge(&message);
            }
        }
        assert_eq!(seen, (0..20).collect::<Vec<u8>>());
    });
}

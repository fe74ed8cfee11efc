//! Groups of shared subscriptions on a disk: who has which message after a crash.

use super::broker::Client;
use super::on_disk::{kept, little_memory, number_of, numbered, read_all, recorded, waits_offline};
use super::wire::{disconnect, subscribe, unsubscribe, v5};

/// A member of a group is lost, and what it had not acknowledged goes to the others: no crash brings it back to the one,
/// or takes it from the others.
#[test]
fn group_messages_that_were_handed_over_stay_with_their_new_owner_after_a_crash() {
    recorded().run(|broker| {
        let mut members: Vec<Client> = (0..3).map(|n| broker.connect(kept(&format!("m{n}")))).collect();
        for member in &mut members {
            member.subscribe("$share/g/t", 1);
        }
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..30 {
            publisher.publish(numbered("t", number, 10).qos(1));
        }
        members[0].cut();
        broker.world().checkpoint();
        members[1].cut();
        broker.world().power_cut();
        let mut by_member = Vec::new();
        for n in 0..3 {
            let mut member = broker.connect(kept(&format!("m{n}")));
            let numbers = read_all(&mut member);
            member.send(disconnect());
            by_member.push(numbers);
        }
        let mut all: Vec<u16> = by_member.concat();
        all.sort_unstable();
        assert_eq!(all, (0..30).collect::<Vec<u16>>(), "{by_member:?}");
        assert_eq!(by_member[2].len(), 30);
    });
}

/// As without a crash: the group gets what one member was chosen for and never acknowledged, and only that.
#[test]
// covers: [MQTT-4.8.2-4]
fn what_waits_for_a_member_goes_to_another_when_its_session_ends_after_a_crash() {
    for (has_checkpoint, is_taken_over, identifier) in
        [(false, false, 0), (true, false, 5), (false, true, 5), (true, true, 0)]
    {
        recorded().run(|broker| {
            let subscription =
                |id| if identifier == 0 { subscribe(id) } else { subscribe(id).subscription_id(identifier) };
            let mut other = broker.connect(kept("other"));
            other.subscribes(subscription(1).filter("$share/g/t/+", 1));
            other.cut();
            let mut mortal = broker.connect(v5("mortal").clean(false).session_expiry(10).receive_maximum(3));
            mortal.subscribes(subscription(1).filter("$share/g/t/+", 1));
            mortal.subscribes(subscribe(2).subscription_id(7).filter("$share/more/t/#", 1));
            mortal.subscribe("t/own", 1);
            let mut publisher = broker.connect(v5("publisher"));
            for number in 0..20 {
                publisher.publish(numbered("t/x", number, 10).qos(1));
                publisher.publish(numbered("t/own", number, 10).qos(1));
            }
            publisher.leave();
            broker.world().power_cut();
            if has_checkpoint {
                broker.world().checkpoint();
                broker.world().power_cut();
            }
            match is_taken_over {
                true => broker.connect(v5("mortal")).leave(),
                false => broker.seconds(11),
            }
            let mut other = broker.connect(kept("other"));
            let mut got: Vec<(Vec<u8>, u16)> = Vec::new();
            loop {
                let messages = other.drain();
                if messages.is_empty() {
                    break;
                }
                for message in &messages {
                    assert_eq!(message.number(0x0B), Some(identifier).filter(|id| *id != 0));
                    got.push((message.topic.clone(), number_of(message)));
                    other.acknowledge(message);
                }
            }
            let of =
                |topic: &str| got.iter().filter(|(t, _)| t == topic.as_bytes()).map(|(_, n)| *n).collect::<Vec<_>>();
            assert_eq!(of("t/x"), (0..20).collect::<Vec<u16>>());
            assert_eq!(of("t/own"), (0..20).collect::<Vec<u16>>());
        });
    }
}

/// A member of two groups that both get a message has a copy for each. Of which group each is, a crash does not make it forget, whether
/// the member has left one of them since or not: another member of that group gets it.
#[test]
// covers: [MQTT-4.8.2-4]
fn each_group_of_a_lost_member_gets_its_own_messages_after_a_crash() {
    for (has_left, has_checkpoint) in [(false, false), (false, true), (true, false), (true, true)] {
        recorded().run(|broker| {
            waits_offline(broker, &kept("heir of one"), "$share/one/t/+");
            waits_offline(broker, &kept("heir of two"), "$share/two/t/#");
            let mortal = v5("mortal").clean(false).session_expiry(10).receive_maximum(1);
            let mut client = broker.connect(mortal);
            client.subscribe("$share/one/t/+", 1);
            client.subscribe("$share/two/t/#", 0);
            client.subscribe("$share/two/t/#", 1);
            let mut publisher = broker.connect(v5("publisher"));
            for number in 0..10 {
                publisher.publish(numbered("t/x", number, 10).qos(1));
            }
            if has_left {
                client.send(unsubscribe(9).filter("$share/one/t/+", 0));
            }
            for _ in 0..2 {
                broker.world().power_cut();
                if has_checkpoint {
                    broker.world().checkpoint();
                }
            }
            broker.seconds(11);
            for heir in ["heir of one", "heir of two"] {
                assert_eq!(read_all(&mut broker.connect(kept(heir))), (0..10).collect::<Vec<u16>>(), "{heir}");
            }
        });
    }
}

/// A session's own copy of a message and the one that it was chosen for may be alike: giving the one away leaves the other.
#[test]
fn what_a_member_subscribed_to_itself_stays_when_it_gives_its_like_to_the_group() {
    recorded().run(|broker| {
        let mut other = broker.connect(kept("other"));
        other.subscribe("$share/g/t", 1);
        other.cut();
        let member = kept("member").receive_maximum(1);
        let mut client = broker.connect(member.clone());
        client.subscribe("t", 1);
        client.subscribe("$share/g/t", 1);
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..10 {
            publisher.publish(numbered("t", number, 10).qos(1));
        }
        let mut other = broker.connect(kept("other"));
        client.cut();
        let all: Vec<u16> = (0..10).collect();
        assert_eq!(read_all(&mut other), all);
        broker.world().power_cut();
        let mut other = broker.connect(kept("other"));
        broker.connect(member.clone()).cut();
        assert_eq!(read_all(&mut other), []);
        assert_eq!(read_all(&mut broker.connect(member)), all);
    });
}

/// A member whose session ends with its connection has a message for a lasting one, from long ago: the store may have
/// let go of it when nobody was left whose session would survive.
#[test]
fn what_a_mortal_member_gives_back_is_in_the_store_again() {
    recorded().run(|broker| {
        let mut mortal = broker.connect(v5("mortal"));
        mortal.subscribe("$share/g/t", 1);
        let mut witness = broker.connect(kept("witness"));
        witness.subscribe("t", 1);
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..20 {
            publisher.publish(numbered("t", number, 1000).qos(1));
        }
        assert_eq!(read_all(&mut witness), (0..20).collect::<Vec<u16>>());
        // No checkpoint knows anybody who is owed them, twice, and the segment in which they stood is gone.
        broker.world().checkpoint();
        broker.world().checkpoint();
        let mut heir = broker.connect(kept("heir"));
        heir.subscribe("$share/g/t", 1);
        heir.cut();
        mortal.cut();
        broker.world().power_cut();
        assert_eq!(read_all(&mut broker.connect(kept("heir"))), (0..20).collect::<Vec<u16>>());
    });
}

/// A client comes back to its session for the last time. What waits in the store stays there, and what goes to the others of
/// its group is durable with them, although nothing is recorded of the session any more.
#[test]
fn a_session_that_lasts_no_longer_still_has_its_queue() {
    for is_shared in [false, true] {
        little_memory(40_000).run(|broker| {
            let filter = if is_shared { "$share/g/t" } else { "t" };
            waits_offline(broker, &kept("a"), filter);
            let mut publisher = broker.connect(v5("publisher"));
            for number in 0..if is_shared { 50 } else { 500 } {
                publisher.publish(numbered("t", number, 200).qos(1));
            }
            let mut a = broker.connect(v5("a").clean(false).receive_maximum(1));
            assert!(a.session_present());
            broker.world().checkpoint();
            broker.world().checkpoint();
            if !is_shared {
                assert_eq!(read_all(&mut a), (0..500).collect::<Vec<u16>>());
                return;
            }
            waits_offline(broker, &kept("heir"), filter);
            a.cut();
            broker.world().power_cut();
            assert_eq!(read_all(&mut broker.connect(kept("heir"))), (0..50).collect::<Vec<u16>>());
        });
    }
}

/// ... and what its client has had of it goes to nobody else after a crash.
#[test]
fn what_a_session_that_lasts_no_longer_has_had_goes_to_nobody_else() {
    recorded().run(|broker| {
        waits_offline(broker, &kept("a"), "$share/g/t");
        let mut publisher = broker.connect(v5("publisher"));
        for number in 0..20 {
            publisher.publish(numbered("t", number, 10).qos(2));
        }
        waits_offline(broker, &kept("heir"), "$share/g/t");
        let mut a = broker.connect(v5("a").clean(false).receive_maximum(3));
        assert_eq!(read_all(&mut a), (0..20).collect::<Vec<u16>>());
        broker.world().power_cut();
        assert_eq!(read_all(&mut broker.connect(kept("heir"))), []);
    });
}

//! A client with very many subscriptions leaves or gives them up: they go little by little, and nobody notices.

use std::collections::BTreeSet;
use std::ops::Range;

use sori_broker::{Cause, ConnectionId, Settings, Space};

use super::lone::Lone;
use super::reading::read;
use super::wire::{Packet, Version, puback, publish, subscribe, v5, v311};

fn publish_of(topic: &str) -> Vec<u8> {
    publish(topic).encode(Version::V311)
}

// covers: [MQTT-4.1.0-2] [MQTT311-3.1.2-6]
#[test]
fn many_subscriptions_go_in_slices_and_reach_nobody_meanwhile() {
    let mut broker = Lone::new(Settings::default());
    let (many, all, publisher) = (broker.connect(v311("m")), broker.connect(v311("a")), broker.connect(v311("p")));
    for number in 0..3000 {
        broker.subscribe(many, &format!("f/{number}"), 0);
    }
    broker.subscribe(many, "$share/g/s", 0);
    broker.subscribe(all, "f/#", 0);
    broker.subscribe(all, "$share/g/s", 0);
    broker.leave(many);
    let (left, shared) = broker.subscriptions();
    assert!((2000..3000).contains(&left), "{left} are left after the first slice");
    assert_eq!(shared, 1, "shared ones go first");

    // The same client comes back at once, with a few of its old subscriptions.
    let again = broker.connect(v311("m"));
    for number in 2990..3000 {
        broker.subscribe(again, &format!("f/{number}"), 0);
    }
    let mut left = broker.subscriptions().0;
    let mut slices = 0;
    while broker.is_due() {
        for topic in ["f/5", "f/1500"] {
            assert_eq!(broker.publish(publisher, topic, &[all, again]), [publish_of(topic), vec![]]);
        }
        assert_eq!(broker.publish(publisher, "f/2995", &[all, again]), [publish_of("f/2995"), publish_of("f/2995")]);
        for _ in 0..2 {
            assert_eq!(broker.publish(publisher, "s", &[all]), [publish_of("s")]);
        }
        broker.tick();
        let now = broker.subscriptions().0;
        assert!(now < left && left - now <= 512, "{left} became {now} in one slice");
        (left, slices) = (now, slices + 1);
    }
    assert!(slices >= 4, "{slices} slices");
    assert_eq!(broker.subscriptions(), (12, 1));
    assert_eq!(broker.publish(publisher, "f/2995", &[again]), [publish_of("f/2995")]);
    for id in [again, all] {
        broker.leave(id);
    }
    assert_eq!(broker.subscriptions(), (0, 0));
}

/// A client that asks for these filters, several of which fit into one packet.
fn subscriber(broker: &mut Lone, connect: Packet, filters: impl Iterator<Item = String>) -> ConnectionId {
    let id = broker.connect(connect);
    let filters: Vec<String> = filters.collect();
    for some in filters.chunks(100) {
        broker.say(id, some.iter().fold(subscribe(1), |packet, filter| packet.filter(filter, 1)));
    }
    id
}

fn shared(numbers: Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("$share/g/s/{number}"))
}

// covers: [MQTT-4.8.2-3]
#[test]
fn shared_subscriptions_go_in_slices_and_take_no_message_with_them() {
    let mut broker = Lone::new(Settings::default());
    let leavers = ["m", "n", "o"].map(|client_id| subscriber(&mut broker, v311(client_id), shared(0..1500)));
    let (stays, publisher) = (subscriber(&mut broker, v311("s"), shared(0..1500)), broker.connect(v311("p")));
    for id in leavers {
        broker.leave(id);
    }
    assert_eq!(broker.subscriptions(), (6000 - 512, 6000 - 512));
    for topic in (0..).map(|number| format!("s/{number}")) {
        for _ in 0..5 {
            assert_eq!(broker.publish(publisher, &topic, &[stays]), [publish_of(&topic)]);
        }
        let left = broker.subscriptions().0;
        if !broker.tick() {
            break;
        }
        let now = broker.subscriptions().0;
        assert!(now < left && left - now <= 512, "{left} became {now} in one slice");
    }
    assert_eq!(broker.subscriptions(), (1500, 1500));
}

/// What the client has got of a group's topics, by its number there; it acknowledges none.
fn got(mut bytes: &[u8]) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    while let Some((packet, length)) = read(Version::V311, bytes) {
        numbers.insert(String::from_utf8(packet.topic).unwrap()[2..].parse().unwrap());
        bytes = &bytes[length..];
    }
    numbers
}

/// Two members have messages that they have not acknowledged, of groups that they have not left yet when they are gone:
/// the third gets all of them, and none goes back to whom it came from. [MQTT-4.8.2-4]
#[test]
fn what_a_member_hands_back_goes_to_none_that_has_gone() {
    let settings = Settings { inflight_messages_max: 0, ..Settings::default() };
    let mut broker = Lone::new(settings);
    let publisher = broker.connect(v311("p"));
    let first = subscriber(&mut broker, v311("m"), shared(0..1500));
    for number in 0..100 {
        broker.say(publisher, publish(format!("s/{}", number * 15)).qos(1).id(1));
    }
    let second = subscriber(&mut broker, v311("n"), shared(0..1500));
    let third = subscriber(&mut broker, v311("o"), (0..100).map(|number| format!("$share/g/s/{}", number * 15)));
    broker.leave(second);
    broker.shard.closed(broker.now, first, Cause::Network("gone".into()));
    assert_eq!(got(&broker.output(third)), (0..100).map(|number| number * 15).collect());
    broker.settle();
    while broker.tick() {}
    assert_eq!(broker.subscriptions(), (100, 100));
    assert_eq!(broker.shard.totals().dropped_session_ended, 0);
}

#[test]
fn subscriptions_of_many_that_leave_at_once_go_in_slices() {
    let mut broker = Lone::new(Settings::default());
    let numbers = 0..30;
    let filters = |client: u32| (0..100).map(move |number| format!("{client}/{number}"));
    let all = numbers.map(|client| subscriber(&mut broker, v311(&format!("c{client}")), filters(client)));
    for id in all.collect::<Vec<_>>() {
        broker.leave(id);
    }
    assert_eq!(broker.subscriptions().0, 3000 - 512);
    let mut slices = 0;
    while broker.tick() {
        slices += 1;
    }
    assert_eq!((broker.subscriptions().0, slices), (0, 5));
}

/// Those that have gone count as connected until their turn comes, and a message is not for them all the same.
#[test]
fn an_offline_member_gets_what_was_meant_for_some_that_have_gone() {
    let mut broker = Lone::new(Settings::default());
    let offline = subscriber(&mut broker, v311("a").clean(false), shared(0..1000));
    broker.leave(offline);
    let leavers = ["m", "n", "o"].map(|client_id| subscriber(&mut broker, v311(client_id), shared(0..1000)));
    let publisher = broker.connect(v311("p"));
    for id in leavers {
        broker.leave(id);
    }
    for number in 0..100 {
        broker.say(publisher, publish(format!("s/{}", number * 10)).qos(1).id(1));
    }
    let totals = broker.shard.totals();
    assert_eq!((totals.sessions, totals.queued), (2, 100));
}

/// Turns until nothing is left to be done.
fn go_on(broker: &mut Lone) {
    while broker.tick() {}
}

/// Groups know which of their members are connected: that takes the index once for each slice, one slice a turn, and no look at other
/// subscriptions.
#[test]
fn a_client_with_many_shared_subscriptions_comes_and_goes_in_slices() {
    for (filters, slices) in [(3000..6000, 6), (3000..3001, 1), (3000..3000, 0)] {
        let mut broker = Lone::new(Settings::default());
        let connect = v311("m").clean(false);
        let plain = (0..3000).map(|number| format!("p/{number}"));
        let id = subscriber(&mut broker, connect.clone(), plain.chain(shared(filters)));
        let before = broker.space.generation();
        broker.leave(id);
        assert_eq!(broker.space.generation() - before, slices.min(1), "it goes");
        go_on(&mut broker);
        assert_eq!(broker.space.generation() - before, slices, "it has gone");
        broker.connect(connect);
        assert_eq!(broker.space.generation() - before, slices + slices.min(1), "it comes");
        go_on(&mut broker);
        // The first slice is what the last turn has left.
        let there = broker.space.generation() - before;
        assert!((2 * slices..=2 * slices + 1).contains(&there), "{there} slices");
    }
}

/// What it has not acknowledged goes to the others when no group chooses it before them any more.
// covers: [MQTT-4.8.2-5]
#[test]
fn a_member_of_many_groups_hands_back_what_it_has_when_all_of_them_know_that_it_has_gone() {
    let mut broker = Lone::new(Settings::default());
    let connect = v311("m").clean(false);
    let many = subscriber(&mut broker, connect.clone(), shared(0..3000));
    let publisher = broker.connect(v311("p"));
    broker.say(publisher, publish("s/7").qos(1).id(1));
    let other = subscriber(&mut broker, v311("o"), shared(0..3000));
    broker.leave(many);
    assert!(broker.is_due(), "not all of its groups know yet");
    let (again, answer) = (broker.connect(connect.clone()), broker.output(other));
    go_on(&mut broker);
    assert_eq!((answer, broker.shard.totals().queued), (vec![], 0), "it was back before they did, and keeps it");
    broker.leave(again);
    let mut got = Vec::new();
    while broker.is_due() {
        assert_eq!(got, [], "before all groups know");
        broker.shard.tick(broker.now);
        got = broker.output(other);
        broker.settle();
    }
    assert_eq!(got[..2], [0x32, 7], "PUBLISH at QoS 1");
    assert_eq!(got[4..7], *b"s/7");
    // The other one's turn, and not that of the one which has gone.
    for _ in 0..2 {
        broker.say(publisher, publish("s/2999").qos(1).id(2));
    }
    assert_eq!(broker.shard.totals().queued, 0);
}

/// What waits for a member that goes is handed to another one in slices, and others are heard in between.
// covers: [MQTT-4.8.2-5]
#[test]
fn a_long_queue_of_a_group_is_handed_to_another_member_in_slices() {
    const ALL: u64 = 5000;
    for clean in [true, false] {
        let settings = Settings { queued_messages_max: 0, ..Settings::default() };
        let mut broker = Lone::new(settings);
        let many = subscriber(&mut broker, v311("m").clean(clean), shared(0..1));
        let publisher = broker.connect(v311("p"));
        for number in 0..ALL {
            broker.say(publisher, publish("s/0").qos(1).id(1).payload(number.to_string()));
        }
        let other = subscriber(&mut broker, v311("o"), shared(0..1));
        broker.leave(many);
        let mut slices = 0;
        while broker.is_due() {
            assert_eq!(broker.publish(publisher, "p", &[]), Vec::<Vec<u8>>::new());
            broker.tick();
            slices += 1;
        }
        assert!((2..5).contains(&slices), "{slices} slices, clean {clean}");
        let totals = broker.shard.totals();
        assert_eq!((totals.queued + totals.inflight, totals.sessions), (ALL, 2 + u64::from(!clean)), "clean {clean}");
        // All of them, in their order.
        for number in 0..ALL {
            let id = u16::try_from(number % 65_535).expect("small") + 1;
            let answer = broker.say(other, puback(id));
            if let Some(last) = (number + 20 < ALL).then(|| (number + 20).to_string()) {
                assert!(answer.ends_with(last.as_bytes()), "{number}: {answer:?}");
            }
        }
        assert_eq!(broker.shard.totals().queued, 0);
    }
}

/// Its deliveries are recorded no longer, when all of its subscriptions say so.
#[test]
fn a_session_that_lasts_no_longer_is_told_to_the_index_in_slices() {
    let mut broker = Lone::new(Settings { keeps_records: true, ..Settings::default() });
    let filters = (0..1500).map(|number| format!("p/{number}")).chain(shared(0..1500));
    let id = subscriber(&mut broker, v311("m").clean(false), filters);
    broker.leave(id);
    go_on(&mut broker);
    let before = broker.space.generation();
    broker.connect(v5("m").clean(false));
    assert_eq!(broker.space.generation() - before, 1, "some are told, of those that go by who is there");
    go_on(&mut broker);
    let changes = broker.space.generation() - before;
    assert!((6..=7).contains(&changes), "all are: {changes}");
    let publisher = broker.connect(v311("p"));
    let recorded = broker.shard.totals().recorded;
    for topic in ["p/0", "p/777", "p/1499", "s/0", "s/1499"] {
        broker.say(publisher, publish(topic).qos(1).id(1));
    }
    assert_eq!(broker.shard.totals().recorded, recorded);
}

/// The index is taken for some filters of an UNSUBSCRIBE at a time, not for each of them.
#[test]
fn an_unsubscribe_with_many_filters_seldom_takes_the_index() {
    let mut broker = Lone::new(Settings::default());
    let (many, publisher) = (broker.connect(v311("m")), broker.connect(v311("p")));
    let filters: Vec<String> = (100..400).map(|number| format!("f/{number}")).collect();
    for filter in &filters[100..] {
        broker.subscribe(many, filter, 0);
    }
    // Twice the same, and some that are not there.
    let mut body = vec![0, 9];
    for filter in filters.iter().chain(&filters[100..]) {
        body.extend_from_slice(&[0, filter.len() as u8]);
        body.extend_from_slice(filter.as_bytes());
    }
    let length = [body.len() as u8 | 0x80, (body.len() >> 7) as u8];
    let before = broker.space.generation();
    assert_eq!(broker.say_bytes(many, &[&[0xA2], &length[..], &body].concat()), [0xB0, 2, 0, 9], "UNSUBACK");
    let changes = broker.space.generation() - before;
    assert!(changes <= 500 / 32 + 1, "the index was taken {changes} times for 500 filters");
    assert_eq!(broker.subscriptions(), (0, 0));
    assert_eq!(broker.publish(publisher, "f/300", &[many]), [Vec::new()]);
}

//! The retained store against a map, read with pauses after any number of looks.

use std::collections::BTreeMap;

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

use super::*;
use crate::memory::MemoryUse;
use crate::message::MessageRef;

fn message(memory: &MemoryUse, topic: &str, payload: u8, expires: Time, version: u64) -> RetainedMessage {
    let (payload, retained_version) = ([payload], version);
    let message = MessageRef { retain: true, expires, retained_version, ..MessageRef::plain(topic, &payload) };
    RetainedMessage { message: message.to_shared(memory), version, owner: None }
}

fn store(retained: &mut Retained, memory: &MemoryUse, topic: &str, payload: u8, expires: Time) {
    let version = retained.next_version();
    retained.store(message(memory, topic, payload, expires, version));
    assert_eq!(retained.version(), version);
}

/// Reads all that matches, `budget` looks at a time.
fn read(retained: &Retained, filter: &str, budget: u32) -> Vec<(String, u8)> {
    let filter = TopicFilter::new(filter).expect("a valid filter");
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    let mut steps = budget;
    loop {
        match retained.next(filter, after.as_deref(), &mut steps) {
            Step::End => return found,
            Step::Pause(at) => {
                assert_eq!(steps, 0, "a pause before the budget is used");
                (after, steps) = (Some(at), budget);
            }
            Step::Found(message) => {
                found.push((message.message.topic().to_string(), message.message.view().payload[0]));
                after = Some(message.message.topic().to_string());
                assert!(found.len() <= retained.len(), "the reading does not come to an end");
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Store { topic: String, payload: u8, expires: Option<u64> },
    Remove { topic: String },
    Expire { now: u64 },
}

fn any_topic() -> impl Strategy<Value = String> {
    let level =
        prop_oneof![Just("a"), Just("b"), Just(""), Just("ab"), Just("a!"), Just("a0"), Just("$x"), Just("\u{e9}")];
    prop::collection::vec(level, 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a valid name", |text| TopicName::new(text).is_ok())
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        5 => (any_topic(), any::<u8>(), prop::option::of(0..100_u64))
            .prop_map(|(topic, payload, expires)| Change::Store { topic, payload, expires }),
        2 => any_topic().prop_map(|topic| Change::Remove { topic }),
        1 => (0..100_u64).prop_map(|now| Change::Expire { now }),
    ]
}

const FILTERS: [&str; 27] = [
    "#",
    "+",
    "+/#",
    "a/#",
    "a/+",
    "a/b/#",
    "a//#",
    "a/+/b",
    "/#",
    "/+",
    "//#",
    "+/+/+",
    "$x/#",
    "a",
    "ab/#",
    "+/b",
    "\u{e9}/#",
    "a/",
    "+/a/#",
    "+/a/+",
    "+/+/b",
    "a/+/b/#",
    "+/a/+/b",
    "a/+/+/#",
    "+//+",
    "a!/+/a",
    "+/\u{e9}/+",
];

proptest! {
    #[test]
    fn random_changes_agree_with_a_map(
        changes in prop::collection::vec(any_change(), 1..80),
        budget in 1..20_u32,
    ) {
        let memory = MemoryUse::default();
        let mut retained = Retained::default();
        let mut map: BTreeMap<String, (u8, Time)> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Store { topic, payload, expires } => {
                    let expires = expires.map_or(Time::NEVER, Time);
                    store(&mut retained, &memory, &topic, payload, expires);
                    map.insert(topic, (payload, expires));
                }
                Change::Remove { topic } => {
                    let version = retained.version();
                    prop_assert_eq!(retained.remove(&topic), map.remove(&topic).is_some());
                    prop_assert_eq!(retained.version(), version + 1);
                }
                Change::Expire { now } => {
                    let before = map.len();
                    map.retain(|_, (_, expires)| *expires > Time(now));
                    let mut left = before - map.len();
                    prop_assert_eq!(retained.expire(Time(now), 2), left.min(2));
                    left -= left.min(2);
                    prop_assert_eq!(retained.expire(Time(now), usize::MAX), left);
                }
            }
            prop_assert_eq!((retained.len(), retained.is_empty()), (map.len(), map.is_empty()));
            let next = map.values().map(|(_, expires)| *expires).filter(|expires| *expires != Time::NEVER).min();
            prop_assert_eq!(retained.next_expiry(), next);
        }
        for filter in FILTERS {
            let asked = TopicFilter::new(filter).expect("a valid filter");
            let expected: Vec<(String, u8)> = map
                .iter()
                .filter(|(topic, _)| TopicName::new(topic).is_ok_and(|name| asked.matches(name)))
                .map(|(topic, (payload, _))| (topic.clone(), *payload))
                .collect();
            prop_assert!(expected.is_empty() || retained.may_have(asked), "filter {}", filter);
            prop_assert_eq!(read(&retained, filter, budget), expected, "filter {}", filter);
        }
        for topic in map.keys() {
            retained.remove(topic);
        }
        prop_assert_eq!((memory.bytes(), retained.next_expiry()), (0, None));
    }
}

/// A reader that pauses is neither confused by what is stored or removed meanwhile nor shown anything twice.
#[test]
fn changes_during_a_pause_do_no_harm() {
    let memory = MemoryUse::default();
    let mut retained = Retained::default();
    for number in 0..100 {
        store(&mut retained, &memory, &format!("t/{number:03}"), number, Time::NEVER);
    }
    let filter = TopicFilter::new("t/+").expect("a valid filter");
    let mut seen: Vec<String> = Vec::new();
    let mut after: Option<String> = None;
    let mut steps = 3;
    for round in 0..300_u32 {
        match retained.next(filter, after.as_deref(), &mut steps) {
            Step::End => break,
            Step::Pause(at) => (after, steps) = (Some(at), 3),
            Step::Found(message) => {
                seen.push(message.message.topic().to_string());
                after = Some(message.message.topic().to_string());
                // The one just read, one far behind and one far ahead go.
                retained.remove(message.message.topic());
                retained.remove(&format!("t/{:03}", 99 - round % 30));
                store(&mut retained, &memory, "t/000", 0, Time::NEVER);
            }
        }
    }
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
    assert!((0..60).all(|number| seen.contains(&format!("t/{number:03}"))), "{seen:?}");
}

/// A filter with a literal beginning reads its own range and not everything.
#[test]
fn a_filter_looks_only_at_what_begins_like_it() {
    let memory = MemoryUse::default();
    let mut retained = Retained::default();
    for number in 0..1000_u32 {
        store(&mut retained, &memory, &format!("other/{number}"), 0, Time::NEVER);
    }
    store(&mut retained, &memory, "mine/x/y", 7, Time::NEVER);
    for filter in ["mine/+/y", "mine/#", "mine/x/+", "mine/x/y", "zzz/#", "aaa/+"] {
        let mut steps = 2;
        let filter = TopicFilter::new(filter).expect("a valid filter");
        assert_eq!(retained.may_have(filter), filter.filter().starts_with("mine"), "{filter:?}");
        let step = retained.next(filter, None, &mut steps);
        assert!(!matches!(step, Step::Pause(_)), "{filter:?} looks at topics of others");
    }
}

/// How often the store is looked into until all that matches is found.
fn looks_for(retained: &Retained, filter: &str) -> (usize, u32) {
    let mut steps = u32::MAX;
    let (mut found, mut after) = (0, None);
    let filter = TopicFilter::new(filter).expect("a valid filter");
    while let Step::Found(message) = retained.next(filter, after.as_deref(), &mut steps) {
        after = Some(message.message.topic().to_string());
        found += 1;
    }
    (found, u32::MAX - steps)
}

/// What a level of the filter rules out is passed over whole, however many topics there are below it.
#[test]
fn topics_below_a_level_that_does_not_match_are_passed_over() {
    let memory = MemoryUse::default();
    let mut retained = Retained::default();
    for device in 0..10_u32 {
        for number in 0..300_u32 {
            store(&mut retained, &memory, &format!("d{device}/x/{number}"), 0, Time::NEVER);
            store(&mut retained, &memory, &format!("d{device}/status/{number}"), 0, Time::NEVER);
            store(&mut retained, &memory, &format!("d{device}-{number}"), 0, Time::NEVER);
            store(&mut retained, &memory, &format!("$d{device}/{number}"), 0, Time::NEVER);
        }
        store(&mut retained, &memory, &format!("d{device}/status"), 0, Time::NEVER);
        store(&mut retained, &memory, &format!("d{device}/y/z/end"), 0, Time::NEVER);
    }
    // (filter, what it finds, looks that are enough for the rest)
    let cases = [
        ("+/status", 10, 3_100),
        ("+/y/+/end", 10, 3_100),
        ("d1/+/z/end", 1, 10),
        ("d1/+", 1, 10),
        ("d1/#", 602, 2),
        ("d1/status/+", 300, 2),
        ("+/missing/#", 0, 3_100),
    ];
    for (filter, count, enough) in cases {
        let (found, looks) = looks_for(&retained, filter);
        assert_eq!(found, count, "{filter}");
        assert!(looks <= enough, "{looks} looks for {filter}");
    }
}

/// What a message is replaced by takes its place everywhere: nothing of it is held any longer.
#[test]
fn a_message_that_was_replaced_is_not_kept() {
    let memory = MemoryUse::default();
    let mut retained = Retained::default();
    for expires in [Time(5), Time(5), Time(7), Time::NEVER, Time::NEVER, Time(5)] {
        store(&mut retained, &memory, "t", 1, expires);
        let one = memory.bytes();
        store(&mut retained, &memory, "t", 2, expires);
        assert_eq!(memory.bytes(), one, "two that expire at {expires:?}");
        assert_eq!(retained.next_expiry(), Some(expires).filter(|expires| *expires != Time::NEVER));
        assert_eq!(read(&retained, "t", 1), [(String::from("t"), 2)]);
    }
    assert_eq!(retained.expire(Time(5), 2), 1);
    assert_eq!((memory.bytes(), retained.next_expiry()), (0, None));
}

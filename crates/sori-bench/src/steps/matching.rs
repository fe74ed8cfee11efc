//! Finding out who gets a message: from the caches, and from the index of a few or many filters.
//!
//! A message goes to one subscriber with QoS 0 in all of them, so that the differences are what matching costs.

use std::io;

use sori_mqtt::{PacketId, QoS};

use super::{Prepared, Step};
use crate::feed::{self, Machine, Message};

/// So many topics between one and its return that a shard does not know that it was asked for before.
const NEW_TOPICS: usize = 20_000;
/// As many as it does remember.
const KNOWN_TOPICS: usize = 500;
/// At most so many messages are one round.
const MESSAGES_PER_ROUND: usize = 5000;
const MESSAGES_PER_BATCH: usize = 100;
const FILTERS_PER_PACKET: usize = 1000;

pub(super) const STEPS: [Step; 9] = [
    Step::new("match-last", "a message with the topic of the one before", || flat(1, 1)),
    Step::new("match-known", "with a topic that the shard remembers, in turn", || flat(1, KNOWN_TOPICS)),
    Step::new("match-new-1", "with a topic that it does not, one filter", || flat(1, NEW_TOPICS)),
    Step::new("match-new-1k", "the same among 1,000 filters", || flat(1_000, NEW_TOPICS)),
    Step::new("match-new-100k", "the same among 100,000 filters", || flat(100_000, NEW_TOPICS)),
    Step::new("match-new-depth-10", "a new topic of 10 levels", || deep(10)),
    Step::new("match-new-depth-100", "a new topic of 100 levels", || deep(100)),
    Step::new("subscribe", "a SUBSCRIBE to a new filter of three levels and its UNSUBSCRIBE", subscribing),
    Step::new(
        "match-after-subscribe",
        "a message after somebody has subscribed: all caches are stale",
        after_subscribe,
    ),
];

/// Each filter has a wildcard in its last level, and a message matches one of them.
fn flat(filters: usize, topics: usize) -> io::Result<Prepared> {
    let filter = |number: usize| format!("building/{number}/+");
    let topic = |number: usize| format!("building/{}/{number}", number % filters);
    publishing((0..filters).map(filter).collect(), (0..topics).map(topic).collect())
}

fn deep(levels: usize) -> io::Result<Prepared> {
    let way = "level/".repeat(levels - 1);
    publishing(vec![format!("{way}+")], (0..NEW_TOPICS).map(|number| format!("{way}{number}")).collect())
}

fn publishing(filters: Vec<String>, topics: Vec<String>) -> io::Result<Prepared> {
    let mut machine = Machine::new(1)?;
    let subscriber = machine.open(0, &feed::connect("subscriber"));
    for filters in filters.chunks(FILTERS_PER_PACKET) {
        machine.say(subscriber, &feed::subscribe(filters, QoS::AtMostOnce));
    }
    let publisher = machine.open(0, &feed::connect("publisher"));
    let publish = |topic: &String| {
        let message = Message { topic, qos: QoS::AtMostOnce, retain: false, size: 64 };
        feed::publish(message, PacketId::FIRST)
    };
    let packets: Vec<Vec<u8>> = topics.iter().cycle().take(topics.len().max(KNOWN_TOPICS)).map(publish).collect();
    let batches: Vec<Vec<u8>> = packets.chunks(MESSAGES_PER_BATCH).map(<[Vec<u8>]>::concat).collect();
    let messages = packets.len().min(MESSAGES_PER_ROUND);
    let mut at = 0;
    Ok(Prepared::large(messages as u64, move |counting| {
        let before = machine.tally(subscriber).messages;
        machine.count(counting);
        for _ in 0..messages / MESSAGES_PER_BATCH {
            machine.say(publisher, &batches[at]);
            at = (at + 1) % batches.len();
        }
        assert_eq!(machine.tally(subscriber).messages - before, messages as u64, "every message arrives");
    }))
}

fn subscribing() -> io::Result<Prepared> {
    let mut machine = Machine::new(1)?;
    let subscriber = machine.open(0, &feed::connect("subscriber"));
    let filters: Vec<String> = (0..100).map(|number| format!("building/{number}/+")).collect();
    let (subscribe, unsubscribe) = (feed::subscribe(&filters, QoS::AtMostOnce), feed::unsubscribe(&filters));
    Ok(Prepared::new(filters.len() as u64, move |counting| {
        machine.count(counting);
        machine.say(subscriber, &subscribe);
        machine.say(subscriber, &unsubscribe);
    }))
}

fn after_subscribe() -> io::Result<Prepared> {
    let mut machine = Machine::new(1)?;
    let subscriber = machine.open(0, &feed::connect("subscriber"));
    machine.say(subscriber, &feed::subscribe(&["building/1/+"], QoS::AtMostOnce));
    let restless = machine.open(0, &feed::connect("restless"));
    let publisher = machine.open(0, &feed::connect("publisher"));
    let message = Message { topic: "building/1/1", qos: QoS::AtMostOnce, retain: false, size: 64 };
    let publish = feed::publish(message, PacketId::FIRST);
    let subscribe = feed::subscribe(&["elsewhere"], QoS::AtMostOnce);
    Ok(Prepared::new(50, move |counting| {
        for _ in 0..50 {
            machine.count(super::Counting::No);
            machine.say(restless, &subscribe);
            machine.count(counting);
            machine.say(publisher, &publish);
        }
    }))
}

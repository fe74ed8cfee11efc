//! What the hot path asks the allocator for. A program of its own, because the allocator here counts.
//!
//! A QoS 0 message asks for nothing once buffers and caches have their sizes, on its shard and to another one.

use allocation_counter::measure;
use sori_bench::feed::{self, Machine, Message, Place};
use sori_mqtt::QoS;

/// As many as may be in flight at QoS 1 and 2 without waiting for room.
const BATCH: u16 = 50;
const WARM_UP: u32 = 10;
const ROUNDS: u32 = 20;

/// A publisher on shard 0, and how many get each of its messages.
struct Case {
    machine: Machine,
    publisher: Place,
    words: Vec<u8>,
    subscribers: Vec<Place>,
}

impl Case {
    /// Subscribers are on the last shard.
    fn new(shards: u16, audience: u16, qos: QoS, batch: u16) -> Case {
        let mut machine = Machine::new(shards).expect("a poll");
        let topic = "sensors/17/temperature";
        let subscribe = |number| {
            let place = machine.open(shards - 1, &feed::connect(&format!("subscriber-{number}")));
            machine.say(place, &feed::subscribe(&[topic], qos));
            place
        };
        let subscribers = (0..audience).map(subscribe).collect();
        let publisher = machine.open(0, &feed::connect("publisher"));
        let words = feed::publishes(Message { topic, qos, retain: false, size: 64 }, batch);
        let mut case = Case { machine, publisher, words, subscribers };
        case.speak(WARM_UP);
        case
    }

    fn speak(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.machine.say(self.publisher, &self.words);
        }
    }

    fn heard(&self) -> u64 {
        self.subscribers.iter().map(|&place| self.machine.tally(place).messages).sum()
    }

    /// Allocations, and deliveries, which must be as many as are expected.
    fn count(mut self, batch: u16) -> (u64, u64) {
        let before = self.heard();
        let allocations = measure(|| self.speak(ROUNDS)).count_total;
        let heard = self.heard() - before;
        let expected = u64::from(ROUNDS) * u64::from(batch) * self.subscribers.len() as u64;
        assert_eq!(heard, expected, "every message arrives");
        (allocations, heard)
    }
}

fn allocations(shards: u16, audience: u16, qos: QoS, batch: u16) -> (u64, u64) {
    let counted = Case::new(shards, audience, qos, batch).count(batch);
    println!(
        "{shards} shard(s), {audience} subscriber(s), {qos:?}: {} allocations for {} deliveries",
        counted.0, counted.1
    );
    counted
}

#[test]
fn a_qos_0_message_on_one_shard_allocates_nothing() {
    assert_eq!(allocations(1, 1, QoS::AtMostOnce, BATCH).0, 0);
}

#[test]
fn a_qos_0_message_for_a_hundred_allocates_nothing() {
    assert_eq!(allocations(1, 100, QoS::AtMostOnce, BATCH).0, 0);
}

/// The memory of delivered mail is used for the next.
#[test]
fn mail_between_shards_allocates_nothing() {
    for (audience, batch) in [(1, 100), (1, 1000), (100, 100)] {
        assert_eq!(allocations(2, audience, QoS::AtMostOnce, batch).0, 0);
    }
}

#[test]
fn qos_1_and_2_have_their_bounds() {
    for (qos, at_most) in [(QoS::AtLeastOnce, 0.1), (QoS::ExactlyOnce, 1.1)] {
        let (allocations, messages) = allocations(1, 1, qos, BATCH);
        let each = allocations as f64 / messages as f64;
        assert!(each <= at_most, "{each} allocations for each message of {qos:?}");
    }
}

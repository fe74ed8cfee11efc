//! What the hot path asks the allocator for. A program of its own, because the allocator here counts.
//!
//! A QoS 0 message asks for nothing once buffers and caches have their sizes, on its shard and to another one.

use allocation_counter::measure;
use sori_bench::feed::{self, Machine, Message, Place};
use sori_mqtt::{PacketId, QoS, Version};

/// As many as may be in flight at QoS 1 and 2 without waiting for room.
const BATCH: u16 = 50;
const WARM_UP: u32 = 10;
const ROUNDS: u32 = 20;

/// A publisher on shard 0, and who gets its messages.
#[derive(Clone, Copy, Debug)]
struct Case {
    shards: u16,
    /// They are on the last shard.
    subscribers: u16,
    /// They divide the messages among them, as a shared subscription.
    is_shared: bool,
    version: Version,
    qos: QoS,
    /// Messages that are said at once.
    batch: u16,
    /// Topics that these have in turn.
    topics: u16,
    is_mounted: bool,
}

/// One of each, and QoS 0.
const PLAIN: Case = Case {
    shards: 1,
    subscribers: 1,
    is_shared: false,
    version: Version::V311,
    qos: QoS::AtMostOnce,
    batch: BATCH,
    topics: 1,
    is_mounted: false,
};

/// A case that is under way.
struct Running {
    machine: Machine,
    publisher: Place,
    words: Vec<u8>,
    subscribers: Vec<Place>,
}

impl Case {
    fn begin(self) -> Running {
        let machine = if self.is_mounted { Machine::mounted(self.shards, "below/") } else { Machine::new(self.shards) };
        let mut machine = machine.expect("a poll");
        let filter = if self.is_shared { "$share/readers/sensors/+/temperature" } else { "sensors/+/temperature" };
        let connect = |name: &str| feed::connect_in(self.version, name, true);
        let subscribe = |number| {
            let place = machine.open(self.shards - 1, &connect(&format!("subscriber-{number}")));
            machine.say(place, &feed::subscribe_in(self.version, &[filter], self.qos));
            place
        };
        let subscribers = (0..self.subscribers).map(subscribe).collect();
        let publisher = machine.open(0, &connect("publisher"));
        let mut running = Running { machine, publisher, words: self.words(), subscribers };
        running.speak(WARM_UP);
        running
    }

    fn words(self) -> Vec<u8> {
        let publish = |number: u16| {
            let topic = format!("sensors/{}/temperature", number % self.topics);
            let packet_id = PacketId::new(number).unwrap_or(PacketId::FIRST);
            feed::publish_in(self.version, Message { topic: &topic, qos: self.qos, retain: false, size: 64 }, packet_id)
        };
        (1..=self.batch).flat_map(publish).collect()
    }

    /// Allocations, and deliveries, which must be as many as are expected.
    fn allocations(self) -> (u64, u64) {
        let mut running = self.begin();
        let before = running.heard();
        let allocations = measure(|| running.speak(ROUNDS)).count_total;
        let heard = running.heard() - before;
        let copies = if self.is_shared { 1 } else { u64::from(self.subscribers) };
        assert_eq!(heard, u64::from(ROUNDS) * u64::from(self.batch) * copies, "every message arrives: {self:?}");
        println!("{self:?}: {allocations} allocations for {heard} deliveries");
        (allocations, heard)
    }
}

impl Running {
    fn speak(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.machine.say(self.publisher, &self.words);
        }
    }

    fn heard(&self) -> u64 {
        self.subscribers.iter().map(|&place| self.machine.tally(place).messages).sum()
    }
}

fn allocates_nothing(case: Case) {
    assert_eq!(case.allocations().0, 0, "{case:?}");
}

#[test]
fn a_qos_0_message_allocates_nothing() {
    allocates_nothing(PLAIN);
    allocates_nothing(Case { version: Version::V5, ..PLAIN });
    allocates_nothing(Case { subscribers: 100, ..PLAIN });
}

/// The memory of delivered mail is used for the next.
#[test]
fn mail_between_shards_allocates_nothing() {
    for (subscribers, batch) in [(1, 100), (1, 1000), (100, 100)] {
        allocates_nothing(Case { shards: 2, subscribers, batch, ..PLAIN });
    }
    allocates_nothing(Case { shards: 2, version: Version::V5, ..PLAIN });
}

#[test]
fn topics_in_turn_that_the_shard_knows_allocate_nothing() {
    for shards in [1, 2] {
        allocates_nothing(Case { shards, topics: BATCH, ..PLAIN });
    }
}

#[test]
fn a_shared_subscription_allocates_nothing() {
    for (shards, version) in [(1, Version::V311), (1, Version::V5), (2, Version::V311)] {
        allocates_nothing(Case { shards, version, subscribers: 10, is_shared: true, ..PLAIN });
    }
    allocates_nothing(Case { subscribers: 10, is_shared: true, topics: BATCH, ..PLAIN });
}

#[test]
fn a_mount_point_qos_1_and_qos_2_have_their_bounds() {
    let below = Case { is_mounted: true, ..PLAIN };
    let (qos_1, qos_2) = (Case { qos: QoS::AtLeastOnce, ..PLAIN }, Case { qos: QoS::ExactlyOnce, ..PLAIN });
    for (case, at_most) in [(below, 1.0), (qos_1, 0.1), (qos_2, 1.1)] {
        let (allocations, messages) = case.allocations();
        let each = allocations as f64 / messages as f64;
        assert!(each <= at_most, "{each} allocations for each message: {case:?}");
    }
}

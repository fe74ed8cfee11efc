//! Steps by which a constant of the broker is chosen: with one value and another, by `sori-bench choices`. Nothing holds them to a number.

use std::io;
use std::sync::Arc;

use sori_mqtt::QoS;

use super::traffic::audience;
use super::{Counting, Prepared, Step};
use crate::feed::{self, HeldIndex, Machine};

pub(super) const STEPS: [Step; 24] = [
    Step::new("sharing-1k-1", "a delivery of 1 KiB to 1, QoS 0", || sharing(1, 1)),
    Step::new("sharing-1k-8", "a delivery of 1 KiB to 8, QoS 0", || sharing(1, 8)),
    Step::new("sharing-1k-100", "a delivery of 1 KiB to 100, QoS 0", || sharing(1, 100)),
    Step::new("sharing-1k-1000", "a delivery of 1 KiB to 1,000, QoS 0", || sharing(1, 1000)),
    Step::new("sharing-2k-1", "a delivery of 2 KiB to 1, QoS 0", || sharing(2, 1)),
    Step::new("sharing-2k-8", "a delivery of 2 KiB to 8, QoS 0", || sharing(2, 8)),
    Step::new("sharing-2k-100", "a delivery of 2 KiB to 100, QoS 0", || sharing(2, 100)),
    Step::new("sharing-2k-1000", "a delivery of 2 KiB to 1,000, QoS 0", || sharing(2, 1000)),
    Step::new("sharing-4k-1", "a delivery of 4 KiB to 1, QoS 0", || sharing(4, 1)),
    Step::new("sharing-4k-8", "a delivery of 4 KiB to 8, QoS 0", || sharing(4, 8)),
    Step::new("sharing-4k-100", "a delivery of 4 KiB to 100, QoS 0", || sharing(4, 100)),
    Step::new("sharing-4k-1000", "a delivery of 4 KiB to 1,000, QoS 0", || sharing(4, 1000)),
    Step::new("sharing-8k-1", "a delivery of 8 KiB to 1, QoS 0", || sharing(8, 1)),
    Step::new("sharing-8k-8", "a delivery of 8 KiB to 8, QoS 0", || sharing(8, 8)),
    Step::new("sharing-8k-100", "a delivery of 8 KiB to 100, QoS 0", || sharing(8, 100)),
    Step::new("sharing-8k-1000", "a delivery of 8 KiB to 1,000, QoS 0", || sharing(8, 1000)),
    Step::new("sharing-16k-1", "a delivery of 16 KiB to 1, QoS 0", || sharing(16, 1)),
    Step::new("sharing-16k-8", "a delivery of 16 KiB to 8, QoS 0", || sharing(16, 8)),
    Step::new("sharing-16k-100", "a delivery of 16 KiB to 100, QoS 0", || sharing(16, 100)),
    Step::new("sharing-16k-1000", "a delivery of 16 KiB to 1,000, QoS 0", || sharing(16, 1000)),
    Step::new("removal", "one of the 10,000 filters of a client that goes", removal),
    Step::new("removal-wait", "all others, while the index is held for some of these", removal_wait).only_counted(),
    Step::new("subscribing", "one of 1,000 filters of a SUBSCRIBE", subscribing),
    Step::new("subscribing-wait", "all others, while the index is held for some of these", subscribing_wait)
        .only_counted(),
];

fn sharing(kibibytes: usize, recipients: u16) -> io::Result<Prepared> {
    let prepared = audience(Machine::new(1)?, QoS::AtMostOnce, 1, recipients, kibibytes << 10)?;
    // A round is one message: as many deliveries as a few rounds to a thousand have, and no more than fit into a minute.
    Ok(Prepared { rounds: (2000 / u32::from(recipients)).clamp(2, 200), ..prepared })
}

fn filters(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("building/{}/{}/+", number / 100, number % 100)).collect()
}

const REMOVED: usize = 10_000;
const SUBSCRIBED: usize = 1000;

/// What is counted of a round.
enum Counted {
    /// What the shards do.
    Everything,
    /// What they do while nobody else gets at the index.
    HeldIndex(Arc<HeldIndex>),
}

impl Counted {
    fn count(&self, machine: &mut Machine, counting: Counting) {
        match self {
            Counted::Everything => machine.count(counting),
            Counted::HeldIndex(index) => index.count(counting),
        }
    }
}

fn removal() -> io::Result<Prepared> {
    Ok(Prepared::large(REMOVED as u64, removals(Machine::new(1)?, Counted::Everything)))
}

fn removal_wait() -> io::Result<Prepared> {
    waiting(1, removals)
}

fn subscribing() -> io::Result<Prepared> {
    Ok(Prepared::large(SUBSCRIBED as u64, subscriptions(Machine::new(2)?, Counted::Everything)))
}

fn subscribing_wait() -> io::Result<Prepared> {
    waiting(2, subscriptions)
}

/// One operation is to hold the index once.
fn waiting<R: FnMut(Counting) + 'static>(shards: u16, rounds: fn(Machine, Counted) -> R) -> io::Result<Prepared> {
    let (machine, index) = Machine::with_held_index(shards)?;
    let mut round = rounds(machine, Counted::HeldIndex(Arc::<HeldIndex>::clone(&index)));
    round(Counting::No);
    Ok(Prepared::large(index.times(), round))
}

/// In each round a client comes, and goes again.
fn removals(mut machine: Machine, counted: Counted) -> impl FnMut(Counting) {
    let filters = filters(REMOVED);
    let subscribes: Vec<Vec<u8>> =
        filters.chunks(1000).map(|filters| feed::subscribe(filters, QoS::AtMostOnce)).collect();
    move |counting| {
        counted.count(&mut machine, Counting::No);
        let visitor = machine.open(0, &feed::connect("visitor"));
        for subscribe in &subscribes {
            machine.say(visitor, subscribe);
        }
        counted.count(&mut machine, counting);
        machine.say(visitor, &feed::disconnect());
    }
}

/// In each round the filters of the last one are taken back, and put in again.
fn subscriptions(mut machine: Machine, counted: Counted) -> impl FnMut(Counting) {
    let filters = filters(SUBSCRIBED);
    let (subscribe, unsubscribe) = (feed::subscribe(&filters, QoS::AtMostOnce), feed::unsubscribe(&filters));
    let subscriber = machine.open(0, &feed::connect("subscriber"));
    move |counting| {
        counted.count(&mut machine, Counting::No);
        machine.say(subscriber, &unsubscribe);
        counted.count(&mut machine, counting);
        machine.say(subscriber, &subscribe);
    }
}

//! Steps by which a constant of the broker is chosen: with one value and another, by `sori-bench choices`. Nothing holds them to a number.

use std::io;

use sori_mqtt::QoS;

use super::traffic::audience;
use super::{Counting, Prepared, Step};
use crate::feed::{self, Machine};

pub(super) const STEPS: [Step; 22] = [
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
    Step::new("subscribing", "one of 1,000 filters of a SUBSCRIBE", subscribing),
];

fn sharing(kibibytes: usize, recipients: u16) -> io::Result<Prepared> {
    let prepared = audience(Machine::new(1)?, QoS::AtMostOnce, 1, recipients, kibibytes << 10)?;
    // A round is one message: as many deliveries as a few rounds to a thousand have, and no more than fit into a minute.
    Ok(Prepared { rounds: (2000 / u32::from(recipients)).clamp(2, 200), ..prepared })
}

fn filters(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("building/{}/{}/+", number / 100, number % 100)).collect()
}

fn removal() -> io::Result<Prepared> {
    let mut machine = Machine::new(1)?;
    let filters = filters(10_000);
    let subscribes: Vec<Vec<u8>> =
        filters.chunks(1000).map(|filters| feed::subscribe(filters, QoS::AtMostOnce)).collect();
    Ok(Prepared::large(filters.len() as u64, move |counting| {
        machine.count(Counting::No);
        let visitor = machine.open(0, &feed::connect("visitor"));
        for subscribe in &subscribes {
            machine.say(visitor, subscribe);
        }
        machine.count(counting);
        machine.say(visitor, &feed::disconnect());
    }))
}

fn subscribing() -> io::Result<Prepared> {
    let mut machine = Machine::new(2)?;
    let filters = filters(1000);
    let (subscribe, unsubscribe) = (feed::subscribe(&filters, QoS::AtMostOnce), feed::unsubscribe(&filters));
    let subscriber = machine.open(0, &feed::connect("subscriber"));
    Ok(Prepared::large(filters.len() as u64, move |counting| {
        machine.count(counting);
        machine.say(subscriber, &subscribe);
        machine.count(Counting::No);
        machine.say(subscriber, &unsubscribe);
    }))
}

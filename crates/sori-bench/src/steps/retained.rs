//! Retained messages: stored, looked up, delivered to a new subscription.

use std::io;

use sori_mqtt::QoS;

use super::{Counting, Prepared, Step};
use crate::feed::{self, Machine, Message, Place};

const FEW: u16 = 1_000;
const MANY: u16 = 20_000;

pub(super) const STEPS: [Step; 4] = [
    Step::new("retained-store", "a retained message that takes the place of one of 1,000", || storing(FEW)),
    Step::new("retained-store-20k", "the same of 20,000", || storing(MANY)),
    Step::new("retained-lookup", "a SUBSCRIBE that finds one of 20,000, and its UNSUBSCRIBE", looking_up),
    Step::new("retained-deliver", "one of 1,000 retained messages for a new subscription", delivering),
];

fn packets(count: u16) -> Vec<Vec<u8>> {
    let topics = (0..count).map(|number| format!("state/{number}"));
    let message =
        |topic: String| feed::publishes(Message { topic: &topic, qos: QoS::AtMostOnce, retain: true, size: 64 }, 1);
    topics.map(message).collect()
}

fn filled(count: u16) -> io::Result<(Machine, Place, Vec<Vec<u8>>)> {
    let mut machine = Machine::new(1)?;
    let publisher = machine.open(0, &feed::connect("publisher"));
    let packets: Vec<Vec<u8>> = packets(count).chunks(100).map(<[Vec<u8>]>::concat).collect();
    for packet in &packets {
        machine.say(publisher, packet);
    }
    Ok((machine, publisher, packets))
}

fn storing(count: u16) -> io::Result<Prepared> {
    let (mut machine, publisher, packets) = filled(count)?;
    Ok(Prepared::large(u64::from(count), move |counting| {
        machine.count(counting);
        for packet in &packets {
            machine.say(publisher, packet);
        }
    }))
}

fn looking_up() -> io::Result<Prepared> {
    let (mut machine, _, _) = filled(MANY)?;
    let subscriber = machine.open(0, &feed::connect("subscriber"));
    Ok(Prepared::new(50, move |counting| {
        for number in 0..50 {
            let filters = [format!("state/{}", number * 397)];
            let (subscribe, unsubscribe) = (feed::subscribe(&filters, QoS::AtMostOnce), feed::unsubscribe(&filters));
            let before = machine.tally(subscriber).messages;
            machine.count(counting);
            machine.say(subscriber, &subscribe);
            machine.say(subscriber, &unsubscribe);
            assert_eq!(machine.tally(subscriber).messages - before, 1, "it is found");
        }
    }))
}

fn delivering() -> io::Result<Prepared> {
    let (mut machine, _, _) = filled(FEW)?;
    let subscriber = machine.open(0, &feed::connect("subscriber"));
    let filters = ["state/+"];
    let (subscribe, unsubscribe) = (feed::subscribe(&filters, QoS::AtMostOnce), feed::unsubscribe(&filters));
    Ok(Prepared::new(u64::from(FEW), move |counting| {
        let before = machine.tally(subscriber).messages;
        machine.count(counting);
        machine.say(subscriber, &subscribe);
        machine.count(Counting::No);
        machine.say(subscriber, &unsubscribe);
        assert_eq!(machine.tally(subscriber).messages - before, u64::from(FEW), "all are delivered");
    }))
}

//! Messages that wait for a client which is away.

use std::io;

use sori_mqtt::QoS;

use super::{Counting, Prepared, Step};
use crate::feed::{self, Machine, Message};

const WAITING: u16 = 1_000;
const BATCH: u16 = 50;

pub(super) const STEPS: [Step; 2] = [
    Step::new("queue-push", "a message, QoS 1, for a client that is away", || waiting(Counted::Push)),
    Step::new("queue-pop", "the same when it comes back, until PUBACK", || waiting(Counted::Pop)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Push,
    Pop,
}

fn waiting(counted: Counted) -> io::Result<Prepared> {
    let mut machine = Machine::new(1)?;
    let connect = feed::connect_again("sleeper");
    let sleeper = machine.open(0, &connect);
    machine.say(sleeper, &feed::subscribe(&["mailbox"], QoS::AtLeastOnce));
    machine.say(sleeper, &feed::disconnect());
    let publisher = machine.open(0, &feed::connect("publisher"));
    let message = Message { topic: "mailbox", qos: QoS::AtLeastOnce, retain: false, size: 64 };
    let publishes = feed::publishes(message, BATCH);
    Ok(Prepared::new(u64::from(WAITING), move |counting| {
        let only = |this| if counted == this { counting } else { Counting::No };
        machine.count(only(Counted::Push));
        for _ in 0..WAITING / BATCH {
            machine.say(publisher, &publishes);
        }
        machine.count(only(Counted::Pop));
        let sleeper = machine.open(0, &connect);
        assert_eq!(machine.tally(sleeper).messages, u64::from(WAITING), "all have waited");
        machine.count(Counting::No);
        machine.say(sleeper, &feed::disconnect());
    }))
}

//! Sessions with so much that they are written down in many turns, while everything of them changes.

use super::broker::{Broker, Client};
use super::on_disk::{kept, number_of, numbered, read_all, recorded, waits_offline};
use super::random::Random;
use super::wire::{Kind, Version, pubcomp, publish, pubrec, pubrel, subscribe, unsubscribe};
use std::collections::{BTreeMap, BTreeSet};

/// A client, and what its session must have.
struct Large {
    random: Random,
    client: Client,
    publisher: Client,
    /// With their QoS.
    filters: BTreeMap<String, u8>,
    /// Numbers of messages that the client has got and not acknowledged, by packet identifier.
    owed: Vec<(u16, u16)>,
    numbers: u16,
    /// Packet identifiers, and numbers of the messages.
    unreleased: Vec<(u16, u16)>,
    last_id: u16,
    released: BTreeSet<u16>,
}

/// One of so many filters, each of more than 100 bytes.
const FILTERS: u64 = 1500;

fn filter(number: u64) -> String {
    let share = if number.is_multiple_of(3) { "$share/group/" } else { "" };
    format!("{share}{}/{number}", "a long way ".repeat(10))
}

impl Large {
    fn new(broker: &Broker, seed: u64) -> Large {
        let (mut client, publisher) = (broker.connect(kept("large")), broker.connect(kept("publisher")));
        client.subscribe("t", 1);
        let (filters, owed) = ([(String::from("t"), 1)].into(), Vec::new());
        let (unreleased, released) = (Vec::new(), BTreeSet::new());
        let random = Random(seed + 1);
        Large { random, client, publisher, filters, owed, numbers: 0, unreleased, last_id: 100, released }
    }

    fn subscribe(&mut self, numbers: impl Iterator<Item = u64>) {
        let mut packet = subscribe(1);
        for number in numbers {
            let qos = self.random.below(3) as u8;
            packet = packet.filter(filter(number), qos);
            self.filters.insert(filter(number), qos);
        }
        self.client.send(packet);
        assert_eq!(self.next(Kind::SubAck).0, Some(1));
    }

    fn unsubscribe(&mut self, numbers: impl Iterator<Item = u64>) {
        let mut packet = unsubscribe(1);
        for number in numbers {
            packet = packet.filter(filter(number), 0);
            self.filters.remove(&filter(number));
        }
        self.client.send(packet);
        assert_eq!(self.next(Kind::UnsubAck).0, Some(1));
    }

    /// The next packet of this kind: its identifier, and the number that it bears.
    fn next(&mut self, kind: Kind) -> (Option<u16>, u16) {
        let packet = self.client.receive();
        assert_eq!(packet.kind, kind);
        let number = if kind == Kind::Publish { number_of(&packet) } else { 0 };
        (packet.id, number)
    }

    fn get(&mut self, count: u16) {
        for _ in 0..count {
            self.publisher.publish(numbered("t", self.numbers, 2).qos(1));
            self.numbers += 1;
            let (id, number) = self.next(Kind::Publish);
            self.owed.push((id.expect("QoS 1"), number));
        }
    }

    fn acknowledge(&mut self, count: usize) {
        for _ in 0..count.min(self.owed.len()) {
            let at = self.random.below(self.owed.len() as u64) as usize;
            let (id, _) = self.owed.remove(at);
            self.client.send(super::wire::puback(id));
        }
    }

    fn send(&mut self, count: u16) {
        for _ in 0..count {
            self.last_id += 1;
            self.client.send(numbered("released", self.last_id, 2).qos(2).id(self.last_id));
            self.client.expect(pubrec(self.last_id));
            self.unreleased.push((self.last_id, self.last_id));
        }
    }

    /// Against the rules the client uses an identifier once more before it releases it: that is another message.
    fn send_others(&mut self, count: u16) {
        for _ in 0..count {
            let at = self.random.below(self.unreleased.len() as u64) as usize;
            let (id, number) = &mut self.unreleased[at];
            *number = number.wrapping_add(5_000);
            self.client.send(numbered("released", *number, 2).qos(2).id(*id));
            self.client.expect(pubrec(*id));
        }
    }

    fn release(&mut self, count: usize) {
        for _ in 0..count.min(self.unreleased.len()) {
            let at = self.random.below(self.unreleased.len() as u64) as usize;
            let (id, number) = self.unreleased.remove(at);
            self.client.send(pubrel(id));
            self.client.expect(pubcomp(id));
            self.released.insert(number);
        }
    }

    fn change(&mut self) {
        let first = self.random.below(FILTERS);
        self.subscribe((first..first + 60).map(|number| number % (2 * FILTERS)));
        let first = self.random.below(FILTERS);
        self.unsubscribe(first..first + 30);
        self.get(20);
        self.acknowledge(40);
        self.send(20);
        self.send_others(10);
        self.release(40);
    }

    fn reconnect(&mut self, broker: &Broker) {
        self.client = broker.connect(kept("large"));
        assert!(self.client.session_present());
        for (id, number) in self.owed.clone() {
            assert_eq!(self.next(Kind::Publish), (Some(id), number), "in the order of sending");
        }
    }

    fn check(mut self, broker: &Broker) {
        let found = broker.world().subscriptions("large");
        let found: BTreeMap<String, u8> =
            found.into_iter().map(|(filter, options, _)| (filter, options.qos as u8)).collect();
        assert!(found == self.filters, "{} filters, {} expected", found.len(), self.filters.len());
        self.reconnect(broker);
        self.acknowledge(usize::MAX);
        self.release(usize::MAX);
        self.client.expect_nothing();
        // What was still to be released would be published now.
        broker.connect(kept("large").clean(true));
        let mut reader = broker.connect(kept("reader"));
        let numbers = read_all(&mut reader);
        assert_eq!(numbers.len(), self.released.len());
        assert_eq!(numbers.into_iter().collect::<BTreeSet<u16>>(), self.released);
    }
}

/// Whatever is recorded between the parts, they add up to what the session has in the end.
#[test]
fn a_large_session_that_changes_while_it_is_written_down_survives_a_power_cut() {
    let setup = recorded().settings(|settings| {
        settings.inflight_messages_max = 0;
        settings.queued_messages_max = 0;
    });
    for seed in 0..2 {
        let broker = setup.broker(1 + seed as u16 % 2);
        waits_offline(&broker, &kept("reader"), "released");
        let mut large = Large::new(&broker, seed);
        for first in (0..FILTERS).step_by(100) {
            large.subscribe(first..first + 100);
        }
        large.get(2200);
        large.send(3200);
        broker.world().hold_turns(true);
        broker.world().checkpoint();
        let mut turns = 0;
        while broker.world().go_on() {
            large.change();
            turns += 1;
            if turns % 4 == 3 {
                large.client.cut();
                large.reconnect(&broker);
            }
        }
        assert!(turns > 4, "{turns} turns");
        broker.world().hold_turns(false);
        large.change();
        broker.world().power_cut();
        large.publisher = broker.connect(kept("publisher"));
        large.check(&broker);
    }
}

/// The session ends before all of it is written down, and another one of the same client takes its place.
#[test]
fn a_large_session_that_ends_while_it_is_written_down_does_not_come_back() {
    let broker = recorded().broker(1);
    let mut large = Large::new(&broker, 1);
    for first in (0..FILTERS).step_by(100) {
        large.subscribe(first..first + 100);
    }
    broker.world().hold_turns(true);
    broker.world().checkpoint();
    assert!(broker.world().go_on());
    assert_eq!(broker.connect(kept("large").clean(true)).version(), Version::V5);
    large.client = broker.connect(kept("large"));
    large.filters.clear();
    large.subscribe(7..9);
    broker.world().hold_turns(false);
    broker.world().power_cut();
    let found = broker.world().subscriptions("large");
    assert_eq!(found.iter().map(|(filter, ..)| filter).collect::<Vec<_>>(), large.filters.keys().collect::<Vec<_>>());
    let mut client = broker.connect(kept("large"));
    broker.connect(kept("publisher")).publish(publish("t").qos(1));
    client.expect_nothing();
}

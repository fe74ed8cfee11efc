//! Messages from client to client through whole shards.

use std::io;

use sori_mqtt::QoS;

use super::{Prepared, Step};
use crate::feed::{self, Machine, Message, Place};

/// Publishers, and as many subscribers.
const PAIRS: u16 = 10;
/// Messages that one publisher says at once.
const BATCH: u16 = 50;
const AUDIENCE: u16 = 1000;
/// The topic of one publisher and many subscribers.
const NEWS: &str = "news/today";
/// As many as a shard remembers.
const TOPICS: u16 = 1000;
/// Publishers with one subscriber.
const CROWD: u16 = 100;

pub(super) const STEPS: [Step; 20] = [
    Step::new("p2p-q0-local", "a message, QoS 0, both clients on one shard", || p2p(QoS::AtMostOnce, Way::Local, 64)),
    Step::new("p2p-q1-local", "the same with QoS 1", || p2p(QoS::AtLeastOnce, Way::Local, 64)),
    Step::new("p2p-q2-local", "the same with QoS 2", || p2p(QoS::ExactlyOnce, Way::Local, 64)),
    Step::new("p2p-q0-cross", "a message, QoS 0, from one shard to another", || p2p(QoS::AtMostOnce, Way::Cross, 64)),
    Step::new("p2p-q1-cross", "the same with QoS 1", || p2p(QoS::AtLeastOnce, Way::Cross, 64)),
    Step::new("p2p-q2-cross", "the same with QoS 2", || p2p(QoS::ExactlyOnce, Way::Cross, 64)),
    Step::new("p2p-q0-1k-local", "QoS 0, 1 KiB, one shard", || p2p(QoS::AtMostOnce, Way::Local, 1024)),
    Step::new("p2p-q0-1k-cross", "QoS 0, 1 KiB, two shards", || p2p(QoS::AtMostOnce, Way::Cross, 1024)),
    Step::new("p2p-q1-recorded", "QoS 1 for a session that is kept: the record as well", recorded),
    Step::new("single-q0", "a message, QoS 0, alone in its turn", || single(QoS::AtMostOnce, Way::Local)),
    Step::new("single-q1", "the same with QoS 1", || single(QoS::AtLeastOnce, Way::Local)),
    Step::new("single-q1-cross", "the same from one shard to another", || single(QoS::AtLeastOnce, Way::Cross)),
    Step::new("fanout-q0", "a delivery of a message for 1,000, QoS 0", || fanout(QoS::AtMostOnce, 1)),
    Step::new("fanout-q1", "the same with QoS 1", || fanout(QoS::AtLeastOnce, 1)),
    Step::new("fanout-q0-2-shards", "QoS 0, half of the 1,000 on each of two shards", || fanout(QoS::AtMostOnce, 2)),
    Step::new("fanin-q1", "a message of 100 publishers to one, QoS 1", fanin),
    Step::new("p2p-q0-acl", "a message, QoS 0, one shard, an acl_file of 20 rules", || {
        pairs(Machine::with_rules(1, &rules("sensors/+/temperature"))?, QoS::AtMostOnce, 0, 64)
    }),
    Step::new("fanout-q0-acl", "a delivery of a message for 100, QoS 0, an acl_file of 20 rules", || {
        audience(Machine::with_rules(1, &rules("news/+"))?, QoS::AtMostOnce, 1, 100, 64)
    }),
    Step::new("share-1k", "a message, QoS 0, for one of 1,000 members of a shared subscription", shared_by_one_topic),
    Step::new("share-1k-known", "the same with 1,000 topics in turn that the shard remembers", shared_by_many_topics),
];

#[derive(Clone, Copy)]
enum Way {
    Local,
    Cross,
}

impl Way {
    /// How many shards there are, and where the subscriber of a publisher on shard 0 is.
    fn shards(self) -> (u16, u16) {
        match self {
            Way::Local => (1, 0),
            Way::Cross => (2, 1),
        }
    }
}

/// Somebody who says the same again and again.
struct Publisher {
    place: Place,
    words: Vec<u8>,
}

fn publisher(machine: &mut Machine, number: u16, message: Message<'_>, count: u16) -> Publisher {
    let place = machine.open(0, &feed::connect(&format!("publisher-{number}")));
    Publisher { place, words: feed::publishes(message, count) }
}

fn subscriber(machine: &mut Machine, shard: u16, number: u16, filter: &str, qos: QoS) -> Place {
    let place = machine.open(shard, &feed::connect(&format!("subscriber-{number}")));
    machine.say(place, &feed::subscribe(&[filter], qos));
    place
}

/// All publishers speak in one turn, then everything that follows happens.
fn speaking(mut machine: Machine, publishers: Vec<Publisher>, subscribers: Vec<Place>, messages: u64) -> Prepared {
    let deliveries = messages;
    Prepared::new(deliveries, move |counting| {
        let heard = |machine: &Machine| subscribers.iter().map(|&place| machine.tally(place).messages).sum::<u64>();
        let before = heard(&machine);
        machine.count(counting);
        for publisher in &publishers {
            machine.hand_over(publisher.place, &publisher.words);
        }
        machine.settle();
        assert_eq!(heard(&machine) - before, deliveries, "every message arrives");
    })
}

fn p2p(qos: QoS, way: Way, size: usize) -> io::Result<Prepared> {
    let (shards, there) = way.shards();
    pairs(Machine::new(shards)?, qos, there, size)
}

/// The subscribers are on shard `there`.
fn pairs(mut machine: Machine, qos: QoS, there: u16, size: usize) -> io::Result<Prepared> {
    let (mut publishers, mut subscribers) = (Vec::new(), Vec::new());
    for number in 0..PAIRS {
        let topic = format!("sensors/{number}/temperature");
        subscribers.push(subscriber(&mut machine, there, number, &topic, qos));
        let message = Message { topic: &topic, qos, retain: false, size };
        publishers.push(publisher(&mut machine, number, message, BATCH));
    }
    Ok(speaking(machine, publishers, subscribers, u64::from(PAIRS) * u64::from(BATCH)))
}

fn recorded() -> io::Result<Prepared> {
    let mut machine = Machine::recording(1)?;
    let (mut publishers, mut subscribers) = (Vec::new(), Vec::new());
    for number in 0..PAIRS {
        let topic = format!("sensors/{number}/temperature");
        let place = machine.open(0, &feed::connect_again(&format!("subscriber-{number}")));
        machine.say(place, &feed::subscribe(&[&topic], QoS::AtLeastOnce));
        subscribers.push(place);
        let message = Message { topic: &topic, qos: QoS::AtLeastOnce, retain: false, size: 64 };
        publishers.push(publisher(&mut machine, number, message, BATCH));
    }
    Ok(speaking(machine, publishers, subscribers, u64::from(PAIRS) * u64::from(BATCH)))
}

fn single(qos: QoS, way: Way) -> io::Result<Prepared> {
    let (shards, there) = way.shards();
    let mut machine = Machine::new(shards)?;
    let topic = "sensors/1/temperature";
    let subscriber = subscriber(&mut machine, there, 1, topic, qos);
    let message = Message { topic, qos, retain: false, size: 64 };
    let publisher = publisher(&mut machine, 1, message, 1);
    let mut one = speaking(machine, vec![publisher], vec![subscriber], 1);
    Ok(Prepared::new(u64::from(BATCH), move |counting| {
        for _ in 0..BATCH {
            one.round(counting);
        }
    }))
}

fn fanout(qos: QoS, shards: u16) -> io::Result<Prepared> {
    audience(Machine::new(shards)?, qos, shards, AUDIENCE, 64)
}

/// One publisher, and so many subscribers on all shards.
pub(super) fn audience(
    mut machine: Machine,
    qos: QoS,
    shards: u16,
    audience: u16,
    size: usize,
) -> io::Result<Prepared> {
    let subscribers =
        (0..audience).map(|number| subscriber(&mut machine, number % shards, number, NEWS, qos)).collect();
    let message = Message { topic: NEWS, qos, retain: false, size };
    let publisher = publisher(&mut machine, 0, message, 1);
    Ok(speaking(machine, vec![publisher], subscribers, u64::from(audience)))
}

/// Twenty filters, of which the last one is that which matters.
fn rules(last: &str) -> Vec<String> {
    (1..20).map(|number| format!("building/{number}/#")).chain([last.to_owned()]).collect()
}

/// One of a thousand gets each message of a batch.
fn shared(filter: &str, batch: &[u8], messages: u16) -> io::Result<Prepared> {
    let mut machine = Machine::new(1)?;
    let filter = format!("$share/readers/{filter}");
    let members = (0..AUDIENCE).map(|number| subscriber(&mut machine, 0, number, &filter, QoS::AtMostOnce)).collect();
    let place = machine.open(0, &feed::connect("publisher-0"));
    let publisher = Publisher { place, words: batch.to_vec() };
    Ok(speaking(machine, vec![publisher], members, u64::from(messages)))
}

fn shared_by_one_topic() -> io::Result<Prepared> {
    let message = Message { topic: NEWS, qos: QoS::AtMostOnce, retain: false, size: 64 };
    shared(NEWS, &feed::publishes(message, BATCH), BATCH)
}

fn shared_by_many_topics() -> io::Result<Prepared> {
    let publish = |number: u16| {
        let topic = format!("news/{number}");
        feed::publishes(Message { topic: &topic, qos: QoS::AtMostOnce, retain: false, size: 64 }, 1)
    };
    shared("news/+", &(0..TOPICS).flat_map(publish).collect::<Vec<u8>>(), TOPICS)
}

fn fanin() -> io::Result<Prepared> {
    let mut machine = Machine::new(1)?;
    let qos = QoS::AtLeastOnce;
    let subscriber = subscriber(&mut machine, 0, 0, "sensors/+/temperature", qos);
    let mut publishers = Vec::new();
    for number in 0..CROWD {
        let topic = format!("sensors/{number}/temperature");
        publishers.push(publisher(&mut machine, number, Message { topic: &topic, qos, retain: false, size: 64 }, 1));
    }
    Ok(speaking(machine, publishers, vec![subscriber], u64::from(CROWD)))
}

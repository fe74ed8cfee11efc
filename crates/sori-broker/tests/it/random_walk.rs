//! Publishers and subscribers that do at random what clients do, and lose their connections at random, on one seed
//! after the other. At the end everything has arrived: QoS 1 at least once, QoS 2 exactly once, each in order; each will
//! that was due, once; and the retained messages are the last ones. `SORI_WALKS=1000` walks longer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::broker::{Broker, Client, everywhere, setup};
use super::random::Random;
use super::wire::{Kind, Packet, puback, pubcomp, publish, pubrec, pubrel, v5, v311};

/// A client with a session, which keeps its side of the session while it is away.
struct Walker<'a> {
    broker: &'a Broker,
    connect: Packet,
    client: Option<Client>,
    /// The numbers that its wills bear: one for each connection, if it has wills at all.
    wills: Option<std::ops::RangeFrom<u32>>,
    will: Option<u32>,
    /// The wills that must have been published.
    due_wills: Vec<u32>,
}

impl<'a> Walker<'a> {
    fn new(broker: &'a Broker, connect: Packet, wills: Option<std::ops::RangeFrom<u32>>) -> Walker<'a> {
        Walker { broker, connect: connect.clean(false), client: None, wills, will: None, due_wills: Vec::new() }
    }

    fn connected(&mut self) -> Client {
        self.will = self.wills.as_mut().and_then(Iterator::next);
        let connect = self.connect.clone();
        self.broker.connect(match self.will {
            Some(number) => connect.will(publish("w").payload(number.to_be_bytes()).qos(2)),
            None => connect,
        })
    }

    fn come(&mut self) -> bool {
        let is_away = self.client.is_none();
        if is_away {
            self.client = Some(self.connected());
        }
        is_away
    }

    /// The broker's machine has failed.
    fn lose(&mut self) {
        self.due_wills.extend(self.will.take());
        self.client = None;
    }

    /// The connection is lost: by the network, some bytes into a packet, or because a new one takes its place.
    fn go(&mut self, how: u64) {
        let Some(mut client) = self.client.take() else { return };
        match how {
            0 => client.cut(),
            1 => {
                client.send_bytes(&[0x32, 0x10, 0, 3]);
                client.cut();
            }
            _ => {
                // Back in its session at once: the will of the old connection is not published.
                let new = self.connected();
                assert!(client.is_closed(), "two owners of one client identifier");
                self.client = Some(new);
                return;
            }
        }
        self.due_wills.extend(self.will.take());
    }
}

/// A message that the publisher has not finished yet.
struct Unfinished {
    packet: Packet,
    is_released: bool,
}

struct Publisher<'a> {
    walker: Walker<'a>,
    name: u8,
    unfinished: Vec<Unfinished>,
    next_id: u16,
    /// The number of the next message of each QoS.
    next: [u32; 3],
}

impl Publisher<'_> {
    fn come(&mut self) {
        if self.walker.come() {
            self.resend();
        }
    }

    fn go(&mut self, how: u64) {
        self.walker.go(how);
        self.resend();
    }

    fn resend(&mut self) {
        let Some(client) = &mut self.walker.client else { return };
        for message in &self.unfinished {
            let id = message.packet.id.unwrap();
            client.send(if message.is_released { pubrel(id) } else { message.packet.clone().dup() });
        }
    }

    fn publish(&mut self, qos: u8) {
        let Some(client) = &mut self.walker.client else { return };
        let number = self.next[usize::from(qos)];
        let mut packet = publish(format!("t/{}", self.name)).payload(number.to_be_bytes()).qos(qos);
        packet.retain = qos == 1;
        if qos > 0 {
            packet = packet.id(self.next_id);
            self.next_id += 1;
            self.unfinished.push(Unfinished { packet: packet.clone(), is_released: false });
        }
        self.next[usize::from(qos)] += 1;
        client.send(packet);
    }

    fn read(&mut self) {
        let Some(client) = &mut self.walker.client else { return };
        for answer in client.drain() {
            let id = answer.id;
            match answer.kind {
                Kind::PubAck | Kind::PubComp => self.unfinished.retain(|message| message.packet.id != id),
                Kind::PubRec => {
                    let message = self.unfinished.iter_mut().find(|message| message.packet.id == id);
                    message.expect("a PUBREC for a message of mine").is_released = true;
                    client.send(pubrel(id.unwrap()));
                }
                _ => panic!("unexpected {answer}"),
            }
        }
    }
}

struct Subscriber<'a> {
    walker: Walker<'a>,
    /// Acknowledgements that are due.
    due: VecDeque<Packet>,
    /// QoS 2 identifiers that wait for their PUBREL.
    unreleased: BTreeSet<u16>,
    /// Numbers received, in order, by publisher and QoS.
    received: BTreeMap<(Vec<u8>, u8), Vec<u32>>,
}

impl Subscriber<'_> {
    fn read(&mut self) {
        let Some(client) = &mut self.walker.client else { return };
        for packet in client.drain() {
            let id = packet.id.unwrap_or(0);
            match (packet.kind, packet.qos) {
                (Kind::PubRel, _) => {
                    self.unreleased.remove(&id);
                    self.due.push_back(pubcomp(id));
                    continue;
                }
                (Kind::Publish, 0) => {}
                (Kind::Publish, 1) => self.due.push_back(puback(id)),
                (Kind::Publish, _) => {
                    self.due.push_back(pubrec(id));
                    if !self.unreleased.insert(id) {
                        assert!(packet.dup, "a new message under an unreleased identifier: {packet}");
                        continue;
                    }
                }
                _ => panic!("unexpected {packet}"),
            }
            let number = u32::from_be_bytes(packet.payload.as_slice().try_into().unwrap());
            self.received.entry((packet.topic.clone(), packet.qos)).or_default().push(number);
        }
    }

    fn acknowledge(&mut self, count: u64) {
        let Some(client) = &mut self.walker.client else { return };
        for _ in 0..count {
            let Some(packet) = self.due.pop_front() else { return };
            client.send(packet);
        }
    }

    fn go(&mut self, how: u64) {
        self.walker.go(how);
        self.due.clear();
    }
}

/// All that is kept, which a crash must not change.
fn kept(broker: &Broker) -> [u64; 4] {
    let totals = broker.totals();
    [totals.sessions, totals.queued, totals.queued_bytes, totals.inflight]
}

fn walk(broker: &Broker, seed: u64, crashes: bool) {
    let mut random = Random(seed * 0x9E37_79B9 + 1);
    let mut publishers: Vec<Publisher<'_>> = [v5("p0").session_expiry(100_000), v311("p1")]
        .into_iter()
        .zip(0..)
        .map(|(connect, name)| {
            let walker = Walker::new(broker, connect, Some(u32::from(name) * 1_000_000..));
            Publisher { walker, name, unfinished: Vec::new(), next_id: 1, next: [0; 3] }
        })
        .collect();
    let connects = [
        v5("s0").session_expiry(100_000),
        v5("s1").session_expiry(100_000).receive_maximum(3).topic_alias_maximum(0),
        v311("s2"),
    ];
    let mut subscribers: Vec<Subscriber<'_>> = connects
        .into_iter()
        .map(|connect| {
            let mut walker = Walker::new(broker, connect, None);
            walker.come();
            let client = walker.client.as_mut().unwrap();
            client.subscribe("t/+", 2);
            client.subscribe("w", 2);
            Subscriber { walker, due: VecDeque::new(), unreleased: BTreeSet::new(), received: BTreeMap::new() }
        })
        .collect();
    for _ in 0..500 {
        let publisher = &mut publishers[random.below(2) as usize];
        match random.below(10) {
            0 => publisher.go(random.below(3)),
            1..=5 => {
                publisher.come();
                publisher.publish(random.below(3) as u8);
            }
            _ => publisher.read(),
        }
        let subscriber = &mut subscribers[random.below(3) as usize];
        match random.below(12) {
            0 => subscriber.go(random.below(3)),
            1 | 2 => _ = subscriber.walker.come(),
            3..=6 => subscriber.read(),
            _ => subscriber.acknowledge(random.below(6)),
        }
        broker.millis(random.below(50));
        if crashes && random.below(30) == 0 {
            let before = kept(broker);
            broker.crash();
            // A publisher that was connected leaves a will, which is queued with the rest.
            if publishers.iter().all(|publisher| publisher.walker.client.is_none()) {
                assert_eq!(kept(broker), before, "seed {seed}: sessions, queued, their bytes, in flight");
            }
            for publisher in &mut publishers {
                publisher.walker.lose();
            }
            for subscriber in &mut subscribers {
                subscriber.walker.lose();
                subscriber.due.clear();
            }
        }
    }
    for _ in 0..600 {
        for publisher in &mut publishers {
            publisher.come();
            publisher.read();
        }
        for subscriber in &mut subscribers {
            subscriber.walker.come();
            subscriber.read();
            subscriber.acknowledge(100);
        }
    }
    let mut wills: Vec<u32> = publishers.iter().flat_map(|publisher| publisher.walker.due_wills.clone()).collect();
    wills.sort_unstable();
    for (position, subscriber) in subscribers.iter().enumerate() {
        let mut received = subscriber.received.get(&(b"w".to_vec(), 2)).cloned().unwrap_or_default();
        received.sort_unstable();
        assert_eq!(received, wills, "seed {seed}: the wills that subscriber {position} got");
    }
    for publisher in &publishers {
        if let Some(last) = publisher.next[1].checked_sub(1) {
            let mut late = broker.connect(v5("late"));
            late.subscribe(format!("t/{}", publisher.name), 0);
            let retained = late.receive();
            assert_eq!((retained.payload, retained.retain), (last.to_be_bytes().to_vec(), true), "seed {seed}");
            late.cut();
        }
        assert!(publisher.unfinished.is_empty(), "{} messages unfinished", publisher.unfinished.len());
        for (position, subscriber) in subscribers.iter().enumerate() {
            for qos in 0..3_u8 {
                let key = (format!("t/{}", publisher.name).into_bytes(), qos);
                let received = subscriber.received.get(&key).cloned().unwrap_or_default();
                let all: Vec<u32> = (0..publisher.next[usize::from(qos)]).collect();
                let mut first_times: Vec<u32> = Vec::new();
                for number in &received {
                    if !first_times.contains(number) {
                        first_times.push(*number);
                    }
                }
                let who = format!("seed {seed}: subscriber {position}, publisher {}, QoS {qos}", publisher.name);
                match qos {
                    0 => assert!(received.is_sorted() && received.len() == first_times.len(), "{who}: {received:?}"),
                    1 => assert_eq!(first_times, all, "{who}"),
                    _ => assert_eq!(received, all, "{who}"),
                }
            }
        }
    }
}

/// Eight, or as many as the environment variable SORI_WALKS says.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let count = std::env::var("SORI_WALKS").ok().and_then(|count| count.parse().ok());
    1..=count.unwrap_or(8)
}

#[test]
fn random_walks_lose_nothing_double_nothing_and_keep_the_order() {
    for seed in seeds() {
        everywhere(|broker| walk(broker, seed, false));
    }
}

/// Nothing that was acknowledged is lost with the memory of the broker, nothing of QoS 2 comes twice.
#[test]
fn random_walks_survive_crashes() {
    for seed in seeds() {
        setup().settings(|settings| settings.keeps_records = true).run(|broker| walk(broker, seed, true));
    }
}

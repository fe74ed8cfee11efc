//! A checkpoint in the middle of everything: shards whose records go into a list of bytes, clients that publish,
//! subscribe, acknowledge, come and go, in any order. What is recorded since a checkpoint began must add up to the same as
//! what was recorded since the beginning.

#![allow(clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::arc_with_non_send_sync, reason = "shards want an Arc, and this is one thread")]

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;
use sori_mqtt::{Direction, Packet, PacketId, QoS, Split, Version, decode, split};

use super::{BASE, blob_at};
use crate::access::OpenAccess;
use crate::event::{Cause, Effect};
use crate::ids::{ConnectionId, ShardId};
use crate::mail::Mail;
use crate::memory::MemoryUse;
use crate::offline::{PlainDelivery, PlainMessage, PlainSession};
use crate::record::{CheckpointOrder, Records, RecordsStep};
use crate::recovered::Recovered;
use crate::settings::{ListenerSettings, Settings};
use crate::shard::Shard;
use crate::space::PlainSpace;
use crate::time::Time;

const CLIENTS: usize = 6;
const SHARDS: u16 = 2;
const TOPICS: u8 = 3;
const OTHERS: u8 = 30;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Deed {
    Connect {
        client: usize,
        clean: bool,
        has_will: bool,
    },
    Cut(usize),
    Leave(usize),
    Subscribe {
        client: usize,
        topic: u8,
        qos: u8,
        is_shared: bool,
    },
    Unsubscribe {
        client: usize,
        topic: u8,
    },
    /// Filters of which no message is spoken, so many that they are not written down in one turn.
    SubscribeToOthers {
        client: usize,
        first: u8,
        count: u8,
        qos: u8,
    },
    UnsubscribeFromOthers {
        client: usize,
        first: u8,
        count: u8,
    },
    Publish {
        client: usize,
        topic: u8,
        qos: u8,
        retain: bool,
        count: u8,
    },
    /// The client's PUBREL for the oldest that it has not sent yet.
    Release(usize),
    /// The client answers so many packets that it got.
    Answer(usize, u8),
    /// A shard takes the mail that lies there.
    Mail(u16),
    /// A shard goes on with what it has to do.
    Tick(u16),
    /// Everything that was handed over is durable.
    Durable,
    /// A shard hears of the checkpoint, if there is one.
    Begin(u16),
    /// A new checkpoint begins, if none runs.
    Checkpoint,
}

fn deed() -> impl Strategy<Value = Deed> {
    let client = 0..CLIENTS;
    prop_oneof![
        2 => (client.clone(), prop::bool::weighted(0.2), any::<bool>())
            .prop_map(|(client, clean, has_will)| Deed::Connect { client, clean, has_will }),
        1 => client.clone().prop_map(Deed::Cut),
        1 => client.clone().prop_map(Deed::Leave),
        2 => (client.clone(), 0..=TOPICS, 0..3_u8, prop::bool::weighted(0.3))
            .prop_map(|(client, topic, qos, is_shared)| Deed::Subscribe { client, topic, qos, is_shared }),
        1 => (client.clone(), 0..TOPICS).prop_map(|(client, topic)| Deed::Unsubscribe { client, topic }),
        2 => (client.clone(), 0..OTHERS, 1..OTHERS, 0..3_u8)
            .prop_map(|(client, first, count, qos)| Deed::SubscribeToOthers { client, first, count, qos }),
        1 => (client.clone(), 0..OTHERS, 1..OTHERS)
            .prop_map(|(client, first, count)| Deed::UnsubscribeFromOthers { client, first, count }),
        4 => (client.clone(), 0..TOPICS, 0..3_u8, prop::bool::weighted(0.2), 1..40_u8)
            .prop_map(|(client, topic, qos, retain, count)| Deed::Publish { client, topic, qos, retain, count }),
        2 => client.clone().prop_map(Deed::Release),
        4 => (client, 1..30_u8).prop_map(|(client, count)| Deed::Answer(client, count)),
        3 => (0..SHARDS).prop_map(Deed::Mail),
        5 => (0..SHARDS).prop_map(Deed::Tick),
        2 => Just(Deed::Durable),
        4 => (0..SHARDS).prop_map(Deed::Begin),
        1 => Just(Deed::Checkpoint),
    ]
}

#[derive(Default)]
struct Client {
    connection: Option<ConnectionId>,
    output: Vec<u8>,
    last_id: u16,
    unreleased: VecDeque<u16>,
}

struct Running {
    number: u64,
    begin: usize,
    untold: Vec<u16>,
    walked: Vec<u16>,
    passed: Vec<u16>,
}

struct Machine {
    shards: Vec<Shard>,
    inboxes: Vec<VecDeque<Mail>>,
    clients: Vec<Client>,
    listener: Arc<ListenerSettings>,
    log: Vec<u8>,
    waiting: VecDeque<(u16, usize, Records)>,
    running: Option<Running>,
    checkpoints: u64,
    /// Where the last checkpoint that is complete began.
    begin: usize,
    published: u32,
    now: Time,
}

impl Machine {
    fn new() -> Machine {
        let settings =
            Settings { keeps_records: true, inflight_messages_max: 20, queued_messages_max: 60, ..Settings::default() };
        let (settings, space) = (Arc::new(settings), Arc::new(PlainSpace::default()));
        let shard = |id| {
            let (settings, access) = (Arc::clone(&settings), Arc::new(OpenAccess));
            Shard::new(ShardId(id), SHARDS, settings, space.clone(), access, u64::from(id), Time(1000))
        };
        let mut shards: Vec<Shard> = (0..SHARDS).map(shard).collect();
        shards[0].begin_run(0);
        let mut machine = Machine {
            shards,
            inboxes: (0..SHARDS).map(|_| VecDeque::new()).collect(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            listener: Arc::new(ListenerSettings::default()),
            log: Vec::new(),
            waiting: VecDeque::new(),
            running: None,
            checkpoints: 0,
            begin: 0,
            published: 0,
            now: Time(1000),
        };
        machine.finish_turn(0);
        for client in 0..CLIENTS {
            machine.do_it(&Deed::Connect { client, clean: false, has_will: client == 0 });
            let topic = client as u8 % TOPICS;
            machine.do_it(&Deed::Subscribe { client, topic, qos: 1 + client as u8 % 2, is_shared: client == 5 });
        }
        machine
    }

    /// The shard that a client always comes by.
    fn home(client: usize) -> u16 {
        client as u16 % SHARDS
    }

    fn send(&mut self, client: usize, bytes: &[u8]) {
        let home = Machine::home(client);
        let Some(connection) = self.clients[client].connection else { return };
        self.shards[usize::from(home)].receive(self.now, connection, bytes);
        self.finish_turn(home);
    }

    fn do_it(&mut self, deed: &Deed) {
        self.now = self.now.plus_millis(1);
        match *deed {
            Deed::Connect { client, clean, has_will } => self.connect(client, clean, has_will),
            Deed::Cut(client) => {
                let home = Machine::home(client);
                if let Some(connection) = self.clients[client].connection.take() {
                    self.shards[usize::from(home)].closed(self.now, connection, Cause::Network("cut".into()));
                    self.finish_turn(home);
                }
            }
            Deed::Leave(client) => self.send(client, &[0xE0, 0]),
            Deed::Subscribe { client, topic, qos, is_shared } => {
                // One more than there are topics: all of them, beside the others.
                let filter = if topic < TOPICS { format!("t{topic}") } else { String::from("+") };
                let filter = if is_shared { format!("$share/g/{filter}") } else { filter };
                let mut body = Vec::from([0, 1, 0, filter.len() as u8]);
                body.extend(filter.bytes().chain([qos]));
                self.send_packet(client, 0x82, &body);
            }
            Deed::Unsubscribe { client, topic } => {
                self.send_packet(client, 0xA2, &[0, 1, 0, 2, b't', b'0' + topic]);
            }
            Deed::SubscribeToOthers { client, first, count, qos } => {
                let filter = |number| [0, 3, b'o', b'0' + number / 10, b'0' + number % 10, qos];
                let filters = (first..first + count).map(|number| filter(number % OTHERS));
                self.send_packet(client, 0x82, &[&[0, 1], filters.collect::<Vec<_>>().as_flattened()].concat());
            }
            Deed::UnsubscribeFromOthers { client, first, count } => {
                let filter = |number| [0, 3, b'o', b'0' + number / 10, b'0' + number % 10];
                let filters = (first..first + count).map(|number| filter(number % OTHERS));
                self.send_packet(client, 0xA2, &[&[0, 1], filters.collect::<Vec<_>>().as_flattened()].concat());
            }
            Deed::Publish { client, topic, qos, retain, count } => {
                for _ in 0..count {
                    self.publish(client, topic, qos, retain);
                }
            }
            Deed::Release(client) => {
                if let Some(id) = self.clients[client].unreleased.pop_front() {
                    self.send_packet(client, 0x62, &id.to_be_bytes());
                }
            }
            Deed::Answer(client, count) => (0..count).for_each(|_| self.answer(client)),
            Deed::Mail(shard) => self.take_mail(shard),
            Deed::Tick(shard) => {
                self.shards[usize::from(shard)].tick(self.now);
                self.finish_turn(shard);
            }
            Deed::Durable => self.make_durable(),
            Deed::Begin(shard) => self.tell_checkpoint(shard),
            Deed::Checkpoint => self.begin_checkpoint(),
        }
    }

    fn connect(&mut self, client: usize, clean: bool, has_will: bool) {
        let home = Machine::home(client);
        let id = self.shards[usize::from(home)].open(self.now, Arc::clone(&self.listener), "test");
        let mut body = Vec::from(*b"\x00\x04MQTT\x04");
        body.push(u8::from(clean) << 1 | if has_will { 0b1100 } else { 0 });
        body.extend([0, 0, 0, 1, b'a' + client as u8]);
        if has_will {
            body.extend(*b"\x00\x02t0\x00\x04will");
        }
        // What the other connection of this client has not answered is its own.
        let unreleased = core::mem::take(&mut self.clients[client].unreleased);
        let last_id = self.clients[client].last_id;
        self.clients[client] = Client { connection: Some(id), output: Vec::new(), last_id, unreleased };
        if clean {
            self.clients[client].unreleased.clear();
        }
        self.send_packet(client, 0x10, &body);
    }

    fn send_packet(&mut self, client: usize, first: u8, body: &[u8]) {
        let mut packet = Vec::from([first]);
        if body.len() > 127 {
            packet.push(body.len() as u8 | 0x80);
        }
        packet.push(if body.len() > 127 { (body.len() >> 7) as u8 } else { body.len() as u8 });
        packet.extend_from_slice(body);
        self.send(client, &packet);
    }

    fn publish(&mut self, client: usize, topic: u8, qos: u8, retain: bool) {
        self.published += 1;
        let mut body = Vec::from([0, 2, b't', b'0' + topic]);
        if qos > 0 {
            let me = &mut self.clients[client];
            me.last_id = me.last_id % u16::MAX + 1;
            body.extend(me.last_id.to_be_bytes());
            if qos == 2 && me.connection.is_some() {
                if me.unreleased.len() > 15 {
                    return;
                }
                me.unreleased.push_back(me.last_id);
            }
        }
        body.push(client as u8);
        body.extend(self.published.to_be_bytes());
        self.send_packet(client, 0x30 | qos << 1 | u8::from(retain), &body);
    }

    /// The client answers the next packet that it got.
    fn answer(&mut self, client: usize) {
        let output = self.clients[client].output.clone();
        let Ok(Split::Frame(frame)) = split(&output, usize::MAX) else { return };
        let length = frame.size;
        let answer = match decode(frame, Version::V311, Direction::ToClient) {
            Ok(Packet::Publish(publish)) => match (publish.qos, publish.packet_id) {
                (QoS::AtLeastOnce, Some(id)) => Some((0x40, id)),
                (QoS::ExactlyOnce, Some(id)) => Some((0x50, id)),
                _ => None,
            },
            Ok(Packet::PubRel(ack)) => Some((0x70, ack.packet_id)),
            _ => None,
        };
        self.clients[client].output.drain(..length);
        if let Some((first, id)) = answer {
            self.send_packet(client, first, &PacketId::value(id).to_be_bytes());
        }
    }

    fn take_mail(&mut self, shard: u16) {
        let inbox: Vec<Mail> = self.inboxes[usize::from(shard)].drain(..).collect();
        for mail in inbox {
            self.shards[usize::from(shard)].deliver(self.now, &mail);
        }
        self.finish_turn(shard);
    }

    fn make_durable(&mut self) {
        while let Some((shard, at, records)) = self.waiting.pop_front() {
            records.placed(BASE + at as u64);
            self.shards[usize::from(shard)].durable(self.now, records.upto);
            self.finish_turn(shard);
        }
    }

    fn begin_checkpoint(&mut self) {
        if self.running.is_some() {
            return;
        }
        // What was handed over before stands before the checkpoint.
        self.make_durable();
        self.checkpoints += 1;
        self.running = Some(Running {
            number: self.checkpoints,
            begin: self.log.len(),
            untold: (0..SHARDS).collect(),
            walked: Vec::new(),
            passed: Vec::new(),
        });
    }

    fn tell_checkpoint(&mut self, shard: u16) {
        let Some(running) = &mut self.running else { return };
        let Some(at) = running.untold.iter().position(|untold| *untold == shard) else { return };
        running.untold.remove(at);
        let number = running.number;
        self.shards[usize::from(shard)].checkpoint(self.now, number, CheckpointOrder::Begin);
        self.finish_turn(shard);
    }

    fn note_step(&mut self, shard: u16, step: RecordsStep) {
        let Some(running) = &mut self.running else { panic!("no checkpoint runs") };
        match step {
            RecordsStep::Walked(number) => {
                assert_eq!(number, running.number);
                running.walked.push(shard);
                if running.walked.len() < usize::from(SHARDS) {
                    return;
                }
                for shard in 0..SHARDS {
                    self.shards[usize::from(shard)].checkpoint(self.now, number, CheckpointOrder::Pass);
                }
                (0..SHARDS).for_each(|shard| self.finish_turn(shard));
            }
            RecordsStep::Passed(number) => {
                assert_eq!(number, running.number);
                running.passed.push(shard);
                if running.passed.len() == usize::from(SHARDS) {
                    self.begin = running.begin;
                    self.running = None;
                }
            }
        }
    }

    fn finish_turn(&mut self, id: u16) {
        let mut step = None;
        loop {
            let mut is_quiet = true;
            let shard = &mut self.shards[usize::from(id)];
            while let Some(connection) = shard.next_flush() {
                let bytes = shard.output(connection).collect::<Vec<_>>().concat();
                shard.sent(self.now, connection, bytes.len());
                let to = |client: &&mut Client| client.connection == Some(connection);
                let own = self.clients.iter_mut().enumerate().filter(|(n, _)| Machine::home(*n) == id);
                if let Some(client) = own.map(|(_, client)| client).find(to) {
                    client.output.extend(bytes);
                }
            }
            if let Some(mut records) = shard.take_records() {
                step = step.or(records.step);
                let at = self.log.len();
                self.log.append(&mut records.bytes);
                self.waiting.push_back((id, at, records));
            }
            while let Some((to, mail)) = shard.next_mail() {
                self.inboxes[usize::from(to.0)].push_back(mail);
            }
            shard.mail_posted();
            while let Some(effect) = self.shards[usize::from(id)].next_effect() {
                is_quiet = false;
                self.carry_out(id, effect);
            }
            if is_quiet {
                break;
            }
        }
        if let Some(step) = step {
            self.note_step(id, step);
        }
    }

    fn carry_out(&mut self, id: u16, effect: Effect) {
        let shard = &mut self.shards[usize::from(id)];
        match effect {
            Effect::Close(connection) => {
                shard.closed(self.now, connection, Cause::Network("closed".into()));
                for (n, client) in self.clients.iter_mut().enumerate() {
                    if Machine::home(n) == id && client.connection == Some(connection) {
                        client.connection = None;
                    }
                }
            }
            Effect::Drain { then, .. } => shard.drained(self.now, then),
            Effect::TakeMail { then } => {
                for mail in core::mem::take(&mut self.inboxes[usize::from(id)]) {
                    shard.deliver(self.now, &mail);
                }
                shard.drained(self.now, then);
            }
            Effect::Event(_) => {}
            Effect::Fetch(_) | Effect::Move { .. } => panic!("a client always comes by its home, and memory suffices"),
        }
    }

    /// Nothing is left to do, and a checkpoint that was begun is complete.
    fn settle(&mut self) {
        for _ in 0..3 {
            for shard in 0..SHARDS {
                self.take_mail(shard);
                self.tell_checkpoint(shard);
            }
            self.make_durable();
        }
        for _ in 0..1000 {
            if self.running.is_none() {
                return;
            }
            for shard in 0..SHARDS {
                self.take_mail(shard);
                self.shards[usize::from(shard)].tick(self.now);
                self.finish_turn(shard);
            }
            self.make_durable();
        }
        panic!("a checkpoint does not end");
    }
}

/// Payload, QoS, RETAIN.
type Queued = (Vec<u8>, QoS, bool);

/// What is known after a replay, in a form that can be compared: messages by what they say, those of each publisher in
/// their order. Between publishers on different shards there is no order.
#[derive(Eq, PartialEq, Debug)]
struct Known {
    sessions: BTreeMap<String, PlainSession>,
    /// By client and publisher.
    queued: BTreeMap<(String, u8), Vec<Queued>>,
    retained: BTreeMap<String, Vec<u8>>,
}

fn replay(log: &[u8], begin: usize) -> Known {
    let mut recovered = Recovered::new();
    recovered.apply(BASE + begin as u64, &log[begin..]).expect("shards wrote it");
    recovered.finish(&MemoryUse::default(), &mut |place| blob_at(log, place));
    assert!(recovered.lost().is_empty());
    let read = |delivery: &PlainDelivery| {
        let bytes = blob_at(log, delivery.message).expect("a message lies there");
        let message = PlainMessage::decode(&bytes).expect("what lies there is a message");
        (message.payload, delivery.qos, delivery.retain)
    };
    let mut known = Known { sessions: BTreeMap::new(), queued: BTreeMap::new(), retained: BTreeMap::new() };
    for mut session in recovered.plain_sessions() {
        for delivery in session.queued.drain(..) {
            let (payload, qos, retain) = read(&delivery);
            let key = (session.client_id.clone(), payload[0]);
            known.queued.entry(key).or_default().push((payload, qos, retain));
        }
        if session.subscriptions.iter().any(|(filter, ..)| filter.starts_with("$share/")) {
            // What another member of the group gives back comes from that member's shard, at any time.
            let own = known.queued.iter_mut().filter(|((client_id, _), _)| *client_id == session.client_id);
            own.for_each(|(_, queued)| queued.sort_by(|a, b| a.0.cmp(&b.0)));
        }
        // Identifiers that were passed over are known to a checkpoint only.
        session.last_packet_id = None;
        if let (None, Some((_, will_at))) = (&session.will, &mut session.disconnected) {
            // When it was due does not matter any more.
            *will_at = Time::NEVER;
        }
        // A session that ends with its connection and has nothing that must survive may be known or not.
        let is_empty = session.expiry_seconds == 0 && session.will.is_none() && session.unreleased.is_empty();
        if !is_empty {
            known.sessions.insert(session.client_id.clone(), session);
        }
    }
    for retained in recovered.take_retained() {
        known.retained.insert(String::from(retained.message.topic()), Vec::from(retained.message.view().payload));
    }
    known
}

/// A member of a group is owed a message twice: by its own subscription, and as the one that was chosen. While it is being
/// written down its client comes again, and the group's copy goes to the other member. Which of the two copies has left it
/// is the same for whoever replays from the checkpoint.
#[test]
fn what_goes_back_to_a_group_leaves_the_own_copy_of_the_same_message() {
    let mut machine = Machine::new();
    machine.do_it(&Deed::Subscribe { client: 1, topic: 2, qos: 1, is_shared: true });
    machine.do_it(&Deed::Checkpoint);
    for deed in [
        Deed::Begin(1),
        Deed::Subscribe { client: 1, topic: 2, qos: 1, is_shared: false },
        Deed::Publish { client: 0, topic: 2, qos: 1, retain: false, count: 14 },
        Deed::Begin(0),
        Deed::Mail(1),
        Deed::Tick(1),
        Deed::Tick(1),
        Deed::Connect { client: 1, clean: false, has_will: false },
    ] {
        machine.do_it(&deed);
    }
    machine.settle();
    assert_eq!(replay(&machine.log, machine.begin), replay(&machine.log, 0));
}

/// Two groups choose the same member for one message, and nothing tells its two copies apart in the records. One has been
/// written down, and the other goes back to its group before its turn has come: the one that was written stays.
#[test]
fn what_goes_before_its_turn_does_not_take_its_like_along() {
    let mut machine = Machine::new();
    for deed in [
        Deed::Publish { client: 0, topic: 0, qos: 1, retain: false, count: 30 },
        Deed::Subscribe { client: 0, topic: 3, qos: 1, is_shared: true },
        Deed::Subscribe { client: 5, topic: 0, qos: 0, is_shared: true },
        Deed::Subscribe { client: 0, topic: 0, qos: 1, is_shared: true },
        Deed::Checkpoint,
        Deed::Publish { client: 0, topic: 0, qos: 1, retain: false, count: 6 },
        Deed::Leave(1),
        Deed::Begin(1),
        Deed::Begin(0),
        Deed::Mail(0),
        Deed::Tick(0),
        Deed::Tick(0),
        Deed::Tick(0),
        Deed::Tick(0),
        Deed::Connect { client: 0, clean: false, has_will: false },
    ] {
        machine.do_it(&deed);
    }
    machine.settle();
    assert_eq!(replay(&machine.log, machine.begin), replay(&machine.log, 0));
}

/// All that a replay of pieces gives: sessions, what of each is no part of a plain one, retained messages, numbers.
fn everything(log: &[u8], pieces: &[(usize, usize)]) -> impl PartialEq + core::fmt::Debug + use<> {
    let mut recovered = Recovered::new();
    for (begin, end) in pieces {
        recovered.apply(BASE + *begin as u64, &log[*begin..*end]).expect("it was written");
    }
    recovered.finish(&MemoryUse::default(), &mut |place| blob_at(log, place));
    let next_ids: BTreeMap<String, u16> = recovered
        .iter()
        .map(|(client_id, session)| {
            (String::from(&**client_id), session.goes_on_after().unwrap_or(PacketId::LAST).value())
        })
        .collect();
    let mut sessions: Vec<PlainSession> = recovered.plain_sessions().collect();
    sessions.sort_unstable_by(|a, b| a.client_id.cmp(&b.client_id));
    let retained: Vec<_> = recovered
        .take_retained()
        .into_iter()
        .map(|r| (String::from(r.message.topic()), r.message.place(), r.version, format!("{:?}", r.owner)))
        .collect();
    (sessions, next_ids, retained, recovered.counter(), recovered.retained_version())
}

/// 150 in every run of the tests; more by the variable that proptest has for it.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(150, |cases| cases.parse().expect("a number of cases"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_recorded_since_a_checkpoint_began_is_the_whole(
        before in proptest::collection::vec(deed(), 0..60),
        meanwhile in proptest::collection::vec(deed(), 0..80),
        after in proptest::collection::vec(deed(), 0..30),
    ) {
        let mut machine = Machine::new();
        before.iter().for_each(|deed| machine.do_it(deed));
        machine.do_it(&Deed::Checkpoint);
        meanwhile.iter().for_each(|deed| machine.do_it(deed));
        machine.settle();
        after.iter().for_each(|deed| machine.do_it(deed));
        prop_assert!(machine.begin > 0 || machine.checkpoints == 1);
        super::format::check(&machine.log).map_err(TestCaseError::fail)?;
        prop_assert_eq!(replay(&machine.log, machine.begin), replay(&machine.log, 0));
    }

    /// By a program that knows neither a clock nor a setting. If it is interrupted, nothing has happened.
    #[test]
    fn what_is_written_down_once_more_is_the_same(
        deeds in proptest::collection::vec(deed(), 0..100),
        rest in any::<prop::sample::Index>(),
    ) {
        let mut machine = Machine::new();
        deeds.iter().for_each(|deed| machine.do_it(deed));
        let mut log = machine.log;
        let mut pieces = vec![(0, log.len())];
        let expected = everything(&log, &pieces);
        let mut recovered = Recovered::new();
        recovered.apply(BASE, &log).expect("shards wrote it");
        let mut rewriter = recovered.rewrite();
        let mut add = |mut records: Records| {
            pieces.push((log.len(), log.len() + records.bytes.len()));
            log.append(&mut records.bytes);
        };
        let mut names = 0;
        while let Some(records) = rewriter.next_name() {
            names += 1;
            add(records);
        }
        while let Some(records) = rewriter.next_piece() {
            add(records);
        }
        super::format::check(&log).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&everything(&log, &pieces[1 + names..]), &expected);
        prop_assert_eq!(&everything(&log, &pieces[..=rest.index(pieces.len())]), &expected);
    }
}

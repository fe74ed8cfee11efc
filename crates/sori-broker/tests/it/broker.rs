//! The broker under test and its clients, on virtual time. A test reads like a case of the standard:
//!
//! ```text
//! everywhere(|broker| {
//!     let mut a = broker.connect(v5("a"));
//!     a.send(publish("t").qos(1).id(7));
//!     a.expect(puback(7).code(0x10));
//! });
//! ```

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use sori_broker::{Access, Event, ListenerSettings, Settings, Totals};
use sori_sim::{Peer, World};

use super::reading::read;
use super::wire::{Kind, Packet, Version, connack, disconnect, puback, pubcomp, pubrec, pubrel, suback, subscribe};
use super::wire::{unsuback, unsubscribe};

/// Runs a test on a broker of one shard and on one of three.
#[track_caller]
pub(crate) fn everywhere(test: impl Fn(&Broker)) {
    setup().run(test);
}

/// A broker with other settings than the default ones: `setup().settings(|settings| ..).run(|broker| ..)`.
pub(crate) fn setup() -> Setup {
    Setup { settings: Settings::default(), listener: ListenerSettings::default(), access: None }
}

pub(crate) struct Setup {
    settings: Settings,
    listener: ListenerSettings,
    access: Option<Arc<dyn Access>>,
}

impl Setup {
    pub(crate) fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(crate) fn listener(mut self, change: impl FnOnce(&mut ListenerSettings)) -> Self {
        change(&mut self.listener);
        self
    }

    pub(crate) fn access(mut self, access: impl Access + 'static) -> Self {
        self.access = Some(Arc::new(access));
        self
    }

    #[track_caller]
    pub(crate) fn run(self, test: impl Fn(&Broker)) {
        for shards in [1, 3] {
            eprintln!("with {shards} shard(s):");
            test(&self.broker(shards));
        }
    }

    pub(crate) fn broker(&self, shards: u16) -> Broker {
        let (settings, listener) = (self.settings.clone(), self.listener.clone());
        let world = match &self.access {
            Some(access) => World::with_access(settings, listener, Arc::clone(access), shards, 1),
            None => World::with_listener(settings, listener, shards, 1),
        };
        Broker { world: Rc::new(RefCell::new(world)), shards }
    }
}

pub(crate) struct Broker {
    world: Rc<RefCell<World>>,
    pub(crate) shards: u16,
}

impl Broker {
    /// A new network connection that has sent nothing yet; connections land on the shards in turn.
    pub(crate) fn open(&self) -> Client {
        let peer = self.world.borrow_mut().open();
        self.client(peer)
    }

    /// A new network connection that this shard accepts.
    pub(crate) fn open_on(&self, shard: u16) -> Client {
        let peer = self.world.borrow_mut().open_on(shard % self.shards);
        self.client(peer)
    }

    fn client(&self, peer: Peer) -> Client {
        Client {
            world: Rc::clone(&self.world),
            peer,
            version: Version::V5,
            buffer: Vec::new(),
            inbox: VecDeque::new(),
            limits: Limits { receive_maximum: u16::MAX, packet_size: usize::MAX, topic_alias: 0 },
            unacknowledged: BTreeSet::new(),
            next_id: 1,
            connack: connack(),
        }
    }

    /// A client whose CONNECT was accepted.
    #[track_caller]
    pub(crate) fn connect(&self, connect: Packet) -> Client {
        self.open().connected(connect)
    }

    #[track_caller]
    pub(crate) fn connect_on(&self, shard: u16, connect: Packet) -> Client {
        self.open_on(shard).connected(connect)
    }

    pub(crate) fn seconds(&self, seconds: u64) {
        self.millis(seconds * 1000);
    }

    pub(crate) fn millis(&self, millis: u64) {
        self.world.borrow_mut().advance(millis);
    }

    /// A reload with other settings.
    pub(crate) fn reconfigure(&self, change: impl FnOnce(&mut Settings)) {
        self.world.borrow_mut().reconfigure(change);
    }

    /// Other settings from the next start on.
    pub(crate) fn plan_settings(&self, change: impl FnOnce(&mut Settings)) {
        self.world.borrow_mut().plan_settings(change);
    }

    /// What the broker told its operators since the last call.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.world.borrow_mut().events()
    }

    /// The broker's counters, of all shards together.
    pub(crate) fn totals(&self) -> Totals {
        self.world.borrow().totals()
    }

    /// Everything in memory is lost; new shards begin with the records.
    pub(crate) fn crash(&self) {
        self.world.borrow_mut().crash();
    }

    /// How many bytes of records the shards have made.
    pub(crate) fn records(&self) -> usize {
        self.world.borrow().records_len()
    }

    pub(crate) fn shutdown(&self) {
        self.world.borrow_mut().shutdown();
    }

    /// What is beneath: the store, its disk, and other ways to end than [`Broker::crash`].
    pub(crate) fn world(&self) -> std::cell::RefMut<'_, World> {
        self.world.borrow_mut()
    }
}

/// What the client asked for in CONNECT and every packet of the broker must keep to.
struct Limits {
    receive_maximum: u16,
    packet_size: usize,
    topic_alias: u16,
}

pub(crate) struct Client {
    world: Rc<RefCell<World>>,
    peer: Peer,
    version: Version,
    buffer: Vec<u8>,
    inbox: VecDeque<Packet>,
    limits: Limits,
    /// Identifiers of the broker's QoS 1 and 2 messages that this client has not finished yet.
    unacknowledged: BTreeSet<u16>,
    next_id: u16,
    /// The CONNACK that accepted this client.
    pub(crate) connack: Packet,
}

impl Client {
    #[track_caller]
    fn connected(mut self, connect: Packet) -> Client {
        self.send(connect);
        let answer = self.receive();
        assert!(answer.kind == Kind::ConnAck && answer.code == 0, "expected CONNACK 0, got {answer}");
        self.connack = answer;
        self
    }

    pub(crate) fn session_present(&self) -> bool {
        self.connack.session_present
    }

    pub(crate) fn send(&mut self, packet: Packet) {
        self.note_sent(&packet);
        self.send_bytes(&packet.encode(self.version));
    }

    /// Several packets in one segment.
    pub(crate) fn send_together(&mut self, packets: impl IntoIterator<Item = Packet>) {
        let mut bytes = Vec::new();
        for packet in packets {
            self.note_sent(&packet);
            bytes.extend(packet.encode(self.version));
        }
        self.send_bytes(&bytes);
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.world.borrow_mut().send(self.peer, bytes);
    }

    pub(crate) fn speaks(&mut self, version: Version) {
        self.version = version;
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    fn note_sent(&mut self, packet: &Packet) {
        match packet.kind {
            Kind::Connect => {
                self.version = match packet.connect_part().level {
                    3 => Version::V31,
                    4 => Version::V311,
                    _ => Version::V5,
                };
                if self.version == Version::V5 {
                    self.limits = Limits {
                        receive_maximum: packet.number(0x21).map_or(u16::MAX, |number| number as u16),
                        // 0 is no limit but a fault.
                        packet_size: packet
                            .number(0x27)
                            .filter(|size| *size > 0)
                            .map_or(usize::MAX, |size| size as usize),
                        topic_alias: packet.number(0x22).map_or(0, |number| number as u16),
                    };
                }
            }
            Kind::PubAck | Kind::PubComp => self.finish(packet),
            Kind::PubRec if packet.code >= 0x80 => self.finish(packet),
            _ => {}
        }
    }

    fn finish(&mut self, packet: &Packet) {
        if let Some(id) = packet.id {
            self.unacknowledged.remove(&id);
        }
    }

    /// What the broker sent, as it is.
    pub(crate) fn received_bytes(&mut self) -> Vec<u8> {
        self.world.borrow_mut().take(self.peer)
    }

    fn pull(&mut self) {
        let bytes = self.world.borrow_mut().take(self.peer);
        self.buffer.extend(bytes);
        while let Some((packet, size)) = read(self.version, &self.buffer) {
            self.buffer.drain(..size);
            self.check(&packet, size);
            self.inbox.push_back(packet);
        }
    }

    /// The limits of this connection hold for every packet, whatever the test is about.
    fn check(&mut self, packet: &Packet, size: usize) {
        assert!(size <= self.limits.packet_size, "[MQTT-3.1.2-24] {size} bytes are too many: {packet}");
        if let Some(alias) = packet.number(0x23) {
            let maximum = self.limits.topic_alias;
            assert!(alias <= maximum.into(), "[MQTT-3.1.2-26] [MQTT-3.1.2-27] alias above {maximum}: {packet}");
        }
        if let (Kind::Publish, Some(id)) = (packet.kind, packet.id) {
            let unused = self.unacknowledged.insert(id);
            assert!(unused || packet.dup, "[MQTT-2.2.1-4] [MQTT311-2.3.1-4] identifier in use: {packet}");
            let maximum = self.limits.receive_maximum;
            assert!(self.unacknowledged.len() <= maximum.into(), "[MQTT-3.3.4-9] more than {maximum}: {packet}");
        }
    }

    /// The next packet from the broker.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Packet {
        self.pull();
        match self.inbox.pop_front() {
            Some(packet) => packet,
            None if self.is_closed() => panic!("nothing received, and the broker closed the connection"),
            None => panic!("nothing received"),
        }
    }

    /// The next packet from the broker is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: Packet) -> Packet {
        self.pull();
        match self.inbox.pop_front() {
            Some(got) if expected.is_met_by(&got) => got,
            Some(got) => panic!("\n expected {expected}\n      got {got}\n     then {:?}", self.inbox),
            None => panic!("\n expected {expected}\n      got nothing; closed: {}", self.is_closed()),
        }
    }

    /// The next packets from the broker are these, in an order that the standard leaves open.
    #[track_caller]
    pub(crate) fn expect_in_any_order(&mut self, expected: impl IntoIterator<Item = Packet>) {
        for packet in expected {
            self.take_somewhere(&packet);
        }
    }

    #[track_caller]
    pub(crate) fn take_somewhere(&mut self, expected: &Packet) -> Packet {
        self.pull();
        match self.inbox.iter().position(|got| expected.is_met_by(got)).and_then(|found| self.inbox.remove(found)) {
            Some(got) => got,
            None => panic!("\n expected {expected}\n   among {:?}; closed: {}", self.inbox, self.is_closed()),
        }
    }

    /// Nothing came, and the connection is open.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        self.pull();
        assert!(self.inbox.is_empty(), "expected nothing, got {:?}", self.inbox);
        assert!(!self.is_closed(), "the broker closed the connection");
    }

    /// The connection works: a ping is answered, and by nothing else than its answer.
    #[track_caller]
    pub(crate) fn expect_alive(&mut self) {
        self.expect_nothing();
        self.send(super::wire::pingreq());
        self.expect(super::wire::pingresp());
    }

    /// The broker closed the connection without a further word.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        self.pull();
        assert!(self.inbox.is_empty(), "expected a silent close, got {:?}", self.inbox);
        assert!(self.is_closed(), "the connection is still open");
    }

    /// What ends a connection for this fault: DISCONNECT with the reason code in 5.0, nothing in 3.x; then the close.
    #[track_caller]
    pub(crate) fn expect_disconnect(&mut self, code: u8) {
        if self.version == Version::V5 {
            self.expect(disconnect().code(code));
        }
        self.expect_closed();
    }

    /// As [`Client::expect_disconnect`] where the standard leaves the choice between several reason codes, or where
    /// its sections (and brokers in the field) do not agree on one.
    #[track_caller]
    pub(crate) fn expect_disconnect_with_one_of(&mut self, codes: &[u8]) {
        if self.version == Version::V5 {
            let got = self.receive();
            let right = got.kind == Kind::Disconnect && codes.contains(&got.code);
            assert!(right, "expected DISCONNECT with one of {codes:02X?}, got {got}");
        }
        self.expect_closed();
    }

    /// As [`Client::expect_disconnect_with_one_of`] where a broker may just as well close without a word.
    #[track_caller]
    pub(crate) fn expect_gone(&mut self, codes: &[u8]) {
        self.pull();
        if self.version == Version::V5 && !self.inbox.is_empty() {
            self.expect_disconnect_with_one_of(codes);
        }
        self.expect_closed();
    }

    /// A bad CONNECT of 5.0 may be answered with CONNACK and one of these codes before the connection is closed.
    #[track_caller]
    pub(crate) fn expect_connect_refused(&mut self, codes: &[u8]) {
        self.pull();
        if let Some(got) = self.inbox.pop_front() {
            let right = got.kind == Kind::ConnAck && codes.contains(&got.code);
            assert!(right, "expected CONNACK with one of {codes:02X?} or nothing, got {got}");
        }
        self.expect_closed();
    }

    /// The CONNECT was refused with this code, and the connection closed.
    #[track_caller]
    pub(crate) fn expect_refused(&mut self, code: u8) {
        self.expect(connack().code(code));
        self.expect_closed();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.world.borrow().is_closed(self.peer)
    }

    /// The network fails: the broker sees the connection end without DISCONNECT.
    pub(crate) fn cut(&mut self) {
        self.world.borrow_mut().cut(self.peer);
    }

    /// Stops (or goes on) reading what the broker sends.
    pub(crate) fn stall(&mut self, stalled: bool) {
        self.world.borrow_mut().stall(self.peer, stalled);
    }

    /// Leaves with DISCONNECT 0x00.
    #[track_caller]
    pub(crate) fn leave(&mut self) {
        self.send(disconnect());
        self.expect_closed();
    }

    fn fresh_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = if id == u16::MAX { 1 } else { id + 1 };
        id
    }

    /// Subscribes to one filter and is granted what was asked for.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filter: impl AsRef<[u8]>, options: u8) {
        let id = self.fresh_id();
        self.subscribes(subscribe(id).filter(filter, options));
    }

    /// Sends a SUBSCRIBE of any shape and is granted what was asked for. Retained messages stay in the inbox.
    #[track_caller]
    pub(crate) fn subscribes(&mut self, packet: Packet) {
        let id = packet.id.expect("SUBSCRIBE has an identifier");
        let granted: Vec<u8> = packet.filters.iter().map(|(_, options)| options & 3).collect();
        self.send(packet);
        self.take_somewhere(&suback(id, &granted));
    }

    /// Unsubscribes from one filter that was subscribed.
    #[track_caller]
    pub(crate) fn unsubscribe(&mut self, filter: impl AsRef<[u8]>) {
        let id = self.fresh_id();
        self.send(unsubscribe(id).filter(filter, 0));
        let codes: &[u8] = if self.version == Version::V5 { &[0] } else { &[] };
        self.take_somewhere(&unsuback(id, codes));
    }

    /// Publishes a message and goes through the whole handshake of its QoS.
    #[track_caller]
    pub(crate) fn publish(&mut self, packet: Packet) {
        if packet.qos == 0 {
            return self.send(packet);
        }
        let id = packet.id.unwrap_or_else(|| self.fresh_id());
        let answer = if packet.qos == 1 { Kind::PubAck } else { Kind::PubRec };
        self.send(packet.id(id));
        self.pull();
        let found = self.inbox.iter().position(|got| got.kind == answer && got.id == Some(id));
        let got = found.and_then(|found| self.inbox.remove(found));
        let Some(got) = got else { panic!("no {answer:?} for {id} among {:?}", self.inbox) };
        assert!(matches!(got.code, 0 | 0x10), "refused: {got}");
        if answer == Kind::PubRec {
            self.send(pubrel(id));
            self.take_somewhere(&pubcomp(id));
        }
    }

    /// The next packet is this message, whatever its identifier; its handshake is completed.
    #[track_caller]
    pub(crate) fn expect_message(&mut self, expected: Packet) -> Packet {
        self.pull();
        let Some(got) = self.inbox.pop_front() else {
            panic!("\n expected {expected}\n      got nothing; closed: {}", self.is_closed());
        };
        let expected = Packet { id: got.id, ..expected };
        assert!(expected.is_met_by(&got), "\n expected {expected}\n      got {got}\n     then {:?}", self.inbox);
        self.acknowledge(&got);
        got
    }

    /// The next packets are these messages in any order.
    #[track_caller]
    pub(crate) fn expect_messages_in_any_order(&mut self, expected: &[Packet]) {
        let mut missing = expected.to_vec();
        while !missing.is_empty() {
            let got = self.receive();
            let position = missing.iter().position(|packet| Packet { id: got.id, ..packet.clone() }.is_met_by(&got));
            let Some(position) = position else { panic!("\n expected one of {missing:?}\n      got {got}") };
            missing.remove(position);
            self.acknowledge(&got);
        }
    }

    /// Goes through the receiver's part of the handshake.
    #[track_caller]
    pub(crate) fn acknowledge(&mut self, message: &Packet) {
        match (message.qos, message.id) {
            (1, Some(id)) => self.send(puback(id)),
            (2, Some(id)) => {
                self.send(pubrec(id));
                self.take_somewhere(&pubrel(id));
                self.send(pubcomp(id));
            }
            _ => {}
        }
    }

    /// All that came since the last call.
    pub(crate) fn drain(&mut self) -> Vec<Packet> {
        self.pull();
        self.inbox.drain(..).collect()
    }
}

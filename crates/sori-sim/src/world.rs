//! A broker of several shards for tests: one thread, virtual time, a network without faults.
//!
//! Every call runs the shards until nothing is left to do, so a test reads as a list of what a peer sends
//! and what it then finds in its socket. Faults are on request only: [`World::cut`], [`World::stall`].
//!
//! With [`Settings::keeps_records`] there is a store on a simulated disk, and every call waits until it has kept all that
//! there was to be kept, unless the test holds it up: [`World::hold_store`]. [`World::crash`] ends the broker between
//! two calls, [`World::kill`] and [`World::power_cut`] in the middle of what it was doing.

use std::sync::Arc;

use sori_broker::{Access, Cause, Event, ListenerSettings, Settings, Time, Totals};
use sori_mqtt::SubscribeOptions;
use sori_store::Options;

use crate::disk::SimDisk;
use crate::host::{Host, LinkId, Place, Plan, Wire};

/// A socket of a test.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct Peer(LinkId);

/// Several shards, what they share, and the sockets of a test.
pub struct World {
    host: Host,
    listener: Arc<ListenerSettings>,
    sockets: Sockets,
    next_shard: u16,
    seed: u64,
    /// How far the wall clock has been set ahead of the broker's time.
    clock_ahead_millis: u64,
    is_store_held: bool,
    are_turns_held: bool,
}

#[derive(Default)]
struct Sockets {
    all: Vec<Socket>,
    /// Bytes that no shard has read yet, in the order in which they were sent.
    unread: Vec<(LinkId, Vec<u8>)>,
    events: Vec<Event>,
}

#[derive(Default)]
struct Socket {
    received: Vec<u8>,
    stalled: bool,
    closed_by_broker: bool,
    cut: bool,
}

/// The clock of a new world: far from zero, so that "an hour ago" exists.
pub const START: Time = Time(1_000_000_000);

/// Small segments, so that a test sees many.
fn store_options(seed: u64) -> Options {
    Options {
        segment_bytes: 16 << 10,
        reserve_bytes: 4 << 10,
        checkpoint_bytes_min: 32 << 20,
        store_id: seed,
        ..Options::default()
    }
}

/// How often a shard may ask for the same moment before that is a defect.
const TICKS_AT_ONE_MOMENT_MAX: u32 = 1_000;

impl World {
    /// A world where everybody may do everything.
    #[must_use]
    pub fn new(settings: Settings, shards: u16, seed: u64) -> World {
        World::with_listener(settings, ListenerSettings::default(), shards, seed)
    }

    /// A world with a listener of the test's own.
    #[must_use]
    pub fn with_listener(settings: Settings, listener: ListenerSettings, shards: u16, seed: u64) -> World {
        World::with_access(settings, listener, crate::everybody(), shards, seed)
    }

    /// A world with its own rules about who may do what.
    #[must_use]
    pub fn with_access(
        settings: Settings,
        listener: ListenerSettings,
        access: Arc<dyn Access>,
        shards: u16,
        seed: u64,
    ) -> World {
        assert!(shards > 0, "a world has at least one shard");
        let keeps_records = settings.keeps_records;
        let mut host = Host::new(Plan { settings, shards, access, sabotage: None }, seed, START);
        if keeps_records {
            host.start(seed, SimDisk::new(seed), store_options(seed), 0).expect("an empty disk makes a store");
        }
        World {
            host,
            listener: Arc::new(listener),
            sockets: Sockets::default(),
            next_shard: 0,
            seed,
            clock_ahead_millis: 0,
            is_store_held: false,
            are_turns_held: false,
        }
    }

    /// The broker dies when it has nothing left to do: every connection is gone, and so is all that the shards had in
    /// memory. New shards begin with what the store tells, their sessions on whatever shard comes first.
    pub fn crash(&mut self) {
        self.run();
        self.start_again(SimDisk::kill);
    }

    /// The broker dies at once. What the store has written is there when it comes back, synced or not.
    pub fn kill(&mut self) {
        self.start_again(SimDisk::kill);
    }

    /// The power fails at once: nothing survives but what the store has synced.
    pub fn power_cut(&mut self) {
        self.start_again(SimDisk::cut_power_hard);
    }

    /// The wall clock is set: when the broker starts the next time, it is so much later.
    pub fn set_clock(&mut self, ahead_millis: u64) {
        self.clock_ahead_millis = ahead_millis;
        self.host.note_clock(ahead_millis.cast_signed());
        self.run();
    }

    fn start_again(&mut self, end: impl Fn(&SimDisk)) {
        for socket in &mut self.sockets.all {
            socket.cut = true;
            socket.closed_by_broker = true;
        }
        self.sockets.unread.clear();
        self.seed += 1;
        let (disk, options) = self.host.bury().expect("there is a store");
        end(&disk);
        self.host.set_now(self.host.now().plus_millis(core::mem::take(&mut self.clock_ahead_millis)));
        let started = self.host.start(self.seed, disk, options, 0).map_err(|error| error.to_string());
        assert_eq!(started.err(), None, "a store opens again");
        self.run();
    }

    /// As long as it is held up, the store keeps nothing and reads nothing.
    pub fn hold_store(&mut self, held: bool) {
        self.is_store_held = held;
        self.run();
    }

    /// The store begins a checkpoint, though none is due.
    pub fn checkpoint(&mut self) {
        if let Some(storage) = self.host.storage() {
            storage.committer().request_checkpoint();
        }
        self.run();
    }

    /// As long as they are held up, shards that have not done all in one turn do not go on by themselves.
    pub fn hold_turns(&mut self, held: bool) {
        self.are_turns_held = held;
        self.run();
    }

    /// Each shard that has not done all goes on for a turn. False if there is none.
    pub fn go_on(&mut self) -> bool {
        let due: Vec<u16> = (0..self.host.shards()).filter(|shard| self.host.is_due(*shard)).collect();
        for shard in &due {
            self.host.tick(*shard);
        }
        self.run();
        !due.is_empty()
    }

    /// What a client is subscribed to: filter, options, and Subscription Identifier or 0.
    #[must_use]
    pub fn subscriptions(&self, client_id: &str) -> Vec<(String, SubscribeOptions, u32)> {
        (0..self.host.shards()).flat_map(|shard| self.host.shard(shard).subscriptions(client_id)).collect()
    }

    /// The disk, for its faults.
    #[must_use]
    pub fn disk(&mut self) -> Option<SimDisk> {
        self.host.storage().map(|storage| storage.disk().clone())
    }

    /// Bytes of all records so far.
    #[must_use]
    pub fn records_len(&self) -> usize {
        self.host.records_len()
    }

    /// Opens a connection; the shards take them in turn.
    pub fn open(&mut self) -> Peer {
        let shard = self.next_shard;
        self.next_shard = (shard + 1) % self.host.shards();
        self.open_on(shard)
    }

    /// Opens a connection that the given shard accepts.
    pub fn open_on(&mut self, shard: u16) -> Peer {
        let listener = Arc::clone(&self.listener);
        self.open_at(shard, &listener)
    }

    /// Opens a connection at another listener than the world's own.
    pub fn open_at(&mut self, shard: u16, listener: &Arc<ListenerSettings>) -> Peer {
        let link = self.host.open(shard, listener);
        self.sockets.all.push(Socket::default());
        self.run();
        Peer(link)
    }

    /// The peer sends bytes, cut wherever the test likes. A closed connection swallows them.
    pub fn send(&mut self, peer: Peer, bytes: &[u8]) {
        self.sockets.unread.push((peer.0, bytes.to_vec()));
        self.run();
    }

    /// All bytes that arrived since the last call.
    pub fn take(&mut self, peer: Peer) -> Vec<u8> {
        std::mem::take(&mut self.sockets.all[peer.0.0].received)
    }

    /// Whether the broker closed the connection.
    #[must_use]
    pub fn is_closed(&self, peer: Peer) -> bool {
        self.sockets.all[peer.0.0].closed_by_broker
    }

    /// The network fails; the broker notices at once.
    pub fn cut(&mut self, peer: Peer) {
        self.end(peer, "connection reset");
    }

    /// The peer closes its socket, which is no failure of the network but no DISCONNECT either.
    pub fn close(&mut self, peer: Peer) {
        self.end(peer, "end of file");
    }

    /// The peer stops reading, or goes on.
    pub fn stall(&mut self, peer: Peer, stalled: bool) {
        self.sockets.all[peer.0.0].stalled = stalled;
        if !stalled {
            self.host.flush(peer.0, &mut self.sockets);
        }
        self.run();
    }

    /// The broker reads its configuration again.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Settings)) {
        self.host.reconfigure(change);
        self.run();
    }

    /// Somebody edits the configuration; it counts when the broker starts the next time.
    pub fn plan_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        self.host.plan_settings(change);
    }

    /// Lets time pass; deadlines on the way fire in their order.
    pub fn advance(&mut self, millis: u64) {
        let end = Time(self.host.now().0 + millis);
        let mut ticks_at_one_moment = 0;
        while let Some(deadline) = self.host.next_deadline().filter(|deadline| deadline.0 <= end.0) {
            if deadline.0 > self.host.now().0 {
                self.host.set_now(deadline);
                ticks_at_one_moment = 0;
            }
            ticks_at_one_moment += 1;
            assert!(ticks_at_one_moment < TICKS_AT_ONE_MOMENT_MAX, "a deadline of a shard never passes");
            self.tick();
        }
        self.host.set_now(end);
        self.tick();
    }

    /// The time of this world.
    #[must_use]
    pub fn now(&self) -> Time {
        self.host.now()
    }

    /// What the broker told its operators since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.sockets.events)
    }

    /// The counters of all shards together.
    #[must_use]
    pub fn totals(&self) -> Totals {
        crate::totals(&self.host)
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.host.shards()
    }

    /// Stops the broker: every shard says good-bye.
    pub fn shutdown(&mut self) {
        for shard in 0..self.host.shards() {
            self.host.shutdown(shard);
        }
        self.run();
    }

    fn end(&mut self, peer: Peer, text: &str) {
        self.run();
        self.sockets.all[peer.0.0].cut = true;
        self.host.closed(peer.0, Cause::Network(Box::from(text)));
        self.run();
    }

    fn tick(&mut self) {
        for shard in 0..self.host.shards() {
            self.host.tick(shard);
        }
        self.run();
    }

    /// Runs turns until no shard has mail, connections to adopt, or bytes to read.
    fn run(&mut self) {
        loop {
            for shard in 0..self.host.shards() {
                self.host.drain(shard, &mut self.sockets);
                while !self.host.post_one(shard) {}
            }
            let mut quiet = true;
            for shard in 0..self.host.shards() {
                if !self.are_turns_held && self.host.is_due(shard) {
                    self.host.tick(shard);
                    quiet = false;
                }
                while self.host.tell_one(shard) || self.host.deliver_one(shard) {
                    quiet = false;
                }
                while self.host.adopt_one(shard, 0).is_some() {
                    quiet = false;
                }
            }
            quiet &= !self.read_sockets();
            quiet = quiet && !self.store_works();
            if quiet {
                break;
            }
        }
    }

    /// The store keeps and reads all that is asked of it. False if there is nothing.
    fn store_works(&mut self) -> bool {
        let now = self.host.now();
        let Some(storage) = self.host.storage().filter(|_| !self.is_store_held) else { return false };
        storage.work(now)
    }

    /// False if nothing could be read. What belongs to a moving connection waits for its adoption, and what a shard does
    /// not want yet waits too.
    fn read_sockets(&mut self) -> bool {
        let unread = std::mem::take(&mut self.sockets.unread);
        let mut read = false;
        for (link, bytes) in unread {
            let later = match self.host.place(link) {
                Place::Moving(_) => true,
                Place::On(..) => !self.host.wants_input(link),
                Place::Gone => false,
            };
            // What was sent before stays before.
            if later || self.sockets.unread.iter().any(|(other, _)| *other == link) {
                self.sockets.unread.push((link, bytes));
            } else {
                self.host.receive(link, &bytes);
                read = true;
            }
        }
        read
    }
}

impl Wire for Sockets {
    fn write(&mut self, link: LinkId, bytes: &[u8]) -> usize {
        let socket = &mut self.all[link.0];
        if socket.stalled {
            return 0;
        }
        if !socket.cut {
            socket.received.extend_from_slice(bytes);
        }
        bytes.len()
    }

    fn closed_by_broker(&mut self, link: LinkId) {
        self.all[link.0].closed_by_broker = true;
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: &[u8] = b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01";

    fn connected(world: &mut World, shard: u16, name: u8) -> Peer {
        let peer = world.open_on(shard);
        world.send(peer, &[CONNECT, &[name]].concat());
        assert_eq!(world.take(peer), b"\x20\x02\x00\x00");
        peer
    }

    #[test]
    fn a_message_goes_from_one_shard_to_another() {
        let mut world = World::new(Settings::default(), 2, 1);
        let subscriber = connected(&mut world, 0, b's');
        let publisher = connected(&mut world, 1, b'p');
        world.send(subscriber, b"\x82\x06\x00\x01\x00\x01a\x00");
        assert_eq!(world.take(subscriber), b"\x90\x03\x00\x01\x00");
        world.send(publisher, b"\x30\x05\x00\x01ahi");
        assert_eq!(world.take(subscriber), b"\x30\x05\x00\x01ahi");
    }

    #[test]
    fn a_client_that_comes_back_by_another_shard_takes_over() {
        let mut world = World::new(Settings::default(), 2, 1);
        let old = connected(&mut world, 0, b'c');
        let new = connected(&mut world, 1, b'c');
        assert!(world.is_closed(old));
        assert!(!world.is_closed(new));
        assert_eq!(world.totals().clients_connected, 1);
    }

    #[test]
    fn time_passes_on_request_only() {
        let mut world = World::new(Settings::default(), 1, 1);
        let silent = world.open();
        world.advance(9_000);
        assert!(!world.is_closed(silent));
        world.advance(2_000);
        assert!(world.is_closed(silent));
    }

    #[test]
    fn a_stalled_peer_gets_its_bytes_later() {
        let mut world = World::new(Settings::default(), 1, 1);
        let peer = connected(&mut world, 0, b'c');
        world.stall(peer, true);
        world.send(peer, b"\xC0\x00");
        assert_eq!(world.take(peer), b"");
        world.stall(peer, false);
        assert_eq!(world.take(peer), b"\xD0\x00");
    }
}

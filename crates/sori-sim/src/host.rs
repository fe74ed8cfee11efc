//! What a program around the shards does, without sockets: it carries bytes, mail and moved connections.
//!
//! [`Host`] knows no network of its own: whoever uses it says through [`Wire`] how many bytes a peer takes. The quiet
//! test world ([`crate::World`]) and the simulation with its faults are both built on it, so they agree with
//! each other about what one turn is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sori_broker::{
    Access, Cause, ConnectionId, Effect, Event, Handoff, ListenerSettings, Mail, MemoryUse, Recovered, Settings, Shard,
    ShardId, Space, Time,
};
use sori_store::{OpenError, Options};

use crate::disk::SimDisk;
use crate::places::Places;
use crate::sabotage::Sabotage;
use crate::space::SimSpace;
use crate::storage::{Storage, Told};

/// One connection as the network sees it, wherever its session lives. Numbers are never used twice.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub(crate) struct LinkId(pub(crate) usize);

/// Where a connection is now.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Place {
    /// A shard owns it.
    On(u16, ConnectionId),
    /// It left one shard and waits to be adopted by another.
    Moving(u16),
    /// The broker closed it, or was told that it is closed.
    Gone,
}

/// What the network does with the bytes of the broker.
pub(crate) trait Wire {
    /// The broker has made these bytes for the peer. Each is shown once, in order, before it is written.
    fn show(&mut self, _link: LinkId, _bytes: &[u8]) {}
    /// Gives back how many of the bytes, from the first, the network takes.
    fn write(&mut self, link: LinkId, bytes: &[u8]) -> usize;
    /// What the peer's socket has received and nobody has read yet.
    fn unread(&mut self, _link: LinkId) -> Vec<u8> {
        Vec::new()
    }
    /// The broker closed the connection. All that the peer will ever get has been written.
    fn closed_by_broker(&mut self, link: LinkId);
    /// Which turn it is.
    fn turn(&self) -> u64 {
        0
    }
    /// The connection goes to another shard.
    fn moved(&mut self, _link: LinkId, _to: u16) {}
    /// The broker says something to its operators.
    fn event(&mut self, event: Event);
}

struct Node {
    shard: Shard,
    /// Mail that others posted, in the order in which it was posted.
    inbox: VecDeque<Mail>,
    /// Mail of the last turn which has not been posted yet.
    outbox: VecDeque<(ShardId, Mail)>,
    /// Connections that other shards moved here.
    arrivals: VecDeque<(LinkId, Box<Handoff>)>,
    /// A turn is over only when its mail has been posted.
    in_turn: bool,
    links: BTreeMap<ConnectionId, LinkId>,
}

struct Link {
    place: Place,
    /// How many bytes of `output()` the wire has already seen.
    shown: usize,
}

/// What a broker is made of, again after each crash.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) shards: u16,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) sabotage: Option<Sabotage>,
}

pub(crate) struct Host {
    now: Time,
    plan: Plan,
    space: Arc<dyn Space>,
    nodes: Vec<Node>,
    links: Vec<Link>,
    storage: Option<Storage>,
    places: Places,
    /// Bytes of records that the start itself took.
    records_before: usize,
}

fn new_nodes(plan: &Plan, seed: u64, space: &Arc<dyn Space>, now: Time) -> Vec<Node> {
    let settings = Arc::new(plan.settings.clone());
    let node = |id: u16| {
        let (settings, space, access) = (Arc::clone(&settings), Arc::clone(space), Arc::clone(&plan.access));
        Node {
            shard: Shard::new(ShardId(id), plan.shards, settings, space, access, seed ^ (u64::from(id) << 48), now),
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            arrivals: VecDeque::new(),
            in_turn: false,
            links: BTreeMap::new(),
        }
    };
    (0..plan.shards).map(node).collect()
}

impl Host {
    /// A broker without a disk.
    pub(crate) fn new(plan: Plan, seed: u64, now: Time) -> Host {
        let space: Arc<dyn Space> = Arc::new(SimSpace::new(None));
        let nodes = new_nodes(&plan, seed, &space, now);
        Host { now, plan, space, nodes, links: Vec::new(), storage: None, places: Places::default(), records_before: 0 }
    }

    /// The broker is dead: takes the disk out of it.
    pub(crate) fn bury(&mut self) -> Option<(SimDisk, Options)> {
        for link in &mut self.links {
            link.place = Place::Gone;
        }
        self.nodes.clear();
        let (disk, options, places) = self.storage.take()?.into_parts();
        self.places = places;
        Some((disk, options))
    }

    /// Begins in this turn with what is on the disk, and with nothing else.
    pub(crate) fn start(&mut self, seed: u64, disk: SimDisk, options: Options, turn: u64) -> Result<(), OpenError> {
        let (storage, mut recovered) = Storage::open(disk, options, &self.plan, self.places.clone())?;
        self.space = Arc::new(SimSpace::new(Some((storage.reader(), self.places.clone()))));
        self.nodes = new_nodes(&self.plan, seed, &self.space, self.now);
        self.storage = Some(storage);
        self.restore(&mut recovered, turn);
        Ok(())
    }

    fn restore(&mut self, recovered: &mut Recovered, turn: u64) {
        let Some(storage) = &self.storage else { return };
        let read = &mut |place| storage.read_at(place);
        recovered.finish(&MemoryUse::default(), read);
        let retained = recovered.take_retained();
        for node in &mut self.nodes {
            node.shard.keep_time(recovered.clocks());
        }
        self.nodes[0].shard.begin_run(recovered.counter());
        self.nodes[0].shard.restore_retained(recovered.retained_version(), &retained);
        let shards = self.nodes.len();
        for node in &mut self.nodes {
            node.shard.go_on_after(recovered.counter());
        }
        let mut sessions: Vec<_> = recovered.take_sessions().collect();
        sessions.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (at, (client_id, session)) in sessions.into_iter().enumerate() {
            self.nodes[at % shards].shard.restore(self.now, client_id, session, read);
        }
        for shard in 0..self.shards() {
            self.submit(shard, turn);
        }
        self.records_before = self.storage.as_ref().map_or(0, Storage::submitted_bytes);
    }

    /// The wall clock is set: it is so much ahead of the shards' time.
    pub(crate) fn note_clock(&mut self, ahead_millis: i64) {
        let now = self.now;
        self.nodes.iter_mut().for_each(|node| node.shard.note_clock(now, ahead_millis));
    }

    /// Hands over what must survive of all that the shard did since the last time.
    fn submit(&mut self, shard: u16, turn: u64) {
        let records = self.nodes[usize::from(shard)].shard.take_records();
        if let (Some(storage), Some(records)) = (&mut self.storage, records) {
            storage.submit(shard, turn, records);
        }
    }

    pub(crate) fn space(&self) -> &dyn Space {
        &*self.space
    }

    pub(crate) fn storage(&mut self) -> Option<&mut Storage> {
        self.storage.as_mut()
    }

    /// All that was done until the end of this turn is durable; `now` is the present one.
    pub(crate) fn durable_turn(&self, now: u64) -> u64 {
        self.storage.as_ref().map_or(0, |storage| storage.durable_turn(now))
    }

    /// Bytes of all records since the start.
    pub(crate) fn records_len(&self) -> usize {
        self.storage.as_ref().map_or(0, Storage::submitted_bytes) - self.records_before
    }

    pub(crate) fn untold(&self, shard: u16) -> usize {
        self.storage.as_ref().map_or(0, |storage| storage.untold(shard))
    }

    /// Lets the shard hear one thing of the store, or of what was read for it. False if there is nothing.
    pub(crate) fn tell_one(&mut self, shard: u16) -> bool {
        let Some(storage) = &mut self.storage else { return false };
        let (now, node) = (self.now, &mut self.nodes[usize::from(shard)].shard);
        if let Some(fetch) = storage.next_found(shard) {
            node.fetched(now, *fetch);
            return true;
        }
        match storage.next_told(shard) {
            Some(Told::Durable(upto)) => node.durable(now, upto),
            Some(Told::Checkpoint(number, order)) => node.checkpoint(now, number, order),
            Some(Told::State(state)) => node.set_store(now, state),
            None => return false,
        }
        true
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// Moves the clock; it never goes back.
    pub(crate) fn set_now(&mut self, now: Time) {
        assert!(now.0 >= self.now.0, "time went back");
        self.now = now;
    }

    /// Other settings, which the shards have at once, and those that are started later too.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.plan.settings);
        let settings = Arc::new(self.plan.settings.clone());
        for node in &mut self.nodes {
            node.shard.reconfigure(self.now, Arc::clone(&settings), Arc::clone(&self.plan.access));
        }
    }

    /// Other settings, which shards have that are started later.
    pub(crate) fn plan_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.plan.settings);
    }

    pub(crate) fn shards(&self) -> u16 {
        self.nodes.len() as u16
    }

    pub(crate) fn shard(&self, shard: u16) -> &Shard {
        &self.nodes[usize::from(shard)].shard
    }

    pub(crate) fn place(&self, link: LinkId) -> Place {
        self.links[link.0].place
    }

    pub(crate) fn open(&mut self, shard: u16, listener: &Arc<ListenerSettings>) -> LinkId {
        let link = LinkId(self.links.len());
        let address = format!("127.0.0.1:{}", 10_000 + link.0 % 50_000);
        let node = &mut self.nodes[usize::from(shard)];
        let connection = node.shard.open(self.now, Arc::clone(listener), &address);
        node.links.insert(connection, link);
        self.links.push(Link { place: Place::On(shard, connection), shown: 0 });
        link
    }

    /// Gives bytes of the peer to the shard that owns the connection; false if there is none at the moment.
    pub(crate) fn receive(&mut self, link: LinkId, bytes: &[u8]) -> bool {
        let Place::On(shard, connection) = self.place(link) else { return false };
        self.nodes[usize::from(shard)].shard.receive(self.now, connection, bytes);
        true
    }

    /// Shows what the broker has for a peer, whether that ever reads it or not.
    pub(crate) fn show(&mut self, link: LinkId, wire: &mut dyn Wire) {
        let Place::On(shard, connection) = self.place(link) else { return };
        let output = self.shard(shard).output(connection).collect::<Vec<_>>().concat();
        let fresh = output.len() - self.links[link.0].shown;
        if fresh > 0 {
            wire.show(link, &output[output.len() - fresh..]);
            self.links[link.0].shown = output.len();
        }
    }

    /// Tells the broker that the network or the peer ended the connection; false if no shard owns it at the moment.
    pub(crate) fn closed(&mut self, link: LinkId, cause: Cause) -> bool {
        let Place::On(shard, connection) = self.place(link) else { return false };
        let node = &mut self.nodes[usize::from(shard)];
        node.links.remove(&connection);
        self.links[link.0].place = Place::Gone;
        node.shard.closed(self.now, connection, cause);
        true
    }

    pub(crate) fn tick(&mut self, shard: u16) {
        let now = self.now;
        self.nodes[usize::from(shard)].shard.tick(now);
    }

    pub(crate) fn shutdown(&mut self, shard: u16) {
        let now = self.now;
        self.nodes[usize::from(shard)].shard.shutdown(now);
    }

    pub(crate) fn mail_waiting(&self, shard: u16) -> usize {
        self.nodes[usize::from(shard)].inbox.len()
    }

    /// Hands the oldest mail to the shard.
    pub(crate) fn deliver_one(&mut self, shard: u16) -> bool {
        let now = self.now;
        let node = &mut self.nodes[usize::from(shard)];
        let Some(mail) = node.inbox.pop_front() else { return false };
        node.shard.deliver(now, &mail);
        true
    }

    pub(crate) fn arrivals_waiting(&self, shard: u16) -> usize {
        self.nodes[usize::from(shard)].arrivals.len()
    }

    /// Lets the shard adopt one connection that was moved to it; sockets travel on their own, so any of them may be next.
    pub(crate) fn adopt_one(&mut self, shard: u16, which: usize) -> Option<LinkId> {
        let now = self.now;
        let node = &mut self.nodes[usize::from(shard)];
        let (link, handoff) = node.arrivals.remove(which)?;
        let connection = node.shard.adopt(now, *handoff);
        node.links.insert(connection, link);
        self.links[link.0] = Link { place: Place::On(shard, connection), shown: 0 };
        Some(link)
    }

    /// True while mail of the shard's last turn waits to be posted: the shard takes no input before that.
    pub(crate) fn in_turn(&self, shard: u16) -> bool {
        self.nodes[usize::from(shard)].in_turn
    }

    /// Tries to write what the shard has for one connection; for peers that have room again.
    pub(crate) fn flush(&mut self, link: LinkId, wire: &mut dyn Wire) {
        self.show(link, wire);
        let Place::On(shard, connection) = self.place(link) else { return };
        let node = &mut self.nodes[usize::from(shard)];
        let output = node.shard.output(connection).collect::<Vec<_>>().concat();
        if output.is_empty() {
            return;
        }
        let length = output.len();
        let taken = wire.write(link, &output).min(length);
        self.links[link.0].shown = length - taken;
        if taken > 0 {
            node.shard.sent(self.now, connection, taken);
        }
    }

    /// First half of the end of a turn: everything is written, mail is laid out, connections close and move.
    pub(crate) fn drain(&mut self, shard: u16, wire: &mut dyn Wire) {
        let index = usize::from(shard);
        loop {
            let mut quiet = true;
            while let Some(connection) = self.nodes[index].shard.next_flush() {
                quiet = false;
                let link = self.nodes[index].links.get(&connection).copied();
                if let Some(link) = link {
                    self.flush(link, wire);
                }
            }
            while let Some(post) = self.nodes[index].shard.next_mail() {
                quiet = false;
                self.nodes[index].outbox.push_back(post);
            }
            while let Some(effect) = self.nodes[index].shard.next_effect() {
                quiet = false;
                self.carry_out(index, effect, wire);
            }
            if quiet {
                break;
            }
        }
        // Before its mail is posted.
        self.submit(shard, wire.turn());
        // What joins output that already waits for its peer is not announced again.
        let waiting: Vec<LinkId> =
            self.nodes[index].links.values().copied().filter(|link| self.links[link.0].shown > 0).collect();
        for link in waiting {
            self.show(link, wire);
        }
        self.nodes[index].in_turn = true;
    }

    fn carry_out(&mut self, index: usize, effect: Effect, wire: &mut dyn Wire) {
        match effect {
            Effect::Close(connection) => {
                if let Some(link) = self.nodes[index].links.get(&connection).copied() {
                    self.flush(link, wire);
                    self.closed(link, Cause::Network(Box::from("closed by the broker")));
                    wire.closed_by_broker(link);
                }
            }
            Effect::TakeMail { then } => {
                while self.deliver_one(index as u16) {}
                self.nodes[index].shard.drained(self.now, then);
            }
            Effect::Drain { connection, then } => {
                if let Some(link) = self.nodes[index].links.get(&connection).copied() {
                    let bytes = wire.unread(link);
                    self.receive(link, &bytes);
                }
                self.nodes[index].shard.drained(self.now, then);
            }
            Effect::Move { connection, to, handoff } => {
                if let Some(link) = self.nodes[index].links.remove(&connection) {
                    self.links[link.0].place = Place::Moving(to.0);
                    self.nodes[usize::from(to.0)].arrivals.push_back((link, handoff));
                    wire.moved(link, to.0);
                }
            }
            Effect::Fetch(fetch) => {
                if let Some(storage) = &mut self.storage {
                    storage.want(index as u16, fetch);
                }
            }
            Effect::Event(event) => wire.event(event),
        }
    }

    /// Second half of the end of a turn, one mail at a time: others may run between two posts. True when the turn is over.
    pub(crate) fn post_one(&mut self, shard: u16) -> bool {
        let node = &mut self.nodes[usize::from(shard)];
        if let Some((to, mail)) = node.outbox.pop_front() {
            self.nodes[usize::from(to.0)].inbox.push_back(mail);
        }
        let node = &mut self.nodes[usize::from(shard)];
        if node.outbox.is_empty() && node.in_turn {
            node.in_turn = false;
            node.shard.mail_posted();
            return true;
        }
        !node.in_turn
    }

    /// The shard has something to do although nothing came.
    pub(crate) fn is_due(&self, shard: u16) -> bool {
        self.shard(shard).next_deadline().is_some_and(|deadline| deadline.0 <= self.now.0)
    }

    pub(crate) fn wants_input(&self, link: LinkId) -> bool {
        match self.place(link) {
            Place::On(shard, connection) => self.shard(shard).wants_input(connection),
            _ => false,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.nodes.iter().filter_map(|node| node.shard.next_deadline()).min_by_key(|time| time.0)
    }
}

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

/// No message stands at place 0.
const LOG_BEGIN: u64 = 1 << 32;

/// A message of the log.
fn read(log: &[(u64, Vec<u8>)], place: u64) -> Option<Vec<u8>> {
    let at = log.partition_point(|(begin, _)| *begin <= place).checked_sub(1)?;
    let (begin, bytes) = &log[at];
    let blob = bytes.get((place - begin) as usize..)?;
    let length = u32::from_le_bytes(blob.get(..4)?.try_into().ok()?) as usize;
    blob.get(8..8 + length).map(Vec::from)
}

pub(crate) struct Host {
    now: Time,
    /// Pieces of records with their places; durable at once.
    log: Vec<(u64, Vec<u8>)>,
    end: u64,
    nodes: Vec<Node>,
    links: Vec<Link>,
}

fn new_nodes(
    settings: Settings,
    shards: u16,
    seed: u64,
    space: &Arc<dyn Space>,
    access: &Arc<dyn Access>,
    now: Time,
) -> Vec<Node> {
    let settings = Arc::new(settings);
    let node = |id: u16| {
        let (settings, space, access) = (Arc::clone(&settings), Arc::clone(space), Arc::clone(access));
        Node {
            shard: Shard::new(ShardId(id), shards, settings, space, access, seed ^ (u64::from(id) << 48), now),
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            arrivals: VecDeque::new(),
            in_turn: false,
            links: BTreeMap::new(),
        }
    };
    (0..shards).map(node).collect()
}

impl Host {
    pub(crate) fn new(
        settings: Settings,
        shards: u16,
        seed: u64,
        space: &Arc<dyn Space>,
        access: &Arc<dyn Access>,
        now: Time,
    ) -> Host {
        Host {
            now,
            nodes: new_nodes(settings, shards, seed, space, access, now),
            links: Vec::new(),
            log: Vec::new(),
            end: LOG_BEGIN,
        }
    }

    pub(crate) fn durable_turn(&self, turn: u64) -> u64 {
        turn
    }

    /// Throws every shard away, with all that it had in memory, and begins anew with the records of what happened.
    pub(crate) fn restart(&mut self, settings: Settings, seed: u64, space: &Arc<dyn Space>, access: &Arc<dyn Access>) {
        self.nodes = new_nodes(settings, self.shards(), seed, space, access, self.now);
        for link in &mut self.links {
            link.place = Place::Gone;
        }
        let mut recovered = Recovered::new();
        for (place, bytes) in &self.log {
            recovered.apply(*place, bytes).expect("records are read as they were written");
        }
        let log = &self.log;
        let read = &mut |place| read(log, place);
        recovered.finish(&MemoryUse::default(), read);
        let retained = recovered.take_retained();
        self.nodes[0].shard.begin_run(recovered.counter());
        self.nodes[0].shard.restore_retained(recovered.retained_version(), &retained);
        let shards = self.nodes.len();
        for node in &mut self.nodes {
            node.shard.go_on_after(recovered.counter());
        }
        for (at, (client_id, session)) in recovered.take_sessions().enumerate() {
            self.nodes[at % shards].shard.restore(self.now, client_id, session, read);
        }
        for shard in 0..shards {
            self.keep_records(shard);
        }
    }

    /// Bytes of records so far.
    pub(crate) fn records_len(&self) -> usize {
        self.log.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Takes over what a shard's turn has changed; false if nothing has.
    fn keep_records(&mut self, index: usize) -> bool {
        let Some(mut records) = self.nodes[index].shard.take_records() else { return false };
        records.placed(self.end);
        let bytes = std::mem::take(&mut records.bytes);
        let place = self.end;
        self.end += bytes.len() as u64;
        self.log.push((place, bytes));
        self.nodes[index].shard.durable(self.now, records.upto);
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
        let output = self.shard(shard).output(connection);
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
        let output = node.shard.output(connection);
        if output.is_empty() {
            return;
        }
        let length = output.len();
        let taken = wire.write(link, output).min(length);
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
            quiet &= !self.keep_records(index);
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
            Effect::Fetch(mut fetch) => {
                fetch.found = fetch.places.iter().map(|place| read(&self.log, *place)).collect();
                self.nodes[index].shard.fetched(self.now, *fetch);
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

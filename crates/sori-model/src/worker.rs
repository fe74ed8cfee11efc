//! A worker thread of the model: a real shard and real inboxes in the order of `sori-server`'s worker, whose sockets
//! take everything at once.

use crate::inbox::{Inbox, Letter};
use crate::packets;
use crate::socket::Stream;
use crate::space::LockedSpace;
use crate::sync::Waker;
use sori_broker::{Cause, ConnectionId, Effect, ListenerSettings, OpenAccess, Settings, Shard, ShardId, Space, Time};
use std::collections::VecDeque;
use std::sync::Arc;

const NOW: Time = Time(1_000_000);

/// No time passes in the model.
#[derive(Copy, Clone)]
pub(crate) struct Clock;

impl Clock {
    pub(crate) fn now(self) -> Time {
        NOW
    }
}

pub(crate) struct Worker {
    shard: Shard,
    inboxes: Vec<Arc<Inbox>>,
    inbox: Arc<Inbox>,
    sockets: Vec<(ConnectionId, Stream)>,
    /// Connections that have ended, for those who want to know what came over them.
    pub(crate) ended: Vec<Stream>,
}

/// The workers of a broker with so many shards.
pub(crate) fn workers<const COUNT: usize>() -> [Worker; COUNT] {
    let space: Arc<dyn Space> = Arc::new(LockedSpace::new(COUNT as u16));
    let inboxes: Vec<_> = (0..COUNT).map(|_| Arc::new(Inbox::new(Waker::new()))).collect();
    let settings = Arc::new(Settings { clients_max: None, ..Settings::default() });
    std::array::from_fn(|id| {
        let (settings, space, access) = (Arc::clone(&settings), Arc::clone(&space), Arc::new(OpenAccess));
        Worker {
            shard: Shard::new(ShardId(id as u16), COUNT as u16, settings, space, access, id as u64, NOW),
            inbox: Arc::clone(&inboxes[id]),
            inboxes: inboxes.clone(),
            sockets: Vec::new(),
            ended: Vec::new(),
        }
    })
}

impl Worker {
    /// A client connects here and at once sends the packets as well.
    pub(crate) fn connect(&mut self, client: &'static str, packets: &[&[u8]]) {
        let listener = Arc::new(ListenerSettings::default());
        let id = self.shard.open(NOW, listener, client);
        self.sockets.push((id, Stream::of(client)));
        self.receive(client, packets);
    }

    /// One turn in which a client's packets come in.
    pub(crate) fn receive(&mut self, client: &str, packets: &[&[u8]]) {
        let at = self.sockets.iter().position(|(_, socket)| socket.client == client).expect("it is connected here");
        self.shard.receive(NOW, self.sockets[at].0, &packets.concat());
        self.settle();
    }

    /// One turn for what lies in the inbox; false if that was nothing.
    pub(crate) fn turn(&mut self) -> bool {
        let is_any = self.read_inbox();
        if self.shard.next_deadline().is_some_and(|due| due <= NOW) {
            self.shard.tick(NOW);
        }
        self.settle();
        is_any
    }

    fn read_inbox(&mut self) -> bool {
        let mut letters = VecDeque::new();
        self.inbox.take_into(&mut letters);
        let is_any = !letters.is_empty();
        for letter in letters {
            match letter {
                Letter::Mail(mail) => {
                    self.shard.deliver(NOW, &mail);
                    self.inbox.give_back(mail, &self.inboxes);
                }
                Letter::Moved(stream, handoff, _) => {
                    let id = self.shard.adopt(NOW, *handoff);
                    self.sockets.push((id, stream));
                }
                _ => unreachable!("the scenarios send nothing else"),
            }
        }
        is_any
    }

    fn settle(&mut self) {
        self.flush();
        self.post_mail();
        while let Some(effect) = self.shard.next_effect() {
            self.carry_out(effect);
        }
        self.flush();
        self.post_mail();
    }

    fn flush(&mut self) {
        while let Some(id) = self.shard.next_flush() {
            let output = self.shard.output(id).collect::<Vec<_>>().concat();
            if let Some((_, socket)) = self.sockets.iter_mut().find(|(socket, _)| *socket == id) {
                socket.received.extend_from_slice(&output);
                self.shard.sent(NOW, id, output.len());
            }
        }
    }

    fn post_mail(&mut self) {
        while let Some((to, mail)) = self.shard.next_mail() {
            let emptied = self.inboxes[usize::from(to.0)].post_mail(mail);
            self.shard.reuse_mail(to, emptied);
        }
        self.shard.mail_posted();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Close(id) => {
                self.flush();
                let mut stream = self.remove(id);
                stream.is_closed = true;
                self.ended.push(stream);
                self.shard.closed(NOW, id, Cause::Shutdown);
            }
            Effect::Drain { then, .. } => self.shard.drained(NOW, then),
            Effect::TakeMail { then } => {
                self.read_inbox();
                self.shard.drained(NOW, then);
            }
            Effect::Move { connection, to, handoff } => {
                let stream = self.remove(connection);
                self.post_mail();
                self.inboxes[usize::from(to.0)].post(Letter::Moved(stream, handoff, None));
            }
            Effect::Fetch(_) | Effect::Event(_) => {}
        }
    }

    fn remove(&mut self, id: ConnectionId) -> Stream {
        let at = self.sockets.iter().position(|(socket, _)| *socket == id).expect("effects name open connections");
        self.sockets.swap_remove(at).1
    }

    /// Sessions that live here.
    pub(crate) fn sessions(&self) -> u64 {
        self.shard.totals().sessions
    }

    /// Clients that are connected here.
    pub(crate) fn connected(&self) -> u64 {
        self.shard.totals().clients_connected
    }

    pub(crate) fn has_client(&self, client: &str) -> bool {
        self.sockets.iter().any(|(_, socket)| socket.client == client)
    }

    /// The messages that a client has received since the last call.
    pub(crate) fn messages(&mut self, client: &str) -> Vec<String> {
        let all = self.sockets.iter_mut().map(|(_, socket)| socket).chain(&mut self.ended);
        all.filter(|socket| socket.client == client)
            .flat_map(|socket| packets::messages(&std::mem::take(&mut socket.received)))
            .collect()
    }
}

/// All threads have ended: what is still on its way arrives.
pub(crate) fn finish<const COUNT: usize>(workers: &mut [Worker; COUNT]) {
    loop {
        let mut is_any = false;
        for worker in &mut *workers {
            is_any |= worker.turn();
        }
        if !is_any {
            return;
        }
    }
}

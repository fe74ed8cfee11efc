//! A worker thread's turns around one shard, with clients in place of sockets.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::{Events, Poll, Token};
use sori_broker::{
    Access, Cause, ConnectionId, Effect, ListenerSettings, MessageRef, OpenAccess, Recorded, SessionRef, Settings,
    Shard, ShardId, Space, Time, Wire,
};
use sori_mqtt::QoS;

use super::Counting;
use super::client::{Client, Tally};
use crate::inbox::{Inbox, Letter};
use crate::space::LockedSpace;

const NOW: Time = Time(1_000_000);

/// What the workers of one broker share. They are made in the threads in which they run.
#[derive(Clone)]
pub struct Workers {
    settings: Arc<Settings>,
    access: Arc<dyn Access + Send + Sync>,
    space: Arc<dyn Space + Send + Sync>,
    inboxes: Vec<Arc<Inbox>>,
    /// What the inboxes wake, until its worker has it.
    polls: Arc<Mutex<Vec<Option<Poll>>>>,
}

/// One client of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientNumber(usize);

/// One shard, its inbox and its clients.
pub struct Worker {
    poll: Poll,
    shard: Shard,
    inbox: Arc<Inbox>,
    inboxes: Vec<Arc<Inbox>>,
    /// Empty but in a turn, for its memory.
    letters: VecDeque<Letter>,
    listener: Arc<ListenerSettings>,
    /// By the slot of their connection.
    clients: Vec<Option<Client>>,
    counting: Counting,
    /// Those who have something to say.
    speakers: Vec<usize>,
    speaking: Vec<usize>,
}

impl Workers {
    /// A broker with so many shards, in which everybody may do everything.
    ///
    /// # Errors
    /// The machine has no poll for us.
    pub fn new(shards: u16, settings: Settings) -> io::Result<Workers> {
        Workers::with_access(shards, settings, Arc::new(OpenAccess))
    }

    /// The same, with a space of the caller's.
    pub(super) fn in_space(
        shards: u16,
        settings: Settings,
        space: Arc<dyn Space + Send + Sync>,
    ) -> io::Result<Workers> {
        Ok(Workers { space, ..Workers::new(shards, settings)? })
    }

    pub(super) fn with_access(
        shards: u16,
        settings: Settings,
        access: Arc<dyn Access + Send + Sync>,
    ) -> io::Result<Workers> {
        let polls = (0..shards).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let wakers = polls.iter().map(|poll| mio::Waker::new(poll.registry(), Token(0)));
        let inboxes = wakers.map(|waker| Ok(Arc::new(Inbox::new(waker?)))).collect::<io::Result<Vec<_>>>()?;
        Ok(Workers {
            settings: Arc::new(settings),
            access,
            space: Arc::new(LockedSpace::new(shards)),
            inboxes,
            polls: Arc::new(Mutex::new(polls.into_iter().map(Some).collect())),
        })
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.inboxes.len() as u16
    }

    /// The worker of this shard, of which there is one.
    ///
    /// # Panics
    /// If it has been made before.
    #[must_use]
    pub fn worker(&self, number: u16) -> Worker {
        let space: Arc<dyn Space> = Arc::<dyn Space + Send + Sync>::clone(&self.space);
        let (settings, access) = (Arc::clone(&self.settings), Arc::clone(&self.access));
        let poll = self.polls.lock().unwrap_or_else(PoisonError::into_inner)[usize::from(number)].take();
        Worker {
            poll: poll.expect("a shard has one worker"),
            shard: Shard::new(ShardId(number), self.shards(), settings, space, access, u64::from(number), NOW),
            inbox: Arc::clone(&self.inboxes[usize::from(number)]),
            inboxes: self.inboxes.clone(),
            letters: VecDeque::new(),
            listener: Arc::new(ListenerSettings::default()),
            clients: Vec::new(),
            counting: Counting::No,
            speakers: Vec::new(),
            speaking: Vec::new(),
        }
    }
}

impl Worker {
    /// Whoever connects from now on comes by this listener.
    pub(super) fn listen(&mut self, listener: ListenerSettings) {
        self.listener = Arc::new(listener);
    }

    /// A client connects, with these packets as its first words.
    pub fn open(&mut self, first_words: &[u8]) -> ClientNumber {
        let connection = self.shard.open(NOW, Arc::clone(&self.listener), "memory");
        let number = connection.slot();
        if self.clients.len() <= number {
            self.clients.resize_with(number + 1, || None);
        }
        self.clients[number] = Some(Client::new(connection));
        self.say(ClientNumber(number), first_words);
        ClientNumber(number)
    }

    /// From now on.
    pub fn count(&mut self, counting: Counting) {
        self.counting = counting;
    }

    /// A client's words reach the shard.
    ///
    /// # Panics
    /// If the client is gone.
    pub fn say(&mut self, client: ClientNumber, bytes: &[u8]) {
        let connection = self.client(client).connection;
        self.counting.work(|| self.shard.receive(NOW, connection, bytes));
        self.flush_if_urgent();
    }

    /// The broker itself says something of QoS 0, and nothing follows yet: no packet is taken apart for it.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) {
        let message = MessageRef {
            topic,
            payload,
            properties: &[],
            qos: QoS::AtMostOnce,
            retain: false,
            expires: Time::NEVER,
            publisher: SessionRef::NOBODY,
            retained_version: 0,
            recorded: Recorded::default(),
            wire: Wire::default(),
        };
        self.counting.work(|| self.shard.publish(NOW, message));
    }

    /// What a client has seen so far.
    ///
    /// # Panics
    /// If the client is gone.
    #[must_use]
    pub fn tally(&self, client: ClientNumber) -> Tally {
        self.client(client).tally
    }

    fn client(&self, number: ClientNumber) -> &Client {
        self.clients[number.0].as_ref().expect("the client is connected")
    }

    /// One turn, in the order of a worker thread; gives whether something happened. What clients publish was said
    /// before.
    pub fn turn(&mut self) -> bool {
        let mut is_any = self.read_inbox();
        is_any |= self.hear_answers();
        if self.shard.next_deadline().is_some_and(|due| due <= NOW) {
            self.counting.work(|| self.shard.tick(NOW));
            is_any = true;
        }
        self.take_records();
        is_any |= self.flush();
        is_any |= self.post_mail();
        while let Some(effect) = self.shard.next_effect() {
            self.carry_out(effect);
            is_any = true;
        }
        self.take_records();
        is_any |= self.flush();
        is_any | self.post_mail()
    }

    /// Sleeps until there is mail, or for this long.
    ///
    /// # Errors
    /// The poll's.
    pub fn wait(&mut self, at_most: Duration) -> io::Result<()> {
        self.poll.poll(&mut Events::with_capacity(1), Some(at_most))
    }

    /// Does so much mail wait for another worker that nothing more should be read from clients?
    #[must_use]
    pub fn is_any_inbox_overfull(&self) -> bool {
        self.inboxes.iter().any(|inbox| !Arc::ptr_eq(inbox, &self.inbox) && inbox.is_overfull())
    }

    fn read_inbox(&mut self) -> bool {
        let mut letters = std::mem::take(&mut self.letters);
        self.counting.work(|| self.inbox.take_into(&mut letters));
        let is_any = !letters.is_empty();
        for letter in letters.drain(..) {
            match letter {
                Letter::Mail(mail) => self.counting.work(|| {
                    self.shard.deliver(NOW, &mail);
                    self.inbox.give_back(mail, &self.inboxes);
                }),
                Letter::HasRoom => {}
                _ => unreachable!("nothing else is sent from memory"),
            }
            self.flush_if_urgent();
        }
        self.letters = letters;
        is_any
    }

    /// Takes mail out of the inbox and gives its memory back, but delivers nothing; gives how many messages those were.
    pub fn throw_mail_away(&mut self) -> usize {
        let mut messages = 0;
        self.counting.work(|| {
            self.inbox.take_into(&mut self.letters);
            for letter in self.letters.drain(..) {
                if let Letter::Mail(mail) = letter {
                    messages += mail.len();
                    self.inbox.give_back(mail, &self.inboxes);
                }
            }
        });
        messages
    }

    fn hear_answers(&mut self) -> bool {
        std::mem::swap(&mut self.speakers, &mut self.speaking);
        let is_any = !self.speaking.is_empty();
        for number in self.speaking.drain(..) {
            let Some(client) = self.clients[number].as_mut() else { continue };
            let connection = client.connection;
            let bytes = client.say();
            self.counting.work(|| self.shard.receive(NOW, connection, bytes));
        }
        self.flush_if_urgent();
        is_any
    }

    fn flush_if_urgent(&mut self) {
        if self.shard.is_flush_urgent() {
            self.flush();
        }
    }

    fn flush(&mut self) -> bool {
        let due = self.shard.flushes_due();
        for _ in 0..due {
            let Some(connection) = self.counting.work(|| self.shard.next_flush()) else { break };
            let length = self.shard.output_len(connection);
            if let Some(client) = &mut self.clients[connection.slot()] {
                let was_silent = !client.has_answers();
                self.shard.output(connection).for_each(|piece| client.hear(piece));
                if was_silent && client.has_answers() {
                    self.speakers.push(connection.slot());
                }
            }
            self.counting.work(|| self.shard.sent(NOW, connection, length));
        }
        due > 0
    }

    /// The shard's records are durable at once.
    fn take_records(&mut self) {
        self.counting.work(|| {
            if let Some(records) = self.shard.take_records() {
                self.shard.durable(NOW, records.upto);
            }
        });
    }

    /// Mail goes into the inboxes; gives whether there was any.
    pub fn post_mail(&mut self) -> bool {
        self.counting.work(|| {
            let mut is_any = false;
            while let Some((to, mail)) = self.shard.next_mail() {
                let emptied = self.inboxes[usize::from(to.0)].post_mail(mail);
                self.shard.reuse_mail(to, emptied);
                is_any = true;
            }
            self.shard.mail_posted();
            is_any
        })
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Close(connection) => self.close(connection),
            Effect::Drain { then, .. } | Effect::TakeMail { then } => {
                self.counting.work(|| self.shard.drained(NOW, then));
            }
            Effect::Event(_) => {}
            Effect::Move { .. } | Effect::Fetch(_) => {
                unreachable!("clients come back where they were, and nothing lies on disk")
            }
        }
    }

    fn close(&mut self, connection: ConnectionId) {
        self.flush();
        self.clients[connection.slot()] = None;
        self.counting.work(|| self.shard.closed(NOW, connection, Cause::Shutdown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{self, Message};

    #[test]
    fn who_has_sent_too_much_mail_is_told_when_there_is_room_again() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let workers = Workers::new(2, Settings::default()).expect("two polls");
            let (mut here, mut there) = (workers.worker(0), workers.worker(1));
            for number in 0..8 {
                let subscriber = there.open(&feed::connect(&format!("subscriber-{number}")));
                there.say(subscriber, &feed::subscribe(&["a"], qos));
            }
            there.turn();
            let publisher = here.open(&feed::connect("publisher"));
            // So large, for so many, that it is shared and not copied.
            let words = feed::publishes(Message { topic: "a", qos, retain: false, size: 10_000 }, 10);
            let mut said = 0;
            while !here.is_any_inbox_overfull() {
                here.say(publisher, &words);
                here.turn();
                said += 1;
                assert!(said < 100, "{qos:?}: ten megabytes wait, and that is not too much");
            }
            here.turn();
            assert!(!here.turn(), "{qos:?}: nothing happens while nothing is delivered");
            there.turn();
            assert!(!here.is_any_inbox_overfull(), "{qos:?}");
            assert!(here.read_inbox(), "{qos:?}: it hears of it");
        }
    }
}

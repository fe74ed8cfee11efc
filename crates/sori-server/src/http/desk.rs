//! The thread that all visitors are at: sockets, deadlines, and what the rest of the broker has to say.

use super::visitor::{Next, Visitor};
use super::{Rules, Site};
use crate::figures::Figures;
use crate::log::Log;
use crate::socket::{Admittance, Stream};
use crate::wait::wait;
use mio::{Events, Interest, Poll, Token, Waker};
use sori_broker::{ConnectionId, ListenerSettings, ShardId, Verdict};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Stands for this thread where answers about logins go to shards; no broker has so many.
pub(crate) const HTTP_SHARD: ShardId = ShardId(u16::MAX);
/// Connections that may be open at the same time, over all listeners of this kind.
pub(crate) const VISITORS_MAX: usize = 256;
const WAKE: Token = Token(usize::MAX);
const EVENTS_MAX: usize = 256;

/// Something for the thread.
pub(crate) enum Order {
    Accepted(Box<Arrival>),
    /// A login that had to wait has been decided.
    Resolved(ConnectionId, Verdict),
    /// Another configuration.
    Reconfigure(Rules),
    Stop,
}

/// A connection that was accepted.
pub(crate) struct Arrival {
    pub(crate) stream: Stream,
    pub(crate) listener: Arc<ListenerSettings>,
    pub(crate) site: Arc<Site>,
    /// Where it comes from, as log lines say it.
    pub(crate) address: String,
    pub(crate) admittance: Admittance,
    pub(crate) seat: Seat,
}

/// One of the places that visitors have.
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Mailbox {
    orders: Sender<Order>,
    waker: Arc<Waker>,
    taken: Arc<AtomicUsize>,
}

impl Mailbox {
    pub(crate) fn post(&self, order: Order) {
        // Either fails only when the thread has ended, and then nobody waits.
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }

    /// A place for one more, if there is one.
    pub(crate) fn seat(&self) -> Option<Seat> {
        let one_more = |taken| (taken < VISITORS_MAX).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok().then(|| Seat(Arc::clone(&self.taken)))
    }
}

/// The thread, once a listener has needed it.
pub(crate) struct Http {
    mailbox: Mailbox,
    idle: Option<(Poll, Receiver<Order>)>,
    thread: Option<JoinHandle<()>>,
}

impl Http {
    pub(crate) fn new() -> io::Result<Http> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (orders, receiver) = channel();
        let mailbox = Mailbox { orders, waker, taken: Arc::default() };
        Ok(Http { mailbox, idle: Some((poll, receiver)), thread: None })
    }

    pub(crate) fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Starts the thread, unless it runs.
    pub(crate) fn start(&mut self, rules: Rules, figures: Arc<Figures>, log: Log) -> io::Result<()> {
        let Some((poll, orders)) = self.idle.take() else {
            // What a thread needs went with the one that could not be started.
            let failed = || io::Error::other("the thread for HTTP could not be started before: restart the broker");
            return self.thread.as_ref().map(|_| ()).ok_or_else(failed);
        };
        let room = Room { rules, figures, log, questions: Cell::new(0) };
        let run = move || Desk { poll, room, visitors: Vec::new(), free: Vec::new() }.run(&orders);
        self.thread = Some(std::thread::Builder::new().name(String::from("http")).spawn(run)?);
        Ok(())
    }

    /// Other rules from now on.
    pub(crate) fn reconfigure(&self, rules: Rules) {
        if self.thread.is_some() {
            self.mailbox.post(Order::Reconfigure(rules));
        }
    }

    pub(crate) fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.mailbox.post(Order::Stop);
            // A panic of the thread has been told by the panic message.
            let _ = thread.join();
        }
    }
}

/// What all visitors find here.
pub(super) struct Room {
    pub(super) rules: Rules,
    pub(super) figures: Arc<Figures>,
    pub(super) log: Log,
    /// How often somebody has asked to be let in.
    questions: Cell<u32>,
}

impl Room {
    /// A number for a question about a login, by which its answer is known.
    pub(super) fn next_question(&self) -> u32 {
        self.questions.set(self.questions.get().wrapping_add(1));
        self.questions.get()
    }
}

struct Desk {
    poll: Poll,
    room: Room,
    /// By their tokens.
    visitors: Vec<Option<Visitor>>,
    free: Vec<usize>,
}

impl Desk {
    fn run(mut self, orders: &Receiver<Order>) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut stirred = VecDeque::new();
        loop {
            let patience = if stirred.is_empty() { self.patience() } else { Some(Duration::ZERO) };
            match wait(&mut self.poll, &mut events, patience) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.room.log.error(format_args!("Error in poll: {error}."));
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            for event in &events {
                if let Some(visitor) = self.visitors.get_mut(event.token().0).and_then(Option::as_mut) {
                    visitor.note(event);
                    stirred.push_back(event.token().0);
                }
            }
            for order in orders.try_iter() {
                match order {
                    Order::Accepted(arrival) => stirred.extend(self.accept(*arrival)),
                    Order::Resolved(id, verdict) => stirred.extend(self.resolve(id, verdict)),
                    Order::Reconfigure(rules) => stirred.extend(self.reconfigure(rules)),
                    Order::Stop => return,
                }
            }
            for _ in 0..stirred.len() {
                let Some(token) = stirred.pop_front() else { break };
                if self.step(token) == Next::Again {
                    stirred.push_back(token);
                }
            }
            stirred.extend(self.expire());
        }
    }

    /// How long until somebody has waited long enough.
    fn patience(&self) -> Option<Duration> {
        let deadlines = self.visitors.iter().flatten().map(Visitor::deadline);
        deadlines.min().map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn accept(&mut self, arrival: Arrival) -> Option<usize> {
        let token = self.free.pop().unwrap_or_else(|| {
            self.visitors.push(None);
            self.visitors.len() - 1
        });
        let mut visitor = Visitor::new(arrival, token, self.room.rules.patience);
        let interests = Interest::READABLE | Interest::WRITABLE;
        let registered = visitor
            .source()
            .is_some_and(|source| self.poll.registry().register(source, Token(token), interests).is_ok());
        if !registered {
            self.free.push(token);
            return None;
        }
        self.visitors[token] = Some(visitor);
        Some(token)
    }

    fn resolve(&mut self, id: ConnectionId, verdict: Verdict) -> Option<usize> {
        let visitor = self.visitors.get_mut(id.slot()).and_then(Option::as_mut)?;
        visitor.resolve(id, &verdict, &self.room).then_some(id.slot())
    }

    /// Who has asked and is not known yet is asked again under the new rules.
    fn reconfigure(&mut self, rules: Rules) -> Vec<usize> {
        self.room.rules = rules;
        let mut there = Vec::new();
        for (token, visitor) in self.visitors.iter_mut().enumerate() {
            if let Some(visitor) = visitor {
                visitor.reconfigure(&self.room);
                there.push(token);
            }
        }
        there
    }

    fn step(&mut self, token: usize) -> Next {
        let Some(visitor) = self.visitors.get_mut(token).and_then(Option::as_mut) else { return Next::Wait };
        let next = visitor.step(&self.room);
        if next == Next::Gone {
            self.remove(token);
        }
        next
    }

    /// Gives those who can go on although their time is over.
    fn expire(&mut self) -> Vec<usize> {
        let now = Instant::now();
        let mut stirred = Vec::new();
        for token in 0..self.visitors.len() {
            let Some(visitor) = self.visitors[token].as_mut().filter(|visitor| visitor.deadline() <= now) else {
                continue;
            };
            match visitor.expire(&self.room) {
                Next::Wait => {}
                Next::Again => stirred.push(token),
                Next::Gone => self.remove(token),
            }
        }
        stirred
    }

    /// Closing the socket takes it out of the poll too.
    fn remove(&mut self, token: usize) {
        if self.visitors[token].take().is_some() {
            self.free.push(token);
        }
    }
}

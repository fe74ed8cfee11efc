//! A worker thread: one shard of the broker in its readiness loop.
//!
//! It works in turns. Each takes what the poll reports and what lies in the inbox, reads each ready socket once, lets
//! the shard decide, writes once to each connection that has output, and sends each other shard one batch of mail.
//! Sockets are registered once, edge-triggered, for reading and writing: no other system call is made for readiness.

mod part;
mod sockets;

use crate::board::Board;
use crate::inbox::{Inbox, Letter, NewSettings};
use crate::knock::{Ear, Knock};
use crate::log::Log;
use crate::numbers::Numbers;
use crate::publisher::Publisher;
use crate::report;
use crate::store::keeper::Keeper;
use crate::store::portion::Portion;
use crate::wait::wait;
use mio::{Events, Poll, Token};
use part::Part;
use sockets::{LINGER, Socket, State};
use sori_broker::{ConnectionId, Effect, Mail, Shard, ShardId, Time, Totals};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The token of the inbox's waker; sockets have those below it.
pub(crate) const WAKE: Token = Token(usize::MAX);
/// Bytes read from one socket in one turn, which keeps one loud client from starving the others.
const READ_BYTES: usize = 32 * 1024;
/// Readiness reports taken at once.
const EVENTS_MAX: usize = 1024;
/// How often a connection that is to be taken over is read at most: a client that sends without end is not worth more.
const DRAIN_READS_MAX: usize = 64;
/// After so many turns each client that had sent something has been heard.
const TURNS_BEHIND_MAX: u32 = 16;
/// How long the last things may take to become durable when the broker stops.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// How long a worker waits before it looks again whether a shard that is behind, or the store, has caught up.
const OVERFULL_WAIT: Duration = Duration::from_millis(1);

/// How often the wall clock is looked at, at most by each worker, and at least by the first of them.
const LOOKS_AT_CLOCK: Duration = Duration::from_secs(1);
const LOOKS_AT_CLOCK_AT_REST: Duration = Duration::from_secs(60);

/// Time as the shards count it: Unix time at the start, then monotonic, whatever becomes of the wall clock.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Clock {
    started: Duration,
    unix_millis: u64,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock::start_after(Time(0))
    }

    /// It is not earlier than `known`: an earlier wall clock is still to be set.
    pub(crate) fn start_after(known: Time) -> Clock {
        Clock { started: awake_and_asleep(), unix_millis: wall_millis().max(known.0) }
    }

    pub(crate) fn now(&self) -> Time {
        let millis = awake_and_asleep().saturating_sub(self.started).as_millis();
        Time(self.unix_millis.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX / 2)))
    }

    /// How far the wall clock is ahead of this one: it may have been set since the start.
    pub(crate) fn ahead_millis(&self) -> i64 {
        wall_millis().cast_signed().saturating_sub(self.now().0.cast_signed())
    }
}

fn wall_millis() -> u64 {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(unix.as_millis()).unwrap_or(0)
}

/// Since the machine was started. What is to happen in an hour happens in an hour, though the machine sleeps meanwhile.
#[cfg(target_os = "linux")]
fn awake_and_asleep() -> Duration {
    let clock = nix::time::ClockId::CLOCK_BOOTTIME;
    nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Since the first call: elsewhere there is no clock that counts sleep, or none that all have.
#[cfg(not(target_os = "linux"))]
fn awake_and_asleep() -> Duration {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

/// What a worker needs to begin.
pub(crate) struct Beginning {
    pub(crate) shard: Shard,
    pub(crate) id: ShardId,
    pub(crate) poll: Poll,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    /// What others see of this worker.
    pub(crate) ear: Arc<Ear>,
    pub(crate) board: Arc<Board>,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    pub(crate) connection_messages: bool,
    /// The listeners that there are.
    pub(crate) numbers: Arc<Numbers>,
    /// One worker publishes `$SYS` and log lines.
    pub(crate) publisher: Option<Publisher>,
    /// What must survive goes there, if anything must.
    pub(crate) keeper: Option<Keeper>,
}

impl Beginning {
    fn inbox(&self) -> &Arc<Inbox> {
        &self.inboxes[usize::from(self.id.0)]
    }
}

pub(crate) struct Worker {
    b: Beginning,
    sockets: Vec<Option<Socket>>,
    free: Vec<usize>,
    /// The socket of each connection, by the connection's slot.
    by_connection: Vec<usize>,
    /// Sockets that may have something to be read.
    readable: VecDeque<usize>,
    /// Those that have been closed by their peers.
    gone: VecDeque<usize>,
    /// How many of them, at the end, were left unread because the store fills.
    held_back: usize,
    lingering: VecDeque<usize>,
    /// Who has knocked waits for the next turn, whose poll is later than the knock.
    knock: Option<Arc<Knock>>,
    /// The knock that is answered at the end of this turn, or of a later one: when what could be read at its beginning has been.
    answering: Option<Arc<Knock>>,
    /// So many of `readable`, at the front, are to be read before that, and all that have been closed.
    unheard: usize,
    /// Letters that are not open yet.
    later: VecDeque<Letter>,
    /// So many of them, at the front, are to be opened in this turn.
    due_letters: usize,
    buffer: Vec<u8>,
    /// What a transport makes of the buffer.
    plain: Vec<u8>,
    /// How often something came that may change the shard's counters and is not in its own count of activity.
    inputs: u64,
    now: Time,
    next_look_at_clock: Time,
    /// Turns since there was nothing left to be read.
    turns_behind: u32,
    /// The last poll reported as much as it can: there is more.
    is_poll_full: bool,
    is_stopping: bool,
}

impl Worker {
    pub(crate) fn new(beginning: Beginning) -> Worker {
        Worker {
            now: beginning.clock.now(),
            b: beginning,
            sockets: Vec::new(),
            free: Vec::new(),
            by_connection: Vec::new(),
            readable: VecDeque::new(),
            gone: VecDeque::new(),
            held_back: 0,
            lingering: VecDeque::new(),
            knock: None,
            answering: None,
            unheard: 0,
            later: VecDeque::new(),
            due_letters: 0,
            buffer: vec![0; READ_BYTES],
            plain: Vec::new(),
            inputs: 0,
            next_look_at_clock: Time(0),
            turns_behind: 0,
            is_poll_full: false,
            is_stopping: false,
        }
    }

    /// Make sessions again that were kept, before the first turn of any worker.
    pub(crate) fn restore(&mut self, portion: Portion) -> Totals {
        portion.restore(&mut self.b.shard, self.now);
        self.hand_in_records();
        self.b.shard.totals()
    }

    /// Turn after turn, until the broker stops.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.is_stopping {
            let patience = self.patience();
            if patience != Some(Duration::ZERO) {
                self.b.ear.rest();
            } else if self.knock.is_some() || self.answering.is_some() {
                // As `wait` does it before it sleeps.
                std::thread::yield_now();
            }
            match wait(&mut self.b.poll, &mut events, patience) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.b.log.error(format_args!("Error in poll: {error}."));
                    std::thread::sleep(OVERFULL_WAIT);
                }
            }
            self.b.ear.listen();
            self.now = self.b.clock.now();
            self.is_poll_full = events.iter().count() >= EVENTS_MAX;
            self.note_readiness(&events);
            self.turn();
        }
    }

    fn turn(&mut self) {
        if let Some(knock) = self.knock.take() {
            (self.answering, self.unheard) = (Some(knock), self.readable.len());
        }
        self.look_at_clock();
        self.read_gone();
        self.read_inbox();
        if self.is_any_inbox_overfull() || self.is_store_overfull() {
            self.unheard = 0;
        } else {
            if self.b.shard.is_behind() {
                self.note_input();
                self.b.shard.take_up(self.now);
            }
            self.read_sockets();
        }
        if self.may_tick() && self.b.shard.next_deadline().is_some_and(|due| due <= self.now) {
            self.note_input();
            self.b.shard.tick(self.now);
        }
        if let Some(publisher) = &mut self.b.publisher {
            publisher.publish_due(&mut self.b.shard, self.now);
        }
        self.settle();
        self.end_lingering();
        let activity = self.b.shard.activity().wrapping_add(self.inputs);
        self.b.board.report(self.b.id, &self.b.shard, activity, self.now);
        if self.unheard == 0 && self.gone.is_empty() {
            self.answering = None;
        }
    }

    /// The records have to tell when the wall clock was set: the next run goes by it.
    fn look_at_clock(&mut self) {
        if self.b.keeper.is_some() && self.now >= self.next_look_at_clock {
            self.next_look_at_clock = self.now.plus_millis(LOOKS_AT_CLOCK.as_millis() as u64);
            self.b.shard.note_clock(self.now, self.b.clock.ahead_millis());
        }
    }

    /// After a pause of the whole machine all Keep Alives may seem over, while what keeps them alive waits to be read: it
    /// comes first. But who is never caught up has time that passes, too.
    fn may_tick(&mut self) -> bool {
        if self.is_store_overfull() {
            return false;
        }
        let is_caught_up = self.gone.is_empty() && self.readable.is_empty() && !self.is_poll_full;
        self.turns_behind = if is_caught_up { 0 } else { self.turns_behind + 1 };
        let may = is_caught_up || self.turns_behind > TURNS_BEHIND_MAX;
        if may {
            self.turns_behind = 0;
        }
        may
    }

    /// Write, post and carry out until nothing is left of this turn. A message for very many is written to some, and to the others in
    /// the turns that follow at once.
    fn settle(&mut self) {
        // First of all, because the disk takes longest.
        self.hand_in_records();
        self.flush_some();
        self.post_mail();
        self.carry_out_effects();
        // Closing a connection may have published a will.
        self.flush_some();
        self.post_mail();
    }

    fn carry_out_effects(&mut self) {
        while let Some(effect) = self.b.shard.next_effect() {
            self.carry_out(effect);
        }
    }

    fn note_input(&mut self) {
        self.inputs = self.inputs.wrapping_add(1);
    }

    fn patience(&self) -> Option<Duration> {
        if self.is_any_inbox_overfull() {
            return Some(OVERFULL_WAIT);
        }
        // Who waits for the disk is told when it has caught up.
        let goes_on = !self.is_store_overfull();
        let has_input = !self.gone.is_empty() || (goes_on && self.readable.len() > self.held_back);
        let is_waited_for = self.knock.is_some() || self.answering.is_some();
        if has_input || !self.later.is_empty() || is_waited_for || self.b.shard.flushes_due() > 0 {
            return Some(Duration::ZERO);
        }
        let publisher = self.b.publisher.as_ref().and_then(Publisher::next_due);
        let deadline = self.b.shard.next_deadline().filter(|_| goes_on);
        let due = [deadline, publisher, self.b.board.next_report(self.b.id)];
        let timed = due.into_iter().flatten().min().map(|due| {
            match due.0.saturating_sub(self.b.clock.now().0) {
                0 => Duration::ZERO,
                // Rounded up, so that the deadline has come when the poll returns.
                left => Duration::from_millis(left + 1),
            }
        });
        let lingers = (!self.lingering.is_empty()).then_some(LINGER);
        let looks_again = (goes_on && self.held_back > 0).then_some(OVERFULL_WAIT);
        let looks_at_clock = (self.b.keeper.is_some() && self.b.id == ShardId(0)).then_some(LOOKS_AT_CLOCK_AT_REST);
        [timed, lingers, looks_again, looks_at_clock].into_iter().flatten().min()
    }

    fn is_any_inbox_overfull(&self) -> bool {
        let me = usize::from(self.b.id.0);
        self.b.inboxes.iter().enumerate().any(|(at, inbox)| at != me && inbox.is_overfull())
    }

    fn is_store_overfull(&self) -> bool {
        self.b.keeper.as_ref().is_some_and(Keeper::is_overfull)
    }

    fn note_readiness(&mut self, events: &Events) {
        for event in events {
            let Some(socket) = self.sockets.get_mut(event.token().0).and_then(Option::as_mut) else { continue };
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                socket.is_readable = true;
                let is_gone = event.is_read_closed() || event.is_error();
                socket.is_read_closed |= is_gone;
                match std::mem::replace(&mut socket.is_listed, true) {
                    true => {}
                    false if is_gone => self.gone.push_back(event.token().0),
                    false => self.readable.push_back(event.token().0),
                }
            }
            if event.is_writable() && !std::mem::replace(&mut socket.is_writable, true) {
                match socket.state {
                    State::Open(id) => self.write(event.token().0, id),
                    // Reading tells of a failure.
                    State::Lingering(_) => drop(socket.stream.flush()),
                }
            }
        }
    }

    /// Deliver the mail that lies in the inbox. Everything else waits for the next turn: a connection that is accepted now
    /// could get the name of one whose effects are still to be carried out.
    fn take_mail(&mut self) {
        self.later.extend(self.b.inbox().take());
        let due = self.due_letters;
        for (at, letter) in std::mem::take(&mut self.later).into_iter().enumerate() {
            match letter {
                Letter::Mail(mail) => {
                    self.due_letters -= usize::from(at < due);
                    self.deliver(mail);
                }
                other => self.later.push_back(other),
            }
        }
    }

    fn deliver(&mut self, mail: Mail) {
        self.note_input();
        self.b.shard.deliver(self.now, &mail);
        self.b.inbox().give_back(mail, &self.b.inboxes);
    }

    /// Open the letters that have come, in their order, but with mail for very many some in a later turn.
    fn read_inbox(&mut self) {
        self.b.inbox().take_into(&mut self.later);
        self.due_letters = self.later.len();
        let part = Part::of_letters(self.due_letters);
        while self.due_letters > 0
            && let Some(letter) = self.later.pop_front()
        {
            self.due_letters -= 1;
            let is_mail = matches!(letter, Letter::Mail(_));
            self.open(letter);
            if self.b.shard.is_flush_urgent() {
                self.flush();
            }
            if is_mail && part.is_over() {
                break;
            }
        }
        self.due_letters = 0;
    }

    fn open(&mut self, letter: Letter) {
        match letter {
            Letter::Mail(mail) => self.deliver(mail),
            Letter::Accepted(stream, listener, address, admittance) => {
                self.accept(stream, listener, &address, admittance);
            }
            Letter::Moved(stream, handoff, admittance) => {
                self.adopt(stream, *handoff, admittance);
                // It may have to move on, and then its name is free for the next connection.
                self.carry_out_effects();
            }
            Letter::Resolved(connection, verdict) => {
                self.note_input();
                self.b.shard.resolve(self.now, connection, verdict);
                // Likewise.
                self.carry_out_effects();
            }
            Letter::Reconfigure(new) => {
                self.note_input();
                self.reconfigure(*new);
                self.carry_out_effects();
            }
            Letter::Show(look) => look(&self.b.shard),
            Letter::LogLines => {
                if let Some(publisher) = &mut self.b.publisher {
                    publisher.publish_log_lines(&mut self.b.shard, self.now);
                }
            }
            Letter::Stirred(token) => self.stirred(token),
            Letter::Durable(_) | Letter::Checkpoint(..) | Letter::StoreState(_) | Letter::Fetched(_) => {
                self.note_input();
                self.hear_of_store(letter);
            }
            // The turn goes on with what it could not read until now.
            Letter::HasRoom => {}
            Letter::Knock(knock) => self.knock = Some(knock),
            Letter::Stop => self.stop(),
        }
    }

    fn hear_of_store(&mut self, letter: Letter) {
        let (now, Some(keeper)) = (self.now, &mut self.b.keeper) else { return };
        match letter {
            Letter::Durable(upto) => {
                keeper.note_durable(upto);
                self.b.shard.durable(now, upto);
            }
            Letter::Checkpoint(number, order) => self.b.shard.checkpoint(now, number, order),
            Letter::StoreState(state) => {
                keeper.note_state(state);
                self.b.shard.set_store(now, state);
            }
            Letter::Fetched(fetch) => self.b.shard.fetched(now, *fetch),
            _ => {}
        }
    }

    /// What this turn has changed and must survive goes to the store before anybody learns of it.
    pub(crate) fn hand_in_records(&mut self) {
        if let Some(keeper) = &mut self.b.keeper
            && let Some(records) = self.b.shard.take_records()
        {
            keeper.hand_in(records);
        }
    }

    fn reconfigure(&mut self, new: NewSettings) {
        self.b.shard.reconfigure(self.now, new.settings, new.access);
        self.b.connection_messages = new.connection_messages;
        self.b.numbers = new.numbers;
        self.dismiss_gone();
        self.revoke_gone();
        if let Some(publisher) = &mut self.b.publisher {
            publisher.set_interval(new.sys_interval, self.now);
        }
    }

    /// End the connections whose listener is gone.
    fn dismiss_gone(&mut self) {
        let gone = self.sockets.iter().flatten().filter_map(|socket| match (&socket.admittance, &socket.state) {
            (Some(admittance), State::Open(id)) if self.b.numbers.is_gone(admittance.listener) => Some(*id),
            _ => None,
        });
        for id in gone.collect::<Vec<ConnectionId>>() {
            self.note_input();
            self.b.shard.dismiss(self.now, id);
        }
    }

    /// End the connections whose key is gone.
    fn revoke_gone(&mut self) {
        let gone = self.sockets.iter().flatten().filter_map(|socket| match socket.state {
            State::Open(id) if self.has_lost_key(socket) => Some(id),
            _ => None,
        });
        for id in gone.collect::<Vec<ConnectionId>>() {
            self.note_input();
            self.b.shard.revoke(self.now, id);
        }
    }

    fn post_mail(&mut self) {
        self.hand_in_records();
        while let Some((to, mail)) = self.b.shard.next_mail() {
            let emptied = self.b.inboxes[usize::from(to.0)].post_mail(mail);
            self.b.shard.reuse_mail(to, emptied);
        }
        self.b.shard.mail_posted();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Close(id) => self.close(id),
            Effect::Drain { connection, then } => self.drain(connection, then),
            Effect::TakeMail { then } => {
                self.take_mail();
                self.b.shard.drained(self.now, then);
            }
            Effect::Move { connection, to, handoff } => {
                let token = self.socket_of(connection);
                debug_assert!(token.is_some(), "a connection that moves has its socket until now");
                if let Some(socket) = token.and_then(|token| self.take_socket(token)) {
                    self.post_mail();
                    let letter = Letter::Moved(socket.stream, handoff, socket.admittance);
                    self.b.inboxes[usize::from(to.0)].post(letter);
                }
            }
            Effect::Fetch(fetch) => {
                if let Some(keeper) = &self.b.keeper {
                    keeper.fetch(fetch);
                }
            }
            Effect::Event(event) => report::event(&self.b.log, &event, self.b.connection_messages),
        }
    }

    /// Everything that has come in is brought to its end, as far as that goes soon; then everybody is told.
    fn stop(&mut self) {
        if std::mem::replace(&mut self.is_stopping, true) {
            return;
        }
        let until = Instant::now() + LAST_WRITES;
        self.settle();
        self.hear_last_words();
        self.wait_for_store(until);
        self.b.shard.shutdown(self.now);
        self.settle();
        self.wait_for_store(until);
    }

    /// What clients said before the broker was told to stop still counts: that they go, and how.
    fn hear_last_words(&mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        for _ in 0..DRAIN_READS_MAX {
            if self.b.poll.poll(&mut events, Some(Duration::ZERO)).is_ok() {
                self.note_readiness(&events);
            }
            self.readable.extend(self.gone.drain(..));
            if self.readable.is_empty() || self.is_any_inbox_overfull() || self.is_store_overfull() {
                return;
            }
            self.now = self.b.clock.now();
            self.read_sockets();
            self.settle();
        }
    }

    /// Until everything that was handed in is durable, and what waited for that has left.
    fn wait_for_store(&mut self, until: Instant) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while self.b.keeper.as_ref().is_some_and(|keeper| !keeper.is_settled()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self
                    .b
                    .log
                    .error(format_args!("Error: The store did not finish in time; what it has not written is lost."));
            }
            // The inbox's waker is all that matters here; a failure only makes the next look come sooner.
            let _ = self.b.poll.poll(&mut events, Some(left));
            self.now = self.b.clock.now();
            self.read_inbox();
            self.settle();
        }
    }
}

impl Drop for Worker {
    /// However it ends, whoever waits for an answer is not left waiting.
    fn drop(&mut self) {
        self.b.inbox().close();
    }
}

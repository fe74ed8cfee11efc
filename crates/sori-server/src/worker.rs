//! A worker thread: one shard of the broker in its readiness loop.
//!
//! It works in turns. Each takes what the poll reports and what lies in the inbox, reads each ready socket once, lets
//! the shard decide, writes once to each connection that has output, and sends each other shard one batch of mail.
//! Sockets are registered once, edge-triggered, for reading and writing: no other system call is made for readiness.

use crate::board::Board;
use crate::carried::{End, Received};
use crate::inbox::{Inbox, Letter, NewSettings, Numbers};
use crate::log::Log;
use crate::publisher::Publisher;
use crate::report;
use crate::socket::{Admittance, Stream};
use crate::store::keeper::Keeper;
use crate::store::portion::Portion;
use crate::tap::Tap;
use crate::wait::wait;
use mio::{Events, Poll, Token};
use sori_broker::{Cause, ConnectionId, Effect, Handoff, ListenerSettings, Shard, ShardId, Time, Totals};
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The token of the inbox's waker; sockets have those below it.
pub(crate) const WAKE: Token = Token(usize::MAX);
/// Bytes read from one socket in one turn, which keeps one loud client from starving the others.
const READ_BYTES: usize = 64 * 1024;
/// Readiness reports taken at once.
const EVENTS_MAX: usize = 1024;
/// Pieces of output that are written at once.
const PIECES_MAX: usize = 16;
/// How long a connection that the broker has closed is still read, so that the peer sees the broker's last words
/// and not a reset.
const LINGER: Duration = Duration::from_secs(1);
/// How often a connection that is to be taken over is read at most: a client that sends without end is not worth more.
const DRAIN_READS_MAX: usize = 64;
/// After so many turns each client that had sent something has been heard.
const TURNS_BEHIND_MAX: u32 = 16;
/// How long the last things may take to become durable when the broker stops.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// How long a worker waits before it looks again whether a shard that is behind has caught up.
const OVERFULL_WAIT: Duration = Duration::from_millis(1);

/// Time as the shards count it: Unix time at the start, then monotonic.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Clock {
    started: Instant,
    unix_millis: u64,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Clock { started: Instant::now(), unix_millis: u64::try_from(unix.as_millis()).unwrap_or(0) }
    }

    pub(crate) fn now(&self) -> Time {
        Time(self.unix_millis + u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX / 2))
    }
}

/// What a worker needs to begin.
pub(crate) struct Beginning {
    pub(crate) shard: Shard,
    pub(crate) id: ShardId,
    pub(crate) poll: Poll,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
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

struct Socket {
    stream: Stream,
    state: State,
    is_readable: bool,
    is_writable: bool,
    /// The peer has closed its side, so reading goes on until the end.
    is_read_closed: bool,
    /// It stands in the list of sockets to be read.
    is_listed: bool,
    /// A connection from within the program has none: it takes no place from others.
    admittance: Option<Admittance>,
    /// Debug lines of what passes.
    tap: Option<Box<Tap>>,
}

enum State {
    Open(ConnectionId),
    /// Closed by the broker: what the peer still sends is thrown away until this moment.
    Lingering(Instant),
}

pub(crate) struct Worker {
    b: Beginning,
    sockets: Vec<Option<Socket>>,
    free: Vec<usize>,
    /// The socket of each connection, by the connection's slot.
    by_connection: Vec<usize>,
    /// Sockets that may have something to be read.
    readable: VecDeque<usize>,
    /// How many of them, at the front, have been closed by their peers.
    gone: usize,
    lingering: VecDeque<usize>,
    /// Letters that were found while only mail was looked for.
    later: VecDeque<Letter>,
    buffer: Vec<u8>,
    /// What a transport makes of the buffer.
    plain: Vec<u8>,
    /// How often something came that may change the shard's counters and is not in its own count of activity.
    inputs: u64,
    now: Time,
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
            gone: 0,
            lingering: VecDeque::new(),
            later: VecDeque::new(),
            buffer: vec![0; READ_BYTES],
            plain: Vec::new(),
            inputs: 0,
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
            match wait(&mut self.b.poll, &mut events, patience) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.b.log.error(format_args!("Error in poll: {error}."));
                    std::thread::sleep(OVERFULL_WAIT);
                }
            }
            self.now = self.b.clock.now();
            self.is_poll_full = events.iter().count() >= EVENTS_MAX;
            self.note_readiness(&events);
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.read_gone();
        self.read_inbox();
        if !self.is_any_inbox_overfull() && !self.is_store_overfull() {
            self.read_sockets();
        }
        if self.may_tick() && self.b.shard.next_deadline().is_some_and(|due| due <= self.now) {
            self.note_input();
            self.b.shard.tick(self.now);
        }
        if let Some(publisher) = &mut self.b.publisher {
            publisher.publish_due(&mut self.b.shard, self.now, &self.b.board);
        }
        self.settle();
        self.end_lingering();
        let activity = self.b.shard.activity().wrapping_add(self.inputs);
        self.b.board.report(self.b.id, &self.b.shard, activity, self.now);
    }

    /// After a pause of the whole machine all Keep Alives may seem over, while what keeps them alive waits to be read: it
    /// comes first. But who is never caught up has time that passes, too.
    fn may_tick(&mut self) -> bool {
        if self.is_store_overfull() {
            return false;
        }
        let is_caught_up = self.readable.is_empty() && !self.is_poll_full;
        self.turns_behind = if is_caught_up { 0 } else { self.turns_behind + 1 };
        let may = is_caught_up || self.turns_behind > TURNS_BEHIND_MAX;
        if may {
            self.turns_behind = 0;
        }
        may
    }

    /// Write, post and carry out until nothing is left of this turn.
    fn settle(&mut self) {
        // First of all, because the disk takes longest.
        self.hand_in_records();
        self.flush();
        self.post_mail();
        self.carry_out_effects();
        // Closing a connection may have published a will.
        self.flush();
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
        if (goes_on && !self.readable.is_empty()) || !self.later.is_empty() || self.b.shard.flushes_due() > 0 {
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
        match self.lingering.is_empty() {
            true => timed,
            false => Some(timed.unwrap_or(LINGER).min(LINGER)),
        }
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
                    false if is_gone => {
                        self.readable.push_front(event.token().0);
                        self.gone += 1;
                    }
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
        for letter in self.b.inbox().take() {
            match letter {
                Letter::Mail(mail) => {
                    self.note_input();
                    self.b.shard.deliver(self.now, &mail);
                }
                other => self.later.push_back(other),
            }
        }
    }

    fn read_inbox(&mut self) {
        let mut letters = std::mem::take(&mut self.later);
        letters.append(&mut self.b.inbox().take());
        for letter in letters {
            match letter {
                Letter::Mail(mail) => {
                    self.note_input();
                    self.b.shard.deliver(self.now, &mail);
                }
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
                Letter::StoreHasRoom => {}
                Letter::Stop => self.stop(),
            }
            if self.b.shard.is_flush_urgent() {
                self.flush();
            }
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

    fn accept(
        &mut self,
        stream: Stream,
        listener: Arc<ListenerSettings>,
        address: &str,
        admittance: Option<Admittance>,
    ) {
        let id = self.b.shard.open(self.now, listener, address);
        self.add(stream, id, admittance);
    }

    fn adopt(&mut self, stream: Stream, handoff: Handoff, admittance: Option<Admittance>) {
        let id = self.b.shard.adopt(self.now, handoff);
        // It may have been on its way when its listener went.
        let is_gone = admittance.as_ref().is_some_and(|admittance| self.b.numbers.is_gone(admittance.listener));
        self.add(stream, id, admittance);
        if is_gone {
            self.b.shard.dismiss(self.now, id);
        }
    }

    fn add(&mut self, mut stream: Stream, id: ConnectionId, admittance: Option<Admittance>) {
        let token = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(None);
            self.sockets.len() - 1
        });
        if let Err(error) = stream.register(self.b.poll.registry(), self.b.inbox(), token) {
            self.free.push(token);
            return self.b.shard.closed(self.now, id, Cause::Network(error.to_string().into()));
        }
        // What came before the registration is reported by the next poll: an edge-triggered registration reports the
        // state that it finds.
        self.sockets[token] = Some(Socket {
            state: State::Open(id),
            is_readable: false,
            is_writable: !stream.has_output(),
            stream,
            is_read_closed: false,
            is_listed: false,
            admittance,
            tap: Tap::new(&self.b.log),
        });
        if self.by_connection.len() <= id.slot() {
            self.by_connection.resize(id.slot() + 1, usize::MAX);
        }
        self.by_connection[id.slot()] = token;
    }

    /// Something changed at the other end of an in-process connection.
    fn stirred(&mut self, token: usize) {
        let Some(socket) = self.sockets.get_mut(token).and_then(Option::as_mut) else { return };
        if !matches!(socket.stream, Stream::Local(_)) {
            // The in-process connection is gone, and the token has a new owner.
            return;
        }
        socket.stream.looked();
        socket.is_readable = true;
        socket.is_writable = true;
        if !std::mem::replace(&mut socket.is_listed, true) {
            self.readable.push_back(token);
        }
        if let State::Open(id) = socket.state {
            self.write(token, id);
        }
    }

    /// Who has gone is known to be gone before the mail comes that was sent after that: a message for it waits in its
    /// session then, and is not sent to a socket that nobody reads.
    fn read_gone(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        if gone == 0 {
            return;
        }
        for _ in 0..gone {
            let Some(token) = self.readable.pop_front() else { break };
            self.read(token);
        }
        // A connection that is accepted next may get the name of one of these.
        self.carry_out_effects();
    }

    fn read_sockets(&mut self) {
        for _ in 0..self.readable.len() {
            let Some(token) = self.readable.pop_front() else { break };
            self.read(token);
            if self.b.shard.is_flush_urgent() {
                self.flush();
            }
        }
    }

    /// Read once from a socket and give the shard what came.
    fn read(&mut self, token: usize) {
        let Some(socket) = self.sockets.get_mut(token).and_then(Option::as_mut) else { return };
        socket.is_listed = false;
        let id = match socket.state {
            // A peer that has gone is read to its end even if it has not taken its output: it may have said DISCONNECT,
            // and nothing else would tell that it is gone.
            State::Open(id) if socket.is_read_closed || self.b.shard.wants_input(id) => Some(id),
            // It goes on when the connection has taken its output; see `write`.
            State::Open(_) => return,
            State::Lingering(_) => None,
        };
        if !socket.is_readable {
            return;
        }
        if let (Stream::Carried(_), Some(id)) = (&socket.stream, id) {
            return self.read_carried(token, id);
        }
        match socket.stream.read(&mut self.buffer) {
            Ok(0) => self.ended(token, Cause::Network("connection closed by client".into())),
            Ok(count) => {
                // A short read has emptied the socket; the next bytes bring a new edge. An in-process connection is read
                // until it says that nothing is left, as the worker is told only once.
                let is_local = matches!(socket.stream, Stream::Local(_));
                socket.is_readable = is_local || socket.is_read_closed || count == self.buffer.len();
                if socket.is_readable {
                    socket.is_listed = true;
                    self.readable.push_back(token);
                }
                if let (Some(tap), Some(_)) = (&mut socket.tap, id) {
                    tap.received(&self.buffer[..count]);
                }
                if let Some(id) = id {
                    self.b.shard.receive(self.now, id, &self.buffer[..count]);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => socket.is_readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                socket.is_listed = true;
                self.readable.push_back(token);
            }
            Err(error) => self.ended(token, Cause::Network(error.to_string().into())),
        }
    }

    /// Read once from a connection behind a transport and give the shard what it makes of that.
    fn read_carried(&mut self, token: usize, id: ConnectionId) {
        let Some(Socket { stream: Stream::Carried(carried), .. }) = self.sockets[token].as_mut() else { return };
        let mut plain = std::mem::take(&mut self.plain);
        let Received { is_drained, end } = carried.receive(&mut self.buffer, &mut plain);
        let introduction = carried.introduction();
        let is_open_now = introduction.is_some();
        if let Some(introduction) = introduction {
            if let Some(line) = carried.negotiated() {
                self.b.log.notice(format_args!("{line}"));
            }
            self.b.shard.introduce(id, introduction);
        }
        if let Some(socket) = self.sockets[token].as_mut() {
            socket.is_readable = end.is_none() && (!is_drained || socket.is_read_closed);
            if socket.is_readable && !std::mem::replace(&mut socket.is_listed, true) {
                self.readable.push_back(token);
            }
            if let (Some(tap), false) = (&mut socket.tap, plain.is_empty()) {
                tap.received(&plain);
            }
        }
        if !plain.is_empty() {
            self.b.shard.receive(self.now, id, &plain);
            plain.clear();
        }
        self.plain = plain;
        // Handshakes and Pongs; what MQTT answers comes with the flush.
        if let Some(socket) = self.sockets[token].as_mut()
            && (socket.stream.has_output() || is_open_now)
        {
            // Reading tells of a failure.
            let _ = socket.stream.flush();
            socket.is_writable = (socket.is_writable || is_open_now) && !socket.stream.has_output();
        }
        match end {
            None => {}
            Some(End::ByPeer) => self.ended(token, Cause::Network("connection closed by client".into())),
            Some(End::Socket(text)) => self.ended(token, Cause::Network(text.into())),
            Some(End::Refused { why, line }) => {
                if let Some(line) = line {
                    self.b.log.notice(format_args!("{line}"));
                }
                self.note_input();
                self.b.shard.closed(self.now, id, Cause::Network(why.into()));
                self.linger(token);
            }
        }
    }

    /// The peer is gone.
    fn ended(&mut self, token: usize, cause: Cause) {
        self.note_input();
        if let Some(Socket { state: State::Open(id), .. }) = self.sockets[token] {
            self.b.shard.closed(self.now, id, cause);
        }
        self.drop_socket(token);
    }

    /// Close a socket. That takes it out of the poll too, which saves a system call. No event can come for the token's next
    /// owner: those that the poll has given are all noted before anything of the turn is done.
    fn drop_socket(&mut self, token: usize) {
        if let Some(socket) = self.sockets.get_mut(token).and_then(Option::take) {
            drop(socket);
            self.free.push(token);
        }
    }

    /// Give a socket away that goes on elsewhere.
    fn take_socket(&mut self, token: usize) -> Option<Socket> {
        let mut socket = self.sockets.get_mut(token)?.take()?;
        // It can only fail when the poll does not know the socket, which is as good.
        let _ = socket.stream.deregister(self.b.poll.registry());
        self.free.push(token);
        Some(socket)
    }

    fn flush(&mut self) {
        for _ in 0..self.b.shard.flushes_due() {
            let Some(id) = self.b.shard.next_flush() else { break };
            if let Some(token) = self.socket_of(id) {
                self.write(token, id);
            }
        }
    }

    /// Write a connection's output, once. What the shard finds to send when that has left is for the next turn, so that
    /// one client with very much to get does not keep the others waiting.
    fn write(&mut self, token: usize, id: ConnectionId) {
        let Some(socket) = self.sockets.get_mut(token).and_then(Option::as_mut) else { return };
        if !matches!(socket.state, State::Open(open) if open == id) {
            return;
        }
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let gathered = gather(self.b.shard.output(id), &mut pieces);
        if socket.is_writable && socket.stream.has_output() {
            // Reading tells of a failure.
            let _ = socket.stream.flush();
            socket.is_writable = !socket.stream.has_output();
        }
        if socket.is_writable && !gathered.is_empty() {
            match socket.stream.write(gathered) {
                Ok(count) => {
                    socket.is_writable = match &socket.stream {
                        // It takes less than everything although the socket may take more.
                        Stream::Carried(carried) => count > 0 && !carried.has_output(),
                        _ => count == gathered.iter().map(|piece| piece.len()).sum(),
                    };
                    if let Some(tap) = &mut socket.tap {
                        let bytes: Vec<u8> =
                            gathered.iter().flat_map(|piece| piece.iter().copied()).take(count).collect();
                        tap.sent(&bytes, self.b.shard.client_id(id));
                    }
                    self.b.shard.sent(self.now, id, count);
                    if socket.is_writable && self.b.shard.output_len(id) > 0 {
                        self.b.shard.flush_again(id);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => socket.is_writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => self.b.shard.flush_again(id),
                // Reading tells why, after what the peer has still sent.
                Err(_) => {
                    socket.is_writable = false;
                    socket.is_readable = true;
                    socket.is_read_closed = true;
                }
            }
        }
        let goes_on = socket.is_read_closed || self.b.shard.wants_input(id);
        if socket.is_readable && !socket.is_listed && goes_on {
            socket.is_listed = true;
            self.readable.push_back(token);
        }
    }

    /// Where the socket of a connection stands.
    fn socket_of(&self, id: ConnectionId) -> Option<usize> {
        let &token = self.by_connection.get(id.slot())?;
        let socket = self.sockets.get(token)?.as_ref()?;
        matches!(socket.state, State::Open(open) if open == id).then_some(token)
    }

    fn post_mail(&mut self) {
        self.hand_in_records();
        while let Some((to, mail)) = self.b.shard.next_mail() {
            self.b.inboxes[usize::from(to.0)].post(Letter::Mail(mail));
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

    /// Read what a connection has received before another one takes its place: the client may have said DISCONNECT, and
    /// its new connection may have come by a shorter way.
    fn drain(&mut self, connection: ConnectionId, then: ConnectionId) {
        for _ in 0..DRAIN_READS_MAX {
            let Some(token) = self.socket_of(connection) else { break };
            let Some(socket) = self.sockets[token].as_mut() else { break };
            if matches!(socket.stream, Stream::Carried(_)) {
                self.read_carried(token, connection);
                match self.sockets[token].as_ref() {
                    Some(socket) if socket.is_readable => continue,
                    _ => break,
                }
            }
            match socket.stream.read(&mut self.buffer) {
                Ok(0) => self.ended(token, Cause::Network("connection closed by client".into())),
                Ok(count) => {
                    if let Some(tap) = &mut socket.tap {
                        tap.received(&self.buffer[..count]);
                    }
                    self.b.shard.receive(self.now, connection, &self.buffer[..count]);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => self.ended(token, Cause::Network(error.to_string().into())),
            }
        }
        self.b.shard.drained(self.now, then);
    }

    /// The broker ends a connection: its last words leave, then the peer has a moment to read them.
    fn close(&mut self, id: ConnectionId) {
        let Some(token) = self.socket_of(id) else { return };
        let has_last_words = self.b.shard.output_len(id) > 0;
        self.write(token, id);
        let Some(socket) = self.sockets[token].as_mut() else { return };
        socket.stream.say_good_bye();
        if has_last_words && !self.is_stopping {
            self.linger(token);
        } else {
            self.drop_socket(token);
        }
        self.note_input();
        self.b.shard.closed(self.now, id, Cause::Shutdown);
    }

    /// The connection is over for the broker, and the peer has a moment to read what was said last.
    fn linger(&mut self, token: usize) {
        let Some(socket) = self.sockets[token].as_mut() else { return };
        socket.stream.finish();
        socket.state = State::Lingering(Instant::now() + LINGER);
        socket.is_readable = true;
        if !std::mem::replace(&mut socket.is_listed, true) {
            self.readable.push_back(token);
        }
        self.lingering.push_back(token);
    }

    fn end_lingering(&mut self) {
        if self.lingering.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(&token) = self.lingering.front() {
            match self.sockets[token].as_ref().map(|socket| &socket.state) {
                Some(State::Lingering(until)) if *until > now => break,
                Some(State::Lingering(_)) => self.drop_socket(token),
                // It ended by itself, and the token may have a new owner.
                _ => {}
            }
            self.lingering.pop_front();
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

/// The first pieces of what is to be written.
#[inline]
fn gather<'a, 'p>(output: impl Iterator<Item = &'a [u8]>, pieces: &'p mut [IoSlice<'a>]) -> &'p [IoSlice<'a>] {
    let mut count = 0;
    for (place, piece) in pieces.iter_mut().zip(output) {
        *place = IoSlice::new(piece);
        count += 1;
    }
    &pieces[..count]
}

impl Drop for Worker {
    /// However it ends, whoever waits for an answer is not left waiting.
    fn drop(&mut self) {
        self.b.inbox().close();
    }
}

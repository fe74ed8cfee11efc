//! A worker's sockets: how connections come to it, are read and written, and end.

use super::part::{Part, SOCKETS_IN_A_GO};
use super::{DRAIN_READS_MAX, Worker};
use crate::carried::{End, Received};
use crate::socket::{Admittance, Stream};
use crate::store::keeper::Keeper;
use crate::tap::Tap;
use sori_broker::{Cause, ConnectionId, Handoff, ListenerSettings};
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records of one turn are handed in as soon as there are so many bytes of them: what is handed in at once is written at once.
const RECORDS_BYTES_MAX: usize = 16 << 20;

/// Pieces of output that are written at once.
const PIECES_MAX: usize = 16;
/// How long a connection that the broker has closed is still read, so that the peer sees the broker's last words
/// and not a reset.
pub(super) const LINGER: Duration = Duration::from_secs(1);

pub(super) struct Socket {
    pub(super) stream: Stream,
    pub(super) state: State,
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    /// The peer has closed its side, so reading goes on until the end.
    pub(super) is_read_closed: bool,
    /// It stands in the list of sockets to be read.
    pub(super) is_listed: bool,
    /// The last read brought as much as it could.
    pub(super) is_loud: bool,
    /// A connection from within the program has none: it takes no place from others.
    pub(super) admittance: Option<Admittance>,
    /// Debug lines of what passes.
    pub(super) tap: Option<Box<Tap>>,
}

pub(super) enum State {
    Open(ConnectionId),
    /// Closed by the broker: what the peer still sends is thrown away until this moment.
    Lingering(Instant),
}

impl Worker {
    pub(super) fn accept(
        &mut self,
        stream: Stream,
        listener: Arc<ListenerSettings>,
        address: &str,
        admittance: Option<Admittance>,
    ) {
        let id = self.b.shard.open(self.now, listener, address);
        self.add(stream, id, admittance);
    }

    pub(super) fn adopt(&mut self, stream: Stream, handoff: Handoff, admittance: Option<Admittance>) {
        let id = self.b.shard.adopt(self.now, handoff);
        // It may have been on its way when its listener went.
        let is_gone = admittance.as_ref().is_some_and(|admittance| self.b.numbers.is_gone(admittance.listener));
        self.add(stream, id, admittance);
        if is_gone {
            self.b.shard.dismiss(self.now, id);
        }
        self.revoke_without_key(id);
    }

    /// The key that let a connection in is not its client's any more.
    pub(super) fn has_lost_key(&self, socket: &Socket) -> bool {
        let (Stream::Carried(carried), Some(admittance)) = (&socket.stream, &socket.admittance) else { return false };
        let shown = carried.shown_key();
        shown.is_some_and(|(identity, ring)| self.b.numbers.has_lost_key(admittance.listener, identity, ring))
    }

    /// End the connection if its key went while it was on its way or in its handshake; gives whether it did.
    fn revoke_without_key(&mut self, id: ConnectionId) -> bool {
        let socket = self.socket_of(id).and_then(|token| self.sockets[token].as_ref());
        let is_revoked = socket.is_some_and(|socket| self.has_lost_key(socket));
        if is_revoked {
            self.b.shard.revoke(self.now, id);
        }
        is_revoked
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
            is_loud: false,
            admittance,
            tap: Tap::new(&self.b.log),
        });
        if self.by_connection.len() <= id.slot() {
            self.by_connection.resize(id.slot() + 1, usize::MAX);
        }
        self.by_connection[id.slot()] = token;
    }

    /// Something changed at the other end of an in-process connection.
    pub(super) fn stirred(&mut self, token: usize) {
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
    /// session then, and is not sent to a socket that nobody reads. Of very many who go at once some are heard
    /// in later turns, so that others are heard as well.
    pub(super) fn read_gone(&mut self) {
        let part = Part::of_sockets(self.gone.len());
        while !self.gone.is_empty() {
            for _ in 0..SOCKETS_IN_A_GO {
                let Some(token) = self.gone.pop_front() else { break };
                match self.is_behind(token) {
                    true => self.readable.push_back(token),
                    false => self.read(token),
                }
            }
            // A connection that is accepted next may get the name of one of these.
            self.carry_out_effects();
            if part.is_over() {
                return;
            }
        }
    }

    /// Read once from each. While the store fills, loud clients wait until it has written more: else all would have to, soon.
    pub(super) fn read_sockets(&mut self) {
        let is_filling = self.b.keeper.as_ref().is_some_and(Keeper::is_filling);
        self.held_back = 0;
        let part = Part::of_sockets(self.readable.len());
        for at in 1..=self.readable.len() {
            let Some(token) = self.readable.pop_front() else { break };
            self.unheard = self.unheard.saturating_sub(1);
            if (is_filling && self.is_loud(token)) || self.is_behind(token) {
                self.readable.push_back(token);
                self.held_back += 1;
                continue;
            }
            self.read(token);
            if at % SOCKETS_IN_A_GO == 0 && part.is_over() {
                return;
            }
            if self.b.shard.records_len() > RECORDS_BYTES_MAX {
                self.hand_in_records();
            }
            if self.b.shard.is_flush_urgent() {
                self.flush();
            }
            if self.b.shard.is_mail_urgent() {
                self.post_mail();
                if self.is_any_inbox_overfull() {
                    return;
                }
            }
        }
    }

    /// Is its shard not done with what has been read from it?
    fn is_behind(&self, token: usize) -> bool {
        let Some(Socket { state: State::Open(id), .. }) = self.sockets.get(token).and_then(Option::as_ref) else {
            return false;
        };
        self.b.shard.is_behind() && self.b.shard.is_connection_behind(*id)
    }

    fn is_loud(&self, token: usize) -> bool {
        let socket = self.sockets.get(token).and_then(Option::as_ref);
        socket.is_some_and(|socket| socket.is_loud && !socket.is_read_closed)
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
                socket.is_loud = count == self.buffer.len();
                socket.is_readable = is_local || socket.is_read_closed || socket.is_loud;
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
            if self.revoke_without_key(id) {
                plain.clear();
            }
        }
        if let Some(socket) = self.sockets[token].as_mut() {
            socket.is_loud = !is_drained;
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
    pub(super) fn take_socket(&mut self, token: usize) -> Option<Socket> {
        let mut socket = self.sockets.get_mut(token)?.take()?;
        // It can only fail when the poll does not know the socket, which is as good.
        let _ = socket.stream.deregister(self.b.poll.registry());
        self.free.push(token);
        Some(socket)
    }

    /// Write the output of all that have some.
    pub(super) fn flush(&mut self) {
        for _ in 0..self.b.shard.flushes_due() {
            let Some(id) = self.b.shard.next_flush() else { break };
            self.write_to(id);
        }
    }

    /// The same, until that part of the turn is over. Of very many one half are those who have been waiting longest, and the other those
    /// who have just got something: they do not wait behind thousands.
    pub(super) fn flush_some(&mut self) {
        let part = Part::of_sockets(self.b.shard.flushes_due());
        while self.b.shard.flushes_due() > SOCKETS_IN_A_GO {
            for _ in 0..SOCKETS_IN_A_GO / 2 {
                for id in [self.b.shard.last_flush(), self.b.shard.next_flush()].into_iter().flatten() {
                    self.write_to(id);
                }
            }
            if part.is_over() {
                return;
            }
        }
        self.flush();
    }

    fn write_to(&mut self, id: ConnectionId) {
        if let Some(token) = self.socket_of(id) {
            self.write(token, id);
        }
    }

    /// Write a connection's output, once. What the shard finds to send when that has left is for the next turn, so that
    /// one client with very much to get does not keep the others waiting.
    pub(super) fn write(&mut self, token: usize, id: ConnectionId) {
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
                        _ => count == gathered.iter().map(|piece| piece.len()).sum::<usize>(),
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
    pub(super) fn socket_of(&self, id: ConnectionId) -> Option<usize> {
        let &token = self.by_connection.get(id.slot())?;
        let socket = self.sockets.get(token)?.as_ref()?;
        matches!(socket.state, State::Open(open) if open == id).then_some(token)
    }

    /// Read what a connection has received before another one takes its place: the client may have said DISCONNECT, and
    /// its new connection may have come by a shorter way.
    pub(super) fn drain(&mut self, connection: ConnectionId, then: ConnectionId) {
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
    pub(super) fn close(&mut self, id: ConnectionId) {
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

    pub(super) fn end_lingering(&mut self) {
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

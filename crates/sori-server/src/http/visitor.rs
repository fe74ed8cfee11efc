//! One connection: what it asks, who it is, and its answer as far as it has taken it.

use super::answer::{
    Answer, BAD_REQUEST, HEAD_TOO_LARGE, METHOD_NOT_ALLOWED, NOT_FOUND, Output, UNAUTHORIZED, UNAVAILABLE,
    VERSION_NOT_SUPPORTED,
};
use super::desk::{Arrival, HTTP_SHARD, Room, Seat};
use super::{CLIENT_ID, Site, api};
use crate::carried::{End, Received};
use crate::log::Kind;
use crate::socket::{Admittance, Stream};
use mio::event::{Event, Source};
use sori_broker::{Action, ConnectionId, Identity, ListenerSettings, Login, Verdict};
use sori_mqtt::{ReasonCode, Version};
use sori_net::http::{Collected, Credentials, HeadReader, Method, Rejected, Request};
use std::io::{ErrorKind, IoSlice, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that are read from a socket or a file at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that one visitor is written before the others have their turn.
const PIECES_MAX: usize = 16;
/// An answer must leave at least so fast, or within the time for a request: who takes it drop by drop is not worth a place.
const BYTES_PER_SECOND_MIN: u64 = 16 * 1024;
/// How long a connection that has had its last answer is still read, so that the visitor sees the answer and not a reset.
/// RFC 9112 section 9.6
const LINGER: Duration = Duration::from_secs(1);

/// What is to be done with a visitor now.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(super) enum Next {
    /// Nothing until its socket stirs.
    Wait,
    /// It could go on at once, after the others.
    Again,
    /// Its connection is over.
    Gone,
}

enum State {
    Reading,
    /// Its login is being decided.
    Asking(Request),
    Answering(Answering),
    /// The last answer has left.
    Lingering,
}

struct Answering {
    output: Output,
    /// Bytes of the output that have left.
    sent: usize,
    /// Bytes that have left since the deadline was set.
    taken: u64,
}

pub(super) struct Visitor {
    stream: Stream,
    listener: Arc<ListenerSettings>,
    site: Arc<Site>,
    address: String,
    /// Whom its certificate or its key names.
    proven_name: Option<Box<str>>,
    /// Where it stands, and the number of its last question.
    id: ConnectionId,
    state: State,
    deadline: Instant,
    head: HeadReader,
    /// What has come and is not used yet.
    input: Vec<u8>,
    is_readable: bool,
    is_writable: bool,
    /// Given back when the connection ends.
    _admittance: Admittance,
    _seat: Seat,
}

impl Visitor {
    pub(super) fn new(arrival: Arrival, token: usize, patience: Duration) -> Visitor {
        let Arrival { stream, listener, site, address, admittance, seat } = arrival;
        Visitor {
            stream,
            listener,
            site,
            address,
            proven_name: None,
            id: id_at(token, 0),
            state: State::Reading,
            deadline: Instant::now() + patience,
            head: HeadReader::default(),
            input: Vec::new(),
            // The poll tells when something has come.
            is_readable: false,
            is_writable: true,
            _admittance: admittance,
            _seat: seat,
        }
    }

    pub(super) fn source(&mut self) -> Option<&mut dyn Source> {
        self.stream.source()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn note(&mut self, event: &Event) {
        self.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// Its time is over.
    pub(super) fn expire(&mut self, room: &Room) -> Next {
        match &mut self.state {
            State::Asking(_) => {
                self.say(Answer::refusal(UNAVAILABLE), true, room);
                Next::Again
            }
            State::Answering(answering) => {
                if !answering.has_kept_up(room.rules.patience) {
                    return Next::Gone;
                }
                self.deadline = Instant::now() + room.rules.patience;
                Next::Wait
            }
            State::Reading | State::Lingering => Next::Gone,
        }
    }

    /// Goes on as far as the socket allows.
    pub(super) fn step(&mut self, room: &Room) -> Next {
        for _ in 0..PIECES_MAX {
            let next = match &mut self.state {
                State::Reading => self.read(room),
                State::Asking(_) => Next::Wait,
                State::Answering(_) => self.write(),
                State::Lingering => self.read_past(),
            };
            if next != Next::Again {
                return next;
            }
        }
        Next::Again
    }

    fn read(&mut self, room: &Room) -> Next {
        if !self.input.is_empty() {
            let input = std::mem::take(&mut self.input);
            match self.head.collect(&input) {
                Collected::Partial => {}
                // What stands behind the first request is not looked at.
                Collected::Complete(_) => {
                    let head = std::mem::take(&mut self.head);
                    self.consider(head.bytes(), room);
                    return Next::Again;
                }
                Collected::TooLong => {
                    self.say(Answer::refusal(HEAD_TOO_LARGE), true, room);
                    return Next::Again;
                }
            }
        }
        if !self.is_readable {
            return Next::Wait;
        }
        let Received { is_drained, end } = self.receive();
        self.is_readable = !is_drained;
        // Handshakes; that they cannot be written is told by reading.
        let _ = self.stream.flush();
        match end {
            Some(End::Refused { why, .. }) => {
                if room.rules.connection_messages {
                    room.log.notice(format_args!("HTTP connection from {} closed: {why}.", self.address));
                }
                self.linger();
                Next::Again
            }
            // What came before the end may be a whole request; the end is then met once more.
            Some(End::ByPeer) if !self.input.is_empty() => {
                self.is_readable = true;
                Next::Again
            }
            Some(End::ByPeer | End::Socket(_)) => Next::Gone,
            None if !self.input.is_empty() || self.is_readable => Next::Again,
            None => Next::Wait,
        }
    }

    fn receive(&mut self) -> Received {
        let mut buffer = [0; PIECE_BYTES];
        if let Stream::Carried(carried) = &mut self.stream {
            let received = carried.receive(&mut buffer, &mut self.input);
            if let Some(introduction) = carried.introduction() {
                self.proven_name = introduction.user_name;
                self.address = introduction.address.map_or_else(|| std::mem::take(&mut self.address), String::from);
            }
            return received;
        }
        match self.stream.read(&mut buffer) {
            Ok(0) => Received { is_drained: true, end: Some(End::ByPeer) },
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                Received { is_drained: count < buffer.len(), end: None }
            }
            Err(error) => {
                let is_drained = error.kind() != ErrorKind::Interrupted;
                let is_over = !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
                Received { is_drained, end: is_over.then(|| End::Socket(error.to_string())) }
            }
        }
    }

    /// A head is complete.
    fn consider(&mut self, head: &[u8], room: &Room) {
        let request = match Request::parse(head) {
            Ok(request) => request,
            Err(rejected) => {
                let status = if rejected == Rejected::Version { VERSION_NOT_SUPPORTED } else { BAD_REQUEST };
                return self.say(Answer::refusal(status), true, room);
            }
        };
        if room.log.enabled(Kind::Debug) {
            let path = request.path.as_deref().unwrap_or("?").escape_debug();
            room.log.write(Kind::Debug, format_args!("HTTP {:?} {path} from {}.", request.method, self.address));
        }
        match (request.method, &request.path) {
            // What such a request carries is not read.
            (Method::Other, _) => self.say(Answer::refusal(METHOD_NOT_ALLOWED), true, room),
            (_, None) => self.reply(&request, Answer::refusal(NOT_FOUND), room),
            _ => self.ask(request, room),
        }
    }

    /// Asks who the visitor is, for this request.
    fn ask(&mut self, request: Request, room: &Room) {
        self.id = id_at(self.id.slot(), room.next_question());
        self.deadline = Instant::now() + room.rules.patience;
        let verdict = self.login(&request, room);
        self.state = State::Asking(request);
        self.decide(&verdict, room);
    }

    fn login(&self, request: &Request, room: &Room) -> Verdict {
        let is_named = self.listener.names_its_clients;
        let (user_name, password) = match (&self.proven_name, &request.credentials) {
            (Some(name), _) if is_named => (Some(&**name), None),
            (None, _) if is_named => return Verdict::Refuse(ReasonCode::NotAuthorized),
            (_, Credentials::Malformed) => return Verdict::Refuse(ReasonCode::NotAuthorized),
            (_, Credentials::None) => (None, None),
            (_, Credentials::Basic { user_name, password }) => (Some(user_name.as_str()), Some(password.as_slice())),
        };
        room.rules.access.login(&Login {
            client_id: CLIENT_ID,
            user_name,
            password,
            is_proven: is_named,
            allow_anonymous: self.listener.allow_anonymous,
            version: Version::V311,
            address: &self.address,
            place: self.listener.place,
            answer_to: (HTTP_SHARD, self.id),
        })
    }

    /// The answer to a question; gives whether it was this visitor's last one.
    pub(super) fn resolve(&mut self, id: ConnectionId, verdict: &Verdict, room: &Room) -> bool {
        let is_mine = id == self.id;
        if is_mine {
            self.decide(verdict, room);
        }
        is_mine
    }

    /// The configuration is another one: whoever is not known yet is asked again under its rules.
    pub(super) fn reconfigure(&mut self, room: &Room) {
        if let State::Asking(request) = &self.state {
            let request = request.clone();
            self.ask(request, room);
        }
    }

    fn decide(&mut self, verdict: &Verdict, room: &Room) {
        let State::Asking(request) = &self.state else { return };
        let request = request.clone();
        let answer = match verdict {
            Verdict::Later => return,
            Verdict::Accept(identity) => self.serve(&request, identity, room),
            Verdict::Refuse(ReasonCode::ServerBusy) => Answer::refusal(UNAVAILABLE),
            Verdict::Refuse(_) => Answer::refusal(UNAUTHORIZED),
        };
        self.reply(&request, answer, room);
    }

    fn serve(&self, request: &Request, identity: &Identity, room: &Room) -> Answer {
        let Some(path) = &request.path else { return Answer::refusal(NOT_FOUND) };
        if !room.rules.access.may(identity, CLIENT_ID, Action::Receive, path) {
            // Not "forbidden": who may not may name itself otherwise, as in Mosquitto.
            return Answer::refusal(UNAUTHORIZED);
        }
        if api::has(path) {
            return api::answer(path, &room.figures, &room.rules.listeners);
        }
        let found = self.site.directory.as_ref().and_then(|directory| directory.find(path));
        found.map_or_else(|| Answer::refusal(NOT_FOUND), Answer::file)
    }

    fn reply(&mut self, request: &Request, answer: Answer, room: &Room) {
        self.say(answer, request.method != Method::Head, room);
    }

    fn say(&mut self, answer: Answer, with_body: bool, room: &Room) {
        let output = answer.write(with_body);
        self.deadline = Instant::now() + room.rules.patience;
        self.state = State::Answering(Answering { output, sent: 0, taken: 0 });
    }

    /// Writes one piece of the answer.
    fn write(&mut self) -> Next {
        let State::Answering(answering) = &mut self.state else { return Next::Again };
        if !self.is_writable {
            return Next::Wait;
        }
        if answering.sent == answering.output.bytes.len() {
            if answering.output.file.is_some() {
                return answering.read_file();
            }
            if self.stream.flush().is_err() {
                return Next::Gone;
            }
            if self.stream.has_output() {
                self.is_writable = false;
                return Next::Wait;
            }
            self.linger();
            return Next::Again;
        }
        match self.stream.write(&[IoSlice::new(&answering.output.bytes[answering.sent..])]) {
            Ok(count) if count > 0 => {
                answering.sent += count;
                answering.taken += count as u64;
                Next::Again
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Next::Again,
            Err(error) if error.kind() != ErrorKind::WouldBlock => Next::Gone,
            // A transport that takes nothing waits for its socket, as the socket itself does.
            _ => {
                self.is_writable = false;
                Next::Wait
            }
        }
    }

    /// Nothing more will be said.
    fn linger(&mut self) {
        self.stream.say_good_bye();
        self.stream.finish();
        self.state = State::Lingering;
        self.deadline = Instant::now() + LINGER;
        self.is_readable = true;
    }

    /// What still comes is thrown away.
    fn read_past(&mut self) -> Next {
        match self.stream.read(&mut [0; PIECE_BYTES]) {
            Ok(0) => Next::Gone,
            Ok(_) => Next::Again,
            Err(error) if error.kind() == ErrorKind::Interrupted => Next::Again,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Next::Wait,
            Err(_) => Next::Gone,
        }
    }
}

impl Answering {
    /// Whether the visitor took enough of its answer in so long. From here on it is counted anew.
    fn has_kept_up(&mut self, time: Duration) -> bool {
        std::mem::take(&mut self.taken) >= time.as_secs() * BYTES_PER_SECOND_MIN
    }

    /// The next piece of the file; one that has become shorter than it was ends the connection, as its length was told.
    fn read_file(&mut self) -> Next {
        let Some((file, left)) = &mut self.output.file else { return Next::Again };
        if *left == 0 {
            self.output.file = None;
            return Next::Again;
        }
        let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        self.output.bytes.resize(wanted, 0);
        match file.read(&mut self.output.bytes) {
            Ok(0) => Next::Gone,
            Ok(count) => {
                self.output.bytes.truncate(count);
                self.sent = 0;
                *left -= count as u64;
                Next::Again
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.output.bytes.clear();
                self.sent = 0;
                Next::Again
            }
            Err(_) => Next::Gone,
        }
    }
}

fn id_at(token: usize, question: u32) -> ConnectionId {
    ConnectionId::outside(u32::try_from(token).unwrap_or(u32::MAX), question)
}

//! One client's session and the connection it has at the moment; what passes is noted in the book and in its log.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sori_mqtt::client_session::{ConnectOptions, ConnectionError, Event, Outcome};
use sori_mqtt::{
    ClientSession, Direction, Disconnect, Packet, Properties, Publish, QoS, ReasonCode, Split, SubscribeOptions,
    TopicFilter, decode, split,
};

use super::book::{Book, Delivery, Micros, parse, payload};
use super::packet_log::{PacketLog, What};

/// A broker that lives answers a CONNECT in this time, whatever it has to read first.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A connection that was taken over is closed by the broker in this time.
const STALE_MAX: Micros = 5_000_000;

/// What a client learns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    Connected {
        is_present: bool,
    },
    Message(Delivery),
    Subscribed {
        is_granted: bool,
    },
    Unsubscribed,
    /// SUBSCRIBE or UNSUBSCRIBE will not be answered.
    RequestLost,
    /// The connection is gone, with or without CONNACK.
    Lost {
        was_connected: bool,
    },
}

/// What the next CONNACK must say about the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expects {
    Present,
    Absent,
    Either,
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Drop,
    Disconnect,
    DisconnectWithWill,
}

pub(super) struct Line {
    pub(super) name: String,
    pub(super) wants_connection: bool,
    pub(super) expects: Expects,
    /// Whether its session outlives connections.
    pub(super) is_kept: bool,
    pub(super) log: PacketLog,
    options: ConnectOptions,
    session: ClientSession,
    socket: Option<TcpStream>,
    token: Token,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
    retry_at: Micros,
    is_connected: bool,
    /// A CONNECT was sent since the last CONNACK.
    is_asked: bool,
    /// What the client's role has not looked at yet.
    pub(super) seen: Vec<Seen>,
    /// Which message has which packet identifier.
    identifiers: HashMap<u16, (u16, u32)>,
    /// Connections that were taken over by this client itself, until the broker closes them.
    stale: Vec<(StdStream, Micros, u32)>,
}

impl Line {
    pub(super) fn new(number: usize, options: ConnectOptions) -> Line {
        let is_kept = is_kept(&options);
        Line {
            name: options.client_id.clone(),
            wants_connection: true,
            expects: Expects::Absent,
            is_kept,
            log: PacketLog::default(),
            session: new_session(&options),
            is_asked: false,
            seen: Vec::new(),
            options,
            socket: None,
            token: Token(number),
            outbox: Vec::new(),
            inbox: Vec::new(),
            retry_at: 0,
            is_connected: false,
            identifiers: HashMap::new(),
            stale: Vec::new(),
        }
    }

    /// Another client takes this place.
    pub(super) fn renew(&mut self, options: ConnectOptions) {
        self.name.clone_from(&options.client_id);
        self.is_kept = is_kept(&options);
        self.expects = Expects::Absent;
        self.session = new_session(&options);
        self.is_asked = false;
        self.options = options;
        self.identifiers.clear();
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.is_connected
    }

    pub(super) const fn has_socket(&self) -> bool {
        self.socket.is_some()
    }

    pub(super) const fn is_v5(&self) -> bool {
        self.options.version.is_v5()
    }

    /// Whether a CONNECT waits for its answer, or was never answered.
    pub(super) const fn is_asked(&self) -> bool {
        self.is_asked
    }

    pub(super) fn unfinished(&self) -> usize {
        self.session.unfinished()
    }

    /// The next session is a new one, until the broker has said so.
    pub(super) fn begin_anew(&mut self) {
        self.session.set_clean_start(true);
    }

    pub(super) fn publish(&mut self, book: &mut Book, stream: u16, is_removal: bool, size: usize) {
        let number = book.write(stream, is_removal);
        let payload = if is_removal { Vec::new() } else { payload(stream, number, size) };
        let stream = &book.streams[usize::from(stream)];
        let publish = Publish {
            dup: false,
            qos: stream.qos,
            retain: stream.kind == super::book::Kind::Retained,
            topic: &stream.topic,
            packet_id: None,
            properties: Properties::EMPTY,
            payload: &payload,
        };
        let result = self.session.publish(&publish);
        debug_assert!(result.is_ok(), "{result:?}");
        self.take_output(book);
    }

    pub(super) fn subscribe(&mut self, book: &mut Book, filter: &str, qos: QoS) -> bool {
        let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
        let Ok(filter) = TopicFilter::new(filter) else { return false };
        let is_sent = self.session.subscribe(&[(filter, options)], Properties::EMPTY).is_ok();
        self.take_output(book);
        is_sent
    }

    pub(super) fn unsubscribe(&mut self, book: &mut Book, filter: &str) -> bool {
        let Ok(filter) = TopicFilter::new(filter) else { return false };
        let is_sent = self.session.unsubscribe(&[filter], Properties::EMPTY).is_ok();
        self.take_output(book);
        is_sent
    }

    /// Leaves; the caller tells when to come back.
    pub(super) fn leave(&mut self, book: &mut Book, way: Way) {
        self.wants_connection = false;
        if way != Way::Drop && self.is_connected {
            let with_will = way == Way::DisconnectWithWill;
            let reason_code = if with_will { ReasonCode::DisconnectWithWill } else { ReasonCode::Success };
            let disconnect = Disconnect { reason_code, properties: Properties::EMPTY };
            let _ = self.session.disconnect(&disconnect);
            self.take_output(book);
            self.flush();
        } else {
            self.log.add(book, What::Remark("closes its socket"));
        }
        self.lose(book);
    }

    /// Connects once more without closing the old connection, which the broker has to do.
    pub(super) fn take_over(&mut self, book: &mut Book, registry: &Registry) {
        self.log.add(book, What::Remark("takes itself over"));
        book.counts.take_overs += 1;
        if let Some(mut socket) = self.socket.take() {
            let _ = registry.deregister(&mut socket);
            self.stale.push((StdStream::from(socket), book.now + STALE_MAX, book.kills));
        }
        self.lose(book);
        self.retry_at = book.now;
        self.connect(book, registry);
    }

    /// Everything that is due without bytes from the broker.
    pub(super) fn tick(&mut self, book: &mut Book, registry: &Registry) {
        if self.socket.is_none() && self.wants_connection && book.broker_runs && book.now >= self.retry_at {
            self.connect(book, registry);
        }
        let now = Duration::from_micros(book.now);
        if self.session.deadline().is_some_and(|deadline| deadline <= now) {
            if let Err(error) = self.session.handle_timeout(now) {
                book.faults.add("no answer", book.kills, || format!("{}: {error}", self.name));
            }
            self.take_output(book);
        }
        self.flush();
        if self.socket.is_some() && !self.session.is_open() {
            self.hang_up(book);
        }
        self.watch_stale(book);
    }

    /// Reads all that is there.
    pub(super) fn receive(&mut self, book: &mut Book) {
        let mut buffer = [0; 64 * 1024];
        loop {
            let Some(socket) = &mut self.socket else { return };
            match socket.read(&mut buffer) {
                Ok(0) => return self.hang_up(book),
                Ok(count) => {
                    self.note_incoming(book, &buffer[..count]);
                    self.session.receive(Duration::from_micros(book.now), &buffer[..count]);
                    self.take_events(book);
                    self.take_output(book);
                    self.flush();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.hang_up(book),
            }
        }
    }

    fn connect(&mut self, book: &mut Book, registry: &Registry) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, book.port));
        let stream = StdStream::connect_timeout(&address, Duration::from_millis(200));
        let socket = stream.and_then(|stream| {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let mut socket = TcpStream::from_std(stream);
            registry.register(&mut socket, self.token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(socket)
        });
        let Ok(socket) = socket else {
            self.retry_at = book.now + 4_000;
            return;
        };
        self.socket = Some(socket);
        let result = self.session.connect(Duration::from_micros(book.now));
        debug_assert!(result.is_ok(), "{result:?}");
        // From here on the broker may have taken it, whether an answer comes or not.
        self.take_output(book);
        self.flush();
    }

    fn take_events(&mut self, book: &mut Book) {
        loop {
            match self.session.poll_event() {
                Ok(None) => return,
                Ok(Some(Event::Connected { session_present, .. })) => {
                    self.seen.push(Seen::Connected { is_present: session_present });
                    self.is_connected = true;
                    book.counts.connections += 1;
                    // What a broker said before it was killed may be read when it is gone, and is no word of the next one.
                    if book.served_at == 0 && book.broker_runs {
                        book.served_at = book.now;
                    }
                    let wrong = match self.expects {
                        Expects::Present => !session_present,
                        Expects::Absent => session_present,
                        Expects::Either => false,
                    };
                    if wrong {
                        let text = || format!("{}: CONNACK says session present = {session_present}", self.name);
                        book.faults.add("session present", book.kills, text);
                    }
                    self.expects = if self.is_kept { Expects::Present } else { Expects::Absent };
                    self.is_asked = false;
                    self.session.set_clean_start(!self.is_kept);
                }
                Ok(Some(Event::Message(publish))) => {
                    let (qos, is_retained, is_resent) = (publish.qos, publish.retain, publish.dup);
                    if let Some((stream, number)) = parse(publish.payload) {
                        self.seen.push(Seen::Message(Delivery { stream, number, qos, is_retained, is_resent }));
                    }
                }
                Ok(Some(Event::Subscribed { reason_codes, .. })) => {
                    let is_granted = reason_codes.iter().all(|code| !code.is_error());
                    self.seen.push(Seen::Subscribed { is_granted });
                }
                Ok(Some(Event::Unsubscribed { .. })) => self.seen.push(Seen::Unsubscribed),
                Ok(Some(Event::RequestLost { .. })) => self.seen.push(Seen::RequestLost),
                Ok(Some(Event::Published { outcome, .. })) => {
                    if let Outcome::NotSent(error) = outcome {
                        book.faults.add("not sent", book.kills, || format!("{}: {error}", self.name));
                    }
                }
                Ok(Some(Event::Challenge { .. } | Event::Authenticated { .. })) => {}
                Err(error) => {
                    let rule = match error {
                        ConnectionError::Refused(_) => "refused",
                        ConnectionError::Disconnected(_) => "disconnected",
                        ConnectionError::Timeout(_) => "no answer",
                        ConnectionError::Violation(sori_mqtt::client_session::Violation::SessionPresent) => {
                            "session present"
                        }
                        _ => "protocol",
                    };
                    book.faults.add(rule, book.kills, || format!("{}: {error}", self.name));
                }
            }
        }
    }

    /// The transport is gone.
    fn hang_up(&mut self, book: &mut Book) {
        self.log.add(book, What::Remark("the connection is gone"));
        let was_connected = self.is_connected;
        self.lose(book);
        self.seen.push(Seen::Lost { was_connected });
    }

    fn lose(&mut self, book: &mut Book) {
        self.socket = None;
        self.is_connected = false;
        self.outbox.clear();
        self.inbox.clear();
        self.session.connection_lost();
        self.take_events(book);
        self.retry_at = book.now + 2_000;
    }

    fn watch_stale(&mut self, book: &mut Book) {
        let (now, kills, name) = (book.now, book.kills, &self.name);
        self.stale.retain_mut(|(stream, until, at_kills)| {
            let is_open = loop {
                match stream.read(&mut [0; 4096]) {
                    Ok(0) => break false,
                    Ok(_) => {}
                    Err(error) => break error.kind() == ErrorKind::WouldBlock,
                }
            };
            let is_overdue = now > *until && *at_kills == kills;
            if is_open && is_overdue {
                book.faults.add("take-over", kills, || format!("{name}: its old connection is still open"));
            }
            is_open && !is_overdue && *at_kills == kills
        });
    }

    fn flush(&mut self) {
        while let Some(socket) = &mut self.socket
            && !self.outbox.is_empty()
        {
            match socket.write(&self.outbox) {
                Ok(count) => drop(self.outbox.drain(..count)),
                // Reading finds out what is wrong.
                Err(_) => return,
            }
        }
    }

    /// Takes what the session wants to send, and notes it.
    fn take_output(&mut self, book: &mut Book) {
        let output = self.session.output().to_vec();
        self.session.written(output.len());
        self.outbox.extend_from_slice(&output);
        let mut rest = &output[..];
        while let Ok(Split::Frame(frame)) = split(rest, usize::MAX) {
            let size = frame.size;
            if let Ok(packet) = decode(frame, self.options.version, Direction::ToServer) {
                self.note_sent(book, &packet);
            }
            rest = &rest[size..];
        }
    }

    fn note_sent(&mut self, book: &mut Book, packet: &Packet<'_>) {
        let what = match packet {
            Packet::Publish(publish) => {
                let packet_id = publish.packet_id.map_or(0, |id| id.value());
                let known = publish.dup.then(|| self.identifiers.get(&packet_id).copied()).flatten();
                let key = book.sent(publish.topic, publish.payload, known);
                if let Some(key) = key
                    && packet_id != 0
                {
                    self.identifiers.insert(packet_id, key);
                }
                let (dup, retain) = (publish.dup, publish.retain);
                What::Publish { to_broker: true, packet_id, qos: publish.qos as u8, dup, retain, key }
            }
            Packet::Connect(connect) => {
                // Until it is answered nobody knows whether the broker took it.
                self.expects = match self.expects {
                    _ if connect.clean_start => Expects::Absent,
                    Expects::Absent if self.is_asked => Expects::Either,
                    other => other,
                };
                self.is_asked = true;
                What::Packet { to_broker: true, kind: "CONNECT", packet_id: 0, code: u8::from(connect.clean_start) }
            }
            packet => plain(packet, true),
        };
        self.log.add(book, what);
    }

    fn note_incoming(&mut self, book: &mut Book, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        let inbox = std::mem::take(&mut self.inbox);
        let mut rest = &inbox[..];
        while let Ok(Split::Frame(frame)) = split(rest, usize::MAX) {
            let size = frame.size;
            if let Ok(packet) = decode(frame, self.options.version, Direction::ToClient) {
                self.note_received(book, &packet);
            }
            rest = &rest[size..];
        }
        self.inbox = rest.to_vec();
    }

    fn note_received(&mut self, book: &mut Book, packet: &Packet<'_>) {
        match packet {
            Packet::ConnAck(connack) if !connack.session_present => self.identifiers.clear(),
            Packet::PubAck(ack) => {
                if let Some(key) = self.identifiers.remove(&ack.packet_id.value()) {
                    book.acknowledged(key, ack.reason_code.is_error());
                    book.completed(key);
                }
            }
            Packet::PubRec(ack) => {
                if let Some(key) = self.identifiers.get(&ack.packet_id.value()).copied() {
                    book.acknowledged(key, ack.reason_code.is_error());
                }
            }
            Packet::PubComp(ack) => {
                if let Some(key) = self.identifiers.remove(&ack.packet_id.value()) {
                    book.completed(key);
                }
            }
            _ => {}
        }
        let what = match packet {
            Packet::Publish(publish) => What::Publish {
                to_broker: false,
                packet_id: publish.packet_id.map_or(0, |id| id.value()),
                qos: publish.qos as u8,
                dup: publish.dup,
                retain: publish.retain,
                key: parse(publish.payload),
            },
            packet => plain(packet, false),
        };
        self.log.add(book, what);
    }
}

fn is_kept(options: &ConnectOptions) -> bool {
    if options.version.is_v5() { options.session_expiry_interval > 0 } else { !options.clean_start }
}

fn new_session(options: &ConnectOptions) -> ClientSession {
    // A client that lost the answer to its first CONNECT may find a session: it is empty, as it is here.
    let mut options = ConnectOptions { session_known: true, keep_alive: 0, ..options.clone() };
    options.response_timeout = ANSWER_WITHIN;
    let session = ClientSession::new(options);
    #[expect(clippy::expect_used, reason = "the options are ours")]
    session.expect("legal options")
}

fn plain(packet: &Packet<'_>, to_broker: bool) -> What {
    let (kind, packet_id, code) = match packet {
        Packet::ConnAck(connack) if connack.session_present => ("CONNACK present", 0, connack.reason_code.value()),
        Packet::ConnAck(connack) => ("CONNACK new", 0, connack.reason_code.value()),
        Packet::PubAck(ack) => ("PUBACK", ack.packet_id.value(), ack.reason_code.value()),
        Packet::PubRec(ack) => ("PUBREC", ack.packet_id.value(), ack.reason_code.value()),
        Packet::PubRel(ack) => ("PUBREL", ack.packet_id.value(), ack.reason_code.value()),
        Packet::PubComp(ack) => ("PUBCOMP", ack.packet_id.value(), ack.reason_code.value()),
        Packet::Subscribe(subscribe) => ("SUBSCRIBE", subscribe.packet_id.value(), 0),
        Packet::SubAck(suback) => {
            ("SUBACK", suback.packet_id.value(), suback.reason_codes.first().copied().unwrap_or_default())
        }
        Packet::Unsubscribe(unsubscribe) => ("UNSUBSCRIBE", unsubscribe.packet_id.value(), 0),
        Packet::UnsubAck(unsuback) => ("UNSUBACK", unsuback.packet_id.value(), 0),
        Packet::Disconnect(disconnect) => ("DISCONNECT", 0, disconnect.reason_code.value()),
        other => (other.packet_type().name(), 0, 0),
    };
    What::Packet { to_broker, kind, packet_id, code }
}

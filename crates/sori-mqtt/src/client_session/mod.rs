//! The client's side of MQTT 3.1, 3.1.1 and 5.0 as a state machine without I/O and without a clock.
//!
//! # The contract: feed one input, then drain the outputs until there are none
//!
//! 1. Inputs: [`connect`](ClientSession::connect) when a transport is there, [`receive`](ClientSession::receive) for
//!    bytes (cut anywhere), [`handle_timeout`](ClientSession::handle_timeout) when [`deadline`](ClientSession::deadline)
//!    has passed, [`connection_lost`](ClientSession::connection_lost) when the transport is gone, and the requests
//!    ([`publish`](ClientSession::publish), [`subscribe`](ClientSession::subscribe), ...).
//! 2. After each of them: call [`poll_event`](ClientSession::poll_event) until it returns `None`, then write
//!    [`output`](ClientSession::output) and report it with [`written`](ClientSession::written).
//! 3. When [`is_open`](ClientSession::is_open) has become false: close the transport once the output is written.
//!
//! The transport keeps the order of bytes and loses none [MQTT-4.2.0-1] [MQTT311-7.1.2-1].
//! Time is a [`Duration`] since a start that the caller chose; it never goes back. The session outlives connections:
//! `connect` again resumes it, with everything unacknowledged sent again.
//!
//! ```
//! use core::time::Duration;
//! use sori_mqtt::client_session::{ClientSession, ConnectOptions, Event};
//!
//! let mut session = ClientSession::new(ConnectOptions::default())?;
//! session.connect(Duration::ZERO)?;
//! let connect = session.output().to_vec(); // write this to the server
//! session.written(connect.len());
//! session.receive(Duration::from_millis(3), &[0x20, 3, 0, 0, 0]); // what the server sent
//! while let Some(event) = session.poll_event()? {
//!     assert!(matches!(event, Event::Connected { session_present: false, .. }));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Errors
//!
//! [`OptionError`] and [`RequestError`] are the caller's: nothing was sent and nothing changed. A [`ConnectionError`]
//! ends the connection, never the session. Whatever a server sends, nothing here panics.

mod acknowledging;
mod authentication;
mod connection;
mod error;
mod event;
mod incoming;
mod keep_alive;
mod options;
mod outgoing;
mod progress;
mod properties;
mod request;
mod server_limits;
mod topic_alias;
mod wire;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use crate::{
    Direction, Disconnect, IncomingMessages, OutgoingMessages, Packet, PacketId, PacketType, Properties, Publish,
    ReasonCode, Split, SubscribeOptions, TopicFilter, Version, decode, split,
};

use acknowledging::Acknowledgements;
use authentication::Exchange;
use keep_alive::Due;
use outgoing::{Outgoing, Released, StoredPublish};
use topic_alias::IncomingAliases;
use wire::Wire;

pub use acknowledging::Delivery;
pub use error::{ConnectionError, Farewell, RequestError, Violation};
pub use event::{Event, Outcome, ReasonCodes, Token};
pub use options::{Authentication, ConnectOptions, OptionError, WillOptions};
pub use progress::Progress;
pub use server_limits::ServerLimits;

/// One MQTT session as its client sees it, and the connection it has at the moment.
#[derive(Debug)]
pub struct ClientSession {
    input: Vec<u8>,
    /// So much of the input has been decoded.
    consumed: usize,
    core: Core,
}

/// Everything but the bytes received, which events borrow from.
#[derive(Debug)]
struct Core {
    options: ConnectOptions,
    stage: Stage,
    wire: Wire,
    exchange: Exchange,
    aliases: IncomingAliases,
    /// There is session state here that a server may have, too.
    has_session: bool,
    outgoing: OutgoingMessages<Outgoing>,
    /// QoS 2 messages that the server owns and whose PUBCOMP is missing.
    released: BTreeMap<PacketId, Released>,
    incoming: IncomingMessages,
    acknowledgements: Acknowledgements,
    /// Messages that were not sent yet.
    queue: VecDeque<StoredPublish>,
    /// Memory of the messages in the queue and in flight.
    stored_bytes: usize,
    /// Messages wait, though the server would take them.
    is_held: bool,
    local_events: VecDeque<event::LocalEvent>,
    progress: VecDeque<Progress>,
    next_token: u64,
}

/// Where the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No transport.
    Idle,
    /// CONNECT was sent. Until CONNACK only AUTH and DISCONNECT may follow [MQTT-3.1.2-30]: everything else looks for
    /// `Connected` first.
    Connecting,
    Connected,
    /// Nothing more is sent or read [MQTT-3.14.4-1] [MQTT311-3.14.4-2]; the transport is to be closed.
    Closing,
}

impl ClientSession {
    /// A session without a connection.
    ///
    /// # Errors
    /// The options contradict the standard.
    pub fn new(options: ConnectOptions) -> Result<Self, OptionError> {
        options.check()?;
        let core = Core {
            stage: Stage::Idle,
            wire: Wire::new(options.version, options.response_timeout),
            exchange: Exchange::None,
            aliases: IncomingAliases::default(),
            has_session: options.session_known && !options.clean_start,
            outgoing: OutgoingMessages::new(options.in_flight_max),
            released: BTreeMap::new(),
            incoming: IncomingMessages::new(options.receive_maximum),
            acknowledgements: Acknowledgements::default(),
            queue: VecDeque::new(),
            stored_bytes: 0,
            is_held: false,
            local_events: VecDeque::new(),
            progress: VecDeque::new(),
            next_token: 0,
            options,
        };
        Ok(Self { input: Vec::new(), consumed: 0, core })
    }

    /// A transport is there: CONNECT stands in the output, as the first packet [MQTT-3.1.0-1] [MQTT311-3.1.0-1].
    ///
    /// # Errors
    /// There is a connection already.
    pub fn connect(&mut self, now: Duration) -> Result<(), RequestError> {
        self.input.clear();
        self.consumed = 0;
        self.core.connect(now)
    }

    /// Whether the next CONNECT asks for a new session.
    pub const fn set_clean_start(&mut self, clean_start: bool) {
        self.core.options.clean_start = clean_start;
    }

    /// The first authentication data of the next CONNECT, if the options name a method.
    ///
    /// # Errors
    /// They do not fit into a CONNECT; nothing changed.
    pub fn set_authentication_data(&mut self, data: Option<Vec<u8>>) -> Result<(), OptionError> {
        self.core.set_authentication_data(data)
    }

    /// The next CONNECT speaks another version: for a server that did not understand the first one. A connection that is
    /// still there comes to its end. What the version
    /// cannot say is not sent ([`Outcome::NotSent`]).
    ///
    /// # Errors
    /// The other options are not legal in this version; nothing changed.
    pub fn set_version(&mut self, version: Version) -> Result<(), OptionError> {
        self.core.set_version(version)
    }

    /// How many QoS 1 and 2 messages to have in flight from the next connection on, if the server allows that many.
    pub const fn set_in_flight_max(&mut self, messages: u16) {
        self.core.options.in_flight_max = messages;
    }

    /// Bytes came from the server, cut anywhere.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) {
        self.input.drain(..self.consumed);
        self.consumed = 0;
        self.core.received(now);
        if self.core.is_open() {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The transport is closed, by whomever. Without an input that ended the connection before, it is lost.
    pub fn connection_lost(&mut self) {
        self.core.end_connection(None);
        self.core.stage = Stage::Idle;
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.is_open() { self.core.wire.keep_alive.deadline() } else { None }
    }

    /// Time has passed.
    ///
    /// # Errors
    /// The server did not answer in time.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), ConnectionError> {
        self.core.handle_timeout(now)
    }

    /// Publishes a message: sends it, or keeps it until there is a connection and the server takes more. Packet
    /// identifier and DUP of `publish` are ignored.
    ///
    /// # Errors
    /// The message is not legal, the server has said that it does not take it, or the bound of kept bytes is reached.
    pub fn publish(&mut self, publish: &Publish<'_>) -> Result<Token, RequestError> {
        self.core.publish(publish)
    }

    /// Puts back a message that an earlier process had in flight with the packet identifier of `publish`; with
    /// `is_released` its PUBREC had come. All of them in the order in which they were sent, before the first
    /// [`connect`](Self::connect) and before anything is published; with
    /// [`session_known`](ConnectOptions::session_known), because a server that has the session is right then.
    ///
    /// They go on as after any other loss of the connection: PUBLISH with DUP and the same identifier, or PUBREL
    /// [MQTT-4.4.0-1] [MQTT311-4.4.0-1]. If the server has lost the session, [`send_anew`](ConnectOptions::send_anew)
    /// decides.
    ///
    /// `None`: no session can have that message there, and nothing changed.
    pub fn restore(&mut self, publish: &Publish<'_>, is_released: bool) -> Option<Token> {
        self.core.restore(publish, is_released)
    }

    /// With [`report_progress`](ConnectOptions::report_progress): the next step of the outgoing messages. To be taken
    /// until there is none, and made to last, before the output that stands there is written.
    pub fn poll_progress(&mut self) -> Option<Progress> {
        self.core.progress.pop_front()
    }

    /// Gives up the oldest message that was not sent ([`Outcome::Dropped`]), so that there is room for another one.
    /// Gives whether there was one.
    pub fn drop_oldest(&mut self) -> bool {
        self.core.drop_oldest()
    }

    /// Lets messages wait, or go on: so that subscriptions can be made before what waits is sent, and an answer to it
    /// finds them. What a PUBREC or PUBREL demands goes on in any case.
    pub fn hold_messages(&mut self, is_held: bool) {
        self.core.hold_messages(is_held);
    }

    /// Gives a message back unacknowledged, as if this client had never had it: the server sends it again on the next
    /// connection, and until then it takes one of the messages that the server may have in flight. Those behind it are
    /// acknowledged without it.
    pub fn leave(&mut self, delivery: Delivery) {
        self.core.leave(delivery);
    }

    /// Acknowledges a message, if the options leave that to the caller ([`ConnectOptions::acknowledge_at_once`]). The
    /// server sees acknowledgements in the order in which it sent the messages: this one waits for those before it.
    /// Of a connection that is gone only those of QoS 2 count; the server sends the others once more.
    ///
    /// # Errors
    /// The reason code is not one for this, or the server takes no answer at all.
    pub fn acknowledge(&mut self, delivery: Delivery, reason_code: ReasonCode) -> Result<(), RequestError> {
        self.core.acknowledge(delivery, reason_code)
    }

    /// Subscribes. `properties` may hold a Subscription Identifier and user properties.
    ///
    /// # Errors
    /// Not connected, not legal, or the server has said that it does not support it.
    pub fn subscribe(
        &mut self,
        filters: &[(TopicFilter<'_>, SubscribeOptions)],
        properties: Properties<'_>,
    ) -> Result<Token, RequestError> {
        self.core.subscribe(filters, properties)
    }

    /// Unsubscribes. `properties` may hold user properties.
    ///
    /// # Errors
    /// Not connected, or not legal.
    pub fn unsubscribe(
        &mut self,
        filters: &[TopicFilter<'_>],
        properties: Properties<'_>,
    ) -> Result<Token, RequestError> {
        self.core.unsubscribe(filters, properties)
    }

    /// Answers a [`Challenge`](Event::Challenge).
    ///
    /// # Errors
    /// There is no challenge.
    pub fn authenticate(&mut self, data: Option<&[u8]>) -> Result<(), RequestError> {
        self.core.authenticate(data)
    }

    /// Authenticates once more on a connection that was made with an authentication method.
    ///
    /// # Errors
    /// Not connected, no method, or an authentication is going on.
    pub fn reauthenticate(&mut self, data: Option<&[u8]>) -> Result<(), RequestError> {
        self.core.reauthenticate(data)
    }

    /// Sends DISCONNECT. With [`DisconnectWithWill`](ReasonCode::DisconnectWithWill) the server publishes the will.
    ///
    /// # Errors
    /// Not connected, or not legal for a client.
    pub fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), RequestError> {
        self.core.disconnect(disconnect)
    }

    /// The next event, or `None` when there is none before the next input.
    ///
    /// # Errors
    /// The connection has ended. Events about what was lost with it may follow.
    pub fn poll_event(&mut self) -> Result<Option<Event<'_>>, ConnectionError> {
        let Self { input, consumed, core } = self;
        let packet_size_max = core.options.packet_size_max();
        let mut event: Event<'_> = loop {
            if let Some(event) = core.local_events.pop_front() {
                break event.into();
            }
            if !core.is_open() {
                return Ok(None);
            }
            let bytes = input.get(*consumed..).unwrap_or_default();
            let frame = match split(bytes, packet_size_max) {
                Ok(Split::Frame(frame)) => frame,
                Ok(Split::Incomplete { .. }) => match bytes.first().and_then(|first| core.not_an_answer(*first)) {
                    None => return Ok(None),
                    Some(packet) => return Err(core.fail(Violation::Unexpected(packet).into())),
                },
                Err(error) => return Err(core.fail(Violation::Packet(error).into())),
            };
            *consumed += frame.size;
            let handled = decode(frame, core.options.version, Direction::ToClient)
                .map_err(|error| Violation::Packet(error).into())
                .and_then(|packet| core.handle(packet));
            match handled {
                Ok(Some(event)) => break event,
                Ok(None) => {}
                Err(error) => return Err(core.fail(error)),
            }
        };
        if let Event::Message(message) = &mut event
            && message.topic.is_empty()
        {
            let alias = message.properties.topic_alias();
            message.topic = alias.and_then(|alias| core.aliases.topic(alias)).unwrap_or_default();
        }
        Ok(Some(event))
    }

    /// The bytes for the server that are not [`written`](Self::written) yet.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.core.wire.output
    }

    /// The first `bytes` of the output have been written.
    pub fn written(&mut self, bytes: usize) {
        let output = &mut self.core.wire.output;
        output.drain(..bytes.min(output.len()));
    }

    /// Takes the whole output, and leaves the memory of `empty` in its place: what it held is forgotten. The caller owes
    /// the server every byte of it.
    pub fn take_output(&mut self, empty: &mut Vec<u8>) {
        empty.clear();
        core::mem::swap(&mut self.core.wire.output, empty);
    }

    /// The caller does not read from the transport for now, so that nothing can be missed: the time for an answer begins
    /// anew.
    pub const fn not_reading(&mut self, now: Duration) {
        self.core.wire.keep_alive.received(now);
    }

    /// The number of the connection that `connect` began last, for [`Delivery::new`].
    #[must_use]
    pub const fn connection(&self) -> u64 {
        self.core.acknowledgements.connection
    }

    /// The version that is spoken.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.core.options.version
    }

    /// Whether the connection is wanted. False before `connect` and as soon as it has come to its end: write the
    /// output and close the transport [MQTT-3.14.4-2] [MQTT-4.13.2-1] [MQTT311-3.14.4-1] [MQTT311-4.8.0-1].
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.core.is_open()
    }

    /// Whether the server has accepted the connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.core.stage == Stage::Connected
    }

    /// The client identifier, which may be one that the server assigned.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.core.options.client_id
    }

    /// What the server said in its CONNACK.
    #[must_use]
    pub const fn server_limits(&self) -> &ServerLimits {
        &self.core.wire.limits
    }

    /// How many publishes have not come to their end.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.core.queue.len() + self.core.outgoing.in_flight()
    }
}

impl Core {
    const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Connecting | Stage::Connected)
    }

    fn received(&mut self, now: Duration) {
        self.wire.now = now;
        if self.stage == Stage::Connected {
            self.wire.keep_alive.received(now);
        }
    }

    fn handle_timeout(&mut self, now: Duration) -> Result<(), ConnectionError> {
        self.wire.now = now;
        if !self.is_open() {
            return Ok(());
        }
        match self.wire.keep_alive.due(now) {
            Due::Nothing => Ok(()),
            Due::Ping => {
                let sent = self.wire.send(crate::PINGREQ.len(), |output| output.extend_from_slice(&crate::PINGREQ));
                self.wire.keep_alive.pinged(now);
                sent.map_err(|_| self.fail(ConnectionError::AnswerTooLarge(PacketType::PingReq)))
            }
            Due::TimedOut => {
                let missing = if self.stage == Stage::Connected { PacketType::PingResp } else { PacketType::ConnAck };
                Err(self.fail(ConnectionError::Timeout(missing)))
            }
        }
    }

    /// What a packet with this first byte is, if it cannot answer a CONNECT. Whoever speaks another protocol is recognised
    /// by that, and not waited for.
    fn not_an_answer(&self, first: u8) -> Option<PacketType> {
        let packet = PacketType::from_u8(first >> 4)?;
        let answers = matches!(packet, PacketType::ConnAck | PacketType::Auth);
        (self.stage == Stage::Connecting && !answers).then_some(packet)
    }

    /// One packet from the server.
    fn handle<'a>(&mut self, packet: Packet<'a>) -> Result<Option<Event<'a>>, ConnectionError> {
        let kind = packet.packet_type();
        match (self.stage, packet) {
            (Stage::Connecting, Packet::ConnAck(connack)) => self.handle_connack(connack).map(Some),
            (_, Packet::Auth(auth)) => self.handle_auth(auth).map(Some),
            (Stage::Connecting, _) => Err(Violation::Unexpected(kind).into()),
            (_, Packet::Publish(publish)) => self.handle_publish(publish),
            (_, Packet::PubRel(ack)) => self.handle_pubrel(ack).map(|()| None),
            (_, Packet::PubAck(ack)) => self.handle_puback(ack),
            (_, Packet::PubRec(ack)) => self.handle_pubrec(ack),
            (_, Packet::PubComp(ack)) => self.handle_pubcomp(ack),
            (_, Packet::SubAck(suback)) => self.handle_suback(suback),
            (_, Packet::UnsubAck(unsuback)) => self.handle_unsuback(unsuback),
            (_, Packet::PingResp) => {
                self.wire.keep_alive.answered();
                Ok(None)
            }
            (_, Packet::Disconnect(disconnect)) => {
                Err(ConnectionError::Disconnected(Farewell::new(disconnect.reason_code, disconnect.properties)))
            }
            // A second CONNACK, and what only clients send.
            _ => Err(Violation::Unexpected(kind).into()),
        }
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }
}

#[cfg(test)]
mod tests;

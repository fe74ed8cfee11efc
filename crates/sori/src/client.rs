//! A client session on a blocking connection: what the commands know of a broker.
//!
//! Threads wait for what can happen (bytes, signals, and lines where a command reads them) and send it to one
//! channel; everything is decided and written by the thread that owns the [`Client`]. The commands use nothing but this
//! type's methods and its [`Event`].

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::client_session::{self, ClientSession, ConnectOptions, RequestError, Token};
use sori_mqtt::{Direction, Disconnect, Properties, Publish, QoS, ReasonCode, SubscribeOptions, TopicFilter, Version};

use crate::event::{Event, owned};
use crate::failure::{Cause, Failure};
use crate::inputs::{Input, read, watch_signals};
use crate::settings::{Connection, Reconnect};
use crate::stream::RESPONSE_TIMEOUT;
use crate::trace::Trace;
use crate::way::{Dialer, Link};

/// How many inputs wait for the owner; beyond it the threads wait, and with them the peer.
const INPUTS_MAX: usize = 16;
/// How a listener for TLS answers whoever begins without. RFC 8446 section 5.1
const TLS_ALERT: [u8; 2] = [21, 3];
/// Output is written when nothing more is to be done, or when it is this long.
const OUTPUT_BYTES: usize = 64 * 1024;

/// A connection that is being made or used.
pub(crate) struct Client {
    session: ClientSession,
    link: Link,
    /// Numbers the connections, so that what an old one says late is not taken for the new one's.
    connection: u64,
    line: Line,
    inputs: Receiver<Input>,
    sender: SyncSender<Input>,
    interrupted: Arc<AtomicBool>,
    start: Instant,
    version: Version,
    settings: Kept,
    /// The running numbers of requests, from 1 on.
    numbers: HashMap<Token, u16>,
    last_number: u16,
    traces: Option<(Trace, Trace)>,
}

/// What is needed to connect again and to say goodbye.
struct Kept {
    dialer: Dialer,
    disconnect_properties: sori_mqtt::PropertyBuffer,
    reconnect: Option<Reconnect>,
}

/// Where the connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    /// Until there has been a CONNACK, a lost connection is the end.
    Connecting,
    Up,
    /// Gone; the next try is at this time, and the wait after it is this long.
    Down {
        retry_at: Instant,
        wait: Duration,
    },
}

impl Client {
    /// Opens the connection and sends CONNECT.
    pub(crate) fn connect(connection: &Connection) -> Result<Self, Failure> {
        let options = options(connection);
        let mut session = ClientSession::new(options)?;
        let (endpoint, way) = (connection.endpoint.clone(), connection.way.clone());
        let dialer = Dialer::new(endpoint, connection.bind.clone(), connection.no_delay, way)?;
        let link = dialer.open()?;
        let (sender, inputs) = sync_channel(INPUTS_MAX);
        let interrupted = watch_signals(sender.clone())?;
        session.connect(Duration::ZERO)?;
        let trace = |style, direction| Trace::new(style, connection.version, direction, &connection.client_id);
        let traces =
            connection.trace.map(|style| (trace(style, Direction::ToServer), trace(style, Direction::ToClient)));
        let settings = Kept {
            dialer,
            disconnect_properties: connection.disconnect_properties.clone(),
            reconnect: connection.reconnect,
        };
        let mut client = Self {
            session,
            link,
            connection: 0,
            line: Line::Connecting,
            inputs,
            sender,
            interrupted,
            start: Instant::now(),
            version: connection.version,
            settings,
            numbers: HashMap::new(),
            last_number: 0,
            traces,
        };
        client.start_reading()?;
        client.flush();
        Ok(client)
    }

    /// Where a thread that reads lines reports to.
    pub(crate) fn sender(&self) -> SyncSender<Input> {
        self.sender.clone()
    }

    /// Publishes; the number comes back with [`Event::Published`].
    pub(crate) fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        (qos, retain): (QoS, bool),
        properties: Properties<'_>,
    ) -> Result<u16, Failure> {
        let publish = Publish { dup: false, qos, retain, topic, packet_id: None, properties, payload };
        let token = self.session.publish(&publish).map_err(|error| self.cannot_publish(error))?;
        Ok(self.number(token))
    }

    fn cannot_publish(&self, error: RequestError) -> Failure {
        let size_max = self.session.server_limits().maximum_packet_size;
        let limit = if error == RequestError::TooLarge { format!(": {size_max} bytes") } else { String::new() };
        let failure = Failure::from(error);
        Failure { message: format!("cannot publish: {error}{limit}"), ..failure }
    }

    /// Subscribes; the number comes back with [`Event::Subscribed`].
    pub(crate) fn subscribe(
        &mut self,
        filters: &[String],
        options: SubscribeOptions,
        properties: Properties<'_>,
    ) -> Result<u16, Failure> {
        // What MQTT 5.0 added is not said to a broker that would not understand it.
        let options = match self.version.is_v5() {
            true => options,
            false => SubscribeOptions { qos: options.qos, ..SubscribeOptions::default() },
        };
        let filters = filters.iter().map(|text| Ok((filter(text)?, options))).collect::<Result<Vec<_>, Failure>>()?;
        let token = self.session.subscribe(&filters, properties)?;
        Ok(self.number(token))
    }

    pub(crate) fn unsubscribe(&mut self, filters: &[String], properties: Properties<'_>) -> Result<(), Failure> {
        let filters = filters.iter().map(|text| filter(text)).collect::<Result<Vec<_>, Failure>>()?;
        let token = self.session.unsubscribe(&filters, properties)?;
        self.number(token);
        Ok(())
    }

    /// Packet identifiers begin at 1 and go round; so do these.
    fn number(&mut self, token: Token) -> u16 {
        self.last_number = self.last_number.checked_add(1).unwrap_or(1);
        self.numbers.insert(token, self.last_number);
        self.last_number
    }

    /// What has happened already, or `None` when something would have to be waited for.
    pub(crate) fn poll(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if self.interrupted.swap(false, Ordering::Relaxed) {
                return Ok(Some(Event::Interrupted));
            }
            if let Some(event) = self.session_event()? {
                return Ok(Some(event));
            }
            if self.session.output().len() >= OUTPUT_BYTES {
                self.flush();
            }
            let input = match self.inputs.try_recv() {
                Ok(input) => input,
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => Input::Closed(self.connection, None),
            };
            if let Some(event) = self.take(input)? {
                return Ok(Some(event));
            }
        }
    }

    /// The next event, waited for until `until` at most. What stands in the output is written before.
    pub(crate) fn wait(&mut self, until: Option<Instant>) -> Result<Event, Failure> {
        loop {
            if let Some(event) = self.poll()? {
                return Ok(event);
            }
            self.flush();
            let deadline = self.session.deadline().map(|deadline| self.start + deadline);
            let retry = if let Line::Down { retry_at, .. } = self.line { Some(retry_at) } else { None };
            let next = [until, deadline, retry].into_iter().flatten().min();
            let event = match self.receive_until(next) {
                Ok(input) => self.take(input)?,
                Err(RecvTimeoutError::Disconnected) => self.take(Input::Closed(self.connection, None))?,
                Err(RecvTimeoutError::Timeout) => self.time_passed(until)?,
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    fn receive_until(&self, deadline: Option<Instant>) -> Result<Input, RecvTimeoutError> {
        match deadline {
            Some(deadline) => self.inputs.recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => self.inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take(&mut self, input: Input) -> Result<Option<Event>, Failure> {
        match input {
            Input::Received(connection, wire) if connection == self.connection => {
                let (bytes, failure) = self.link.receive(wire);
                if !self.session.is_connected() && !self.link.speaks_tls && bytes.starts_with(&TLS_ALERT) {
                    let failure = Failure::new(format!(
                        "{} speaks TLS: name the CA that has signed its certificate (--cafile)",
                        self.link.peer
                    ));
                    return self.lost(failure.with_cause(Cause::Tls)).map(Some);
                }
                if let Some((_, received)) = &mut self.traces {
                    received.bytes(&bytes);
                }
                self.session.receive(self.start.elapsed(), &bytes);
                failure.map(|failure| self.lost(failure)).transpose()
            }
            Input::Closed(connection, error) if connection == self.connection => {
                let failure = self.closed(error.as_ref());
                self.lost(failure).map(Some)
            }
            // The last words of a connection that is gone.
            Input::Received(..) | Input::Closed(..) => Ok(None),
            Input::Line(line) => Ok(Some(Event::Line(line))),
            // The flag tells.
            Input::Interrupted => Ok(None),
        }
    }

    fn time_passed(&mut self, until: Option<Instant>) -> Result<Option<Event>, Failure> {
        let now = Instant::now();
        if until.is_some_and(|until| now >= until) {
            return Ok(Some(Event::TimedOut));
        }
        if let Line::Down { retry_at, wait } = self.line {
            if now >= retry_at {
                self.connect_again(wait)?;
            }
            return Ok(None);
        }
        match self.session.handle_timeout(self.start.elapsed()) {
            Ok(()) => Ok(None),
            Err(error) => {
                let failure = Failure::of_connection(&error, self.version);
                self.lost(failure).map(Some)
            }
        }
    }

    fn session_event(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            let event = match self.session.poll_event() {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(None),
                Err(error) => {
                    let failure = Failure::of_connection(&error, self.version);
                    // The error says more than a failure of this write could.
                    self.flush();
                    return self.lost(failure).map(Some);
                }
            };
            if let client_session::Event::Connected { .. } = event {
                self.line = Line::Up;
            }
            if let Some(event) = owned(event, &mut self.numbers) {
                return Ok(Some(event));
            }
        }
    }

    /// The connection is gone: a new one after a while, or the end.
    fn lost(&mut self, failure: Failure) -> Result<Event, Failure> {
        let Some(reconnect) = self.settings.reconnect.filter(|_| self.line == Line::Up && failure.is_retryable())
        else {
            return Err(failure);
        };
        self.link.close();
        self.session.connection_lost();
        self.connection += 1;
        self.line = Line::Down { retry_at: Instant::now() + reconnect.first, wait: reconnect.first };
        Ok(Event::Lost(failure))
    }

    fn connect_again(&mut self, wait: Duration) -> Result<(), Failure> {
        let kept = &self.settings;
        let longest = kept.reconnect.map_or(wait, |reconnect| reconnect.longest);
        let wait = (wait * 2).min(longest);
        self.line = Line::Down { retry_at: Instant::now() + wait, wait };
        if let Ok(link) = kept.dialer.open() {
            self.link = link;
            self.start_reading()?;
            self.session.connect(self.start.elapsed())?;
            self.line = Line::Up;
        }
        Ok(())
    }

    fn start_reading(&self) -> Result<(), Failure> {
        let reader = self.link.reader().map_err(|error| Failure::new(error.to_string()))?;
        let (inputs, connection) = (self.sender.clone(), self.connection);
        thread::spawn(move || read(reader, connection, &inputs));
        Ok(())
    }

    /// Writes the output, as far as the way to the broker is open.
    fn flush(&mut self) {
        if matches!(self.line, Line::Down { .. }) {
            return;
        }
        let output = self.session.output();
        if output.is_empty() {
            return;
        }
        let (taken, result) = self.link.send(output);
        if let Some((sent, _)) = &mut self.traces {
            sent.bytes(output.get(..taken).unwrap_or_default());
        }
        self.session.written(taken);
        if result.is_err() {
            // A broker that closes has often said why: the reading thread reports that and then the end.
            self.link.close();
        }
    }

    fn closed(&self, error: Option<&io::Error>) -> Failure {
        let cause = error.map_or(String::new(), |error| format!(": {error}"));
        let (peer, with) = (&self.link.peer, if self.link.speaks_tls { "with" } else { "without" });
        let message = if self.session.is_connected() {
            format!("the broker at {peer} closed the connection{cause}")
        } else {
            format!(
                "{peer} closed the connection before it answered{cause}: does it speak this version of MQTT (-V), and \
                 is it a listener for MQTT {with} TLS?"
            )
        };
        Failure::new(message).with_cause(Cause::Lost)
    }

    /// Sends DISCONNECT and what stands before it. A broker that is gone already needs none.
    pub(crate) fn disconnect(&mut self) {
        self.disconnect_with(ReasonCode::Success);
    }

    /// The same, and the broker publishes the will.
    pub(crate) fn disconnect_with_will(&mut self) {
        self.disconnect_with(ReasonCode::DisconnectWithWill);
    }

    fn disconnect_with(&mut self, reason_code: ReasonCode) {
        let (reason_code, properties) = match self.version.is_v5() {
            true => (reason_code, self.settings.disconnect_properties.as_properties()),
            false => (ReasonCode::Success, Properties::EMPTY),
        };
        if self.session.disconnect(&Disconnect { reason_code, properties }).is_ok() {
            self.flush();
        }
        self.link.say_good_bye();
    }
}

fn options(connection: &Connection) -> ConnectOptions {
    let defaults = ConnectOptions::default();
    ConnectOptions {
        version: connection.version,
        client_id: connection.client_id.clone(),
        clean_start: connection.clean_start,
        // Whatever an earlier run left unfinished is gone with it: the state here is empty, and rightly so.
        session_known: !connection.clean_start,
        keep_alive: connection.keep_alive,
        user_name: connection.user_name.clone(),
        password: connection.password.clone(),
        will: connection.will.clone(),
        session_expiry_interval: connection.session_expiry_interval,
        receive_maximum: connection.receive_maximum.unwrap_or(defaults.receive_maximum),
        maximum_packet_size: connection.maximum_packet_size.unwrap_or(defaults.maximum_packet_size),
        topic_alias_maximum: connection.topic_alias_maximum,
        topic_alias_outgoing_max: connection.topic_alias_outgoing_max,
        authentication: connection.authentication.clone(),
        properties: connection.properties.clone(),
        in_flight_max: connection.in_flight_max,
        // The commands themselves wait for acknowledgements; one message may be as large as MQTT allows.
        queue_bytes_max: usize::MAX / 4,
        // With a new connection, what was on its way is sent again rather than given up.
        send_anew: true,
        response_timeout: RESPONSE_TIMEOUT,
        ..defaults
    }
}

fn filter(text: &str) -> Result<TopicFilter<'_>, Failure> {
    TopicFilter::new(text).map_err(|error| Failure::new(format!("cannot subscribe to \"{text}\": {error}")))
}

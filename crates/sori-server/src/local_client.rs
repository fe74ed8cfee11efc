//! Clients inside this program: a connection to the broker that costs no socket.
//!
//! Bridges, gateways, rules and the dashboard are clients of the topic space like any other: the same packets, the
//! same rights, the same counters, the same bounds. Only the bytes between them and their shard stay in memory.

use crate::link::{ClientEnd, Exchanged};
use sori_mqtt::client_session::{
    ClientSession, ConnectOptions, ConnectionError, Event, OptionError, Outcome, RequestError, Token,
};
use sori_mqtt::{
    Disconnect, Properties, PropertyBuffer, Publish, QoS, ReasonCode, SubscribeOptions, TopicFilter, Version,
};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

/// Bytes of messages that may lie here unread, while an answer is waited for.
const UNREAD_BYTES_MAX: usize = 1024 * 1024;
/// How long the broker may take to let a client in.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// A client inside this program. One thread at a time uses it.
///
/// Every call that waits has a time limit. Nothing grows without bound here: a client that does not read leaves its
/// messages to the broker, whose queue for this session has the bounds and the counters of any other.
pub struct LocalClient {
    session: ClientSession,
    end: ClientEnd,
    started: Instant,
    unread: VecDeque<Message>,
    unread_bytes: usize,
    /// The publishes whose end somebody may still want to know.
    receipts: BTreeMap<Token, Weak<OnceLock<Outcome>>>,
    /// SUBACK or UNSUBACK, and whose it is.
    answered: Option<(Token, Vec<ReasonCode>)>,
    buffer: Vec<u8>,
    failure: Option<ConnectionError>,
}

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its topic.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// With which QoS it was delivered.
    pub qos: QoS,
    /// It is a retained one, or keeps its flag.
    pub retain: bool,
    /// Its properties.
    pub properties: PropertyBuffer,
}

/// The promise that the end of one publish will be known. To drop it is to be not interested.
#[derive(Debug, Clone)]
pub struct Receipt(Arc<OnceLock<Outcome>>);

impl Receipt {
    /// How the publish ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.0.get().copied()
    }
}

/// Why something cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalError {
    /// The options are not legal.
    Options(OptionError),
    /// The request is not legal, or larger than all that may wait here.
    Request(RequestError),
    /// The broker has ended the connection.
    Connection(ConnectionError),
    /// The broker is gone.
    Closed,
    /// It did not happen in the time given.
    TimedOut,
    /// The answer may lie behind messages which nobody reads: read them first.
    Unread,
}

impl LocalClient {
    /// Connects by this end of a link whose other end a worker has or is about to get.
    pub(crate) fn connect(end: ClientEnd, mut options: ConnectOptions) -> Result<LocalClient, LocalError> {
        // Neither side can be lost without the other noticing.
        options.keep_alive = 0;
        options.version = Version::V5;
        let session = ClientSession::new(options).map_err(LocalError::Options)?;
        let mut client = LocalClient {
            session,
            end,
            started: Instant::now(),
            unread: VecDeque::new(),
            unread_bytes: 0,
            receipts: BTreeMap::new(),
            answered: None,
            buffer: Vec::new(),
            failure: None,
        };
        client.session.connect(Duration::ZERO)?;
        client.run_until(CONNECT_PATIENCE, |client| client.session.is_connected())?;
        Ok(client)
    }

    /// The client identifier, which may be one that the broker assigned.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.session.client_id()
    }

    /// Publishes a message, as soon as there is room for it. Packet identifier and DUP of `publish` are ignored.
    ///
    /// # Errors
    /// The message is not legal, too much waits for the broker ([`LocalError::TimedOut`], or [`LocalError::Unread`]
    /// when that may be so because this client does not read), or the connection has ended.
    pub fn publish(&mut self, publish: &Publish<'_>, patience: Duration) -> Result<Receipt, LocalError> {
        let until = Instant::now() + patience;
        let token = loop {
            self.take_events()?;
            match self.session.publish(publish) {
                Ok(token) => break token,
                Err(RequestError::QueueFull) if self.session.unfinished() > 0 || !self.session.output().is_empty() => {}
                Err(error) => return Err(error.into()),
            }
            if !self.exchange(until)? {
                return Err(if self.is_unread_full() { LocalError::Unread } else { LocalError::TimedOut });
            }
        };
        let receipt = Receipt(Arc::default());
        self.receipts.insert(token, Arc::downgrade(&receipt.0));
        self.exchange(Instant::now())?;
        self.take_events()?;
        Ok(receipt)
    }

    /// Waits for the end of a publish.
    ///
    /// # Errors
    /// It has not come, or cannot come any more.
    pub fn wait(&mut self, receipt: &Receipt, patience: Duration) -> Result<Outcome, LocalError> {
        self.run_until(patience, |_| receipt.outcome().is_some())?;
        receipt.outcome().ok_or(LocalError::TimedOut)
    }

    /// Subscribes, and waits for the broker's answer: one reason code for each filter.
    ///
    /// # Errors
    /// Not legal, no answer in time, or the connection has ended.
    pub fn subscribe(
        &mut self,
        filters: &[(TopicFilter<'_>, SubscribeOptions)],
        properties: Properties<'_>,
        patience: Duration,
    ) -> Result<Vec<ReasonCode>, LocalError> {
        let token = self.session.subscribe(filters, properties)?;
        self.answer(token, patience)
    }

    /// Unsubscribes, and waits for the broker's answer: one reason code for each filter.
    ///
    /// # Errors
    /// Not legal, no answer in time, or the connection has ended.
    pub fn unsubscribe(
        &mut self,
        filters: &[TopicFilter<'_>],
        patience: Duration,
    ) -> Result<Vec<ReasonCode>, LocalError> {
        let token = self.session.unsubscribe(filters, Properties::EMPTY)?;
        self.answer(token, patience)
    }

    fn answer(&mut self, token: Token, patience: Duration) -> Result<Vec<ReasonCode>, LocalError> {
        self.run_until(patience, |client| client.answered.as_ref().is_some_and(|(answered, _)| *answered == token))?;
        self.answered.take().map(|(_, reason_codes)| reason_codes).ok_or(LocalError::TimedOut)
    }

    /// The next message; `None` when none came in the time given. A message of QoS 1 or 2 is acknowledged by the next
    /// call of this client, or had to be while an answer was waited for.
    ///
    /// # Errors
    /// The connection has ended; messages that came before were given first.
    pub fn next_message(&mut self, patience: Duration) -> Result<Option<Message>, LocalError> {
        let until = Instant::now() + patience;
        loop {
            if let Some(message) = self.unread.pop_front() {
                self.unread_bytes -= message.size();
                return Ok(Some(message));
            }
            if !self.take_event()? && !self.exchange(until)? {
                return Ok(None);
            }
        }
    }

    /// Waits until everything that was published has been taken by the broker, then says good-bye. Messages that
    /// nobody has read are gone then.
    ///
    /// # Errors
    /// The broker did not take everything in time, or ended the connection before.
    pub fn close(mut self, patience: Duration) -> Result<(), LocalError> {
        let until = Instant::now() + patience;
        while self.session.unfinished() > 0 {
            self.unread.clear();
            self.unread_bytes = 0;
            if !self.take_event()? && !self.exchange(until)? {
                return Err(LocalError::TimedOut);
            }
        }
        self.session.disconnect(&Disconnect { reason_code: ReasonCode::Success, properties: Properties::EMPTY })?;
        while !self.session.output().is_empty() {
            if !self.exchange(until)? {
                return Err(LocalError::TimedOut);
            }
        }
        Ok(())
    }

    /// Handles what comes, until `is_done`.
    fn run_until(&mut self, patience: Duration, is_done: impl Fn(&Self) -> bool) -> Result<(), LocalError> {
        let until = Instant::now() + patience;
        loop {
            self.take_events()?;
            if is_done(self) {
                return Ok(());
            }
            if self.is_unread_full() {
                return Err(LocalError::Unread);
            }
            if !self.exchange(until)? {
                return Err(LocalError::TimedOut);
            }
        }
    }

    fn is_unread_full(&self) -> bool {
        self.unread_bytes > UNREAD_BYTES_MAX
    }

    /// Writes and reads; waits for something to write or read. Gives whether there was something.
    fn exchange(&mut self, until: Instant) -> Result<bool, LocalError> {
        if let Some(failure) = &self.failure {
            return Err(LocalError::Connection(failure.clone()));
        }
        let input = if self.is_unread_full() { None } else { Some(&mut self.buffer) };
        match self.end.exchange(self.session.output(), input, until) {
            Exchanged::Something(written) => {
                self.session.written(written);
                self.session.receive(self.started.elapsed(), &self.buffer);
                self.buffer.clear();
                Ok(true)
            }
            Exchanged::Nothing => Ok(false),
            Exchanged::End => {
                self.session.connection_lost();
                Err(LocalError::Closed)
            }
        }
    }

    fn take_events(&mut self) -> Result<(), LocalError> {
        while !self.is_unread_full() && self.take_event()? {}
        Ok(())
    }

    /// Handles one event of the session; gives whether there was one.
    fn take_event(&mut self) -> Result<bool, LocalError> {
        let event = match self.session.poll_event() {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(false),
            Err(error) => {
                self.failure = Some(error.clone());
                return Err(LocalError::Connection(error));
            }
        };
        match event {
            Event::Message(publish) => {
                let message = Message::new(&publish);
                self.unread_bytes += message.size();
                self.unread.push_back(message);
            }
            Event::Published { token, outcome, .. } => {
                if let Some(receipt) = self.receipts.remove(&token).and_then(|receipt| receipt.upgrade()) {
                    // A publish ends once.
                    let _ = receipt.set(outcome);
                }
            }
            Event::Subscribed { token, reason_codes, .. } | Event::Unsubscribed { token, reason_codes, .. } => {
                self.answered = Some((token, reason_codes.iter().collect()));
            }
            Event::Connected { .. }
            | Event::RequestLost { .. }
            | Event::Challenge { .. }
            | Event::Authenticated { .. } => {}
        }
        Ok(true)
    }
}

impl Message {
    fn new(publish: &Publish<'_>) -> Message {
        let mut properties = PropertyBuffer::new();
        properties.extend(publish.properties);
        Message {
            topic: publish.topic.to_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos,
            retain: publish.retain,
            properties,
        }
    }

    fn size(&self) -> usize {
        size_of::<Message>() + self.topic.len() + self.payload.len() + self.properties.as_properties().len()
    }
}

impl From<RequestError> for LocalError {
    fn from(error: RequestError) -> LocalError {
        LocalError::Request(error)
    }
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocalError::Options(error) => error.fmt(f),
            LocalError::Request(error) => error.fmt(f),
            LocalError::Connection(error) => error.fmt(f),
            LocalError::Closed => f.write_str("the broker is gone"),
            LocalError::TimedOut => f.write_str("the broker did not answer in time"),
            LocalError::Unread => f.write_str("messages wait to be read first"),
        }
    }
}

impl std::error::Error for LocalError {}

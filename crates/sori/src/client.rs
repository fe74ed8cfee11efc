//! What the commands know of a broker: a session of sori-client, with signals and lines of standard input among its events.
//!
//! Everything is decided by the thread that owns the [`Client`]. The commands use nothing but this type's methods and its
//! [`Event`].

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sori_client::{Error, Options, RequestError, Session, Token, WhenFull};
use sori_mqtt::client_session::WillOptions;
use sori_mqtt::{Direction, Properties, PropertyBuffer, QoS, ReasonCode, SubscribeOptions, TopicFilter, Version};

use crate::event::{Event, Refusal};
use crate::failure::{Cause, Failure};
use crate::inputs::{Inputs, Sender};
use crate::message::Message;
use crate::settings::{Connection, Endpoint};
use crate::trace::Trace;

/// How long to wait for a connection, and for the broker's answers.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that is being made or used.
pub(crate) struct Client {
    session: Session,
    inputs: Inputs,
    /// The broker, for messages.
    server: String,
    version: Version,
    disconnect_properties: PropertyBuffer,
    is_connected: bool,
    /// The running numbers of requests, from 1 on.
    numbers: HashMap<Token, u16>,
    last_number: u16,
    /// What is sent, and what is received.
    traces: Option<(Trace, Trace)>,
}

impl Client {
    /// Begins to connect.
    pub(crate) fn connect(connection: &Connection) -> Result<Self, Failure> {
        let version = connection.version;
        let trace = |style, direction| Trace::new(style, version, direction, &connection.client_id);
        let traces =
            connection.trace.map(|style| (trace(style, Direction::ToServer), trace(style, Direction::ToClient)));
        let options = options(connection)?;
        let server = options.server();
        let session = if traces.is_some() { Session::open_with_bytes(options) } else { Session::open(options) };
        let session = session.map_err(|error| Failure::of(&error, &server, version))?;
        Ok(Self {
            inputs: Inputs::new(session.interrupter())?,
            session,
            server,
            version,
            disconnect_properties: connection.disconnect_properties.clone(),
            is_connected: false,
            numbers: HashMap::new(),
            last_number: 0,
            traces,
        })
    }

    /// Where a thread that reads lines reports to.
    pub(crate) fn sender(&self) -> Sender {
        self.inputs.sender()
    }

    /// Publishes; the number comes back with [`Event::Published`].
    pub(crate) fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        (qos, retain): (QoS, bool),
        properties: Properties<'_>,
    ) -> Result<u16, Failure> {
        let publish = sori_client::Publish::new(topic, payload).qos(qos).retain(retain);
        let publish = properties.iter().fold(publish, sori_client::Publish::property);
        let token = self.session.publish(publish).map_err(|error| self.cannot_publish(&error))?;
        Ok(self.number(token))
    }

    fn cannot_publish(&self, error: &Error) -> Failure {
        let failure = match error {
            Error::TooLarge(_, limit) => Failure::new(format!("{}: {limit} bytes", RequestError::TooLarge)),
            // The end of the connection says it.
            Error::Closed(_) => return self.failure(error),
            error => self.failure(error),
        };
        let message = format!("cannot publish: {}", failure.message);
        let cause = if matches!(error, Error::TooLarge(..)) { Cause::TooLarge } else { failure.cause };
        Failure { message, cause }
    }

    /// Subscribes; the number comes back with [`Event::Subscribed`].
    pub(crate) fn subscribe(
        &mut self,
        filters: &[String],
        options: SubscribeOptions,
        properties: Properties<'_>,
    ) -> Result<(), Failure> {
        // What MQTT 5.0 added is not said to a broker that would not understand it.
        let options = match self.version.is_v5() {
            true => options,
            false => SubscribeOptions { qos: options.qos, ..SubscribeOptions::default() },
        };
        let filters = legal(filters)?;
        let token = self.session.subscribe(&filters, options, properties);
        self.requested(token)
    }

    pub(crate) fn unsubscribe(&mut self, filters: &[String], properties: Properties<'_>) -> Result<(), Failure> {
        let token = self.session.unsubscribe(&legal(filters)?, properties);
        self.requested(token)
    }

    fn requested(&mut self, token: Result<Token, Error>) -> Result<(), Failure> {
        match token {
            Ok(token) => {
                self.number(token);
                Ok(())
            }
            // It was lost meanwhile; that is the next event, and the one behind it is another connection.
            Err(Error::Request(RequestError::NotConnected)) => Ok(()),
            Err(error) => Err(self.failure(&error)),
        }
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
            if let Some(event) = self.inputs.take() {
                return Ok(Some(event));
            }
            let Some(event) = self.session.try_next() else { return Ok(None) };
            if let Some(event) = self.take(event)? {
                return Ok(Some(event));
            }
        }
    }

    /// The next event, waited for until `until` at most.
    pub(crate) fn wait(&mut self, until: Option<Instant>) -> Result<Event, Failure> {
        loop {
            if let Some(event) = self.inputs.take() {
                return Ok(event);
            }
            match self.session.wait(until) {
                Some(event) => {
                    if let Some(event) = self.take(event)? {
                        return Ok(event);
                    }
                }
                None if until.is_some_and(|until| Instant::now() >= until) => return Ok(Event::TimedOut),
                // There is an input.
                None => {}
            }
        }
    }

    /// The session's event for the command; `None` for what no command asks for.
    fn take(&mut self, event: sori_client::Event) -> Result<Option<Event>, Failure> {
        Ok(Some(match event {
            sori_client::Event::Connected { .. } => {
                self.is_connected = true;
                Event::Connected
            }
            sori_client::Event::Message { message, packet_id } => Event::Message(Message::new(&message, packet_id)),
            sori_client::Event::Published { token, result } => {
                Event::Published { number: self.answered(token), refusal: result.err().as_ref().map(Refusal::of) }
            }
            sori_client::Event::Subscribed { token, reason_codes, reason_string } => {
                Event::Subscribed { number: self.answered(token), reason_codes, reason_string }
            }
            sori_client::Event::Unsubscribed { token, .. } => {
                self.answered(token);
                Event::Unsubscribed
            }
            sori_client::Event::RequestLost { token } => {
                self.answered(token);
                return Ok(None);
            }
            sori_client::Event::Lost { error, .. } => {
                let failure = self.failure(&error);
                if !failure.is_retryable() {
                    return Err(failure);
                }
                if !std::mem::take(&mut self.is_connected) {
                    // It was told, and the broker is still not there.
                    return Ok(None);
                }
                Event::Lost(failure)
            }
            sori_client::Event::Ended { error } => return Err(self.failure(&Error::Closed(error))),
            other => {
                self.trace(&other);
                return Ok(None);
            }
        }))
    }

    fn answered(&mut self, token: Token) -> u16 {
        self.numbers.remove(&token).unwrap_or_default()
    }

    fn trace(&mut self, event: &sori_client::Event) {
        let Some((sent, received)) = &mut self.traces else { return };
        match event {
            sori_client::Event::Sent(bytes) => sent.bytes(bytes),
            sori_client::Event::Received(bytes) => received.bytes(bytes),
            _ => {}
        }
    }

    fn failure(&self, error: &Error) -> Failure {
        Failure::of(error, &self.server, self.version)
    }

    /// Sends DISCONNECT and what stands before it, and waits until the network has it. A broker that is gone already needs
    /// none.
    pub(crate) fn disconnect(&mut self) {
        self.disconnect_with(ReasonCode::Success);
    }

    /// The same, and the broker publishes the will.
    pub(crate) fn disconnect_with_will(&mut self) {
        self.disconnect_with(ReasonCode::DisconnectWithWill);
    }

    fn disconnect_with(&mut self, reason_code: ReasonCode) {
        let (reason_code, properties) = match self.version.is_v5() {
            true => (reason_code, self.disconnect_properties.as_properties()),
            false => (ReasonCode::Success, Properties::EMPTY),
        };
        if self.session.disconnect(reason_code, properties).is_err() {
            // Properties that the server's answer has made illegal are left out.
            let _ = self.session.disconnect(reason_code, Properties::EMPTY);
        }
        loop {
            match self.session.wait(None) {
                Some(sori_client::Event::Ended { .. }) => return,
                Some(event) => self.trace(&event),
                // A line that nobody sends any more.
                None => {}
            }
        }
    }
}

/// For the client library.
fn options(connection: &Connection) -> Result<Options, Failure> {
    let wrong = |error: Error| Failure::of(&error, "", connection.version);
    let mut options = server(connection).map_err(wrong)?;
    options = options
        .version(connection.version)
        .client_id(&connection.client_id)
        .clean_start(connection.clean_start)
        .keep_alive(Duration::from_secs(connection.keep_alive.into()))
        .session_expiry(Duration::from_secs(connection.session_expiry_interval.into()))
        .receive_maximum(connection.receive_maximum.unwrap_or(u16::MAX))
        .topic_aliases(connection.topic_alias_maximum, connection.topic_alias_outgoing_max)
        .in_flight_max(connection.in_flight_max)
        // The commands themselves wait for acknowledgements; one message may be as large as MQTT allows.
        .queue_bytes_max(usize::MAX / 4, WhenFull::Wait)
        .connect_timeout(RESPONSE_TIMEOUT)
        .reconnect(connection.reconnect.clone());
    if let Some(bytes) = connection.maximum_packet_size {
        options = options.maximum_packet_size(bytes);
    }
    if let Some(user_name) = &connection.user_name {
        options = options.user_name(user_name);
    }
    if let Some(password) = &connection.password {
        options = options.password(password.clone());
    }
    if let Some(authentication) = &connection.authentication {
        options = options.authentication(&authentication.method, authentication.data.clone());
    }
    if let Some(will) = &connection.will {
        options = options.will(will_message(will));
    }
    Ok(connection.properties.as_properties().iter().fold(options, Options::property))
}

/// Where it is, and what lies between.
fn server(connection: &Connection) -> Result<Options, Error> {
    let way = &connection.way;
    let mut options = match &connection.endpoint {
        Endpoint::Tcp { host, port } => Options::tcp(host, *port),
        Endpoint::Unix(path) => Options::unix(path),
        Endpoint::Domain(domain) => domain_options(domain)?,
        Endpoint::Url(options) => (**options).clone(),
    };
    options = options.no_delay(connection.no_delay);
    if let Some(tls) = &way.tls {
        options = options.tls(tls.clone());
    }
    if let Some(path) = &way.web_socket {
        options = options.websocket(path);
    }
    if let Some(address) = &connection.bind {
        options = options.local_address(address);
    }
    match &way.proxy {
        Some(proxy) => options.proxy(proxy.clone()),
        None => Ok(options),
    }
}

/// The variable that names another name server than those of the machine.
const NAME_SERVER: &str = "SORI_NAME_SERVER";

/// The servers of a domain.
fn domain_options(domain: &str) -> Result<Options, Error> {
    let options = Options::srv(domain);
    let Some(text) = std::env::var_os(NAME_SERVER) else { return Ok(options) };
    let address = text.to_str().and_then(|text| text.parse().ok());
    let wrong = || {
        let why = format!("{NAME_SERVER} names no address and port, as in 127.0.0.1:53");
        Error::Resolve(domain.to_owned(), Arc::new(io::Error::new(io::ErrorKind::InvalidInput, why)))
    };
    address.map(|address| options.name_server(address)).ok_or_else(wrong)
}

fn will_message(will: &WillOptions) -> sori_client::Publish<'_> {
    let message = sori_client::Publish::new(will.topic.as_str(), &will.payload).qos(will.qos).retain(will.retain);
    will.properties.as_properties().iter().fold(message, sori_client::Publish::property)
}

fn legal(filters: &[String]) -> Result<Vec<&str>, Failure> {
    let legal = |text: &'_ String| match TopicFilter::new(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(format!("cannot subscribe to \"{text}\": {error}"))),
    };
    filters.iter().map(|text| legal(text).map(|()| text.as_str())).collect()
}

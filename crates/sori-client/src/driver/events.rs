//! A session event by event: what happens is told in its order, and nothing is sorted into queues of subscriptions.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sori_mqtt::client_session::{self as session, Delivery, RequestError, Token};
use sori_mqtt::{Disconnect, PacketId, Properties, ReasonCode, SubscribeOptions, TopicFilter};

use crate::error::Error;
use crate::message::{Blocks, Body, Message};
use crate::options::Options;
use crate::publish::Publish;
use crate::session::Event;

use super::{Driver, Stage};

/// Events that wait to be taken; then the connection is not read any further. What one read has brought comes on top. A burst
/// waits here and not at the server, which may have room for a thousand messages only.
pub(super) const EVENTS_MAX: usize = 10_000;

/// What was told and not taken.
#[derive(Debug)]
pub(super) struct Events {
    queue: VecDeque<Told>,
    /// Of what came from the server and waits.
    bytes: usize,
    bytes_max: usize,
    /// Also the bytes of the connection are told.
    with_bytes: bool,
    is_interrupted: bool,
    waker: Option<Waker>,
    blocks: Blocks,
}

#[derive(Debug)]
struct Told {
    event: Event,
    /// What it takes of the bound.
    size: usize,
    owed: Option<Delivery>,
}

impl Events {
    fn is_full(&self) -> bool {
        self.queue.len() >= EVENTS_MAX || self.bytes >= self.bytes_max
    }
}

impl Driver {
    /// A driver that tells events.
    pub(crate) fn telling(options: Options, with_bytes: bool) -> Result<Self, Error> {
        #[cfg(feature = "store")]
        if options.store.is_some() {
            return Err(Error::Store("a Session keeps no messages in files; a Client does".to_owned()));
        }
        let bytes_max = options.incoming_bytes_max;
        let mut driver = Self::new(options, true)?;
        driver.events = Some(Events {
            queue: VecDeque::new(),
            bytes: 0,
            bytes_max,
            with_bytes,
            is_interrupted: false,
            waker: None,
            blocks: Blocks::default(),
        });
        Ok(driver)
    }

    /// Whether so much waits to be taken that nothing more is read. A client that closes needs the answers.
    pub(super) fn has_too_many_events(&self) -> bool {
        self.closing.is_none() && self.events.as_ref().is_some_and(Events::is_full)
    }

    /// Something has happened; without anybody left to take it, it is not kept.
    pub(super) fn tell(&mut self, event: impl FnOnce() -> Event) {
        if self.events.is_some() {
            self.tell_owing(event(), 0, None);
        }
    }

    fn tell_owing(&mut self, event: Event, size: usize, owed: Option<Delivery>) {
        let Some(events) = self.events.as_mut().filter(|_| self.handles > 0) else { return };
        events.bytes += size;
        events.queue.push_back(Told { event, size, owed });
        self.wakes.take_from(&mut events.waker);
    }

    pub(super) fn tell_received(&mut self, bytes: &[u8]) {
        if self.events.as_ref().is_some_and(|events| events.with_bytes) {
            self.tell_owing(Event::Received(bytes.to_vec()), bytes.len(), None);
        }
    }

    pub(super) fn tell_sent(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && self.events.as_ref().is_some_and(|events| events.with_bytes) {
            self.tell_owing(Event::Sent(bytes.to_vec()), 0, None);
        }
    }

    /// Takes what the session has to tell, to the last event, and tells it on.
    pub(super) fn drain_events(&mut self) {
        while !self.authentication.is_asking() {
            let connection = self.session.connection();
            match self.session.poll_event() {
                Ok(None) => break,
                Ok(Some(session::Event::Message(publish))) => {
                    let Some(events) = &mut self.events else { break };
                    let owed = Delivery::new(connection, &publish);
                    let body = Body::new(&publish, &mut events.blocks);
                    let (size, packet_id) = (body.size(), publish.packet_id.map(PacketId::value));
                    let message = Message::new(body, None);
                    self.tell_owing(Event::Message { message, packet_id }, size, owed);
                }
                Ok(Some(session::Event::Published { token, outcome, properties })) => {
                    let reason = properties.reason_string().map(str::to_owned);
                    let result = self.receipt(outcome, reason);
                    self.tell(|| Event::Published { token, result });
                }
                Ok(Some(session::Event::Subscribed { token, reason_codes, properties })) => {
                    let reason_string = properties.reason_string().map(str::to_owned);
                    let reason_codes = reason_codes.iter().collect();
                    self.tell(|| Event::Subscribed { token, reason_codes, reason_string });
                }
                Ok(Some(session::Event::Unsubscribed { token, reason_codes, properties })) => {
                    let reason_string = properties.reason_string().map(str::to_owned);
                    let reason_codes = reason_codes.iter().collect();
                    self.tell(|| Event::Unsubscribed { token, reason_codes, reason_string });
                }
                Ok(Some(session::Event::RequestLost { token })) => self.tell(|| Event::RequestLost { token }),
                Ok(Some(session::Event::Connected { session_present, properties })) => {
                    let data = properties.authentication_data().map(<[u8]>::to_vec);
                    self.let_in(session_present, data);
                }
                Ok(Some(session::Event::Challenge { data, .. })) => {
                    let data = data.map(<[u8]>::to_vec);
                    self.challenged(data);
                }
                Ok(Some(session::Event::Authenticated { properties })) => {
                    let data = properties.authentication_data().map(<[u8]>::to_vec);
                    self.let_in_again(data);
                }
                Err(error) => self.connection_failed(error),
            }
        }
        if let Some(events) = &mut self.events {
            events.blocks.seal();
        }
        self.check_connection();
        self.finish_closing();
    }

    /// The next event, and the acknowledgement that is owed for it; none if somebody has interrupted the waiting.
    pub(crate) fn poll_event(&mut self, cx: &Context<'_>) -> Poll<Option<(Event, Option<Delivery>)>> {
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        if std::mem::take(&mut events.is_interrupted) {
            return Poll::Ready(None);
        }
        let was_full = events.is_full();
        if let Some(Told { event, size, owed }) = events.queue.pop_front() {
            events.bytes -= size;
            if was_full && !events.is_full() {
                self.wake_io();
            }
            return Poll::Ready(Some((event, owed)));
        }
        if let Some(error) = &self.end {
            return Poll::Ready(Some((Event::Ended { error: error.clone() }, None)));
        }
        self.wakes.park(&mut events.waker, cx);
        Poll::Pending
    }

    /// Whoever waits for an event is woken, or whoever asks next gets none.
    pub(crate) fn interrupt(&mut self) {
        if let Some(events) = &mut self.events {
            events.is_interrupted = true;
            self.wakes.take_from(&mut events.waker);
        }
    }

    /// Publishes; how it ends is told.
    pub(crate) fn publish_told(&mut self, publish: &Publish<'_>) -> Result<Token, Error> {
        self.publish_for(publish, None)
    }

    /// Sends one SUBSCRIBE for all these filters.
    pub(crate) fn subscribe_told(
        &mut self,
        filters: &[&str],
        options: SubscribeOptions,
        properties: Properties<'_>,
    ) -> Result<Token, Error> {
        let filters = legal(filters)?;
        let filters: Vec<_> = filters.into_iter().map(|filter| (filter, options)).collect();
        let token = self.session.subscribe(&filters, properties);
        self.requested(token)
    }

    /// Sends one UNSUBSCRIBE for all these filters.
    pub(crate) fn unsubscribe_told(&mut self, filters: &[&str], properties: Properties<'_>) -> Result<Token, Error> {
        let token = self.session.unsubscribe(&legal(filters)?, properties);
        self.requested(token)
    }

    fn requested(&mut self, token: Result<Token, RequestError>) -> Result<Token, Error> {
        if let Some(error) = self.closed_error() {
            return Err(error);
        }
        self.check_connection();
        self.wake_io();
        token.map_err(Error::Request)
    }

    /// Says good-bye, and that is the end: nothing more is waited for.
    pub(crate) fn disconnect(
        &mut self,
        now: Duration,
        reason_code: ReasonCode,
        properties: Properties<'_>,
    ) -> Result<(), Error> {
        self.now = now;
        match self.stage {
            Stage::Ended | Stage::Closing { is_last: true, .. } => {}
            Stage::Open => match self.session.disconnect(&Disconnect { reason_code, properties }) {
                // Without room for it, or before the server has accepted anything, the connection just ends.
                Ok(()) | Err(RequestError::NotConnected | RequestError::TooLarge) => {
                    self.begin_closing_connection(true);
                }
                Err(error) => return Err(Error::Request(error)),
            },
            Stage::Waiting { .. } | Stage::Opening { .. } | Stage::Closing { .. } => self.end(None),
        }
        Ok(())
    }
}

fn legal<'a>(filters: &[&'a str]) -> Result<Vec<TopicFilter<'a>>, Error> {
    // [MQTT-4.7.1-1] and its siblings: what is not legal is never sent.
    let legal = |text: &&'a str| TopicFilter::new(text).map_err(|error| Error::Topic((*text).to_owned(), error));
    filters.iter().map(legal).collect()
}

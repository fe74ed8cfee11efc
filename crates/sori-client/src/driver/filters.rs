//! Which filters this client is subscribed to, wants to be, or wants to be no longer.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};

use sori_mqtt::client_session::{RequestError, Token};
use sori_mqtt::{Properties, Property, PropertyBuffer, ReasonCode, SubscribeOptions, TopicFilter, TopicName};

use crate::error::Error;
use crate::state::State;
use crate::subscribe::Subscribe;

use super::streams::{StreamId, Taken};
use super::{Driver, Stage};

/// All filters, and the questions about them that the server has not answered.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// The place of a filter and one is its Subscription Identifier.
    places: Vec<Option<Filter>>,
    asked: BTreeMap<Token, Asked>,
    /// Those that a kept session may still hold, though nobody here wants them.
    unwanted: BTreeSet<String>,
    /// Some could not be asked for: all packet identifiers were in use.
    has_unasked: bool,
}

#[derive(Debug)]
struct Filter {
    text: String,
    options: SubscribeOptions,
    /// Who gets its messages.
    streams: Vec<StreamId>,
    state: FilterState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FilterState {
    Wanted,
    Asked(Token),
    Granted,
}

#[derive(Debug)]
enum Asked {
    Subscribe(usize),
    Unsubscribe(String),
}

impl Filters {
    /// Whether the server owes an answer.
    pub(super) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Who gets a message with this Subscription Identifier. With `is_checked` the filter must match, too: identifiers of
    /// an earlier program mean nothing here.
    pub(super) fn of_identifier(&self, identifier: u32, topic: &str, is_checked: bool) -> Option<&[StreamId]> {
        let place = usize::try_from(identifier).ok()?.checked_sub(1)?;
        let filter = self.places.get(place)?.as_ref()?;
        (!is_checked || filter.matches(topic)).then_some(filter.streams.as_slice())
    }

    /// Who gets a message of this topic, by the filters.
    pub(super) fn of_topic<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = StreamId> + 'a {
        let matching = self.places.iter().flatten().filter(move |filter| filter.matches(topic));
        matching.flat_map(|filter| filter.streams.iter().copied())
    }

    fn find(&self, text: &str) -> Option<usize> {
        self.places.iter().position(|filter| filter.as_ref().is_some_and(|filter| filter.text == text))
    }

    /// The place of this filter, which `stream` wants, too, now with these options.
    fn add(&mut self, text: &str, options: SubscribeOptions, stream: StreamId) -> usize {
        self.unwanted.remove(text);
        let place = self.find(text).unwrap_or_else(|| {
            let free = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
            let filter = Filter { text: text.to_owned(), options, streams: Vec::new(), state: FilterState::Wanted };
            if free == self.places.len() {
                self.places.push(Some(filter));
            } else {
                self.places[free] = Some(filter);
            }
            free
        });
        if let Some(filter) = &mut self.places[place] {
            filter.options = options;
            filter.state = FilterState::Wanted;
            if !filter.streams.contains(&stream) {
                filter.streams.push(stream);
            }
        }
        place
    }

    /// A stream less for its filters. Gives those that nobody wants any more, and whether the server has them.
    fn remove(&mut self, stream: StreamId) -> Vec<(String, bool)> {
        let mut unwanted = Vec::new();
        for place in &mut self.places {
            let Some(filter) = place else { continue };
            let before = filter.streams.len();
            filter.streams.retain(|other| *other != stream);
            if before > 0 && filter.streams.is_empty() {
                unwanted.push((std::mem::take(&mut filter.text), filter.state != FilterState::Wanted));
                *place = None;
            }
        }
        unwanted
    }

    /// Whether all filters of this stream are granted.
    fn is_granted(&self, stream: StreamId) -> bool {
        let mut of_stream = self.places.iter().flatten().filter(|filter| filter.streams.contains(&stream));
        of_stream.all(|filter| filter.state == FilterState::Granted)
    }
}

impl Filter {
    fn matches(&self, topic: &str) -> bool {
        let (Ok(filter), Ok(topic)) = (TopicFilter::new(&self.text), TopicName::new(topic)) else { return false };
        filter.matches(topic)
    }
}

impl Driver {
    /// Makes a stream for these filters and asks the server for them, now or when there is a connection.
    pub(crate) fn subscribe(&mut self, subscribe: &Subscribe) -> Result<StreamId, Error> {
        if let Some(error) = self.closed_error() {
            return Err(error);
        }
        for text in &subscribe.filters {
            // [MQTT-4.7.1-1] and its siblings: what is not legal is never sent.
            TopicFilter::new(text).map_err(|error| Error::Topic(text.clone(), error))?;
        }
        let stream = self.streams.add(subscribe);
        self.want(stream, &subscribe.filters, subscribe.options);
        Ok(stream)
    }

    /// Asks for filters on behalf of a stream.
    pub(super) fn want(&mut self, stream: StreamId, filters: &[String], options: SubscribeOptions) {
        for text in filters {
            let place = self.filters.add(text, options, stream);
            self.ask(place);
        }
        self.claim(stream, filters);
        self.drain();
        self.wake_io();
    }

    fn ask(&mut self, place: usize) {
        let Some(filter) = self.filters.places.get_mut(place).and_then(Option::as_mut) else { return };
        // A text that was legal before.
        let Ok(legal) = TopicFilter::new(&filter.text) else { return };
        let mut properties = PropertyBuffer::new();
        if self.session.version().is_v5() && self.session.server_limits().subscription_identifiers_available {
            properties.push(Property::SubscriptionIdentifier(u32::try_from(place + 1).unwrap_or(1)));
        }
        match self.session.subscribe(&[(legal, filter.options)], properties.as_properties()) {
            Ok(token) => {
                filter.state = FilterState::Asked(token);
                self.filters.asked.insert(token, Asked::Subscribe(place));
            }
            Err(RequestError::NotConnected) => {}
            Err(RequestError::NoPacketIdentifier) => self.filters.has_unasked = true,
            Err(error) => self.refused(place, Error::Request(error)),
        }
    }

    /// Asks again for what could not be asked for, once there may be packet identifiers.
    pub(super) fn ask_what_could_not_be_asked(&mut self) {
        self.check_connection();
        if std::mem::take(&mut self.filters.has_unasked) {
            self.ask_for_all_wanted();
            self.ask_for_no_more();
        }
    }

    fn ask_for_all_wanted(&mut self) {
        for place in 0..self.filters.places.len() {
            let wanted = |filter: &Filter| filter.state == FilterState::Wanted;
            if self.filters.places[place].as_ref().is_some_and(wanted) {
                self.ask(place);
            }
        }
    }

    /// The server has accepted a connection: subscriptions that it does not have are made (again).
    pub(super) fn subscribe_again(&mut self, session_present: bool) {
        if !session_present {
            self.filters.unwanted.clear();
            for filter in self.filters.places.iter_mut().flatten() {
                filter.state = FilterState::Wanted;
            }
        }
        self.ask_for_all_wanted();
        self.ask_for_no_more();
    }

    pub(super) fn subscribed(&mut self, token: Token, reason_code: Option<ReasonCode>, reason: Option<String>) {
        let Some(Asked::Subscribe(place)) = self.filters.asked.remove(&token) else { return };
        let Some(filter) = self.filters.places.get_mut(place).and_then(Option::as_mut) else { return };
        if filter.state != FilterState::Asked(token) {
            // It was asked for once more with other options, or another filter has its place.
            return;
        }
        let reason_code = reason_code.unwrap_or(ReasonCode::UnspecifiedError);
        if reason_code.is_error() {
            let error = Error::SubscribeRefused(filter.text.clone(), reason_code, reason);
            return self.refused(place, error);
        }
        filter.state = FilterState::Granted;
        for stream in filter.streams.clone() {
            if self.filters.is_granted(stream) {
                self.stream_granted(stream);
            }
        }
    }

    fn stream_granted(&mut self, stream: StreamId) {
        if self.replies.is_stream(stream) {
            self.send_requests();
        } else {
            self.streams.granted(stream, &mut self.wakes);
        }
    }

    /// A filter is not to be had: its streams end.
    fn refused(&mut self, place: usize, error: Error) {
        let Some(filter) = self.filters.places.get_mut(place).and_then(Option::take) else { return };
        if self.streams.was_granted(&filter.streams) {
            let state = State::SubscriptionLost { filter: filter.text, error: std::sync::Arc::new(error.clone()) };
            self.watchers.tell(state, &mut self.wakes);
        }
        for stream in filter.streams {
            if self.replies.is_stream(stream) {
                self.replies_refused(&error);
            } else {
                self.streams.refuse(stream, &error, &mut self.wakes);
            }
        }
    }

    /// How a subscription went.
    pub(crate) fn poll_subscribed(&mut self, stream: StreamId, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(error) = &self.end {
            return Poll::Ready(Err(Error::Closed(error.clone())));
        }
        self.streams.poll_granted(stream, cx, &mut self.wakes)
    }

    /// Nobody takes the messages of this stream any more. With `is_unsubscribed` the server is told to send none.
    pub(crate) fn remove_stream(&mut self, stream: StreamId, is_unsubscribed: bool) {
        for delivery in self.streams.remove(stream, &mut self.wakes) {
            self.leave(delivery);
        }
        for (text, is_known) in self.filters.remove(stream) {
            if is_known && (is_unsubscribed || self.options.session.clean_start) {
                self.filters.unwanted.insert(text);
            }
        }
        self.ask_for_no_more();
        self.drain();
        self.wake_io();
    }

    fn ask_for_no_more(&mut self) {
        for text in std::mem::take(&mut self.filters.unwanted) {
            let Ok(legal) = TopicFilter::new(&text) else { continue };
            match self.session.unsubscribe(&[legal], Properties::EMPTY) {
                Ok(token) => {
                    self.filters.asked.insert(token, Asked::Unsubscribe(text));
                }
                Err(error) => {
                    self.filters.has_unasked |= error == RequestError::NoPacketIdentifier;
                    self.filters.unwanted.insert(text);
                }
            }
        }
    }

    pub(super) fn unsubscribed(&mut self, token: Token) {
        self.filters.asked.remove(&token);
        self.changes.wake_all(&mut self.wakes);
    }

    /// Whether the server still has to answer that it sends no more for these filters.
    pub(crate) fn is_unsubscribing(&self, filters: &[String]) -> bool {
        let is_asked = |asked: &Asked| matches!(asked, Asked::Unsubscribe(text) if filters.contains(text));
        self.end.is_none()
            && self.stage == Stage::Open
            && (self.filters.asked.values().any(is_asked) || filters.iter().any(|f| self.filters.unwanted.contains(f)))
    }

    /// The connection has ended before the answer came.
    pub(super) fn request_lost(&mut self, token: Token) {
        match self.filters.asked.remove(&token) {
            Some(Asked::Subscribe(place)) => {
                if let Some(Some(filter)) = self.filters.places.get_mut(place)
                    && filter.state == FilterState::Asked(token)
                {
                    filter.state = FilterState::Wanted;
                }
            }
            Some(Asked::Unsubscribe(text)) if self.filters.find(&text).is_none() => {
                self.filters.unwanted.insert(text);
            }
            Some(Asked::Unsubscribe(_)) | None => {}
        }
    }

    /// The connection is gone, and who waits for answers goes on.
    pub(super) fn connection_gone(&mut self) {
        self.changes.wake_all(&mut self.wakes);
    }

    /// What the session is to do for a message that came.
    pub(super) fn delivered(&mut self, taken: Option<Taken>) {
        match taken {
            Some(Taken::Done(delivery)) => self.answer(delivery, ReasonCode::Success),
            Some(Taken::Left(delivery)) => self.session.leave(delivery),
            None => {}
        }
    }
}

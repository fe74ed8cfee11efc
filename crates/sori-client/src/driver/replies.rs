//! Requests and the replies to them, over a topic of this client's own.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sori_mqtt::client_session::RequestError;
use sori_mqtt::{Property, QoS, SubscribeOptions};

use crate::error::Error;
use crate::message::Body;
use crate::publish::Publish;

use super::Driver;
use super::publishing::Slot;
use super::streams::{Due, StreamId};
use crate::subscribe::Subscribe;

/// Replies that came and were not looked at yet; a server that sends more sends what nobody asked for.
const REPLIES_MAX: usize = 1_000;

#[derive(Debug)]
pub(super) struct Replies {
    topic: String,
    stream: Option<StreamId>,
    next: u64,
    waiting: BTreeMap<u64, Request>,
}

#[derive(Debug)]
struct Request {
    /// Until it can be sent: not before the server has the subscription to the replies.
    publish: Option<Publish<'static>>,
    timeout: Duration,
    deadline: Duration,
    result: Option<Result<Body, Error>>,
    waker: Option<Waker>,
}

impl Replies {
    pub(super) fn new(chance: u64) -> Self {
        Self { topic: format!("sori/reply/{chance:016x}"), stream: None, next: chance, waiting: BTreeMap::new() }
    }

    pub(super) fn is_stream(&self, stream: StreamId) -> bool {
        self.stream == Some(stream)
    }

    /// Whether somebody waits for a reply.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.values().any(|request| request.result.is_none())
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let open = self.waiting.values().filter(|request| request.result.is_none());
        open.map(|request| request.deadline).min()
    }
}

impl Driver {
    /// Sends a request as soon as a reply can come. Gives its number.
    pub(crate) fn begin_request(
        &mut self,
        now: Duration,
        publish: Publish<'static>,
        timeout: Duration,
    ) -> Result<u64, Error> {
        self.now = now;
        if let Some(error) = self.closed_error() {
            return Err(error);
        }
        if !self.session.version().is_v5() {
            return Err(Error::Request(RequestError::Version5Only("request and response")));
        }
        sori_mqtt::TopicName::new(&publish.topic).map_err(|error| Error::Topic(publish.topic.to_string(), error))?;
        self.replies.next = self.replies.next.wrapping_add(1);
        let (id, deadline) = (self.replies.next, now.saturating_add(timeout));
        let request = Request { publish: Some(publish), timeout, deadline, result: None, waker: None };
        self.replies.waiting.insert(id, request);
        if let Some(stream) = self.replies.stream {
            if self.streams.was_granted(&[stream]) {
                self.send_requests();
            }
        } else {
            let subscribe = Subscribe::new(self.replies.topic.clone()).queue(REPLIES_MAX, crate::Overflow::DropNewest);
            let stream = self.streams.add(&subscribe);
            self.replies.stream = Some(stream);
            let options = SubscribeOptions { qos: QoS::AtLeastOnce, ..SubscribeOptions::default() };
            self.want(stream, &subscribe.filters, options);
        }
        self.wake_io();
        Ok(id)
    }

    /// The server has the subscription to the replies: what waited for it is sent.
    pub(super) fn send_requests(&mut self) {
        if let Some(stream) = self.replies.stream {
            self.streams.granted(stream, &mut self.wakes);
        }
        let mut unsent = Vec::new();
        for (id, request) in &mut self.replies.waiting {
            unsent.extend(request.publish.take().map(|publish| (*id, publish)));
        }
        for (id, publish) in unsent {
            let correlation = id.to_be_bytes();
            let publish = publish
                .property(Property::ResponseTopic(&self.replies.topic))
                .property(Property::CorrelationData(&correlation));
            if let Err(error) = self.publish_for(&publish, Some(Slot::Request(id))) {
                self.request_failed(id, error);
            }
        }
    }

    /// Gives the replies that came to those who wait for them.
    fn sort_replies(&mut self) {
        let Some(stream) = self.replies.stream else { return };
        while let Some(received) = self.streams.pop(stream) {
            if let Due::OnTaking(delivery) | Due::OnAcceptance(delivery) = received.due {
                let _ = self.acknowledge(delivery, sori_mqtt::ReasonCode::Success);
            }
            let correlation = received.body.properties().correlation_data();
            let id = correlation.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            if let Some(request) = id.and_then(|id| self.replies.waiting.get_mut(&id))
                && request.result.is_none()
            {
                request.result = Some(Ok(received.body));
                self.wakes.take_from(&mut request.waker);
            }
        }
    }

    /// Called after each turn of events.
    pub(super) fn look_for_replies(&mut self) {
        if !self.replies.waiting.is_empty() || self.replies.stream.is_some() {
            self.sort_replies();
        }
    }

    pub(super) fn request_failed(&mut self, id: u64, error: Error) {
        if let Some(request) = self.replies.waiting.get_mut(&id)
            && request.result.is_none()
        {
            request.result = Some(Err(error));
            self.wakes.take_from(&mut request.waker);
        }
    }

    /// There are no replies to be had. The next request tries anew.
    pub(super) fn replies_refused(&mut self, error: &Error) {
        if let Some(stream) = self.replies.stream.take() {
            self.streams.remove(stream, &mut self.wakes);
        }
        self.fail_requests(error);
    }

    fn fail_requests(&mut self, error: &Error) {
        let waiting: Vec<u64> = self.replies.waiting.keys().copied().collect();
        for id in waiting {
            self.request_failed(id, error.clone());
        }
    }

    pub(super) fn end_requests(&mut self) {
        let error = Error::Closed(self.end.clone().flatten());
        self.fail_requests(&error);
    }

    pub(super) fn expire_requests(&mut self) {
        for request in self.replies.waiting.values_mut() {
            if request.result.is_none() && self.now >= request.deadline {
                request.result = Some(Err(Error::NoAnswer(request.timeout)));
                self.wakes.take_from(&mut request.waker);
            }
        }
    }

    /// The reply to a request.
    pub(crate) fn poll_reply(&mut self, id: u64, cx: &Context<'_>) -> Poll<Result<Body, Error>> {
        let Some(request) = self.replies.waiting.get_mut(&id) else { return Poll::Ready(Err(Error::Closed(None))) };
        if let Some(result) = request.result.take() {
            self.replies.waiting.remove(&id);
            return Poll::Ready(result);
        }
        self.wakes.park(&mut request.waker, cx);
        Poll::Pending
    }

    /// Nobody waits for this reply any more.
    pub(crate) fn forget_request(&mut self, id: u64) {
        if let Some(Request { waker: Some(waker), .. }) = self.replies.waiting.remove(&id) {
            self.wakes.push(waker);
        }
    }
}

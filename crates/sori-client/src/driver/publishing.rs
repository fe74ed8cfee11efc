//! Messages on their way to the server, and their receipts.

use std::task::{Context, Poll, Waker};

use sori_mqtt::client_session::{Outcome, RequestError, Token};
use sori_mqtt::{PACKET_SIZE_MAX, ReasonCode};

use crate::error::Error;
use crate::options::WhenFull;
use crate::publish::{Publish, Receipt};

use super::{Driver, Stage};

/// Who wants to know how a publish ends.
#[derive(Debug)]
pub(super) enum Slot {
    /// Somebody who holds a [`Delivery`](crate::Delivery).
    Receipt { result: Option<Result<Receipt, Error>>, waker: Option<Waker> },
    /// A request, which is over if it is refused.
    Request(u64),
}

impl Driver {
    /// Publishes: sends it or keeps it until it can be sent. [`Error::QueueFull`] means that there is no room now.
    pub(crate) fn publish(&mut self, publish: &Publish<'_>) -> Result<Token, Error> {
        let slot = Slot::Receipt { result: None, waker: None };
        self.publish_for(publish, Some(slot))
    }

    /// Without a slot nobody waits for the receipt.
    pub(super) fn publish_for(&mut self, publish: &Publish<'_>, slot: Option<Slot>) -> Result<Token, Error> {
        if let Some(error) = self.closed_error() {
            return Err(error);
        }
        let packet = publish.as_packet();
        let token = loop {
            #[cfg(feature = "store")]
            let has_room = self.kept.has_room(&packet)?;
            #[cfg(not(feature = "store"))]
            let has_room = true;
            let published = if has_room { self.session.publish(&packet) } else { Err(RequestError::QueueFull) };
            match published {
                Ok(token) => break token,
                Err(RequestError::QueueFull) if self.session.unfinished() == 0 && self.session.output().is_empty() => {
                    return Err(Error::TooLargeForQueue(self.options.session.queue_bytes_max));
                }
                Err(RequestError::QueueFull) => {
                    if self.options.when_full != WhenFull::DropOldest || !self.session.drop_oldest() {
                        return Err(Error::QueueFull);
                    }
                    // What was dropped leaves its room in the store, too.
                    self.drain();
                }
                Err(RequestError::TopicName(error)) => return Err(Error::Topic(publish.topic.to_string(), error)),
                Err(RequestError::TooLarge) => {
                    let limit = self.session.server_limits().maximum_packet_size.min(PACKET_SIZE_MAX);
                    return Err(Error::TooLarge(packet.encoded_len(self.session.version()), limit));
                }
                Err(error) => return Err(Error::Request(error)),
            }
        };
        // Nothing is sent before this returns, because the driver is locked.
        #[cfg(feature = "store")]
        self.kept.keep(self.now, token, &packet)?;
        if let Some(slot) = slot {
            self.receipts.insert(token, slot);
        }
        self.drain();
        // A store wants to be synced later, also without a connection.
        #[cfg(feature = "store")]
        let has_store = self.kept.has_store();
        #[cfg(not(feature = "store"))]
        let has_store = false;
        if self.stage == Stage::Open || has_store {
            self.wake_io();
        }
        Ok(token)
    }

    /// Whether publishing waits for room.
    pub(crate) fn waits_for_room(&self) -> bool {
        self.options.when_full == WhenFull::Wait && self.closed_error().is_none()
    }

    /// A publish has come to its end.
    pub(super) fn published(&mut self, token: Token, outcome: Outcome, reason_string: Option<String>) {
        self.room.wake_all(&mut self.wakes);
        #[cfg(feature = "store")]
        self.kept.done(self.now, token);
        let result = self.receipt(outcome, reason_string);
        match self.receipts.get_mut(&token) {
            Some(Slot::Receipt { result: slot, waker }) => {
                *slot = Some(result);
                self.wakes.take_from(waker);
            }
            Some(Slot::Request(request)) => {
                let request = *request;
                self.receipts.remove(&token);
                if let Err(error) = result {
                    self.request_failed(request, error);
                }
            }
            // Nobody wants to know.
            None => {}
        }
    }

    /// What the end of a publish is for the program.
    pub(super) fn receipt(&self, outcome: Outcome, reason_string: Option<String>) -> Result<Receipt, Error> {
        match outcome {
            Outcome::Sent => Ok(Receipt { reason_code: ReasonCode::Success, reason_string: None }),
            Outcome::Acknowledged(reason_code) if reason_code.is_error() => {
                Err(Error::PublishRefused(reason_code, reason_string))
            }
            Outcome::Acknowledged(reason_code) => Ok(Receipt { reason_code, reason_string }),
            Outcome::SessionLost => Err(Error::SessionLost),
            Outcome::Dropped => Err(Error::Dropped),
            Outcome::NotSent(RequestError::TooLarge) => {
                Err(Error::TooLarge(0, self.session.server_limits().maximum_packet_size))
            }
            Outcome::NotSent(error) => Err(Error::Request(error)),
        }
    }

    /// How a publish ended.
    pub(crate) fn poll_receipt(&mut self, token: Token, cx: &Context<'_>) -> Poll<Result<Receipt, Error>> {
        let Some(Slot::Receipt { result, waker }) = self.receipts.get_mut(&token) else {
            return Poll::Ready(Err(Error::Closed(None)));
        };
        if let Some(result) = result.take() {
            self.receipts.remove(&token);
            return Poll::Ready(result);
        }
        self.wakes.park(waker, cx);
        Poll::Pending
    }

    /// Nobody wants to know any more.
    pub(crate) fn forget_receipt(&mut self, token: Token) {
        if let Some(Slot::Receipt { waker: Some(waker), .. }) = self.receipts.remove(&token) {
            self.wakes.push(waker);
        }
    }

    pub(super) fn end_receipts(&mut self) {
        let cause = self.end.clone().flatten();
        for slot in self.receipts.values_mut() {
            if let Slot::Receipt { result: result @ None, waker } = slot {
                *result = Some(Err(Error::Closed(cause.clone())));
                self.wakes.take_from(waker);
            }
        }
    }
}

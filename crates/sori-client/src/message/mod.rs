//! A message that came in, and the token that acknowledges it.

mod blocks;

use std::fmt;
use std::str::Utf8Error;
use std::sync::Arc;

use sori_mqtt::client_session::Delivery;
use sori_mqtt::{Properties, Publish, QoS, ReasonCode};

use crate::error::Error;
use crate::shared::Shared;

pub(crate) use blocks::Blocks;
use blocks::Place;

/// A message from the server. Topic, properties and payload lie in one piece of memory, which clones share, and small messages
/// that came at the same time (4 KiB of them at most).
pub struct Message {
    body: Body,
    ack: Option<Ack>,
}

/// What a message says.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    /// Topic, properties, payload.
    place: Place,
    topic_len: u32,
    properties_len: u32,
    qos: QoS,
    retain: bool,
    dup: bool,
}

impl Body {
    /// It can be read when the blocks are sealed.
    pub(crate) fn new(publish: &Publish<'_>, blocks: &mut Blocks) -> Self {
        let (topic, properties) = (publish.topic.as_bytes(), publish.properties.bytes());
        Self {
            place: blocks.put([topic, properties, publish.payload]),
            // Neither is longer than a packet.
            topic_len: u32::try_from(topic.len()).unwrap_or_default(),
            properties_len: u32::try_from(properties.len()).unwrap_or_default(),
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
        }
    }

    /// What it takes of a queue's memory.
    pub(crate) const fn size(&self) -> usize {
        size_of::<Self>() + self.place.len()
    }

    pub(crate) fn topic(&self) -> &str {
        std::str::from_utf8(&self.place.bytes()[..self.topic_len as usize]).unwrap_or_default()
    }

    pub(crate) fn properties(&self) -> Properties<'_> {
        let begin = self.topic_len as usize;
        Properties::from_checked(&self.place.bytes()[begin..begin + self.properties_len as usize])
    }

    fn payload(&self) -> &[u8] {
        &self.place.bytes()[(self.topic_len + self.properties_len) as usize..]
    }
}

impl Message {
    pub(crate) fn new(body: Body, ack: Option<Ack>) -> Self {
        Self { body, ack }
    }

    /// Where it was published.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.body.topic()
    }

    /// What it says.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.body.payload()
    }

    /// What it says, as text.
    ///
    /// # Errors
    /// The payload is not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self.payload())
    }

    /// The QoS of this delivery.
    #[must_use]
    pub fn qos(&self) -> QoS {
        self.body.qos
    }

    /// It was kept by the server for those who subscribe later, or keeps its flag.
    #[must_use]
    pub fn retain(&self) -> bool {
        self.body.retain
    }

    /// The server has sent it before, perhaps; for QoS 2 that does not concern anybody.
    #[must_use]
    pub fn dup(&self) -> bool {
        self.body.dup
    }

    /// Its properties; none before MQTT 5.0.
    #[must_use]
    pub fn properties(&self) -> Properties<'_> {
        self.body.properties()
    }

    /// The token to acknowledge it with: for messages with QoS 1 or 2 of a subscription with
    /// [`manual_acks`](crate::Subscribe::manual_acks), and once.
    pub fn take_ack(&mut self) -> Option<Ack> {
        self.ack.take()
    }
}

impl From<crate::Publish<'_>> for Message {
    /// The message that a subscriber gets of this: for tests of functions that take messages.
    fn from(publish: crate::Publish<'_>) -> Self {
        let mut blocks = Blocks::default();
        let body = Body::new(&publish.as_packet(), &mut blocks);
        blocks.seal();
        Self::new(body, None)
    }
}

impl Clone for Message {
    /// The same message without a token: there is one only.
    fn clone(&self) -> Self {
        Self { body: self.body.clone(), ack: None }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("payload", &String::from_utf8_lossy(self.payload()))
            .field("qos", &self.qos())
            .field("retain", &self.retain())
            .field("properties", &self.properties())
            .finish_non_exhaustive()
    }
}

/// The right and duty to acknowledge one message.
///
/// The server sees acknowledgements in the order of its messages, so one that is missing holds back those behind it.
/// A token that is dropped says that the message was not dealt with: it holds nothing back, and the server sends the message
/// again after the next reconnect.
#[must_use = "a message whose token is dropped comes again"]
pub struct Ack {
    shared: Arc<Shared>,
    delivery: Option<Delivery>,
}

impl Ack {
    pub(crate) fn new(shared: Arc<Shared>, delivery: Delivery) -> Self {
        Self { shared, delivery: Some(delivery) }
    }

    /// The message was dealt with: the server may forget it.
    pub fn accept(mut self) {
        if let Some(delivery) = self.delivery.take() {
            // Success is a legal answer in every version; nothing else can be wrong with it.
            let _ = self.shared.with(|driver| driver.acknowledge(delivery, ReasonCode::Success));
        }
    }

    /// MQTT 5.0: the message will not be dealt with, ever, and why.
    ///
    /// # Errors
    /// Before MQTT 5.0 nobody can say so, and some reason codes are not for this; the message counts as dropped.
    pub fn reject(mut self, reason_code: ReasonCode) -> Result<(), Error> {
        let Some(delivery) = self.delivery else { return Ok(()) };
        self.shared.with(|driver| driver.acknowledge(delivery, reason_code))?;
        self.delivery = None;
        Ok(())
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if let Some(delivery) = self.delivery.take() {
            self.shared.with(|driver| driver.leave(delivery));
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

//! What to subscribe to, and what becomes of messages that nobody takes.

use sori_mqtt::{QoS, RetainHandling, SubscribeOptions};

/// Messages that wait in a subscription's queue until it is full, unless something else is chosen.
const QUEUE_MAX: usize = 1_000;

/// A subscription to be made: one filter or several, and how.
///
/// QoS 1 unless something else is chosen: messages come with the QoS they were published with, but 2.
///
/// ```
/// use sori_client::{Overflow, QoS, Subscribe};
///
/// let readings = Subscribe::new("sensors/+/temperature").and("sensors/+/humidity");
/// let positions = Subscribe::new("ships/#").qos(QoS::AtMostOnce).queue(100, Overflow::DropOldest);
/// let orders = Subscribe::new("$share/workers/orders").qos(QoS::ExactlyOnce).manual_acks(true);
/// ```
#[derive(Debug, Clone)]
pub struct Subscribe {
    pub(crate) filters: Vec<String>,
    pub(crate) options: SubscribeOptions,
    pub(crate) queue_max: usize,
    pub(crate) overflow: Overflow,
    pub(crate) manual_acks: bool,
}

/// What happens when the queue of a subscription is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The connection is not read any further, so that the server keeps what comes. While this client waits for something
    /// else (a receipt, messages of another subscription) reading goes on, and the queue grows beyond its bound, up to
    /// [`incoming_bytes_max`](crate::Options::incoming_bytes_max) for all queues together; what comes then is dropped.
    #[default]
    Wait,
    /// The oldest message in the queue is dropped.
    DropOldest,
    /// The message that came is dropped.
    DropNewest,
}

impl Subscribe {
    /// A subscription to this filter, with QoS 1.
    pub fn new(filter: impl Into<String>) -> Self {
        Self {
            filters: vec![filter.into()],
            options: SubscribeOptions { qos: QoS::AtLeastOnce, ..SubscribeOptions::default() },
            queue_max: QUEUE_MAX,
            overflow: Overflow::Wait,
            manual_acks: false,
        }
    }

    /// Another filter, whose messages come through the same stream.
    #[must_use]
    pub fn and(mut self, filter: impl Into<String>) -> Self {
        self.filters.push(filter.into());
        self
    }

    /// The highest QoS that messages come with.
    #[must_use]
    pub fn qos(mut self, qos: QoS) -> Self {
        self.options.qos = qos;
        self
    }

    /// MQTT 5.0: messages that this client publishes do not come back to it.
    #[must_use]
    pub fn no_local(mut self, no_local: bool) -> Self {
        self.options.no_local = no_local;
        self
    }

    /// MQTT 5.0: messages keep the retain flag that they were published with.
    #[must_use]
    pub fn retain_as_published(mut self, retain_as_published: bool) -> Self {
        self.options.retain_as_published = retain_as_published;
        self
    }

    /// MQTT 5.0: when retained messages are sent.
    #[must_use]
    pub fn retain_handling(mut self, retain_handling: RetainHandling) -> Self {
        self.options.retain_handling = retain_handling;
        self
    }

    /// How many messages wait at most for being taken (one at least), and what happens then. The default is 1,000 and
    /// [`Overflow::Wait`].
    #[must_use]
    pub fn queue(mut self, messages: usize, overflow: Overflow) -> Self {
        self.queue_max = messages.max(1);
        self.overflow = overflow;
        self
    }

    /// Messages with QoS 1 and 2 are acknowledged by the program ([`Message::take_ack`](crate::Message::take_ack)), and
    /// not when they come in: one that was not dealt with comes again after a crash. Then the queue's bound is the
    /// number of messages that the server may have in flight
    /// ([`receive_maximum`](crate::Options::receive_maximum)).
    #[must_use]
    pub fn manual_acks(mut self, manual_acks: bool) -> Self {
        self.manual_acks = manual_acks;
        self
    }
}

impl From<&str> for Subscribe {
    fn from(filter: &str) -> Self {
        Self::new(filter)
    }
}

impl From<String> for Subscribe {
    fn from(filter: String) -> Self {
        Self::new(filter)
    }
}

impl From<&String> for Subscribe {
    fn from(filter: &String) -> Self {
        Self::new(filter.as_str())
    }
}

//! One message on its way to one session: what waits in its queue, and what is kept while it is in flight.

use crate::message::Message;
use crate::shared::GroupNumber;
use alloc::boxed::Box;
use sori_mqtt::QoS;

/// The Subscription Identifiers that a delivery carries.
#[derive(Clone, Debug, Default)]
pub(crate) enum Identifiers {
    #[default]
    None,
    One(u32),
    Many(Box<[u32]>),
}

impl Identifiers {
    pub(crate) fn from_slice(identifiers: &[u32]) -> Identifiers {
        match identifiers {
            [] => Identifiers::None,
            [one] => Identifiers::One(*one),
            many => Identifiers::Many(Box::from(many)),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u32] {
        match self {
            Identifiers::None => &[],
            Identifiers::One(one) => core::slice::from_ref(one),
            Identifiers::Many(many) => many,
        }
    }
}

/// What few deliveries have, and those that have not pay one word for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    identifiers: Identifiers,
    /// The group it was chosen from.
    group: Option<GroupNumber>,
}

impl Extra {
    pub(crate) fn new(identifiers: &[u32], group: Option<GroupNumber>) -> Option<Box<Extra>> {
        let is_needed = !identifiers.is_empty() || group.is_some();
        is_needed.then(|| Box::new(Extra { identifiers: Identifiers::from_slice(identifiers), group }))
    }

    pub(crate) fn identifiers(&self) -> &[u32] {
        self.identifiers.as_slice()
    }
}

/// Where a delivery stands among those of its session. Wraps around, long after what was before has gone.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub(crate) struct Order(pub(crate) u32);

impl Order {
    pub(crate) fn next(self) -> Order {
        Order(self.0.wrapping_add(1))
    }

    pub(crate) fn is_before(self, other: Order) -> bool {
        (self.0.wrapping_sub(other.0)).cast_signed() < 0
    }
}

/// A message for one session.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Message,
    /// The publication in the records that this delivery comes from; 0 when it is not recorded.
    pub(crate) key: u64,
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) order: Order,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// What the records know a delivery by. A publication may have several for one session, by its overlapping
/// subscriptions; those that are alike are as good as each other.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Copied<'a> {
    pub(crate) key: u64,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// The group it was chosen from: its other members may have it, and not its like of the session's own subscriptions.
    pub(crate) group: Option<GroupNumber>,
    pub(crate) identifiers: &'a [u32],
}

impl Delivery {
    pub(crate) fn copied(&self) -> Copied<'_> {
        let (qos, retain, group) = (self.qos, self.retain, self.group());
        Copied { key: self.key, qos, retain, group, identifiers: self.identifiers() }
    }

    pub(crate) fn payload_length(&self) -> u64 {
        self.message.payload_length() as u64
    }

    pub(crate) fn identifiers(&self) -> &[u32] {
        self.extra.as_ref().map_or(&[], |extra| extra.identifiers.as_slice())
    }

    pub(crate) fn group(&self) -> Option<GroupNumber> {
        self.extra.as_ref().and_then(|extra| extra.group)
    }
}

/// A message for one session that lies in the store only.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) place: u64,
    pub(crate) key: u64,
    pub(crate) extra: Option<Box<Extra>>,
    pub(crate) order: Order,
    /// Of the payload.
    pub(crate) length: u32,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

impl Stored {
    /// What is left in memory of a delivery whose message is durable.
    pub(crate) fn of(delivery: Delivery) -> Stored {
        let Delivery { message, key, extra, order, qos, retain } = delivery;
        Stored { place: message.place(), key, extra, order, length: message.payload_length(), qos, retain }
    }

    pub(crate) fn identifiers(&self) -> &[u32] {
        self.extra.as_ref().map_or(&[], |extra| extra.identifiers.as_slice())
    }

    pub(crate) fn copied(&self) -> Copied<'_> {
        // What was chosen from a group stays in memory.
        Copied { key: self.key, qos: self.qos, retain: self.retain, group: None, identifiers: self.identifiers() }
    }

    /// The delivery again, with its message.
    pub(crate) fn with(self, message: Message) -> Delivery {
        let Stored { key, extra, order, qos, retain, .. } = self;
        Delivery { message, key, extra, order, qos, retain }
    }
}

/// What is kept for a message in flight.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Its number only, and the length of its payload: the session ends with its connection, nothing is sent again.
    Number(u32),
    /// The message, to be sent again.
    Message(Delivery),
}

impl Kept {
    pub(crate) fn payload_length(&self) -> u64 {
        match self {
            Kept::Number(length) => u64::from(*length),
            Kept::Message(delivery) => delivery.payload_length(),
        }
    }
}

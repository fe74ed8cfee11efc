//! One message on its way to one session: what waits in its queue, and what is kept while it is in flight.

use crate::message::Message;
use crate::shared::GroupNumber;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
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

/// A message for one session.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Counts the deliveries of a session that were ever queued.
    pub(crate) number: u64,
    pub(crate) message: Arc<Message>,
    pub(crate) identifiers: Identifiers,
    /// The group it was chosen from.
    pub(crate) group: Option<GroupNumber>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

impl Delivery {
    pub(crate) fn payload_length(&self) -> u64 {
        self.message.view().payload.len() as u64
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

/// Messages that wait until the session may get them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: VecDeque<Delivery>,
    bytes: u64,
    qos0: usize,
    last_number: u64,
    /// Nothing expires before this moment. `None` is never.
    expires_first: Option<Time>,
}

impl Queue {
    /// A queue in which the numbers go on after `last_number`.
    pub(crate) fn after(last_number: u64) -> Queue {
        Queue { last_number, ..Queue::default() }
    }

    pub(crate) fn last_number(&self) -> u64 {
        self.last_number
    }

    /// The number of the next delivery.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Payload bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Does a QoS 0 message wait? Then a newer one must not overtake it.
    pub(crate) fn holds_qos0(&self) -> bool {
        self.qos0 > 0
    }

    pub(crate) fn front(&self) -> Option<&Delivery> {
        self.entries.front()
    }

    /// Put a delivery at the end; its number is the next one.
    pub(crate) fn push(&mut self, mut delivery: Delivery) -> &Delivery {
        delivery.number = self.next_number();
        self.put(delivery)
    }

    /// Put a delivery at the end that has its number already.
    pub(crate) fn put(&mut self, delivery: Delivery) -> &Delivery {
        let expires = delivery.message.view().expires;
        if expires != Time::NEVER {
            self.expires_first = Some(self.expires_first.map_or(expires, |first| first.min(expires)));
        }
        self.bytes += delivery.payload_length();
        self.qos0 += usize::from(delivery.qos == QoS::AtMostOnce);
        self.entries.push_back(delivery);
        self.entries.back().expect("it was pushed just now")
    }

    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.entries.pop_front()?;
        self.forget(&delivery);
        if self.entries.is_empty() {
            // An idle session holds no memory for what it once queued.
            self.entries = VecDeque::new();
        }
        Some(delivery)
    }

    fn forget(&mut self, delivery: &Delivery) {
        self.bytes -= delivery.payload_length();
        self.qos0 -= usize::from(delivery.qos == QoS::AtMostOnce);
    }

    /// Take out everything that `unwanted` names, in order.
    pub(crate) fn take(&mut self, mut unwanted: impl FnMut(&Delivery) -> bool) -> VecDeque<Delivery> {
        let (taken, kept): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut self.entries).into_iter().partition(|d| unwanted(d));
        self.entries = kept;
        for delivery in &taken {
            self.forget(delivery);
        }
        taken
    }

    /// Take out what has expired. A queue in which nothing has is not looked through.
    pub(crate) fn expire(&mut self, now: Time) -> VecDeque<Delivery> {
        if self.expires_first.is_none_or(|first| first > now) {
            return VecDeque::new();
        }
        let expired = self.take(|d| d.message.view().is_expired(now));
        let left = self.entries.iter().map(|d| d.message.view().expires);
        self.expires_first = left.min().filter(|first| *first != Time::NEVER);
        expired
    }

    /// Take out the last queued message of this topic. The new one goes to the end: in an earlier place it would
    /// overtake what its own publisher sent before. [MQTT-4.6.0-5] [MQTT311-4.6.0-6]
    pub(crate) fn take_last_of_topic(&mut self, topic: &str) -> Option<Delivery> {
        let at = self.entries.iter().rposition(|d| d.message.topic() == topic)?;
        let delivery = self.entries.remove(at)?;
        self.forget(&delivery);
        Some(delivery)
    }
}

#[cfg(test)]
mod tests;

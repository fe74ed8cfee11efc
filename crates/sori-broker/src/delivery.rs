//! One message on its way to one session: what waits in its queue, and what is kept while it is in flight.

use crate::message::Message;
use crate::shared::GroupNumber;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
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

/// Messages that wait until the session may get them.
///
/// QoS 0 has a line of its own, because it does not wait for acknowledgements; the numbers tell which of the two fronts
/// is the older one.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// QoS 1 and 2, oldest first.
    acknowledged: VecDeque<Delivery>,
    /// QoS 0, oldest first.
    plain: VecDeque<Delivery>,
    bytes: u64,
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
        self.acknowledged.len() + self.plain.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.acknowledged.is_empty() && self.plain.is_empty()
    }

    /// Payload bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Does a QoS 0 message wait? Then a newer one must not overtake it.
    pub(crate) fn holds_qos0(&self) -> bool {
        !self.plain.is_empty()
    }

    /// The oldest.
    pub(crate) fn front(&self) -> Option<&Delivery> {
        if self.is_plain_next() { self.plain.front() } else { self.acknowledged.front() }
    }

    /// The oldest of QoS 0.
    pub(crate) fn front_qos0(&self) -> Option<&Delivery> {
        self.plain.front()
    }

    fn is_plain_next(&self) -> bool {
        match (self.plain.front(), self.acknowledged.front()) {
            (Some(plain), Some(acknowledged)) => plain.number < acknowledged.number,
            (plain, _) => plain.is_some(),
        }
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
        let line = if delivery.qos == QoS::AtMostOnce { &mut self.plain } else { &mut self.acknowledged };
        line.push_back(delivery);
        line.back().expect("it was pushed just now")
    }

    /// Take out the oldest.
    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        if self.is_plain_next() { self.pop_qos0() } else { Queue::pop_from(&mut self.acknowledged, &mut self.bytes) }
    }

    /// Take out the oldest of QoS 0.
    pub(crate) fn pop_qos0(&mut self) -> Option<Delivery> {
        Queue::pop_from(&mut self.plain, &mut self.bytes)
    }

    fn pop_from(line: &mut VecDeque<Delivery>, bytes: &mut u64) -> Option<Delivery> {
        let delivery = line.pop_front()?;
        *bytes -= delivery.payload_length();
        if line.is_empty() {
            // An idle session holds no memory for what it once queued.
            *line = VecDeque::new();
        }
        Some(delivery)
    }

    /// Take out everything that `unwanted` names, in order.
    pub(crate) fn take(&mut self, mut unwanted: impl FnMut(&Delivery) -> bool) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for line in [&mut self.acknowledged, &mut self.plain] {
            for delivery in core::mem::take(line) {
                if unwanted(&delivery) { taken.push(delivery) } else { line.push_back(delivery) }
            }
        }
        taken.sort_by_key(|delivery| delivery.number);
        self.bytes -= taken.iter().map(Delivery::payload_length).sum::<u64>();
        taken
    }

    /// Take out what has expired. A queue in which nothing has is not looked through.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<Delivery> {
        if self.expires_first.is_none_or(|first| first > now) {
            return Vec::new();
        }
        let expired = self.take(|d| d.message.view().is_expired(now));
        let left = self.acknowledged.iter().chain(&self.plain).map(|d| d.message.view().expires);
        self.expires_first = left.min().filter(|first| *first != Time::NEVER);
        expired
    }

    /// Take out the last queued message of this topic. The new one goes to the end: in an earlier place it would
    /// overtake what its own publisher sent before. [MQTT-4.6.0-5] [MQTT311-4.6.0-6]
    pub(crate) fn take_last_of_topic(&mut self, topic: &str) -> Option<Delivery> {
        let last = |line: &VecDeque<Delivery>| {
            let at = line.iter().rposition(|d| d.message.topic() == topic)?;
            Some((line[at].number, at))
        };
        let delivery = match (last(&self.acknowledged), last(&self.plain)) {
            (Some(a), b) if b.is_none_or(|b| a.0 > b.0) => self.acknowledged.remove(a.1)?,
            (_, b) => self.plain.remove(b?.1)?,
        };
        self.bytes -= delivery.payload_length();
        Some(delivery)
    }
}

#[cfg(test)]
mod tests;

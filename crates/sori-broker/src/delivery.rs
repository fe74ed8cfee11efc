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
}

impl Queue {
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

    pub(crate) fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.payload_length();
        self.qos0 += usize::from(delivery.qos == QoS::AtMostOnce);
        self.entries.push_back(delivery);
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

    /// Remove what has expired; gives how many that were.
    pub(crate) fn expire(&mut self, now: Time) -> usize {
        self.take(|d| d.message.view().is_expired(now)).len()
    }

    /// Put `delivery` in the place of the last queued message of the same topic, if there is one. In an earlier place
    /// it would overtake what its own publisher sent before. [MQTT-4.6.0-5] [MQTT311-4.6.0-6]
    pub(crate) fn replace_same_topic(&mut self, delivery: Delivery) -> Result<(), Delivery> {
        let Some(at) = self.entries.iter().rposition(|d| d.message.topic() == delivery.message.topic()) else {
            return Err(delivery);
        };
        self.bytes += delivery.payload_length();
        self.qos0 += usize::from(delivery.qos == QoS::AtMostOnce);
        let old = core::mem::replace(&mut self.entries[at], delivery);
        self.forget(&old);
        Ok(())
    }
}

//! One application message, as it travels through the broker: borrowed while it is routed, shared while it waits.

use crate::access::Identity;
use crate::ids::SessionRef;
use crate::memory::MemoryUse;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use sori_mqtt::QoS;

/// A message where it lies: in a read buffer, in mail, in a [`Message`].
#[derive(Copy, Clone, Debug)]
pub struct MessageRef<'a> {
    /// The topic name, without an alias.
    pub topic: &'a str,
    /// The payload.
    pub payload: &'a [u8],
    /// The MQTT 5 properties that travel unchanged, encoded: not Message Expiry Interval, Topic Alias or
    /// Subscription Identifier, which belong to one hop.
    pub properties: &'a [u8],
    /// The QoS at which it was published.
    pub qos: QoS,
    /// The RETAIN flag with which it was published.
    pub retain: bool,
    /// When it expires.
    pub expires: Time,
    /// Who published it, for No Local.
    pub publisher: SessionRef,
    /// The version that the retained store gave it; 0 when it was not stored.
    pub retained_version: u64,
    /// What records know of it.
    pub recorded: Recorded,
}

/// What the records know of a message on its way.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct Recorded {
    /// The number under which the records have the message; 0 when they do not.
    pub(crate) number: u64,
    /// The number of this publication: the deliveries that it caused are recorded under it; 0 when they are not.
    pub(crate) key: u64,
    /// Nobody may see it before the record of its publication is durable, because that is made once only.
    pub(crate) waits: bool,
}

impl MessageRef<'_> {
    /// A copy that can wait, counted in `memory` as long as it lives.
    #[must_use]
    pub fn to_shared(self, memory: &MemoryUse) -> Arc<Message> {
        self.to_owned_by(memory, None)
    }

    /// The same, with who may answer for it: a retained message is delivered only while its publisher may publish it.
    #[must_use]
    pub fn to_owned_by(self, memory: &MemoryUse, owner: Option<Arc<Owner>>) -> Arc<Message> {
        let mut bytes = Vec::with_capacity(self.topic.len() + self.properties.len() + self.payload.len());
        bytes.extend_from_slice(self.topic.as_bytes());
        bytes.extend_from_slice(self.properties);
        bytes.extend_from_slice(self.payload);
        memory.add(Message::memory_of(bytes.len()));
        Arc::new(Message {
            memory: memory.clone(),
            owner,
            bytes: bytes.into_boxed_slice(),
            topic_length: self.topic.len() as u32,
            properties_length: self.properties.len() as u32,
            expires: self.expires,
            publisher: self.publisher,
            retained_version: self.retained_version,
            qos: self.qos,
            retain: self.retain,
            waits: self.recorded.waits,
            number: self.recorded.number,
            place: AtomicU64::new(0),
        })
    }

    /// Has it expired at `now`? [MQTT-3.3.2-5] is kept by those who ask before a delivery begins.
    #[must_use]
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires <= now
    }
}

/// A message that waits in a queue, in flight or as a retained value: one allocation for topic, properties and payload.
#[derive(Debug)]
pub struct Message {
    memory: MemoryUse,
    owner: Option<Arc<Owner>>,
    bytes: Box<[u8]>,
    expires: Time,
    publisher: SessionRef,
    retained_version: u64,
    topic_length: u32,
    properties_length: u32,
    qos: QoS,
    retain: bool,
    waits: bool,
    /// See [`Recorded::number`].
    number: u64,
    /// Where it stands in the store; 0 as long as it is not durable.
    place: AtomicU64,
}

/// Who published a retained message.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The publisher's identity.
    pub identity: Arc<Identity>,
    /// The publisher's client identifier.
    pub client_id: Arc<str>,
}

impl Message {
    /// Who published it, where that was kept.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.owner.as_deref()
    }

    /// The message as it is routed and encoded.
    #[must_use]
    pub fn view(&self) -> MessageRef<'_> {
        let (topic, rest) = self.bytes.split_at(self.topic_length as usize);
        let (properties, payload) = rest.split_at(self.properties_length as usize);
        MessageRef {
            topic: core::str::from_utf8(topic).expect("a topic is UTF-8 since it was decoded"),
            payload,
            properties,
            qos: self.qos,
            retain: self.retain,
            expires: self.expires,
            publisher: self.publisher,
            retained_version: self.retained_version,
            recorded: Recorded { number: self.number, key: 0, waits: self.waits && self.place() == 0 },
        }
    }

    /// A copy that the records have under `number`.
    pub(crate) fn numbered(&self, number: u64) -> Arc<Message> {
        let view = self.view();
        let recorded = Recorded { number, ..view.recorded };
        MessageRef { recorded, ..view }.to_owned_by(&self.memory, self.owner.clone())
    }

    /// Bytes of its payload.
    pub(crate) fn payload_length(&self) -> u32 {
        self.bytes.len() as u32 - self.topic_length - self.properties_length
    }

    /// When it expires.
    pub(crate) fn expires(&self) -> Time {
        self.expires
    }

    /// The number under which the records have it; 0 when they do not.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Where it stands in the store; 0 as long as it is not durable.
    pub(crate) fn place(&self) -> u64 {
        self.place.load(Ordering::Acquire)
    }

    /// The store may have moved it.
    pub(crate) fn move_to(&self, current: impl Fn(u64) -> u64) {
        let place = self.place();
        if place != 0 {
            self.set_place(current(place));
        }
    }

    /// It is durable, at this place.
    pub(crate) fn set_place(&self, place: u64) {
        self.place.store(place, Ordering::Release);
    }

    /// The topic name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.view().topic
    }

    /// The bytes of memory that it takes, with the place in a queue that it waits in.
    fn memory_of(bytes: usize) -> i64 {
        i64::try_from(bytes + size_of::<Message>() + 10 * size_of::<usize>()).unwrap_or(i64::MAX)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.memory.add(-Message::memory_of(self.bytes.len()));
        let place = self.place();
        if place != 0 {
            self.memory.forget(place, self.bytes.len() as u32);
        }
    }
}

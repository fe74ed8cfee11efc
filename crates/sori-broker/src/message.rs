//! One application message, as it travels through the broker: borrowed while it is routed, shared while it waits.

use crate::access::Identity;
use crate::ids::SessionRef;
use crate::memory::MemoryUse;
use crate::time::Time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use sori_mqtt::{QoS, Version};
use triomphe::ThinArc;

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
    /// The packet that it came in.
    pub wire: Wire<'a>,
}

/// The PUBLISH packet that a message came in, where it has neither properties nor DUP nor RETAIN: whoever gets the message in
/// the same version and at the same QoS can be sent the same bytes, but for the packet identifier. Empty for all other
/// messages.
#[derive(Copy, Clone, Debug, Default)]
pub struct Wire<'a> {
    bytes: &'a [u8],
    is_v5: bool,
}

impl<'a> Wire<'a> {
    /// A packet of which the caller knows that it has neither properties nor DUP nor RETAIN.
    pub(crate) fn plain(bytes: &'a [u8], is_v5: bool) -> Wire<'a> {
        Wire { bytes, is_v5 }
    }

    /// The packet, if it is in the form of this version.
    #[inline]
    pub(crate) fn for_version(self, version: Version) -> Option<&'a [u8]> {
        (!self.bytes.is_empty() && self.is_v5 == version.is_v5()).then_some(self.bytes)
    }

    /// How many bytes stand between the topic and the payload: a packet identifier, and that there are no properties.
    #[inline]
    pub(crate) fn after_topic(self, qos: QoS) -> usize {
        (if qos == QoS::AtMostOnce { 0 } else { 2 }) + usize::from(self.is_v5)
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn is_v5(self) -> bool {
        self.is_v5
    }
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

/// Messages up to this size are put together where they need no allocation.
const SMALL_BYTES_MAX: usize = 256;

impl MessageRef<'_> {
    /// A copy that can wait, counted in `memory` as long as it lives.
    #[must_use]
    pub fn to_shared(self, memory: &MemoryUse) -> Message {
        let rare = Rare::of(&self);
        let length = self.topic.len() + self.properties.len() + self.payload.len();
        let parts = [self.topic.as_bytes(), self.properties, self.payload, rare.bytes()];
        // Most messages are small, and one allocation is enough for them.
        let (mut small, mut large) = ([0; SMALL_BYTES_MAX], Vec::new());
        let bytes = match small.get_mut(..length + rare.bytes().len()) {
            Some(bytes) => {
                let mut rest = &mut *bytes;
                for part in parts {
                    let (place, behind) = rest.split_at_mut(part.len());
                    place.copy_from_slice(part);
                    rest = behind;
                }
                &*bytes
            }
            None => {
                large.reserve_exact(length + rare.bytes().len());
                parts.iter().for_each(|part| large.extend_from_slice(part));
                &large[..]
            }
        };
        memory.add(memory_of(length));
        let header = Header {
            memory: memory.clone(),
            place: AtomicU64::new(0),
            publisher: self.publisher,
            length: length as u32,
            topic_length: self.topic.len() as u16,
            qos: self.qos,
            retain: self.retain,
            waits: self.recorded.waits,
            has: rare.has,
        };
        Message(ThinArc::from_header_and_slice(header, bytes))
    }

    /// Has it expired at `now`? [MQTT-3.3.2-5] is kept by those who ask before a delivery begins.
    #[must_use]
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires <= now
    }
}

#[cfg(test)]
impl<'a> MessageRef<'a> {
    /// What tests begin with: QoS 0, from nobody, for ever.
    pub(crate) fn plain(topic: &'a str, payload: &'a [u8]) -> MessageRef<'a> {
        MessageRef {
            topic,
            payload,
            properties: &[],
            qos: QoS::AtMostOnce,
            retain: false,
            expires: Time::NEVER,
            publisher: SessionRef::NOBODY,
            retained_version: 0,
            recorded: Recorded::default(),
            wire: Wire::default(),
        }
    }
}

/// A message that waits in a queue, in flight or as a retained value. Clones share it: one allocation with topic,
/// properties and payload, and behind them what few messages have.
#[derive(Clone, Debug)]
pub struct Message(ThinArc<Header, u8>);

#[derive(Debug)]
struct Header {
    memory: MemoryUse,
    /// Where it stands in the store; 0 as long as it is not durable.
    place: AtomicU64,
    publisher: SessionRef,
    /// Of topic, properties and payload together.
    length: u32,
    topic_length: u16,
    qos: QoS,
    retain: bool,
    waits: bool,
    has: Has,
}

/// Which of the rare numbers a message has.
#[derive(Copy, Clone, Debug)]
struct Has {
    expires: bool,
    number: bool,
    properties: bool,
}

/// Numbers that few messages have, and those that have not take no memory for: eight bytes each behind the payload.
struct Rare {
    bytes: [u8; 3 * NUMBER_BYTES],
    has: Has,
}

const NUMBER_BYTES: usize = size_of::<u64>();

impl Rare {
    fn of(message: &MessageRef<'_>) -> Rare {
        let has = Has {
            expires: message.expires != Time::NEVER,
            number: message.recorded.number != 0,
            properties: !message.properties.is_empty(),
        };
        let mut bytes = [0; 3 * NUMBER_BYTES];
        let mut places = bytes.chunks_exact_mut(NUMBER_BYTES);
        let mut put = |is_there: bool, number: u64| {
            if let Some(place) = is_there.then(|| places.next()).flatten() {
                place.copy_from_slice(&number.to_ne_bytes());
            }
        };
        put(has.expires, message.expires.0);
        put(has.number, message.recorded.number);
        put(has.properties, message.properties.len() as u64);
        Rare { bytes, has }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.has.count() * NUMBER_BYTES]
    }
}

impl Has {
    fn count(self) -> usize {
        usize::from(self.expires) + usize::from(self.number) + usize::from(self.properties)
    }
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
    fn header(&self) -> &Header {
        &self.0.header.header
    }

    /// The rare number that has so many before it.
    #[cold]
    fn rare(&self, before: usize) -> u64 {
        let (numbers, _) = self.0.slice[self.header().length as usize..].as_chunks();
        numbers.get(before).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    #[inline]
    fn properties_length(&self) -> usize {
        match self.header().has {
            Has { properties: false, .. } => 0,
            has => self.rare(has.count() - 1) as usize,
        }
    }

    /// The message as it is routed and encoded.
    #[must_use]
    pub fn view(&self) -> MessageRef<'_> {
        let header = self.header();
        let (topic, rest) = self.0.slice[..header.length as usize].split_at(usize::from(header.topic_length));
        let (properties, payload) = rest.split_at(self.properties_length());
        MessageRef {
            topic: core::str::from_utf8(topic).expect("a topic is UTF-8 since it was decoded"),
            payload,
            properties,
            qos: header.qos,
            retain: header.retain,
            expires: self.expires(),
            publisher: header.publisher,
            retained_version: 0,
            recorded: Recorded { number: self.number(), key: 0, waits: header.waits && self.place() == 0 },
            wire: Wire::default(),
        }
    }

    /// A copy that the records have under `number`.
    pub(crate) fn numbered(&self, number: u64) -> Message {
        let view = self.view();
        let recorded = Recorded { number, ..view.recorded };
        MessageRef { recorded, ..view }.to_shared(&self.header().memory)
    }

    /// The payload.
    pub(crate) fn payload(&self) -> &[u8] {
        let header = self.header();
        &self.0.slice[usize::from(header.topic_length) + self.properties_length()..header.length as usize]
    }

    /// Bytes of its payload.
    pub(crate) fn payload_length(&self) -> u32 {
        let header = self.header();
        header.length - u32::from(header.topic_length) - self.properties_length() as u32
    }

    /// When it expires.
    pub(crate) fn expires(&self) -> Time {
        if self.header().has.expires { Time(self.rare(0)) } else { Time::NEVER }
    }

    /// The number under which the records have it; 0 when they do not.
    pub(crate) fn number(&self) -> u64 {
        let has = self.header().has;
        if has.number { self.rare(usize::from(has.expires)) } else { 0 }
    }

    /// Where it stands in the store; 0 as long as it is not durable.
    pub(crate) fn place(&self) -> u64 {
        self.header().place.load(Ordering::Acquire)
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
        self.header().place.store(place, Ordering::Release);
    }

    /// The topic name as bytes, which cost nothing to look at.
    #[inline]
    pub(crate) fn topic_bytes(&self) -> &[u8] {
        &self.0.slice[..usize::from(self.header().topic_length)]
    }

    /// The topic name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.view().topic
    }

    /// Does nobody else hold it?
    pub(crate) fn is_unshared(&self) -> bool {
        ThinArc::strong_count(&self.0) == 1
    }
}

/// The bytes of memory that a message takes, with the place in a queue that it waits in.
fn memory_of(bytes: usize) -> i64 {
    i64::try_from(bytes + size_of::<Header>() + 64).unwrap_or(i64::MAX)
}

impl Drop for Header {
    fn drop(&mut self) {
        self.memory.add(-memory_of(self.length as usize));
        let place = *self.place.get_mut();
        if place != 0 {
            self.memory.forget(place, self.length);
        }
    }
}

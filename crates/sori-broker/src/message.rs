//! One application message, as it travels through the broker: borrowed while it is routed, shared while it waits.

use crate::access::Identity;
use crate::ids::{SessionRef, ShardId};
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
        let (numbers, count) = Numbers::of(&self).to_bytes();
        let numbers = &numbers[..count * NUMBER_BYTES];
        let length = self.topic.len() + self.properties.len() + self.payload.len();
        let parts = [self.topic.as_bytes(), self.properties, self.payload, numbers];
        // Most messages are small, and one allocation is enough for them.
        let (mut small, mut large) = ([0; SMALL_BYTES_MAX], Vec::new());
        let bytes = match small.get_mut(..length + numbers.len()) {
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
                large.reserve_exact(length + numbers.len());
                parts.iter().for_each(|part| large.extend_from_slice(part));
                &large[..]
            }
        };
        memory.add(memory_of(length));
        let SessionRef { shard: publisher_shard, slot: publisher_slot, generation: publisher_generation } =
            self.publisher;
        let header = Header {
            memory: memory.clone(),
            place: AtomicU64::new(if self.recorded.waits { AWAITED } else { 0 }),
            publisher_slot,
            publisher_generation,
            publisher_shard,
            topic_length: self.topic.len() as u16,
            length: Length::new(length, self.qos, self.retain),
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

/// Each byte of it is there once for each message that waits.
#[derive(Debug)]
struct Header {
    memory: MemoryUse,
    /// Where it stands in the store; 0 as long as it is not durable, and [`AWAITED`] if nobody may see it before it is.
    place: AtomicU64,
    // The publisher's `SessionRef` in its parts, which need no room between them.
    publisher_slot: u32,
    publisher_generation: u32,
    publisher_shard: ShardId,
    topic_length: u16,
    length: Length,
}

/// No message stands in the store there.
const AWAITED: u64 = u64::MAX;

/// How many bytes topic, properties and payload have together, in 29 bits; QoS and RETAIN. A packet has fewer than 2^28 bytes, and a
/// topic that an alias stands for 2^16.
#[derive(Copy, Clone, Debug)]
struct Length(u32);

impl Length {
    const BITS: u32 = 29;
    const RETAIN: u32 = 1 << 31;

    fn new(bytes: usize, qos: QoS, retain: bool) -> Length {
        let bytes =
            u32::try_from(bytes).ok().filter(|bytes| bytes >> Self::BITS == 0).expect("a message fits into a packet");
        Length(bytes | u32::from(qos as u8) << Self::BITS | if retain { Self::RETAIN } else { 0 })
    }

    fn bytes(self) -> usize {
        (self.0 & ((1 << Self::BITS) - 1)) as usize
    }

    fn qos(self) -> QoS {
        QoS::from_u8((self.0 >> Self::BITS) as u8 & 3).unwrap_or_default()
    }

    fn retain(self) -> bool {
        self.0 & Self::RETAIN != 0
    }
}

/// Numbers that many messages do not have, and those that have not take no memory for: they stand behind the payload, eight bytes each.
/// How many there are tells which.
struct Numbers {
    /// Under which the records have it.
    number: Option<u64>,
    /// When it expires, and the length of the properties: both, if there is one of them.
    v5: Option<(Time, u64)>,
}

const NUMBER_BYTES: usize = size_of::<u64>();

impl Numbers {
    /// What a message has that has none.
    const NONE: Numbers = Numbers { number: None, v5: None };

    fn of(message: &MessageRef<'_>) -> Numbers {
        let has_v5 = message.expires != Time::NEVER || !message.properties.is_empty();
        Numbers {
            number: Some(message.recorded.number).filter(|number| *number != 0),
            v5: has_v5.then_some((message.expires, message.properties.len() as u64)),
        }
    }

    /// The bytes, and how many numbers there are.
    fn to_bytes(&self) -> ([u8; 3 * NUMBER_BYTES], usize) {
        let (numbers, count) = match (self.v5, self.number) {
            (None, None) => ([0; 3], 0),
            (None, Some(number)) => ([number, 0, 0], 1),
            (Some((expires, properties)), None) => ([expires.0, properties, 0], 2),
            (Some((expires, properties)), Some(number)) => ([expires.0, properties, number], 3),
        };
        let mut bytes = [0; 3 * NUMBER_BYTES];
        for (place, number) in bytes.chunks_exact_mut(NUMBER_BYTES).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        (bytes, count)
    }

    #[cold]
    fn from_bytes(bytes: &[u8]) -> Numbers {
        let (numbers, _) = bytes.as_chunks();
        let at = |place: usize| numbers.get(place).map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let has_v5 = numbers.len() >= 2;
        Numbers {
            number: (numbers.len() % 2 == 1).then(|| at(numbers.len() - 1)),
            v5: has_v5.then(|| (Time(at(0)), at(1))),
        }
    }

    fn expires(&self) -> Time {
        self.v5.map_or(Time::NEVER, |(expires, _)| expires)
    }

    fn properties_length(&self) -> usize {
        self.v5.map_or(0, |(_, length)| length as usize)
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

    #[inline]
    fn numbers(&self) -> Numbers {
        match &self.0.slice[self.header().length.bytes()..] {
            [] => Numbers::NONE,
            bytes => Numbers::from_bytes(bytes),
        }
    }

    /// The message as it is routed and encoded.
    #[must_use]
    pub fn view(&self) -> MessageRef<'_> {
        let (header, numbers) = (self.header(), self.numbers());
        let (topic, rest) = self.0.slice[..header.length.bytes()].split_at(usize::from(header.topic_length));
        let (properties, payload) = rest.split_at(numbers.properties_length());
        let waits = header.place.load(Ordering::Acquire) == AWAITED;
        MessageRef {
            topic: core::str::from_utf8(topic).expect("a topic is UTF-8 since it was decoded"),
            payload,
            properties,
            qos: header.length.qos(),
            retain: header.length.retain(),
            expires: numbers.expires(),
            publisher: SessionRef {
                shard: header.publisher_shard,
                slot: header.publisher_slot,
                generation: header.publisher_generation,
            },
            retained_version: 0,
            recorded: Recorded { number: numbers.number.unwrap_or(0), key: 0, waits },
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
        &self.0.slice[usize::from(header.topic_length) + self.numbers().properties_length()..header.length.bytes()]
    }

    /// Bytes of its payload.
    pub(crate) fn payload_length(&self) -> u32 {
        self.payload().len() as u32
    }

    /// When it expires.
    pub(crate) fn expires(&self) -> Time {
        self.numbers().expires()
    }

    /// The number under which the records have it; 0 when they do not.
    pub(crate) fn number(&self) -> u64 {
        self.numbers().number.unwrap_or(0)
    }

    /// Where it stands in the store; 0 as long as it is not durable.
    pub(crate) fn place(&self) -> u64 {
        match self.header().place.load(Ordering::Acquire) {
            AWAITED => 0,
            place => place,
        }
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
        let length = self.length.bytes();
        self.memory.add(-memory_of(length));
        let place = *self.place.get_mut();
        if place != 0 && place != AWAITED {
            self.memory.forget(place, length as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// 16 bytes more, and 200 is not kept to for a message of 64 bytes that waits.
    #[test]
    fn no_byte_of_the_header_is_unused() {
        assert_eq!(size_of::<Header>(), 32);
    }

    #[test]
    fn a_message_is_the_same_after_it_has_waited_whatever_it_has() {
        let memory = MemoryUse::default();
        let recorded = |number| Recorded { number, key: 0, waits: number == 7 };
        let publisher = SessionRef { shard: ShardId(3), slot: 1 << 31, generation: u32::MAX };
        let plain = MessageRef { publisher, ..MessageRef::plain("a/b", b"payload") };
        for (properties, expires, number) in [
            (&b""[..], Time::NEVER, 0),
            (b"", Time(5), 7),
            (b"12", Time::NEVER, 7),
            (b"12", Time(5), 0),
            (b"", Time(5), 0),
        ] {
            for (qos, retain) in [(QoS::AtMostOnce, true), (QoS::AtLeastOnce, false), (QoS::ExactlyOnce, true)] {
                let message = MessageRef { properties, expires, recorded: recorded(number), qos, retain, ..plain };
                let shared = message.to_shared(&memory);
                assert_eq!(alloc::format!("{:?}", shared.view()), alloc::format!("{message:?}"));
                assert_eq!((shared.expires(), shared.number(), shared.place()), (expires, number, 0));
                assert_eq!((shared.payload(), shared.payload_length()), (&b"payload"[..], 7));
            }
        }
        assert_eq!(memory.bytes(), 0, "what was counted is counted off");
    }

    #[test]
    fn what_nobody_may_see_waits_until_it_is_durable() {
        let recorded = Recorded { number: 1, key: 0, waits: true };
        let message = MessageRef { recorded, ..MessageRef::plain("t", b"") }.to_shared(&MemoryUse::default());
        message.move_to(|_| 9);
        assert!(message.view().recorded.waits, "what is nowhere is not moved");
        message.set_place(8);
        assert_eq!((message.view().recorded.waits, message.place()), (false, 8));
    }

    /// A topic that came as an alias does not count in the packet.
    #[test]
    fn the_largest_packet_with_the_longest_topic_can_wait() {
        let (topic, payload) = ("t".repeat(65_535), vec![0; 268_435_455 - 6]);
        let message = MessageRef { qos: QoS::ExactlyOnce, ..MessageRef::plain(&topic, &payload) };
        let shared = message.to_shared(&MemoryUse::default());
        assert_eq!((shared.payload_length() as usize, shared.view().qos), (payload.len(), QoS::ExactlyOnce));
    }
}

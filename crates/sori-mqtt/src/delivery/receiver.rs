//! The receiver's table: the identifiers of QoS 2 messages that are taken over but not released, and how many QoS 1
//! messages wait for their PUBACK.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::PacketId;
use crate::packet_id::distance;

/// A table that became empty keeps this many slots, so that a steady flow does not allocate for each message.
const KEPT_SLOTS_MAX: usize = 128;

/// What one side of a session has received with QoS 1 or 2 and not finished. A table that never held anything owns no
/// heap memory.
///
/// Clients number their messages one after the other, and release them in order. As long as they do, an identifier is
/// found by its distance from the first; if not, all are looked at, and the Receive Maximum bounds how many there are.
#[derive(Debug, Clone)]
pub struct IncomingMessages {
    unreleased: Option<Box<Unreleased>>,
    unacknowledged_qos1: u16,
    receive_maximum: u16,
}

/// Apart, because most sessions never have any.
#[derive(Debug, Clone)]
struct Unreleased {
    /// First those of earlier connections (`carried` of them), then those of this one.
    ids: VecDeque<PacketId>,
    carried: usize,
    /// Each of `ids` is further from the first than the one before.
    is_ascending: bool,
}

/// What an incoming QoS 2 PUBLISH is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// Take it over, then answer PUBREC.
    New,
    /// It was taken over before: only answer PUBREC again.
    Duplicate,
}

impl IncomingMessages {
    /// An empty table. `receive_maximum` is the own Receive Maximum, as told to the peer.
    #[must_use]
    pub const fn new(receive_maximum: u16) -> Self {
        Self { unreleased: None, unacknowledged_qos1: 0, receive_maximum }
    }

    /// The own Receive Maximum.
    #[must_use]
    pub const fn receive_maximum(&self) -> u16 {
        self.receive_maximum
    }

    /// A new connection begins; identifiers that are not released live on [MQTT-4.1.0-1] [MQTT311-4.1.0-1].
    ///
    /// The peer starts with a full quota again, so they no longer count as in flight until it sends them once more.
    pub fn resume(&mut self, receive_maximum: u16) {
        self.receive_maximum = receive_maximum;
        if let Some(unreleased) = &mut self.unreleased {
            unreleased.carried = unreleased.ids.len();
        }
        self.unacknowledged_qos1 = 0;
    }

    /// A QoS 1 PUBLISH came in; [`puback`](Self::puback) follows. Each one is a new message, whatever its identifier and
    /// DUP say [MQTT-4.3.2-5] [MQTT311-4.3.2-2].
    #[inline]
    pub const fn publish_qos1(&mut self) {
        self.unacknowledged_qos1 = self.unacknowledged_qos1.saturating_add(1);
    }

    /// A PUBACK was sent.
    #[inline]
    pub const fn puback(&mut self) {
        self.unacknowledged_qos1 = self.unacknowledged_qos1.saturating_sub(1);
    }

    /// A QoS 2 PUBLISH came in. Until its PUBREL a repeated one is no second delivery [MQTT-4.3.3-10]
    /// [MQTT311-4.3.3-2].
    pub fn publish_qos2(&mut self, packet_id: PacketId) -> Incoming {
        let unreleased = self.unreleased.get_or_insert_with(Unreleased::boxed);
        let Some(position) = unreleased.position(packet_id) else {
            unreleased.append(packet_id);
            return Incoming::New;
        };
        if position < unreleased.carried {
            unreleased.remove(position);
            unreleased.append(packet_id);
        }
        Incoming::Duplicate
    }

    /// PUBREL came in: PUBCOMP follows, and the identifier is free for a new message [MQTT-4.3.3-12] [MQTT311-4.3.3-2].
    /// Returns whether it was known (otherwise PUBCOMP says 0x92).
    pub fn release(&mut self, packet_id: PacketId) -> bool {
        let Some(unreleased) = &mut self.unreleased else { return false };
        let position = unreleased.position(packet_id);
        if let Some(position) = position {
            unreleased.remove(position);
        }
        position.is_some()
    }

    /// The message is answered by a PUBREC of 0x80 or more: the identifier is free for a new message [MQTT-4.3.3-9].
    pub fn forget(&mut self, packet_id: PacketId) {
        self.release(packet_id);
    }

    /// Puts back an identifier from storage.
    pub fn restore(&mut self, packet_id: PacketId) {
        if !self.contains(packet_id) {
            let unreleased = self.unreleased.get_or_insert_with(Unreleased::boxed);
            if unreleased.carried == unreleased.ids.len() {
                unreleased.append(packet_id);
            } else {
                unreleased.ids.insert(unreleased.carried, packet_id);
                unreleased.is_ascending = false;
            }
            unreleased.carried += 1;
        }
    }

    /// How many QoS 1 and 2 messages of this connection are unfinished: what the peer's quota counts.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        let unreleased = self.unreleased.as_ref().map_or(0, |unreleased| unreleased.ids.len() - unreleased.carried);
        unreleased + usize::from(self.unacknowledged_qos1)
    }

    /// Whether the peer has sent more than the Receive Maximum allows (0x93) [MQTT-3.3.4-7] [MQTT-3.3.4-9].
    #[inline]
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.in_flight() > usize::from(self.receive_maximum)
    }

    /// How many QoS 2 messages are not released.
    #[must_use]
    pub fn unreleased(&self) -> usize {
        self.unreleased.as_ref().map_or(0, |unreleased| unreleased.ids.len())
    }

    /// Whether a QoS 2 message with this identifier is not released.
    #[must_use]
    pub fn contains(&self, packet_id: PacketId) -> bool {
        self.unreleased.as_ref().is_some_and(|unreleased| unreleased.position(packet_id).is_some())
    }

    /// The identifiers that are not released, those of earlier connections first.
    pub fn iter(&self) -> impl Iterator<Item = PacketId> + '_ {
        self.unreleased.iter().flat_map(|unreleased| unreleased.ids.iter().copied())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.receive_maximum);
    }

    /// Releases the memory that is not needed now.
    pub fn shrink_to_fit(&mut self) {
        match &mut self.unreleased {
            Some(unreleased) if !unreleased.ids.is_empty() => unreleased.ids.shrink_to_fit(),
            _ => self.unreleased = None,
        }
    }
}

impl Unreleased {
    fn boxed() -> Box<Unreleased> {
        Box::new(Unreleased { ids: VecDeque::new(), carried: 0, is_ascending: true })
    }

    #[inline]
    fn position(&self, packet_id: PacketId) -> Option<usize> {
        let (Some(first), Some(last)) = (self.ids.front(), self.ids.back()) else { return None };
        if *first == packet_id {
            return Some(0);
        }
        if !self.is_ascending {
            return self.ids.iter().position(|unreleased| *unreleased == packet_id);
        }
        let from_first = distance(*first, packet_id);
        if from_first > distance(*first, *last) {
            return None;
        }
        let found = self.ids.partition_point(|unreleased| distance(*first, *unreleased) < from_first);
        self.ids.get(found).is_some_and(|unreleased| *unreleased == packet_id).then_some(found)
    }

    #[inline]
    fn append(&mut self, packet_id: PacketId) {
        if let (Some(first), Some(last)) = (self.ids.front(), self.ids.back()) {
            self.is_ascending &= distance(*first, packet_id) > distance(*first, *last);
        }
        self.ids.push_back(packet_id);
    }

    fn remove(&mut self, position: usize) {
        self.ids.remove(position);
        if position < self.carried {
            self.carried -= 1;
        }
        if self.ids.is_empty() {
            self.is_ascending = true;
            if self.ids.capacity() > KEPT_SLOTS_MAX {
                self.ids = VecDeque::new();
            }
        }
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;

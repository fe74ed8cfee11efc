//! The sender's table: every PUBLISH with QoS 1 or 2 that is not finished yet, in the order of sending.
//!
//! Identifiers are handed out one after the other (65535 is followed by 1), so the table is a ring and the position of
//! an identifier is a subtraction:
//!
//! ```text
//!   first = 7            position of 9 = 9 - 7 = 2
//!     |
//!   [ 7: PUBLISH ][ 8: done ][ 9: PUBREL ][ 10: PUBLISH ]   next = 11
//! ```
//!
//! An entry that is finished out of order stays as a tombstone until everything before it is finished too. A peer that
//! never finishes one message therefore ends up with a ring of 65,535 entries and gets nothing more with QoS 1 or 2:
//! the memory of one table is bounded, and no identifier is ever used twice at a time.

use alloc::collections::VecDeque;
use core::fmt;

use crate::packet_id::distance;
use crate::{PacketId, QoS, ReasonCode};

/// There are 65,535 packet identifiers, 1 to 65535.
const RING_SLOTS_MAX: usize = 65_535;

/// A table that became empty keeps this many slots, so that a steady flow does not allocate for each message.
const KEPT_SLOTS_MAX: usize = 128;

/// The QoS 1 and QoS 2 messages which one side of a session has sent and the other has not finished.
///
/// `M` is what the caller keeps for a message until the receiver owns it. A table that never held anything owns no heap
/// memory. Nothing here panics or loops without bound, whatever the peer acknowledges.
#[derive(Debug, Clone)]
pub struct OutgoingMessages<M> {
    ring: VecDeque<Slot<M>>,
    /// The identifier of the entry at the front; of the next one to be sent while the ring is empty.
    first: PacketId,
    receive_maximum: u16,
    /// Entries that are PUBLISH or PUBREL.
    unfinished: u16,
    /// PUBLISH entries that were sent on an earlier connection and not yet on this one; they stand from `resend_at` on.
    waiting: u16,
    /// Without meaning while `waiting` is zero.
    resend_at: usize,
}

#[derive(Debug, Clone)]
enum Slot<M> {
    /// Finished, but something before it is not.
    Done,
    /// PUBLISH sent, neither PUBACK nor PUBREC received.
    Publish { qos: QoS, message: M },
    /// PUBREC received, PUBREL sent, PUBCOMP not received.
    Released,
    /// A SUBSCRIBE or UNSUBSCRIBE: it takes an identifier from the same range, but no quota.
    Request(M),
}

impl<M> Slot<M> {
    fn resend(&self, packet_id: PacketId) -> Option<Resend<'_, M>> {
        match self {
            Slot::Publish { qos, message } => Some(Resend::Publish { packet_id, qos: *qos, message }),
            Slot::Released => Some(Resend::PubRel { packet_id }),
            Slot::Done | Slot::Request(_) => None,
        }
    }
}

/// Why an acknowledgement does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckError {
    /// Nothing unfinished has this identifier (late or repeated acknowledgements do this; it is no reason to hang up).
    UnknownPacketId,
    /// The identifier is in use, but not for something that this kind of acknowledgement may answer.
    WrongState,
}

/// What a PUBREC means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PubRec<M> {
    /// Send PUBREL. The first PUBREC gives the message back: the receiver owns it now and it is never sent again.
    Release(Option<M>),
    /// The receiver refused the message: no PUBREL, and the identifier is free.
    Ended(M),
    /// Nothing unfinished has this identifier.
    Unknown,
    /// The identifier belongs to a QoS 1 message or to a request.
    WrongState,
}

/// What is sent again when a session is resumed on a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend<'a, M> {
    /// Send this PUBLISH again, with DUP and the same identifier.
    Publish {
        /// The identifier it was first sent with.
        packet_id: PacketId,
        /// QoS 1 or 2.
        qos: QoS,
        /// What the caller kept for it.
        message: &'a M,
    },
    /// Send this PUBREL again.
    PubRel {
        /// The identifier of the message it releases.
        packet_id: PacketId,
    },
}

impl<M> Resend<'_, M> {
    /// The identifier of the message.
    #[must_use]
    pub const fn packet_id(&self) -> PacketId {
        match self {
            Resend::Publish { packet_id, .. } | Resend::PubRel { packet_id } => *packet_id,
        }
    }
}

/// The state of one message, to rebuild a table from storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutgoingState<M> {
    /// PUBLISH was sent and not acknowledged.
    Publish {
        /// QoS 1 or 2.
        qos: QoS,
        /// What the caller keeps for it.
        message: M,
    },
    /// PUBREC was received; PUBREL is due until PUBCOMP.
    Released,
}

impl<M> OutgoingMessages<M> {
    /// An empty table. `receive_maximum` is the peer's Receive Maximum; 65,535 where it named none, as in MQTT 3.
    #[must_use]
    pub const fn new(receive_maximum: u16) -> Self {
        Self { ring: VecDeque::new(), first: PacketId::FIRST, receive_maximum, unfinished: 0, waiting: 0, resend_at: 0 }
    }

    /// The peer's Receive Maximum.
    #[must_use]
    pub const fn receive_maximum(&self) -> u16 {
        self.receive_maximum
    }

    /// Changes the peer's Receive Maximum. What is in flight stays in flight.
    pub const fn set_receive_maximum(&mut self, receive_maximum: u16) {
        self.receive_maximum = receive_maximum;
    }

    /// The send quota: how many PUBLISH with QoS 1 or 2 may be sent now.
    ///
    /// It starts as the Receive Maximum [MQTT-4.9.0-1] and each unfinished message takes one [MQTT-4.9.0-2]; PUBACK,
    /// PUBCOMP and a PUBREC of 0x80 or more give it back. A message whose PUBREL is repeated on a new connection keeps
    /// its place, so that the peer never holds more than its Receive Maximum [MQTT-3.3.4-7] [MQTT-3.3.4-9].
    #[inline]
    #[must_use]
    pub const fn quota(&self) -> u16 {
        self.receive_maximum.saturating_sub(self.unfinished - self.waiting)
    }

    /// Whether [`insert`](Self::insert) would take a message now. Messages that wait for being sent again go first
    /// [MQTT-4.6.0-1] [MQTT311-4.6.0-1].
    #[inline]
    #[must_use]
    pub fn can_send(&self) -> bool {
        self.quota() > 0 && self.waiting == 0 && self.ring.len() < RING_SLOTS_MAX
    }

    /// Takes a message whose PUBLISH is sent now with the identifier returned and DUP 0, or `None` when it must wait
    /// ([`can_send`](Self::can_send)).
    ///
    /// The identifier is not zero and nothing unfinished has it [MQTT-2.2.1-3] [MQTT-2.2.1-4] [MQTT-4.3.2-1]
    /// [MQTT-4.3.3-1] [MQTT311-2.3.1-1] [MQTT311-2.3.1-2] [MQTT311-2.3.1-4]. The message stays here until it is
    /// acknowledged [MQTT-4.3.2-3] [MQTT-4.3.3-3] [MQTT311-4.3.2-1] [MQTT311-4.3.3-1].
    #[inline]
    pub fn insert(&mut self, qos: QoS, message: M) -> Option<PacketId> {
        debug_assert!(qos != QoS::AtMostOnce, "a QoS 0 message has no packet identifier [MQTT-2.2.1-2]");
        if !self.can_send() {
            return None;
        }
        let packet_id = self.next_id();
        self.ring.push_back(Slot::Publish { qos, message });
        self.unfinished += 1;
        Some(packet_id)
    }

    /// The identifier that the next [`insert`](Self::insert) gives out.
    #[must_use]
    pub fn next_packet_id(&self) -> PacketId {
        self.next_id()
    }

    /// PUBACK: the QoS 1 message is finished, whatever the reason code says [MQTT-4.4.0-2].
    ///
    /// # Errors
    /// No QoS 1 message that waits for a PUBACK has this identifier; nothing changed.
    #[inline]
    pub fn puback(&mut self, packet_id: PacketId) -> Result<M, AckError> {
        let position = self.position(packet_id).ok_or(AckError::UnknownPacketId)?;
        match &self.ring[position] {
            Slot::Publish { qos: QoS::AtLeastOnce, .. } => {}
            Slot::Done => return Err(AckError::UnknownPacketId),
            _ => return Err(AckError::WrongState),
        }
        self.count_as_sent(position);
        self.unfinished -= 1;
        match self.finish(position) {
            Slot::Publish { message, .. } => Ok(message),
            _ => Err(AckError::WrongState),
        }
    }

    /// PUBREC: PUBREL follows after a reason code below 0x80 [MQTT-4.3.3-4]; from there on the PUBLISH is not sent again
    /// [MQTT-4.3.3-6] [MQTT311-4.3.3-1]. A code of 0x80 or more ends the delivery [MQTT-4.4.0-2].
    pub fn pubrec(&mut self, packet_id: PacketId, reason_code: ReasonCode) -> PubRec<M> {
        let Some(position) = self.position(packet_id) else { return PubRec::Unknown };
        match &self.ring[position] {
            Slot::Done => return PubRec::Unknown,
            // The PUBREL is repeated also after a late refusal: its PUBCOMP is what frees the identifier.
            Slot::Released => return PubRec::Release(None),
            Slot::Publish { qos: QoS::ExactlyOnce, .. } => {}
            _ => return PubRec::WrongState,
        }
        self.count_as_sent(position);
        let refused = reason_code.is_error();
        let before = if refused {
            self.unfinished -= 1;
            self.finish(position)
        } else {
            core::mem::replace(&mut self.ring[position], Slot::Released)
        };
        match before {
            Slot::Publish { message, .. } if refused => PubRec::Ended(message),
            Slot::Publish { message, .. } => PubRec::Release(Some(message)),
            _ => PubRec::WrongState,
        }
    }

    /// PUBCOMP: the QoS 2 message is finished; until then its PUBREL is unacknowledged [MQTT-4.3.3-5] [MQTT311-4.3.3-1].
    ///
    /// # Errors
    /// Nothing has this identifier, or it is for another answer: a PUBCOMP before PUBREC skips a step. Nothing changed.
    pub fn pubcomp(&mut self, packet_id: PacketId) -> Result<(), AckError> {
        let position = self.position(packet_id).ok_or(AckError::UnknownPacketId)?;
        match &self.ring[position] {
            Slot::Released => {}
            Slot::Done => return Err(AckError::UnknownPacketId),
            _ => return Err(AckError::WrongState),
        }
        self.unfinished -= 1;
        self.finish(position);
        Ok(())
    }

    /// Takes an identifier for a SUBSCRIBE or UNSUBSCRIBE, which share the range with PUBLISH [MQTT-2.2.1-3]
    /// [MQTT311-2.3.1-2] but are not held back by the send quota [MQTT-3.3.4-8] [MQTT-4.9.0-3].
    pub fn insert_request(&mut self, request: M) -> Option<PacketId> {
        if self.ring.len() >= RING_SLOTS_MAX {
            return None;
        }
        let packet_id = self.next_id();
        self.ring.push_back(Slot::Request(request));
        Some(packet_id)
    }

    /// The unacknowledged message or request with this identifier.
    #[must_use]
    pub fn get(&self, packet_id: PacketId) -> Option<&M> {
        match self.position(packet_id).map(|position| &self.ring[position]) {
            Some(Slot::Publish { message, .. } | Slot::Request(message)) => Some(message),
            _ => None,
        }
    }

    /// SUBACK or UNSUBACK: the request is finished.
    ///
    /// # Errors
    /// No request has this identifier; nothing changed.
    pub fn finish_request(&mut self, packet_id: PacketId) -> Result<M, AckError> {
        let position = self.position(packet_id).ok_or(AckError::UnknownPacketId)?;
        match &self.ring[position] {
            Slot::Request(_) => {}
            Slot::Done => return Err(AckError::UnknownPacketId),
            _ => return Err(AckError::WrongState),
        }
        match self.finish(position) {
            Slot::Request(request) => Ok(request),
            _ => Err(AckError::WrongState),
        }
    }

    /// The first request that is not answered, taken out: requests do not outlive their connection.
    pub fn take_request(&mut self) -> Option<(PacketId, M)> {
        let position = self.ring.iter().position(|slot| matches!(slot, Slot::Request(_)))?;
        let packet_id = self.id_at(position);
        match self.finish(position) {
            Slot::Request(request) => Some((packet_id, request)),
            _ => None,
        }
    }

    /// A new connection resumes the session: the quota starts again with this Receive Maximum and every PUBLISH that is
    /// not acknowledged waits for being sent again.
    ///
    /// Send all PUBREL of [`iter_releases`](Self::iter_releases) at once, then what
    /// [`next_resend`](Self::next_resend) gives, now and after each acknowledgement until there is no more.
    pub fn resume(&mut self, receive_maximum: u16) {
        self.receive_maximum = receive_maximum;
        self.resend_at = 0;
        let waiting = self.ring.iter().filter(|slot| matches!(slot, Slot::Publish { .. })).count();
        self.waiting = u16::try_from(waiting).unwrap_or(u16::MAX);
    }

    /// The next PUBLISH to be sent again, in the original order [MQTT-4.6.0-1] [MQTT311-4.6.0-1], with the identifier
    /// it had and DUP [MQTT-4.4.0-1] [MQTT311-4.4.0-1]; `None` at the end and while the quota is used up
    /// [MQTT-4.9.0-2].
    pub fn next_resend(&mut self) -> Option<(PacketId, QoS, &M)> {
        if self.waiting == 0 || self.quota() == 0 {
            return None;
        }
        while !matches!(self.ring.get(self.resend_at)?, Slot::Publish { .. }) {
            self.resend_at += 1;
        }
        let position = self.resend_at;
        self.resend_at += 1;
        self.waiting -= 1;
        let packet_id = self.id_at(position);
        match &self.ring[position] {
            Slot::Publish { qos, message } => Some((packet_id, *qos, message)),
            _ => None,
        }
    }

    /// The PUBREL to repeat on a new connection, in the order of their messages. The quota does not hold them back
    /// [MQTT-4.9.0-3].
    pub fn iter_releases(&self) -> impl Iterator<Item = PacketId> + '_ {
        self.iter_resend().filter_map(|resend| match resend {
            Resend::PubRel { packet_id } => Some(packet_id),
            Resend::Publish { .. } => None,
        })
    }

    /// Everything unfinished in the original order, without regard to the quota: for storing it, counting it, showing
    /// it. A connection uses [`resume`](Self::resume) and [`next_resend`](Self::next_resend).
    pub fn iter_resend(&self) -> impl Iterator<Item = Resend<'_, M>> {
        self.ring.iter().enumerate().filter_map(|(position, slot)| slot.resend(self.id_at(position)))
    }

    /// The same for what has this identifier; `None` when no message that is unfinished has it.
    #[must_use]
    pub fn find(&self, packet_id: PacketId) -> Option<Resend<'_, M>> {
        self.ring[self.position(packet_id)?].resend(packet_id)
    }

    /// The messages whose PUBLISH is unacknowledged, to be edited.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (PacketId, &mut M)> {
        let first = self.first;
        self.ring.iter_mut().enumerate().filter_map(move |(position, slot)| match slot {
            Slot::Publish { message, .. } => Some((id_after(first, position), message)),
            _ => None,
        })
    }

    /// How many messages are unfinished, those that wait for being sent again included.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.unfinished as usize
    }

    /// How many messages wait for being sent again on this connection.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting as usize
    }

    /// Whether no message is unfinished.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.unfinished == 0
    }

    /// Forgets everything. Identifiers go on from where they were, so a late acknowledgement hits nothing.
    pub fn clear(&mut self) {
        drop(self.drain());
    }

    /// Forgets everything and gives the messages back that no PUBACK or PUBREC has answered, in the original order.
    pub fn drain(&mut self) -> impl Iterator<Item = M> + use<M> {
        self.first = self.next_id();
        self.unfinished = 0;
        self.waiting = 0;
        core::mem::take(&mut self.ring).into_iter().filter_map(|slot| match slot {
            Slot::Publish { message, .. } => Some(message),
            _ => None,
        })
    }

    /// The identifier that was handed out last; 65535 before the first one.
    #[must_use]
    pub fn last_id(&self) -> PacketId {
        let next = self.next_id().value();
        PacketId::new(next.wrapping_sub(1)).unwrap_or(LAST_ID)
    }

    /// Goes on after this identifier, to rebuild a table from storage: call it after the last
    /// [`restore`](Self::restore). Returns false, and changes nothing, when entries stand in the way.
    pub fn set_last_id(&mut self, packet_id: PacketId) -> bool {
        if self.ring.is_empty() {
            self.first = packet_id.next();
            return true;
        }
        packet_id == self.last_id() || self.fill_up_to(packet_id.next())
    }

    /// Puts back one message, to rebuild a table from storage: in the original order, gaps allowed. Returns false, and
    /// changes nothing, when the identifier is in use or further ahead than the ring is long.
    ///
    /// A restored message counts as sent; [`resume`](Self::resume) makes it wait for its connection.
    pub fn restore(&mut self, packet_id: PacketId, state: OutgoingState<M>) -> bool {
        if self.ring.is_empty() {
            self.first = packet_id;
        } else if self.ring.len() >= RING_SLOTS_MAX || !self.fill_up_to(packet_id) {
            return false;
        }
        self.ring.push_back(match state {
            OutgoingState::Publish { qos, message } => Slot::Publish { qos, message },
            OutgoingState::Released => Slot::Released,
        });
        self.unfinished += 1;
        true
    }

    /// Releases the memory that is not needed now.
    pub fn shrink_to_fit(&mut self) {
        self.ring.shrink_to_fit();
    }

    /// Appends tombstones until `packet_id` would be the next one.
    fn fill_up_to(&mut self, packet_id: PacketId) -> bool {
        let gap = distance(self.next_id(), packet_id);
        if self.ring.len() + gap >= RING_SLOTS_MAX {
            return false;
        }
        self.ring.extend(core::iter::repeat_with(|| Slot::Done).take(gap));
        true
    }

    #[inline]
    fn next_id(&self) -> PacketId {
        self.id_at(self.ring.len())
    }

    #[inline]
    fn id_at(&self, position: usize) -> PacketId {
        id_after(self.first, position)
    }

    #[inline]
    fn position(&self, packet_id: PacketId) -> Option<usize> {
        let position = distance(self.first, packet_id);
        (position < self.ring.len()).then_some(position)
    }

    /// An acknowledgement for a message that still waits for its resend comes from the earlier connection: it is
    /// accepted, and the message no longer waits.
    #[inline]
    const fn count_as_sent(&mut self, position: usize) {
        if self.waiting > 0 && position >= self.resend_at {
            self.waiting -= 1;
        }
    }

    /// Takes the entry out, and with it the tombstones that have come to the front.
    #[inline]
    fn finish(&mut self, position: usize) -> Slot<M> {
        if position > 0 {
            return core::mem::replace(&mut self.ring[position], Slot::Done);
        }
        let slot = self.pop_front();
        while matches!(self.ring.front(), Some(Slot::Done)) {
            self.pop_front();
        }
        if self.ring.is_empty() && self.ring.capacity() > KEPT_SLOTS_MAX {
            self.ring = VecDeque::new();
        }
        slot
    }

    #[inline]
    fn pop_front(&mut self) -> Slot<M> {
        self.first = self.first.next();
        self.resend_at = self.resend_at.saturating_sub(1);
        self.ring.pop_front().unwrap_or(Slot::Done)
    }
}

impl fmt::Display for AckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownPacketId => "no unfinished packet has this identifier",
            Self::WrongState => "the packet with this identifier expects another acknowledgement",
        })
    }
}

impl core::error::Error for AckError {}

const LAST_ID: PacketId = match PacketId::new(u16::MAX) {
    Some(packet_id) => packet_id,
    None => PacketId::FIRST,
};

/// The identifier `steps` (at most 65,535) after `first`; zero is left out.
#[inline]
fn id_after(first: PacketId, steps: usize) -> PacketId {
    let sum = usize::from(first.value()) + steps;
    let wrapped = if sum > RING_SLOTS_MAX { sum - RING_SLOTS_MAX } else { sum };
    u16::try_from(wrapped).ok().and_then(PacketId::new).unwrap_or(PacketId::FIRST)
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;

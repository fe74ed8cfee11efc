//! QoS 2 messages that a session was answered PUBREC for and has not released by PUBREL. MQTT 5.0 section 4.3.3, method A.
//!
//! Most sessions never have one, and pay one word for the line.

use crate::message::Message;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::ops::Range;
use sori_mqtt::PacketId;

/// A QoS 2 message between PUBREC and PUBREL.
#[derive(Debug)]
pub(crate) struct Unreleased {
    pub(crate) packet_id: PacketId,
    pub(crate) message: Message,
    /// The same message has come twice without DUP.
    pub(crate) has_come_again: bool,
}

/// Those of one session, in the order of PUBLISH.
#[derive(Debug, Default)]
pub(crate) struct UnreleasedLine(Option<Box<Line>>);

#[derive(Debug, Default)]
struct Line {
    messages: VecDeque<Unreleased>,
    /// Of their payloads.
    bytes: u64,
    /// Positions of those that are still to be written down for a checkpoint.
    unwritten: Range<usize>,
}

impl UnreleasedLine {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |line| line.messages.len())
    }

    /// Bytes of their payloads.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |line| line.bytes)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Unreleased> {
        self.0.iter().flat_map(|line| &line.messages)
    }

    pub(crate) fn get(&self, packet_id: PacketId) -> Option<&Unreleased> {
        self.iter().find(|kept| kept.packet_id == packet_id)
    }

    pub(crate) fn get_mut(&mut self, packet_id: PacketId) -> Option<&mut Unreleased> {
        self.0.as_mut()?.messages.iter_mut().find(|kept| kept.packet_id == packet_id)
    }

    pub(crate) fn push(&mut self, unreleased: Unreleased) {
        let line = self.0.get_or_insert_default();
        line.bytes += u64::from(unreleased.message.payload_length());
        line.messages.push_back(unreleased);
    }

    /// Put it in the place of the one with the same identifier; without one, nothing changes.
    pub(crate) fn replace(&mut self, unreleased: Unreleased) {
        let Some(line) = &mut self.0 else { return };
        let Some(old) = line.messages.iter_mut().find(|kept| kept.packet_id == unreleased.packet_id) else { return };
        line.bytes -= u64::from(old.message.payload_length());
        line.bytes += u64::from(unreleased.message.payload_length());
        *old = unreleased;
    }

    /// Take it out: it is no longer kept.
    pub(crate) fn take(&mut self, packet_id: PacketId) -> Option<Message> {
        let line = self.0.as_mut()?;
        // Releases come in the order of the messages, so it is nearly always the first.
        let at = line.messages.iter().position(|kept| kept.packet_id == packet_id)?;
        let Unreleased { message, .. } = line.messages.remove(at)?;
        line.bytes -= u64::from(message.payload_length());
        let Range { start, end } = line.unwritten;
        line.unwritten = start - usize::from(at < start)..end - usize::from(at < end);
        if line.messages.is_empty() {
            line.messages.shrink_to(KEPT_MAX);
        }
        Some(message)
    }

    /// All that are here are to be written down for a checkpoint, and none that comes later.
    pub(crate) fn begin_walk(&mut self) {
        if let Some(line) = &mut self.0 {
            line.unwritten = 0..line.messages.len();
        }
    }

    /// Are there any that are still to be written down?
    pub(crate) fn has_unwritten(&self) -> bool {
        self.0.as_ref().is_some_and(|line| !line.unwritten.is_empty())
    }

    /// The next that is to be written down, oldest first.
    pub(crate) fn next_unwritten(&mut self) -> Option<&Unreleased> {
        let line = self.0.as_mut()?;
        line.messages.get(line.unwritten.next()?)
    }

    /// Take all of them, oldest first.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Unreleased> + use<> {
        self.0.take().into_iter().flat_map(|line| line.messages)
    }
}

/// An empty line keeps room for so many, so that a steady flow does not allocate for each.
const KEPT_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryUse;
    use crate::message::MessageRef;
    use alloc::vec::Vec;

    fn id(number: u16) -> PacketId {
        PacketId::new(number).expect("not zero")
    }

    fn unreleased(number: u16, payload: &[u8]) -> Unreleased {
        let message = MessageRef::plain("t", payload).to_shared(&MemoryUse::default());
        Unreleased { packet_id: id(number), message, has_come_again: false }
    }

    #[test]
    fn bytes_are_those_of_the_payloads_that_are_there() {
        let mut line = UnreleasedLine::default();
        assert_eq!((line.len(), line.bytes()), (0, 0));
        assert!(line.take(PacketId::FIRST).is_none());
        line.replace(unreleased(1, b"nobody"));
        line.push(unreleased(1, b"one"));
        line.push(unreleased(2, b"three"));
        assert_eq!((line.len(), line.bytes()), (2, 8));
        line.replace(unreleased(2, b"2"));
        assert_eq!((line.len(), line.bytes()), (2, 4));
        assert_eq!(line.take(PacketId::FIRST).map(|message| message.payload().to_vec()), Some(b"one".to_vec()));
        assert_eq!((line.len(), line.bytes()), (1, 1));
        line.push(unreleased(3, b"xy"));
        let taken: Vec<PacketId> = line.take_all().map(|kept| kept.packet_id).collect();
        assert_eq!((taken, line.len(), line.bytes()), ([2, 3].map(id).to_vec(), 0, 0));
    }

    #[test]
    fn a_walk_meets_what_is_there_all_the_time_once_and_in_order() {
        let mut line = UnreleasedLine::default();
        line.begin_walk();
        assert!(line.next_unwritten().is_none());
        (1..=8).for_each(|number| line.push(unreleased(number, b"x")));
        line.begin_walk();
        let next = |line: &mut UnreleasedLine| line.next_unwritten().map(|kept| kept.packet_id.value());
        assert_eq!([next(&mut line), next(&mut line), next(&mut line)], [Some(1), Some(2), Some(3)]);
        // One that was written, the next one, one that comes last; and the first once more.
        for gone in [2, 4, 8, 1] {
            line.take(id(gone));
        }
        line.push(unreleased(1, b"new"));
        assert_eq!(
            [next(&mut line), next(&mut line), next(&mut line), next(&mut line)],
            [Some(5), Some(6), Some(7), None]
        );
        line.begin_walk();
        assert_eq!(next(&mut line), Some(3), "it begins anew");
        for gone in [3, 5, 6, 7, 1] {
            line.take(id(gone));
        }
        assert_eq!(next(&mut line), None);
        line.push(unreleased(9, b"new"));
        assert_eq!(next(&mut line), None);
    }

    #[test]
    fn a_session_without_one_pays_one_word() {
        assert_eq!(size_of::<UnreleasedLine>(), size_of::<usize>());
    }
}

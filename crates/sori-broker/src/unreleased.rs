//! QoS 2 messages that a session was answered PUBREC for and has not released by PUBREL. MQTT 5.0 section 4.3.3, method A.
//!
//! Most sessions never have one, and pay one word for the line.

use crate::message::Message;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
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
        if line.messages.is_empty() {
            line.messages.shrink_to(KEPT_MAX);
        }
        Some(message)
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
    fn a_session_without_one_pays_one_word() {
        assert_eq!(size_of::<UnreleasedLine>(), size_of::<usize>());
    }
}

//! What one shard sends another in a turn: one arena of bytes and one list of items, moved whole.
//!
//! Recipients travel as a reference to the match set, which is already split by shard, so that a message costs no
//! allocation here.

use crate::ids::{SessionRef, ShardId};
use crate::matches::{MatchSet, Recipient};
use crate::message::{Message, MessageRef, Recorded, Wire};
use crate::run::Run;
use crate::shared::GroupNumber;
use crate::time::Time;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::QoS;

/// Messages for the sessions of one shard, in the order in which they were published.
#[derive(Debug, Default)]
pub struct Mail {
    bytes: Vec<u8>,
    items: Vec<Item>,
    sets: Vec<Arc<MatchSet>>,
    /// Of the messages that are not in `bytes`.
    shared_bytes: usize,
    /// The sender has sent everything that it recorded before this checkpoint began.
    checkpoint: Option<(ShardId, u64)>,
    /// So many bytes of memory are wanted.
    room_wanted: u64,
}

#[derive(Debug)]
enum Item {
    Message(Letter),
    Run(CopiedRun),
}

#[derive(Debug)]
struct Letter {
    body: Body,
    target: Target,
    /// See [`Recorded::key`].
    key: u64,
    waits: bool,
}

/// A message of the mail.
#[derive(Debug)]
enum Body {
    /// In the arena.
    Copied(Copied),
    /// It has been recorded, and so is shared already.
    Shared(Message),
}

/// Several messages in the arena: the topic, then the packets; and the number of the match set of those who get them.
#[derive(Debug)]
struct CopiedRun {
    start: usize,
    topic_length: u32,
    length: usize,
    count: u64,
    payload_bytes: u64,
    is_v5: bool,
    publisher: SessionRef,
    set: u32,
}

#[derive(Debug)]
struct Copied {
    /// Of the packet that the message came in, if that was copied, else of its topic.
    start: usize,
    /// Of that packet; 0 without one.
    wire_length: u32,
    wire_is_v5: bool,
    topic_length: u32,
    properties_length: u32,
    payload_length: u32,
    qos: QoS,
    retain: bool,
    expires: Time,
    publisher: SessionRef,
    retained_version: u64,
}

/// Who gets a message of the mail.
#[derive(Copy, Clone, Debug)]
enum Target {
    /// The receiving shard's part of a match set.
    Set(u32),
    /// One member of a shared subscription, and how many others may be tried if it cannot take the message.
    Member(Recipient, GroupNumber, u8),
}

/// The same, resolved.
#[derive(Debug)]
pub(crate) enum MailTarget<'a> {
    Set(&'a MatchSet),
    Member(Recipient, GroupNumber, u8),
}

/// What stands in mail.
pub(crate) enum MailItem<'a> {
    Message(MessageRef<'a>, Option<&'a Message>, MailTarget<'a>),
    Run(Run<'a>, &'a MatchSet),
}

impl Mail {
    /// Is there nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.checkpoint.is_none() && self.room_wanted == 0
    }

    /// How many messages are in it; what came as one run counts as one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes that it takes, used or not.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let (items, sets) = (size_of::<Item>(), size_of::<Arc<MatchSet>>());
        self.bytes.capacity() + self.items.capacity() * items + self.sets.capacity() * sets
    }

    /// Bytes of the messages, for limits on what waits.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + self.shared_bytes + self.items.len() * size_of::<Item>()
    }

    pub(crate) fn push(&mut self, message: &MessageRef<'_>, shared: Option<&Message>, set: &Arc<MatchSet>) {
        let set = self.number(set);
        self.push_item(message, shared, Target::Set(set));
    }

    pub(crate) fn push_run(&mut self, run: &Run<'_>, set: &Arc<MatchSet>) {
        let (start, set) = (self.bytes.len(), self.number(set));
        self.bytes.extend_from_slice(run.topic.as_bytes());
        self.bytes.extend_from_slice(run.packets);
        self.items.push(Item::Run(CopiedRun {
            start,
            topic_length: run.topic.len() as u32,
            length: run.packets.len(),
            count: run.count,
            payload_bytes: run.payload_bytes,
            is_v5: run.is_v5,
            publisher: run.publisher,
            set,
        }));
    }

    /// Messages of one topic come in runs, so the set is nearly always the last one.
    fn number(&mut self, set: &Arc<MatchSet>) -> u32 {
        if self.sets.last().is_none_or(|last| !Arc::ptr_eq(last, set)) {
            self.sets.push(Arc::clone(set));
        }
        self.sets.len() as u32 - 1
    }

    pub(crate) fn push_member(
        &mut self,
        message: &MessageRef<'_>,
        shared: Option<&Message>,
        member: Recipient,
        group: GroupNumber,
        others: u8,
    ) {
        self.push_item(message, shared, Target::Member(member, group, others));
    }

    fn push_item(&mut self, message: &MessageRef<'_>, shared: Option<&Message>, target: Target) {
        let Recorded { key, waits, .. } = message.recorded;
        let body = match shared {
            Some(shared) => {
                self.shared_bytes += message.topic.len() + message.payload.len();
                Body::Shared(shared.clone())
            }
            None => Body::Copied(self.copy(message)),
        };
        self.items.push(Item::Message(Letter { body, target, key, waits }));
    }

    fn copy(&mut self, message: &MessageRef<'_>) -> Copied {
        let start = self.bytes.len();
        let wire = message.wire.bytes();
        if wire.is_empty() {
            self.bytes.extend_from_slice(message.topic.as_bytes());
            self.bytes.extend_from_slice(message.properties);
            self.bytes.extend_from_slice(message.payload);
        } else {
            self.bytes.extend_from_slice(wire);
        }
        Copied {
            start,
            wire_length: wire.len() as u32,
            wire_is_v5: message.wire.is_v5(),
            topic_length: message.topic.len() as u32,
            properties_length: message.properties.len() as u32,
            payload_length: message.payload.len() as u32,
            qos: message.qos,
            retain: message.retain,
            expires: message.expires,
            publisher: message.publisher,
            retained_version: message.retained_version,
        }
    }

    /// Nothing that was recorded before this checkpoint began is still on its way from `shard`.
    pub(crate) fn mark(&mut self, shard: ShardId, checkpoint: u64) {
        self.checkpoint = Some((shard, checkpoint));
    }

    /// The sender needs so many bytes of memory, which messages that wait may take.
    pub(crate) fn ask_for_room(&mut self, bytes: u64) {
        self.room_wanted = self.room_wanted.max(bytes);
    }

    pub(crate) fn room_wanted(&self) -> u64 {
        self.room_wanted
    }

    pub(crate) fn checkpoint(&self) -> Option<(ShardId, u64)> {
        self.checkpoint
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = MailItem<'_>> {
        let mut last_topic = "";
        self.items.iter().map(move |item| {
            let item = match item {
                Item::Run(copied) => {
                    MailItem::Run(self.copied_run(copied, last_topic), &self.sets[copied.set as usize])
                }
                Item::Message(letter) => self.read(letter, last_topic),
            };
            last_topic = match &item {
                MailItem::Message(message, ..) => message.topic,
                MailItem::Run(run, _) => run.topic,
            };
            item
        })
    }

    #[inline]
    fn read<'a>(&'a self, letter: &'a Letter, last_topic: &'a str) -> MailItem<'a> {
        let (message, shared) = match &letter.body {
            Body::Copied(copied) => (self.copied(copied, last_topic), None),
            Body::Shared(shared) => (shared.view(), Some(shared)),
        };
        let recorded = Recorded { key: letter.key, waits: letter.waits, ..message.recorded };
        let target = match letter.target {
            Target::Set(number) => MailTarget::Set(&self.sets[number as usize]),
            Target::Member(member, group, others) => MailTarget::Member(member, group, others),
        };
        MailItem::Message(MessageRef { recorded, ..message }, shared, target)
    }

    fn copied_run<'a>(&'a self, copied: &CopiedRun, last_topic: &'a str) -> Run<'a> {
        let (topic, rest) = self.bytes[copied.start..].split_at(copied.topic_length as usize);
        Run {
            topic: text(topic, last_topic),
            packets: &rest[..copied.length],
            count: copied.count,
            payload_bytes: copied.payload_bytes,
            is_v5: copied.is_v5,
            publisher: copied.publisher,
        }
    }

    fn copied<'a>(&'a self, copied: &Copied, last_topic: &'a str) -> MessageRef<'a> {
        let (topic_length, payload_length) = (copied.topic_length as usize, copied.payload_length as usize);
        let whole = &self.bytes[copied.start..];
        let (topic, properties, payload, wire);
        if copied.wire_length == 0 {
            let (name, rest) = whole.split_at(topic_length);
            let (of_message, rest) = rest.split_at(copied.properties_length as usize);
            (topic, properties, payload, wire) = (name, of_message, &rest[..payload_length], Wire::default());
        } else {
            let packet = &whole[..copied.wire_length as usize];
            wire = Wire::plain(packet, copied.wire_is_v5);
            let (before, message) = packet.split_at(packet.len() - payload_length);
            payload = message;
            properties = &[][..];
            topic = &before[before.len() - wire.after_topic(copied.qos) - topic_length..][..topic_length];
        }
        MessageRef {
            topic: text(topic, last_topic),
            payload,
            properties,
            qos: copied.qos,
            retain: copied.retain,
            expires: copied.expires,
            publisher: copied.publisher,
            retained_version: copied.retained_version,
            recorded: Recorded::default(),
            wire,
        }
    }

    /// Empty it, keeping its memory for the next turn.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
        self.sets.clear();
        self.shared_bytes = 0;
        self.checkpoint = None;
        self.room_wanted = 0;
    }
}

/// What is known to be UTF-8 because it stood before is not looked at again.
#[inline]
fn text<'a>(topic: &'a [u8], last: &'a str) -> &'a str {
    if topic == last.as_bytes() {
        return last;
    }
    core::str::from_utf8(topic).expect("a topic is UTF-8 since it was decoded")
}

#[cfg(test)]
mod tests;

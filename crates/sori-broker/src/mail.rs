//! What one shard sends another in a turn: one arena of bytes and one list of items, moved whole.
//!
//! Recipients travel as a reference to the match set, which is already split by shard, so that a message costs no
//! allocation here.

use crate::ids::SessionRef;
use crate::matches::{MatchSet, Recipient};
use crate::message::MessageRef;
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
}

#[derive(Debug)]
struct Item {
    start: usize,
    topic_length: u32,
    properties_length: u32,
    payload_length: u32,
    qos: QoS,
    retain: bool,
    target: Target,
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

impl Mail {
    /// Is there nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many messages are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes of the messages, for limits on what waits.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + self.items.len() * size_of::<Item>()
    }

    pub(crate) fn push(&mut self, message: MessageRef<'_>, set: &Arc<MatchSet>) {
        // Messages of one topic come in runs, so the set is nearly always the last one.
        let known = self.sets.last().is_some_and(|last| Arc::ptr_eq(last, set));
        if !known {
            self.sets.push(Arc::clone(set));
        }
        let target = Target::Set(self.sets.len() as u32 - 1);
        self.push_item(message, target);
    }

    pub(crate) fn push_member(&mut self, message: MessageRef<'_>, member: Recipient, group: GroupNumber, others: u8) {
        self.push_item(message, Target::Member(member, group, others));
    }

    fn push_item(&mut self, message: MessageRef<'_>, target: Target) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message.topic.as_bytes());
        self.bytes.extend_from_slice(message.properties);
        self.bytes.extend_from_slice(message.payload);
        self.items.push(Item {
            start,
            topic_length: message.topic.len() as u32,
            properties_length: message.properties.len() as u32,
            payload_length: message.payload.len() as u32,
            qos: message.qos,
            retain: message.retain,
            target,
            expires: message.expires,
            publisher: message.publisher,
            retained_version: message.retained_version,
        });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (MessageRef<'_>, MailTarget<'_>)> {
        self.items.iter().map(|item| {
            let (topic, rest) = self.bytes[item.start..].split_at(item.topic_length as usize);
            let (properties, rest) = rest.split_at(item.properties_length as usize);
            let message = MessageRef {
                topic: core::str::from_utf8(topic).expect("a topic is UTF-8 since it was decoded"),
                payload: &rest[..item.payload_length as usize],
                properties,
                qos: item.qos,
                retain: item.retain,
                expires: item.expires,
                publisher: item.publisher,
                retained_version: item.retained_version,
            };
            let target = match item.target {
                Target::Set(number) => MailTarget::Set(&self.sets[number as usize]),
                Target::Member(member, group, others) => MailTarget::Member(member, group, others),
            };
            (message, target)
        })
    }

    /// Empty it, keeping its memory for the next turn.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
        self.sets.clear();
    }
}

//! Retained messages of all topics, in the order of their names, so that a wildcard reads a range and not everything.

use crate::message::{Message, Owner};
use crate::passing_over;
use crate::time::Time;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::ops::Bound;
use sori_mqtt::{TopicFilter, TopicName};

/// A retained message.
#[derive(Clone, Debug)]
pub struct RetainedMessage {
    /// The message.
    pub message: Message,
    /// Which change of the retained messages stored it: higher is later.
    pub version: u64,
    /// Who may answer for it; nobody where everybody may do everything.
    pub owner: Option<Arc<Owner>>,
}

/// The same, ordered by its topic.
#[derive(Clone, Debug)]
struct ByTopic(RetainedMessage);

// The order of the bytes of UTF-8 is the order of the characters.
impl Borrow<[u8]> for ByTopic {
    fn borrow(&self) -> &[u8] {
        self.0.message.topic_bytes()
    }
}
impl PartialEq for ByTopic {
    fn eq(&self, other: &ByTopic) -> bool {
        self.0.message.topic_bytes() == other.0.message.topic_bytes()
    }
}
impl Eq for ByTopic {}
impl PartialOrd for ByTopic {
    fn partial_cmp(&self, other: &ByTopic) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ByTopic {
    fn cmp(&self, other: &ByTopic) -> Ordering {
        self.0.message.topic_bytes().cmp(other.0.message.topic_bytes())
    }
}

/// The retained messages.
#[derive(Debug, Default)]
pub struct Retained {
    version: u64,
    topics: BTreeSet<ByTopic>,
    expiries: BTreeSet<(Time, ByTopic)>,
}

impl Retained {
    /// How many topics have one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The version of the last change; every change has a version of its own, one more than the last.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version that the next [`Retained::store`] or [`Retained::remove`] makes.
    pub(crate) fn next_version(&self) -> u64 {
        self.version + 1
    }

    /// The message replaces the one of its topic. [MQTT-3.3.1-5] [MQTT311-3.3.1-5] [MQTT311-3.3.1-7]
    pub(crate) fn store(&mut self, message: RetainedMessage) {
        assert_eq!(message.version, self.next_version(), "the version was read under the same lock");
        self.version = message.version;
        self.restore(message);
    }

    /// A message that was stored before, under the version of then.
    pub(crate) fn restore(&mut self, message: RetainedMessage) {
        let expires = message.message.expires();
        if expires != Time::NEVER {
            self.expiries.replace((expires, ByTopic(message.clone())));
        }
        if let Some(old) = self.topics.replace(ByTopic(message)) {
            self.forget_expiry(old, expires);
        }
    }

    /// A message is gone; another one of its topic may be there that expires at `kept`.
    fn forget_expiry(&mut self, old: ByTopic, kept: Time) {
        let expires = old.0.message.expires();
        if expires != Time::NEVER && expires != kept {
            self.expiries.remove(&(expires, old));
        }
    }

    /// The versions after this one are free.
    pub(crate) fn go_on_after(&mut self, version: u64) {
        self.version = self.version.max(version);
    }

    /// The topic has no retained message any more. [MQTT-3.3.1-6] [MQTT311-3.3.1-10]
    pub(crate) fn remove(&mut self, topic: &str) -> bool {
        self.version += 1;
        let Some(old) = self.topics.take(topic.as_bytes()) else { return false };
        self.forget_expiry(old, Time::NEVER);
        true
    }

    /// Remove what has expired at `now`, and no more than `count`; gives how many that were.
    pub(crate) fn expire(&mut self, now: Time, count: usize) -> usize {
        for removed in 0..count {
            let Some((_, message)) = self.expiries.first().filter(|(when, _)| *when <= now) else { return removed };
            self.topics.remove(message);
            self.expiries.pop_first();
        }
        count
    }

    /// When the next one expires.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.expiries.first().map(|(when, _)| *when)
    }

    /// Up to `count` messages of the topics after `after`.
    pub(crate) fn some_after(&self, after: &str, count: usize) -> Vec<RetainedMessage> {
        let after = (Bound::Excluded(after.as_bytes()), Bound::Unbounded);
        self.topics.range::<[u8], _>(after).take(count).map(|found| found.0.clone()).collect()
    }

    /// May there be messages that `filter` matches? One look, which is enough for most new subscriptions.
    pub(crate) fn may_have(&self, filter: TopicFilter<'_>) -> bool {
        let prefix = literal_prefix(filter.filter());
        if prefix.len() == filter.filter().len() {
            return self.topics.contains(prefix.as_bytes());
        }
        let begin = beginning(filter, prefix).as_bytes();
        let first = self.topics.range::<[u8], _>((Bound::Included(begin), Bound::Unbounded)).next();
        first.is_some_and(|first| first.0.message.topic_bytes().starts_with(begin))
    }

    /// The first topic after `after` that matches `filter`, in the order of names. At most `steps` topics are looked
    /// at; each look takes one step off. `Step::Pause` says where to go on.
    pub(crate) fn next(&self, filter: TopicFilter<'_>, after: Option<&str>, steps: &mut u32) -> Step {
        let prefix = literal_prefix(filter.filter());
        if prefix.len() == filter.filter().len() {
            return match (after, self.topics.get(prefix.as_bytes())) {
                (None, Some(found)) => Step::Found(found.0.clone()),
                _ => Step::End,
            };
        }
        let begin = beginning(filter, prefix);
        let bound = match after {
            Some(after) => Bound::Excluded(after.as_bytes()),
            None => Bound::Included(begin.as_bytes()),
        };
        let mut topics = self.topics.range::<[u8], _>((bound, Bound::Unbounded));
        while let Some(candidate) = topics.next() {
            if !candidate.0.message.topic_bytes().starts_with(begin.as_bytes()) {
                break;
            }
            let topic = candidate.0.message.topic();
            if TopicName::new(topic).is_ok_and(|name| filter.matches(name)) {
                return Step::Found(candidate.0.clone());
            }
            *steps = steps.saturating_sub(1);
            if *steps == 0 {
                return Step::Pause(String::from(topic));
            }
            let Some(name) = passing_over::next_name(filter.filter(), topic) else { break };
            // Often there is nothing to pass over.
            if topics.clone().next().is_some_and(|next| next.0.message.topic_bytes() < name.as_bytes()) {
                topics = self.topics.range::<[u8], _>((Bound::Included(name.as_bytes()), Bound::Unbounded));
            }
        }
        Step::End
    }
}

/// What all topics begin with that match a filter with a wildcard behind `prefix`.
fn beginning<'a>(filter: TopicFilter<'a>, prefix: &'a str) -> &'a str {
    // `a/b/#` also matches `a/b`, which stands before everything that begins with `a/b/`.
    if &filter.filter()[prefix.len()..] == "#" { prefix.trim_end_matches('/') } else { prefix }
}

/// What a look for the next matching topic found.
#[derive(Debug)]
pub(crate) enum Step {
    Found(RetainedMessage),
    Pause(String),
    End,
}

/// The part of a filter before its first wildcard.
fn literal_prefix(filter: &str) -> &str {
    filter.find(['+', '#']).map_or(filter, |at| &filter[..at])
}

#[cfg(test)]
mod tests;

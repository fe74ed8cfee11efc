//! Who gets the messages of a topic: found once in the index, kept until a subscription changes.

use crate::ids::{SessionRef, ShardId};
use crate::shared::{GroupMatch, GroupNumber};
use crate::subscription::{Options, Subscriber};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};

/// One delivery that a shard owes to a session of its own.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Recipient {
    pub(crate) since: u64,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) identifier: u32,
    pub(crate) options: Options,
}

impl Recipient {
    pub(crate) fn of(subscriber: &Subscriber) -> Recipient {
        Recipient {
            since: subscriber.since,
            slot: subscriber.session.slot,
            generation: subscriber.session.generation,
            identifier: subscriber.identifier,
            options: subscriber.options,
        }
    }

    pub(crate) fn session(&self, shard: ShardId) -> SessionRef {
        SessionRef { shard, slot: self.slot, generation: self.generation }
    }
}

/// The subscriptions that match one topic, already split by the shard that delivers.
#[derive(Debug)]
pub(crate) struct MatchSet {
    /// Those of one shard stand together, and of these those of one session.
    recipients: Box<[Recipient]>,
    parts: Parts,
    groups: Box<[GroupMatch]>,
    /// Somebody's deliveries above QoS 0 are recorded.
    has_durable: bool,
}

/// Which shards have recipients, and where each one's part ends. Most topics have theirs on one shard.
#[derive(Debug)]
enum Parts {
    None,
    One([ShardId; 1]),
    Many { shards: Box<[ShardId]>, ends: Box<[u32]> },
}

impl MatchSet {
    /// The deliveries of one shard; those of one session stand together.
    #[inline]
    pub(crate) fn recipients(&self, shard: ShardId) -> &[Recipient] {
        match &self.parts {
            Parts::One([only]) if *only == shard => &self.recipients,
            Parts::None | Parts::One(_) => &[],
            Parts::Many { shards, ends } => match shards.iter().position(|s| *s == shard) {
                Some(0) => &self.recipients[..ends[0] as usize],
                Some(at) => &self.recipients[ends[at - 1] as usize..ends[at] as usize],
                None => &[],
            },
        }
    }

    pub(crate) fn groups(&self) -> &[GroupMatch] {
        &self.groups
    }

    pub(crate) fn group(&self, number: GroupNumber) -> Option<&GroupMatch> {
        self.groups.iter().find(|group| group.turn.group == number)
    }

    /// The shards with at least one recipient.
    #[inline]
    pub(crate) fn shards(&self) -> &[ShardId] {
        match &self.parts {
            Parts::None => &[],
            Parts::One(only) => only,
            Parts::Many { shards, .. } => shards,
        }
    }

    /// Is there somebody whose deliveries above QoS 0 are recorded?
    #[inline]
    pub(crate) fn has_durable(&self) -> bool {
        self.has_durable
    }

    /// How many deliveries come of one message, at least.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.recipients.len()
    }

    /// What it takes beside other sets of the same state of the index, in recipients: these have a group's members together.
    pub(crate) fn weight(&self) -> usize {
        self.groups.len() + self.recipients.len() + 1
    }

    /// What it takes when it is the only one that is kept.
    pub(crate) fn weight_alone(&self) -> usize {
        self.weight() + self.groups.iter().map(GroupMatch::len).sum::<usize>()
    }

    /// Does nothing match?
    pub(crate) fn is_empty(&self) -> bool {
        self.recipients.is_empty() && self.groups.is_empty()
    }
}

/// Recipients that a builder keeps room for between two topics.
const KEPT_RECIPIENTS_MAX: usize = 1024;

/// Gathers the matches of one topic after the other. Its lists are used again, and all topics that nothing matches
/// share one set, so that a topic that is seen once only costs little.
#[derive(Debug)]
pub(crate) struct MatchBuilder {
    per_shard: Vec<Vec<Recipient>>,
    groups: Vec<GroupMatch>,
    nothing: Arc<MatchSet>,
}

impl MatchBuilder {
    pub(crate) fn new(shards: u16) -> MatchBuilder {
        let nothing =
            MatchSet { recipients: Box::default(), parts: Parts::None, groups: Box::default(), has_durable: false };
        MatchBuilder {
            per_shard: alloc::vec![Vec::new(); shards as usize],
            groups: Vec::new(),
            nothing: Arc::new(nothing),
        }
    }

    pub(crate) fn add(&mut self, subscriber: &Subscriber) {
        self.per_shard[subscriber.session.shard.0 as usize].push(Recipient::of(subscriber));
    }

    pub(crate) fn add_group(&mut self, group: GroupMatch) {
        self.groups.push(group);
    }

    /// What was gathered; the builder is empty again.
    pub(crate) fn finish(&mut self) -> Arc<MatchSet> {
        let total: usize = self.per_shard.iter().map(Vec::len).sum();
        if total == 0 && self.groups.is_empty() {
            return Arc::clone(&self.nothing);
        }
        let parts = Parts::of(&self.per_shard);
        let mut recipients = Vec::with_capacity(total);
        for list in &mut self.per_shard {
            list.sort_by_key(|r| r.slot);
            recipients.append(list);
            if list.capacity() > KEPT_RECIPIENTS_MAX {
                *list = Vec::new();
            }
        }
        let groups = core::mem::take(&mut self.groups).into_boxed_slice();
        let has_durable =
            recipients.iter().any(|r| r.options.is_recorded()) || groups.iter().any(GroupMatch::has_durable);
        Arc::new(MatchSet { recipients: recipients.into_boxed_slice(), parts, groups, has_durable })
    }
}

impl Parts {
    fn of(per_shard: &[Vec<Recipient>]) -> Parts {
        let used = || per_shard.iter().zip(0..).filter(|(list, _)| !list.is_empty());
        let mut shards = used().map(|(_, number)| ShardId(number));
        match (shards.next(), shards.next()) {
            (None, _) => Parts::None,
            (Some(only), None) => Parts::One([only]),
            _ => {
                let ends = used().scan(0, |end, (list, _)| {
                    *end += list.len() as u32;
                    Some(*end)
                });
                Parts::Many { shards: used().map(|(_, number)| ShardId(number)).collect(), ends: ends.collect() }
            }
        }
    }
}

/// How many topics a shard remembers the matches of.
const CACHED_TOPICS_MAX: usize = 4096;
/// How many recipients all these may have together: some 4 MiB.
const CACHED_WEIGHT_MAX: usize = 100_000;

/// Topics that were asked for once are recognised when they are asked for again. So many share one place, where the oldest
/// goes first: with one each, two topics that come in turn throw each other out for ever.
const ASKED_PER_PLACE: usize = 8;
/// Room for twice as many as are kept, as not every place gets its share.
const ASKED_PLACES: usize = 2 * CACHED_TOPICS_MAX / ASKED_PER_PLACE;

/// The match sets of the topics that a shard saw last, all of one generation of the index.
///
/// A topic is kept when it is asked for the second time: where each message has a topic of its own, keeping it would
/// cost more than the look into the index does. When there is no room, every second one goes: if all did, topics that come
/// in turn, and are a few too many, would never be found.
#[derive(Debug)]
pub(crate) struct MatchCache {
    generation: u64,
    weight: usize,
    hasher: DefaultHashBuilder,
    sets: HashTable<(Box<str>, Arc<MatchSet>)>,
    /// Parts of the hashes of topics that were asked for, in the place that another part of them says, the last one first.
    asked: Box<[[u32; ASKED_PER_PLACE]]>,
}

/// A topic that is not in the cache.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Missing {
    hash: u64,
}

impl Default for MatchCache {
    fn default() -> MatchCache {
        MatchCache {
            generation: 0,
            weight: 0,
            hasher: DefaultHashBuilder::default(),
            sets: HashTable::new(),
            asked: alloc::vec![[0; ASKED_PER_PLACE]; ASKED_PLACES].into_boxed_slice(),
        }
    }
}

impl MatchCache {
    pub(crate) fn find(&self, generation: u64, topic: &str) -> Result<Arc<MatchSet>, Missing> {
        let hash = self.hasher.hash_one(topic);
        if self.generation != generation {
            return Err(Missing { hash });
        }
        let found = self.sets.find(hash, |(known, _)| **known == *topic);
        found.map(|(_, set)| Arc::clone(set)).ok_or(Missing { hash })
    }

    /// What a missing topic matches; it is kept if it was missed before.
    pub(crate) fn keep(&mut self, generation: u64, topic: &str, missing: Missing, set: &Arc<MatchSet>) {
        if !self.was_asked_for(missing) {
            return;
        }
        if self.generation != generation {
            self.sets.clear();
            (self.generation, self.weight) = (generation, 0);
        }
        while self.sets.len() >= CACHED_TOPICS_MAX || self.weight >= CACHED_WEIGHT_MAX {
            self.drop_half();
        }
        self.weight += set.weight();
        let hasher = &self.hasher;
        let entry = (Box::from(topic), Arc::clone(set));
        self.sets.insert_unique(missing.hash, entry, |(topic, _)| hasher.hash_one(&**topic));
    }

    /// Was it, lately? From now on it was.
    fn was_asked_for(&mut self, missing: Missing) -> bool {
        let mark = (missing.hash >> 32) as u32;
        let place = &mut self.asked[missing.hash as usize % ASKED_PLACES];
        let is_known = place.contains(&mark);
        if !is_known {
            place.copy_within(..ASKED_PER_PLACE - 1, 1);
            place[0] = mark;
        }
        is_known
    }

    fn drop_half(&mut self) {
        let (mut stays, mut weight) = (true, 0);
        self.sets.retain(|(_, set)| {
            stays = !stays;
            weight += if stays { set.weight() } else { 0 };
            stays
        });
        self.weight = weight;
    }
}

#[cfg(test)]
mod tests;

//! Who gets the messages of a topic: found once in the index, kept until a subscription changes.

use crate::ids::{SessionRef, ShardId};
use crate::shared::GroupMatch;
use crate::subscription::{Options, Subscriber};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashMap;

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
    per_shard: Box<[Box<[Recipient]>]>,
    groups: Box<[GroupMatch]>,
    /// The shards with at least one recipient.
    shards: Box<[ShardId]>,
    /// Somebody's deliveries above QoS 0 are recorded.
    has_durable: bool,
}

impl MatchSet {
    /// The deliveries of one shard; those of one session stand together.
    #[inline]
    pub(crate) fn recipients(&self, shard: ShardId) -> &[Recipient] {
        self.per_shard.get(shard.0 as usize).map_or(&[], |r| r)
    }

    pub(crate) fn groups(&self) -> &[GroupMatch] {
        &self.groups
    }

    pub(crate) fn shards(&self) -> &[ShardId] {
        &self.shards
    }

    /// Is there somebody whose deliveries above QoS 0 are recorded?
    #[inline]
    pub(crate) fn has_durable(&self) -> bool {
        self.has_durable
    }

    /// What it takes, in recipients.
    pub(crate) fn weight(&self) -> usize {
        let groups: usize = self.groups.iter().map(|group| group.len() + 1).sum();
        groups + self.per_shard.iter().map(|recipients| recipients.len() + 1).sum::<usize>()
    }

    /// Does nothing match?
    pub(crate) fn is_empty(&self) -> bool {
        self.shards.is_empty() && self.groups.is_empty()
    }
}

/// Gathers the matches of one topic.
pub(crate) struct MatchBuilder {
    per_shard: Vec<Vec<Recipient>>,
    groups: Vec<GroupMatch>,
}

impl MatchBuilder {
    pub(crate) fn new(shards: u16) -> MatchBuilder {
        MatchBuilder { per_shard: alloc::vec![Vec::new(); shards as usize], groups: Vec::new() }
    }

    pub(crate) fn add(&mut self, subscriber: &Subscriber) {
        self.per_shard[subscriber.session.shard.0 as usize].push(Recipient::of(subscriber));
    }

    pub(crate) fn add_group(&mut self, group: GroupMatch) {
        self.groups.push(group);
    }

    pub(crate) fn finish(mut self) -> MatchSet {
        for recipients in &mut self.per_shard {
            recipients.sort_by_key(|r| r.slot);
        }
        let has_durable = self.per_shard.iter().flatten().any(|r| r.options.is_recorded())
            || self.groups.iter().any(GroupMatch::has_durable);
        let shards = (0u16..).zip(&self.per_shard).filter(|(_, r)| !r.is_empty()).map(|(n, _)| ShardId(n)).collect();
        MatchSet {
            has_durable,
            shards,
            per_shard: self.per_shard.into_iter().map(Vec::into_boxed_slice).collect(),
            groups: self.groups.into_boxed_slice(),
        }
    }
}

/// How many topics a shard remembers the matches of.
const CACHED_TOPICS_MAX: usize = 4096;
/// How many recipients all these may have together: some 4 MiB.
const CACHED_WEIGHT_MAX: usize = 100_000;

/// The match sets of the topics that a shard saw last, all of one generation of the index.
#[derive(Debug, Default)]
pub(crate) struct MatchCache {
    generation: u64,
    weight: usize,
    sets: HashMap<Box<str>, Arc<MatchSet>>,
}

impl MatchCache {
    pub(crate) fn find(&self, generation: u64, topic: &str) -> Option<Arc<MatchSet>> {
        if self.generation == generation { self.sets.get(topic).map(Arc::clone) } else { None }
    }

    pub(crate) fn keep(&mut self, generation: u64, topic: &str, set: &Arc<MatchSet>) {
        let is_full = self.sets.len() >= CACHED_TOPICS_MAX || self.weight >= CACHED_WEIGHT_MAX;
        if self.generation != generation || is_full {
            self.sets.clear();
            (self.generation, self.weight) = (generation, 0);
        }
        self.weight += set.weight();
        self.sets.insert(Box::from(topic), Arc::clone(set));
    }
}

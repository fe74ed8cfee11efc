//! Which shard is home to which client identifier. One owner, always.

use crate::ids::ShardId;
use crate::table::Table;
use alloc::sync::Arc;
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashMap};

/// The answer to a claim.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Claim {
    /// Nobody had it; it is the asker's now.
    New,
    /// It was the asker's before.
    Own,
    /// This shard has it: the connection moves there.
    Other(ShardId),
}

/// Client identifiers and their home shards.
#[derive(Debug, Default)]
pub struct Registry {
    hasher: DefaultHashBuilder,
    homes: Table<(Arc<str>, ShardId)>,
    claimed_max: usize,
    /// Those whose session has ended, while it is not durable that it has; and how often.
    ends: HashMap<Arc<str>, u32>,
}

impl Registry {
    /// How many client identifiers have a session or are about to get one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.homes.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.homes.len() == 0
    }

    /// The most there have been at one time.
    #[must_use]
    pub fn len_max(&self) -> usize {
        self.claimed_max
    }

    pub(crate) fn claim(&mut self, client_id: &Arc<str>, shard: ShardId) -> Claim {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(&**client_id);
        match self.homes.find(hash, |(known, _)| known == client_id) {
            Some(&(_, home)) if home == shard => Claim::Own,
            Some(&(_, home)) => Claim::Other(home),
            None => {
                let home = (Arc::clone(client_id), shard);
                self.homes.insert_unique(hash, home, |(known, _)| hasher.hash_one(&**known));
                self.claimed_max = self.claimed_max.max(self.homes.len());
                Claim::New
            }
        }
    }

    /// A session has ended, and the store would still bring it back.
    pub(crate) fn note_end(&mut self, client_id: &Arc<str>) {
        *self.ends.entry(Arc::clone(client_id)).or_insert(0) += 1;
    }

    /// It would not any more.
    pub(crate) fn settle_end(&mut self, client_id: &str) {
        let Some(count) = self.ends.get_mut(client_id) else { return };
        *count -= 1;
        if *count == 0 {
            self.ends.remove(client_id);
        }
    }

    /// Might the store bring back a session of this client that has ended?
    pub(crate) fn may_return(&self, client_id: &str) -> bool {
        self.ends.contains_key(client_id)
    }

    pub(crate) fn release(&mut self, client_id: &str, shard: ShardId) {
        let hasher = &self.hasher;
        let is_its = |(known, home): &(Arc<str>, ShardId)| **known == *client_id && *home == shard;
        self.homes.remove(hasher.hash_one(client_id), is_its, |(known, _)| hasher.hash_one(&**known));
    }
}

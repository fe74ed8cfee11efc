//! Which shard is home to which client identifier. One owner, always.

use crate::ids::ShardId;
use alloc::sync::Arc;
use hashbrown::HashMap;

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
    homes: HashMap<Arc<str>, ShardId>,
    claimed_max: usize,
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
        self.homes.is_empty()
    }

    /// The most there have been at one time.
    #[must_use]
    pub fn len_max(&self) -> usize {
        self.claimed_max
    }

    pub(crate) fn claim(&mut self, client_id: &Arc<str>, shard: ShardId) -> Claim {
        match self.homes.get(client_id) {
            Some(&home) if home == shard => Claim::Own,
            Some(&home) => Claim::Other(home),
            None => {
                self.homes.insert(Arc::clone(client_id), shard);
                self.claimed_max = self.claimed_max.max(self.homes.len());
                Claim::New
            }
        }
    }

    pub(crate) fn release(&mut self, client_id: &str, shard: ShardId) {
        if self.homes.get(client_id) == Some(&shard) {
            self.homes.remove(client_id);
        }
    }
}

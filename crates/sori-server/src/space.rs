//! What the worker threads share, each thing behind a lock of its own.
//!
//! Readers of the subscription index do not disturb each other: `ShardedLock` gives each its own lock, and a change of
//! the index takes them all. With the match caches of the shards before it, the index is read seldom.

use crate::sync::{AtomicU64, Mutex, Ordering, PoisonError, ShardedLock};
use sori_broker::{MemoryUse, Registry, Retained, ShardId, Space, SubscriptionIndex};

/// The space of a broker with several threads.
#[derive(Debug)]
pub(crate) struct LockedSpace {
    generation: AtomicU64,
    index: ShardedLock<SubscriptionIndex>,
    registry: Mutex<Registry>,
    retained: Mutex<Retained>,
    memory: Vec<MemoryUse>,
    index_memory: MemoryUse,
}

impl LockedSpace {
    pub(crate) fn new(shards: u16) -> LockedSpace {
        let index = SubscriptionIndex::default();
        LockedSpace {
            generation: AtomicU64::new(0),
            index_memory: index.memory(),
            index: ShardedLock::new(index),
            registry: Mutex::default(),
            retained: Mutex::default(),
            memory: (0..shards).map(|_| MemoryUse::default()).collect(),
        }
    }
}

impl Space for LockedSpace {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn read_index(&self, visit: &mut dyn FnMut(&SubscriptionIndex)) {
        visit(&self.index.read().unwrap_or_else(PoisonError::into_inner));
    }

    fn write_index(&self, visit: &mut dyn FnMut(&mut SubscriptionIndex)) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        // While the index is locked: who sees the new number and then reads, waits for the change.
        self.generation.fetch_add(1, Ordering::Release);
        visit(&mut index);
    }

    fn registry(&self, visit: &mut dyn FnMut(&mut Registry)) {
        visit(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn retained(&self, visit: &mut dyn FnMut(&mut Retained)) {
        visit(&mut self.retained.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn memory(&self, shard: ShardId) -> MemoryUse {
        self.memory[usize::from(shard.0)].clone()
    }

    fn memory_used(&self) -> u64 {
        self.memory.iter().chain([&self.index_memory]).map(MemoryUse::bytes).sum()
    }
}

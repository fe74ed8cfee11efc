//! A space that watches its index being changed: so long everybody else waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sori_broker::{MemoryUse, Registry, Retained, ShardId, Space, SubscriptionIndex};

use super::Counting;
use crate::space::LockedSpace;

/// A space of which only the changes of the index are counted.
#[derive(Debug)]
pub struct HeldIndex {
    space: LockedSpace,
    is_counted: AtomicBool,
    times: AtomicU64,
}

impl HeldIndex {
    pub(super) fn new(shards: u16) -> HeldIndex {
        HeldIndex { space: LockedSpace::new(shards), is_counted: AtomicBool::new(false), times: AtomicU64::new(0) }
    }

    /// From now on. Whoever works for the shards must not be counted as well.
    pub fn count(&self, counting: Counting) {
        self.is_counted.store(counting == Counting::Yes, Ordering::Relaxed);
        self.times.store(0, Ordering::Relaxed);
    }

    /// How often the index was held since then.
    #[must_use]
    pub fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }
}

impl Space for HeldIndex {
    fn generation(&self) -> u64 {
        self.space.generation()
    }

    fn read_index(&self, visit: &mut dyn FnMut(&SubscriptionIndex)) {
        self.space.read_index(visit);
    }

    fn write_index(&self, visit: &mut dyn FnMut(&mut SubscriptionIndex)) {
        self.times.fetch_add(1, Ordering::Relaxed);
        let counting = if self.is_counted.load(Ordering::Relaxed) { Counting::Yes } else { Counting::No };
        counting.work(|| self.space.write_index(visit));
    }

    fn registry(&self, visit: &mut dyn FnMut(&mut Registry)) {
        self.space.registry(visit);
    }

    fn retained(&self, visit: &mut dyn FnMut(&mut Retained)) {
        self.space.retained(visit);
    }

    fn memory(&self, shard: ShardId) -> MemoryUse {
        self.space.memory(shard)
    }

    fn memory_used(&self) -> u64 {
        self.space.memory_used()
    }
}

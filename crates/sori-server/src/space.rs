//! What the worker threads share, each thing behind a lock of its own.
//!
//! Readers of the subscription index do not disturb each other: `ShardedLock` gives each its own lock, and a change of
//! the index takes them all. With the match caches of the shards before it, the index is read seldom.

use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering, PoisonError, ShardedLock, TryLockError, yield_now};
use sori_broker::{MemoryUse, Registry, Retained, ShardId, Space, SubscriptionIndex};
use std::sync::Arc;

/// The space of a broker with several threads.
#[derive(Debug)]
pub(crate) struct LockedSpace {
    generation: AtomicU64,
    index: ShardedLock<SubscriptionIndex>,
    /// So many wait until the index can be read.
    waiting: AtomicUsize,
    registry: Mutex<Registry>,
    retained: Mutex<Retained>,
    memory: Vec<MemoryUse>,
    index_memory: MemoryUse,
    places: Option<Arc<dyn Places>>,
}

/// Whoever knows where messages lie on disk.
pub(crate) trait Places: Send + Sync {
    /// Where a message is now that was at this place.
    fn current(&self, place: u64) -> u64;
    /// Nobody needs the message at this place any more, which has so many bytes.
    fn forget(&self, place: u64, bytes: u32);
}

impl std::fmt::Debug for dyn Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Places")
    }
}

impl LockedSpace {
    /// A space whose messages live in memory.
    pub(crate) fn new(shards: u16) -> LockedSpace {
        let index = SubscriptionIndex::default();
        LockedSpace {
            generation: AtomicU64::new(0),
            index_memory: index.memory(),
            index: ShardedLock::new(index),
            waiting: AtomicUsize::new(0),
            registry: Mutex::default(),
            retained: Mutex::default(),
            memory: (0..shards).map(|_| MemoryUse::default()).collect(),
            places: None,
        }
    }

    /// The same, with messages that may lie on disk.
    pub(crate) fn with_places(self, places: Arc<dyn Places>) -> LockedSpace {
        let memory = self.memory.iter().map(|_| {
            let places = Arc::clone(&places);
            MemoryUse::telling(Box::new(move |place, bytes| places.forget(place, bytes)))
        });
        LockedSpace { memory: memory.collect(), places: Some(places), ..self }
    }

    /// Does somebody wait until the index can be read?
    #[cfg(test)]
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

impl Space for LockedSpace {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn read_index(&self, visit: &mut dyn FnMut(&SubscriptionIndex)) {
        match self.index.try_read() {
            Ok(index) => return visit(&index),
            Err(TryLockError::Poisoned(error)) => return visit(&error.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        visit(&index);
    }

    /// Who makes very many changes, some at a time, would have the lock again before who waits has woken up: those come first.
    fn write_index(&self, visit: &mut dyn FnMut(&mut SubscriptionIndex)) {
        while self.waiting.load(Ordering::Relaxed) > 0 {
            yield_now();
        }
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

    fn current_place(&self, place: u64) -> u64 {
        self.places.as_ref().map_or(place, |places| places.current(place))
    }
}

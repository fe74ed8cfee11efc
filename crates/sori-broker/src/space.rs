//! What the shards of one broker share, behind a trait: this crate has no locks.

use crate::ids::ShardId;
use crate::index::SubscriptionIndex;
use crate::memory::MemoryUse;
use crate::registry::Registry;
use crate::retained::Retained;
use core::cell::{Cell, RefCell};

/// The subscription index, the client identifiers and the retained messages of one broker.
///
/// Each method lends the thing to `visit` and returns when that is done. An implementation for several threads puts
/// each thing behind a lock of its own. `write_index` may call `retained` inside; nothing else nests.
pub trait Space {
    /// A number that every change of the index raises, while the index is still locked: a reader who sees the new
    /// number finds the change.
    fn generation(&self) -> u64;
    /// Look something up in the index.
    fn read_index(&self, visit: &mut dyn FnMut(&SubscriptionIndex));
    /// Change the index, alone, and raise the generation.
    fn write_index(&self, visit: &mut dyn FnMut(&mut SubscriptionIndex));
    /// Use the registry, alone.
    fn registry(&self, visit: &mut dyn FnMut(&mut Registry));
    /// Use the retained messages, alone.
    fn retained(&self, visit: &mut dyn FnMut(&mut Retained));
    /// The counter of the bytes that one shard's waiting messages take.
    fn memory(&self, shard: ShardId) -> MemoryUse;
    /// The sum over all shards, with what the subscription index takes.
    fn memory_used(&self) -> u64;
    /// Where a message stands in the store that once stood at `place`: stores move what they keep.
    fn current_place(&self, place: u64) -> u64 {
        place
    }
}

/// How the store is that keeps the records.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum StoreState {
    /// All is well.
    #[default]
    Ok,
    /// There is no room: nothing more is taken over that must be kept.
    Full,
    /// There is not even room for what makes room, and much waits for it: nothing more is taken over that must be recorded, and
    /// whose sessions are kept have to go.
    Stuck,
    /// It keeps nothing any more.
    Failed,
}

/// A space for one thread.
#[derive(Debug)]
pub struct PlainSpace {
    generation: Cell<u64>,
    index: RefCell<SubscriptionIndex>,
    registry: RefCell<Registry>,
    retained: RefCell<Retained>,
    memory: MemoryUse,
    index_memory: MemoryUse,
}

impl Default for PlainSpace {
    fn default() -> PlainSpace {
        let index = SubscriptionIndex::default();
        PlainSpace {
            generation: Cell::default(),
            index_memory: index.memory(),
            index: RefCell::new(index),
            registry: RefCell::default(),
            retained: RefCell::default(),
            memory: MemoryUse::default(),
        }
    }
}

impl Space for PlainSpace {
    fn generation(&self) -> u64 {
        self.generation.get()
    }

    fn read_index(&self, visit: &mut dyn FnMut(&SubscriptionIndex)) {
        visit(&self.index.borrow());
    }

    fn write_index(&self, visit: &mut dyn FnMut(&mut SubscriptionIndex)) {
        self.generation.set(self.generation.get() + 1);
        visit(&mut self.index.borrow_mut());
    }

    fn registry(&self, visit: &mut dyn FnMut(&mut Registry)) {
        visit(&mut self.registry.borrow_mut());
    }

    fn retained(&self, visit: &mut dyn FnMut(&mut Retained)) {
        visit(&mut self.retained.borrow_mut());
    }

    fn memory(&self, _: ShardId) -> MemoryUse {
        self.memory.clone()
    }

    fn memory_used(&self) -> u64 {
        self.memory.bytes() + self.index_memory.bytes()
    }
}

//! What the shards share, in one thread, with the places of messages on the simulated disk.

use sori_broker::{MemoryUse, PlainSpace, Registry, Retained, ShardId, Space, SubscriptionIndex};
use sori_store::Reader;

use crate::places::Places;

/// The broker's own space for one thread, and the store's reader if there is a store.
pub(crate) struct SimSpace {
    plain: PlainSpace,
    store: Option<(Reader, Places)>,
}

impl SimSpace {
    pub(crate) fn new(store: Option<(Reader, Places)>) -> SimSpace {
        SimSpace { plain: PlainSpace::default(), store }
    }
}

impl Space for SimSpace {
    fn generation(&self) -> u64 {
        self.plain.generation()
    }

    fn read_index(&self, visit: &mut dyn FnMut(&SubscriptionIndex)) {
        self.plain.read_index(visit);
    }

    fn write_index(&self, visit: &mut dyn FnMut(&mut SubscriptionIndex)) {
        self.plain.write_index(visit);
    }

    fn registry(&self, visit: &mut dyn FnMut(&mut Registry)) {
        self.plain.registry(visit);
    }

    fn retained(&self, visit: &mut dyn FnMut(&mut Retained)) {
        self.plain.retained(visit);
    }

    fn memory(&self, shard: ShardId) -> MemoryUse {
        self.plain.memory(shard)
    }

    fn memory_used(&self) -> u64 {
        self.plain.memory_used()
    }

    fn current_place(&self, place: u64) -> u64 {
        let Some((reader, places)) = &self.store else { return place };
        let current = reader.current(place);
        places.moved(place, current);
        current
    }
}

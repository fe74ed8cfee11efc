//! The names of things inside a broker: shards, connections, sessions, and the table that hands the numbers out.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// One of the broker's shards.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct ShardId(pub u16);

/// One connection of a shard. The slot is used again after the connection has ended, the generation tells the two apart.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct ConnectionId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ConnectionId {
    /// No connection: an answer for it goes nowhere.
    pub const NONE: ConnectionId = ConnectionId { slot: u32::MAX, generation: 0 };

    /// A connection that no shard has: whoever else asks for a login itself names by it where the answer is to go.
    #[must_use]
    pub const fn outside(slot: u32, generation: u32) -> ConnectionId {
        ConnectionId { slot, generation }
    }

    /// A small number, dense among the open connections of one shard, for tables beside the broker.
    #[must_use]
    pub const fn slot(self) -> usize {
        self.slot as usize
    }
}

/// A session, from anywhere in the broker.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct SessionRef {
    pub(crate) shard: ShardId,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl SessionRef {
    /// Nobody: the broker itself.
    pub const NOBODY: SessionRef = SessionRef { shard: ShardId(u16::MAX), slot: u32::MAX, generation: 0 };
}

/// Things by slot and generation; a slot is used again, a name is not.
///
/// Each has its own memory, which goes back when it is removed: what stays of it is a generation and a pointer to nothing.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<(u32, Option<Box<T>>)>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Put `value` in; gives slot and generation.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        let value = Some(Box::new(value));
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.entries[slot as usize];
            entry.1 = value;
            return (slot, entry.0);
        }
        let slot = u32::try_from(self.entries.len()).expect("fewer than 2^32 connections fit in memory");
        self.entries.push((0, value));
        (slot, 0)
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        match self.entries.get(slot as usize) {
            Some((g, value)) if *g == generation => value.as_deref(),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        match self.entries.get_mut(slot as usize) {
            Some((g, value)) if *g == generation => value.as_deref_mut(),
            _ => None,
        }
    }

    /// What has this slot now.
    pub(crate) fn at(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.1.as_deref()
    }

    pub(crate) fn remove(&mut self, slot: u32, generation: u32) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize).filter(|e| e.0 == generation)?;
        let value = entry.1.take()?;
        entry.0 = entry.0.wrapping_add(1);
        self.free.push(slot);
        Some(*value)
    }

    /// How many slots there have been.
    pub(crate) fn slots(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Slot and generation of what has this slot now.
    pub(crate) fn key_at(&self, slot: u32) -> Option<(u32, u32)> {
        self.entries.get(slot as usize).filter(|(_, value)| value.is_some()).map(|(generation, _)| (slot, *generation))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().filter_map(|(_, value)| value.as_deref_mut())
    }

    /// Slot, generation and value of all, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, &T)> {
        self.entries.iter().enumerate().filter_map(|(i, (g, v))| v.as_deref().map(|v| (i as u32, *g, v)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};
    use proptest::prelude::*;

    proptest! {
        /// Each thing is found by its name, and no name is given twice.
        #[test]
        fn like_a_map_of_names(steps in prop::collection::vec(any::<(bool, u16)>(), 1..300)) {
            let (mut slots, mut model, mut given) = (Slots::default(), BTreeMap::new(), BTreeSet::new());
            for (inserts, value) in steps {
                if inserts || model.is_empty() {
                    let name = slots.insert(value);
                    prop_assert!(given.insert(name), "{name:?} is given twice");
                    prop_assert!(name.0 < slots.slots());
                    model.insert(name, value);
                } else {
                    let name: (u32, u32) = *model.keys().nth(usize::from(value) % model.len()).expect("it is there");
                    prop_assert_eq!(slots.remove(name.0, name.1), model.remove(&name));
                    prop_assert_eq!(slots.remove(name.0, name.1), None);
                    prop_assert_eq!(slots.get(name.0, name.1), None);
                    prop_assert_eq!(slots.key_at(name.0), None);
                }
                prop_assert_eq!(slots.len(), model.len());
            }
            for (name, value) in &mut model {
                prop_assert_eq!(slots.get(name.0, name.1), Some(&*value));
                prop_assert_eq!(slots.get_mut(name.0, name.1), Some(&mut *value));
                prop_assert_eq!((slots.at(name.0), slots.key_at(name.0)), (Some(&*value), Some(*name)));
            }
            let all: Vec<_> = slots.iter().map(|(slot, generation, value)| ((slot, generation), *value)).collect();
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }
}

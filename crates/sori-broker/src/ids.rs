//! The names of things inside a broker: shards, connections, sessions, and the table that hands the numbers out.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;

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
/// The lowest free slot is taken first, so that the end becomes free when many have gone, and its memory goes back.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<(u32, Option<T>)>,
    /// Slots that are empty; some may be beyond the end since they were.
    free: BinaryHeap<Reverse<u32>>,
    len: usize,
    /// That of new entries: names of those that stood behind the end once are not used again.
    generation: u32,
}

/// Room for so many is always kept.
const KEPT_MAX: usize = if cfg!(test) { 4 } else { 256 };

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { entries: Vec::new(), free: BinaryHeap::new(), len: 0, generation: 0 }
    }
}

impl<T> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Put `value` in; gives slot and generation.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        self.len += 1;
        while let Some(Reverse(slot)) = self.free.pop() {
            if let Some(entry) = self.entries.get_mut(slot as usize).filter(|entry| entry.1.is_none()) {
                entry.1 = Some(value);
                return (slot, entry.0);
            }
        }
        let slot = u32::try_from(self.entries.len()).expect("fewer than 2^32 connections fit in memory");
        self.entries.push((self.generation, Some(value)));
        (slot, self.generation)
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        match self.entries.get(slot as usize) {
            Some((g, value)) if *g == generation => value.as_ref(),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        match self.entries.get_mut(slot as usize) {
            Some((g, value)) if *g == generation => value.as_mut(),
            _ => None,
        }
    }

    /// What has this slot now.
    pub(crate) fn at(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.1.as_ref()
    }

    pub(crate) fn remove(&mut self, slot: u32, generation: u32) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize).filter(|e| e.0 == generation)?;
        let value = entry.1.take()?;
        entry.0 = entry.0.wrapping_add(1);
        self.len -= 1;
        self.free.push(Reverse(slot));
        self.close_up();
        Some(value)
    }

    /// What is empty at the end goes, and sooner or later its memory.
    fn close_up(&mut self) {
        while let Some((generation, _)) = self.entries.pop_if(|entry| entry.1.is_none()) {
            // Numbers begin anew some day, so it is not the larger one but the later one that counts.
            if generation.wrapping_sub(self.generation).cast_signed() > 0 {
                self.generation = generation;
            }
        }
        let room = KEPT_MAX.max(4 * self.entries.len());
        if self.entries.capacity() > room {
            self.entries.shrink_to(room / 2);
        }
        if self.free.len() > room {
            let end = self.entries.len() as u32;
            self.free.retain(|Reverse(slot)| *slot < end);
            self.free.shrink_to(room / 2);
        }
    }

    /// No slot has this number or a higher one.
    pub(crate) fn slots(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Slot and generation of what has this slot now.
    pub(crate) fn key_at(&self, slot: u32) -> Option<(u32, u32)> {
        self.entries.get(slot as usize).filter(|(_, value)| value.is_some()).map(|(generation, _)| (slot, *generation))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().filter_map(|(_, value)| value.as_mut())
    }

    /// Slot, generation and value of all, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, &T)> {
        self.entries.iter().enumerate().filter_map(|(i, (g, v))| v.as_ref().map(|v| (i as u32, *g, v)))
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
                let last = model.keys().map(|name| name.0 as usize + 1).max().unwrap_or(0);
                let room = KEPT_MAX.max(4 * last);
                prop_assert!(slots.entries.capacity() <= room && slots.free.len() <= room, "{slots:?}");
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

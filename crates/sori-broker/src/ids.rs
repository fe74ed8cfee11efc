//! The names of things inside a broker: shards, connections, sessions, and the table that hands the numbers out.

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
/// They lie in pages: none is copied to make room for more, and a page in which nothing is left gives its memory back.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    pages: Vec<Page<T>>,
    /// The pages that have room, each once.
    open: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Page<T> {
    entries: Vec<(u32, Option<T>)>,
    /// Places in `entries` whose thing has gone.
    free: Vec<u16>,
    /// That of entries to come: no name of what stood here before its memory was given back is used again.
    generation: u32,
    is_open: bool,
}

/// So many things make a page.
const PAGE_LEN: usize = if cfg!(test) { 4 } else { 64 };

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { pages: Vec::new(), open: Vec::new(), len: 0 }
    }
}

impl<T> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Put `value` in; gives slot and generation.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        let number = self.open.last().copied().unwrap_or_else(|| self.add_page());
        let page = &mut self.pages[number as usize];
        let (at, generation) = page.insert(value);
        if page.is_full() {
            page.is_open = false;
            self.open.pop();
        }
        self.len += 1;
        (number * PAGE_LEN as u32 + at as u32, generation)
    }

    fn add_page(&mut self) -> u32 {
        let number = u32::try_from(self.pages.len()).expect("fewer than 2^32 connections fit in memory");
        self.pages.push(Page { entries: Vec::new(), free: Vec::new(), generation: 0, is_open: true });
        self.open.push(number);
        number
    }

    #[inline]
    fn entry(&self, slot: u32) -> Option<&(u32, Option<T>)> {
        self.pages.get(slot as usize / PAGE_LEN)?.entries.get(slot as usize % PAGE_LEN)
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        match self.entry(slot) {
            Some((g, value)) if *g == generation => value.as_ref(),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let page = self.pages.get_mut(slot as usize / PAGE_LEN)?;
        match page.entries.get_mut(slot as usize % PAGE_LEN) {
            Some((g, value)) if *g == generation => value.as_mut(),
            _ => None,
        }
    }

    /// What has this slot now.
    pub(crate) fn at(&self, slot: u32) -> Option<&T> {
        self.entry(slot)?.1.as_ref()
    }

    pub(crate) fn remove(&mut self, slot: u32, generation: u32) -> Option<T> {
        let number = slot as usize / PAGE_LEN;
        let page = self.pages.get_mut(number)?;
        let value = page.remove(slot as usize % PAGE_LEN, generation)?;
        if !core::mem::replace(&mut page.is_open, true) {
            self.open.push(number as u32);
        }
        self.len -= 1;
        Some(value)
    }

    /// No slot has this number or a higher one.
    pub(crate) fn slots(&self) -> u32 {
        (self.pages.len() * PAGE_LEN) as u32
    }

    /// Slot and generation of what has this slot now.
    pub(crate) fn key_at(&self, slot: u32) -> Option<(u32, u32)> {
        self.entry(slot).filter(|(_, value)| value.is_some()).map(|(generation, _)| (slot, *generation))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pages.iter_mut().flat_map(|page| page.entries.iter_mut().filter_map(|(_, value)| value.as_mut()))
    }

    /// Slot, generation and value of all, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, &T)> {
        let first_slots = (0_u32..).step_by(PAGE_LEN);
        first_slots.zip(&self.pages).flat_map(|(first, page)| {
            let slots = (first..).zip(&page.entries);
            slots.filter_map(|(slot, (generation, value))| Some((slot, *generation, value.as_ref()?)))
        })
    }
}

impl<T> Page<T> {
    fn is_full(&self) -> bool {
        self.free.is_empty() && self.entries.len() == PAGE_LEN
    }

    /// Gives place and generation.
    fn insert(&mut self, value: T) -> (usize, u32) {
        if let Some(at) = self.free.pop() {
            let entry = &mut self.entries[usize::from(at)];
            entry.1 = Some(value);
            return (at.into(), entry.0);
        }
        self.entries.push((self.generation, Some(value)));
        (self.entries.len() - 1, self.generation)
    }

    fn remove(&mut self, at: usize, generation: u32) -> Option<T> {
        let entry = self.entries.get_mut(at).filter(|entry| entry.0 == generation)?;
        let value = entry.1.take()?;
        entry.0 = entry.0.wrapping_add(1);
        self.free.push(at as u16);
        if self.free.len() == self.entries.len() {
            let newest = self.entries.iter().map(|entry| entry.0.wrapping_sub(self.generation)).max();
            self.generation = self.generation.wrapping_add(newest.unwrap_or(0));
            (self.entries, self.free) = (Vec::new(), Vec::new());
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};
    use proptest::prelude::*;

    proptest! {
        /// Each thing is found by its name, no name is given twice, and pages are there for what there is.
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
                for page in &slots.pages {
                    prop_assert_eq!(page.entries.capacity() == 0, page.entries.len() == page.free.len());
                }
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

//! A hash table that grows and shrinks in small steps. One large table stops its owner while it doubles, a million
//! entries for a tenth of a second; this one is made of many, of which each doubles by itself.

use alloc::boxed::Box;
use alloc::vec;
use core::iter::Flatten;
use hashbrown::HashTable;

/// How many parts there are. A part of a table of a million entries has some four thousand.
const PARTS: usize = 256;
/// Below the bits of a hash that choose the part.
const PART_SHIFT: u32 = 44;
/// Room for so many entries is kept in each table.
const KEPT_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Table<T> {
    parts: Box<[HashTable<T>]>,
    len: usize,
}

/// Where an entry with this hash stands in an order in which those of one part stand together, part after part.
pub(crate) fn rank(hash: u64) -> u64 {
    hash.rotate_right(PART_SHIFT + PARTS.ilog2())
}

/// Take one out, and give room back when most of it is empty.
pub(crate) fn remove_from<T>(
    table: &mut HashTable<T>,
    hash: u64,
    is_it: impl FnMut(&T) -> bool,
    hash_of: impl Fn(&T) -> u64,
) -> Option<T> {
    let (value, _) = table.find_entry(hash, is_it).ok()?.remove();
    if table.capacity() > KEPT_MAX.max(4 * table.len()) {
        table.shrink_to(2 * table.len(), hash_of);
    }
    Some(value)
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { parts: (0..PARTS).map(|_| HashTable::new()).collect(), len: 0 }
    }
}

impl<T> Table<T> {
    /// The bits in the middle choose the part: `HashTable` looks at those below and above.
    #[inline]
    fn part(hash: u64) -> usize {
        (hash >> PART_SHIFT) as usize % PARTS
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The entries part by part, from the part on in which an entry of this rank would be.
    pub(crate) fn parts_from(&self, rank: u64) -> impl Iterator<Item = impl Iterator<Item = &T>> {
        self.parts.iter().skip((rank >> (u64::BITS - PARTS.ilog2())) as usize).map(HashTable::iter)
    }

    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        self.parts[Table::<T>::part(hash)].find(hash, is_it)
    }

    /// What is changed keeps its hash.
    pub(crate) fn find_mut(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&mut T> {
        self.parts[Table::<T>::part(hash)].find_mut(hash, is_it)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().flatten()
    }

    /// Put in what is not there yet; `hash_of` gives the hash of what is there.
    pub(crate) fn insert_unique(&mut self, hash: u64, value: T, hash_of: impl Fn(&T) -> u64) {
        self.len += 1;
        self.parts[Table::<T>::part(hash)].insert_unique(hash, value, hash_of);
    }

    pub(crate) fn remove(
        &mut self,
        hash: u64,
        is_it: impl FnMut(&T) -> bool,
        hash_of: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let part = &mut self.parts[Table::<T>::part(hash)];
        let value = remove_from(part, hash, is_it, hash_of)?;
        self.len -= 1;
        Some(value)
    }
}

/// Entries that are given up one after the other.
#[derive(Debug)]
pub(crate) struct IntoIter<T> {
    parts: Flatten<vec::IntoIter<HashTable<T>>>,
    len: usize,
}

impl<T> IntoIterator for Table<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { parts: self.parts.into_vec().into_iter().flatten(), len: self.len }
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.len = self.len.saturating_sub(1);
        self.parts.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

#[cfg(test)]
mod tests;

//! A hash table that is small nearly everywhere, and grows and shrinks in small steps all the same where it is large: it is in
//! one piece as long as that is moved quickly, and in parts from then on.

use crate::table::{self, Table};
use alloc::vec::Vec;
use hashbrown::{HashTable, hash_table};

#[derive(Debug)]
pub(crate) enum SmallTable<T> {
    Whole(HashTable<T>),
    InParts(Table<T>),
}

/// So many entries are moved in a fraction of a millisecond. When there are more, the table is in parts.
const WHOLE_MAX: usize = 4096;
/// A table of so few is in one piece again.
const WHOLE_AGAIN: usize = 1024;

impl<T> Default for SmallTable<T> {
    fn default() -> SmallTable<T> {
        SmallTable::Whole(HashTable::new())
    }
}

impl<T> SmallTable<T> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            SmallTable::Whole(whole) => whole.is_empty(),
            SmallTable::InParts(parts) => parts.len() == 0,
        }
    }

    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        match self {
            SmallTable::Whole(whole) => whole.find(hash, is_it),
            SmallTable::InParts(parts) => parts.find(hash, is_it),
        }
    }

    /// What is changed keeps its hash.
    pub(crate) fn find_mut(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&mut T> {
        match self {
            SmallTable::Whole(whole) => whole.find_mut(hash, is_it),
            SmallTable::InParts(parts) => parts.find_mut(hash, is_it),
        }
    }

    /// Put in what is not there yet; `hash_of` gives the hash of what is there.
    pub(crate) fn insert_unique(&mut self, hash: u64, value: T, hash_of: impl Fn(&T) -> u64) {
        if let SmallTable::Whole(whole) = self
            && whole.len() >= WHOLE_MAX
        {
            let mut parts = Table::default();
            for value in core::mem::take(whole) {
                parts.insert_unique(hash_of(&value), value, &hash_of);
            }
            *self = SmallTable::InParts(parts);
        }
        match self {
            SmallTable::Whole(whole) => {
                whole.insert_unique(hash, value, hash_of);
            }
            SmallTable::InParts(parts) => parts.insert_unique(hash, value, hash_of),
        }
    }

    pub(crate) fn remove(
        &mut self,
        hash: u64,
        is_it: impl FnMut(&T) -> bool,
        hash_of: impl Fn(&T) -> u64,
    ) -> Option<T> {
        match self {
            SmallTable::Whole(whole) => table::remove_from(whole, hash, is_it, hash_of),
            SmallTable::InParts(parts) => {
                let value = parts.remove(hash, is_it, &hash_of)?;
                if parts.len() <= WHOLE_AGAIN {
                    let mut whole = HashTable::with_capacity(parts.len());
                    for value in core::mem::take(parts) {
                        whole.insert_unique(hash_of(&value), value, &hash_of);
                    }
                    *self = SmallTable::Whole(whole);
                }
                Some(value)
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let (whole, parts) = match self {
            SmallTable::Whole(whole) => (Some(whole.iter()), None),
            SmallTable::InParts(parts) => (None, Some(parts.iter())),
        };
        whole.into_iter().flatten().chain(parts.into_iter().flatten())
    }
}

impl<T: Copy + Ord> SmallTable<T> {
    /// Entries behind `after`, at most so many, in an order that no change of the table changes: who goes on behind the last
    /// one each time meets everything that is there from the beginning to the end.
    pub(crate) fn some_after(&self, after: Option<T>, most: usize, hash_of: impl Fn(&T) -> u64) -> Vec<T> {
        let ranked = |value: &T| (table::rank(hash_of(value)), *value);
        let after = after.map(|value| ranked(&value));
        let is_behind = |one: &(u64, T)| after.is_none_or(|after| *one > after);
        let mut found = Vec::new();
        match self {
            SmallTable::Whole(whole) => found.extend(whole.iter().map(ranked).filter(is_behind)),
            SmallTable::InParts(parts) => {
                for part in parts.parts_from(after.map_or(0, |(rank, _)| rank)) {
                    found.extend(part.map(ranked).filter(is_behind));
                    if found.len() >= most {
                        break;
                    }
                }
            }
        }
        if found.len() > most {
            found.select_nth_unstable(most);
            found.truncate(most);
        }
        found.sort_unstable();
        found.into_iter().map(|(_, value)| value).collect()
    }
}

/// Entries that are given up one after the other.
#[derive(Debug)]
pub(crate) enum IntoIter<T> {
    Whole(hash_table::IntoIter<T>),
    InParts(table::IntoIter<T>),
}

impl<T> IntoIterator for SmallTable<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        match self {
            SmallTable::Whole(whole) => IntoIter::Whole(whole.into_iter()),
            SmallTable::InParts(parts) => IntoIter::InParts(parts.into_iter()),
        }
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self {
            IntoIter::Whole(whole) => whole.next(),
            IntoIter::InParts(parts) => parts.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            IntoIter::Whole(whole) => whole.size_hint(),
            IntoIter::InParts(parts) => parts.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::looks;
    use alloc::vec::Vec;
    use core::hash::BuildHasher;
    use hashbrown::DefaultHashBuilder;
    use std::collections::BTreeSet;

    const MANY: u32 = 200_000;

    /// Each entry that is moved has its hash computed.
    #[test]
    fn no_step_moves_many_entries() {
        let hasher = DefaultHashBuilder::default();
        let hash = |key: &u32| {
            looks::note();
            hasher.hash_one(key)
        };
        let mut table = SmallTable::default();
        let mut most = 0;
        for key in 0..MANY {
            most = most.max(looks::during(|| table.insert_unique(hash(&key), key, hash)));
        }
        for key in 0..MANY {
            most = most.max(looks::during(|| {
                assert_eq!(table.remove(hash(&key), |other| *other == key, hash), Some(key));
            }));
        }
        assert!(table.is_empty());
        assert!(most <= 3 * WHOLE_MAX, "{most} entries were moved at once");
    }

    #[test]
    fn all_is_found_on_the_way_up_and_down() {
        let hasher = DefaultHashBuilder::default();
        let hash = |key: &(u32, u32)| hasher.hash_one(key.0);
        let mut table = SmallTable::default();
        let mut model = BTreeSet::new();
        let check = |table: &SmallTable<(u32, u32)>, model: &BTreeSet<u32>| {
            assert_eq!(table.iter().map(|(key, _)| *key).collect::<BTreeSet<_>>(), *model);
            assert_eq!(table.is_empty(), model.is_empty());
            assert!(model.iter().all(|key| table.find(hasher.hash_one(key), |other| other.0 == *key).is_some()));
        };
        for key in 0..6_000 {
            table.insert_unique(hasher.hash_one(key), (key, 0), hash);
            model.insert(key);
            if key % 500 == 0 {
                check(&table, &model);
            }
        }
        assert!(matches!(table, SmallTable::InParts(_)));
        for key in 0..5_990 {
            let found = table.find_mut(hasher.hash_one(key), |other| other.0 == key);
            found.expect("it is there").1 = key + 1;
            let removed = table.remove(hasher.hash_one(key), |other| other.0 == key, hash);
            assert_eq!(removed, Some((key, key + 1)));
            assert_eq!(table.remove(hasher.hash_one(key), |other| other.0 == key, hash), None);
            model.remove(&key);
            if key % 500 == 0 {
                check(&table, &model);
            }
        }
        check(&table, &model);
        assert!(matches!(&table, SmallTable::Whole(whole) if whole.capacity() < 64), "{table:?}");
        let mut left = table.into_iter();
        assert_eq!(left.size_hint(), (10, Some(10)));
        left.next();
        assert_eq!(left.collect::<Vec<_>>().len(), 9);
    }

    /// Whatever else comes and goes between the parts, and however the table is kept.
    #[test]
    fn what_is_there_all_the_time_is_met_once_part_by_part() {
        let hasher = DefaultHashBuilder::default();
        let hash = |key: &u32| hasher.hash_one(key);
        for (there, others) in [(0, 10), (3, 10), (3_000, 3_000), (6_000, 100), (600, 6_000)] {
            let mut table = SmallTable::default();
            (0..there).for_each(|key| table.insert_unique(hash(&key), key, hash));
            let (mut met, mut after, mut other) = (Vec::new(), None, there);
            loop {
                let some = table.some_after(after, 100, hash);
                assert!(some.len() <= 100);
                met.extend(some.iter().filter(|key| **key < there));
                let Some(last) = some.last() else { break };
                after = Some(*last);
                // They come in some steps, and go in the next ones.
                for _ in 0..others {
                    let key = there + other % (4 * others);
                    if table.remove(hash(&key), |one| *one == key, hash).is_none() {
                        table.insert_unique(hash(&key), key, hash);
                    }
                    other += 1;
                }
            }
            let once: BTreeSet<u32> = met.iter().copied().collect();
            assert_eq!((met.len(), once), (there as usize, (0..there).collect()));
        }
    }

    #[test]
    fn it_takes_no_more_place_than_a_table_in_one_piece() {
        assert_eq!(size_of::<SmallTable<u32>>(), size_of::<HashTable<u32>>());
    }
}

//! A row of things in the order in which they came, out of which each can be taken wherever it stands.
//!
//! What is taken stands at the beginning nearly always, and is found there by looking. Where it does not, as in a queue that is
//! full and refuses the newest, looking through all of the row for each would make a restart take minutes; so from the first
//! thing that is not found soon, the row knows where everything stands.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use hashbrown::HashTable;

/// So many are looked at before the row learns where everything stands.
const NEAR: usize = 32;

/// By which a thing is looked for; several may have the same.
pub(crate) trait Keyed {
    fn key(&self) -> u64;
}

#[derive(Debug)]
pub(crate) struct Row<T> {
    /// `None`: it has been taken.
    places: VecDeque<Option<T>>,
    /// How many places there were before the first one; with it a place has a number that stays.
    gone: usize,
    /// Numbers of the places that are not empty, by key.
    known: Option<Box<HashTable<usize>>>,
    len: usize,
}

impl<T> Default for Row<T> {
    fn default() -> Row<T> {
        Row { places: VecDeque::new(), gone: 0, known: None, len: 0 }
    }
}

impl<T: Keyed> Row<T> {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Put it behind all others.
    pub(crate) fn push(&mut self, thing: T) {
        let (number, hash) = (self.gone + self.places.len(), hash(&thing));
        self.places.push_back(Some(thing));
        self.len += 1;
        if let Some(known) = &mut self.known {
            let (places, gone) = (&self.places, self.gone);
            known.insert_unique(hash, number, |&number| hash_at(places, number - gone));
        }
    }

    /// The first that has this key and is it.
    pub(crate) fn find_mut(&mut self, key: u64, is_it: impl Fn(&T) -> bool) -> Option<&mut T> {
        let at = self.position(key, is_it)?;
        self.places[at].as_mut()
    }

    /// The same, taken out.
    pub(crate) fn take(&mut self, key: u64, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.position(key, is_it)?;
        let number = self.gone + at;
        if let Some(known) = &mut self.known
            && let Ok(entry) = known.find_entry(hash_of(key), |&other| other == number)
        {
            entry.remove();
        }
        let taken = self.places[at].take();
        self.len -= 1;
        self.close_up();
        taken
    }

    fn position(&mut self, key: u64, is_it: impl Fn(&T) -> bool) -> Option<usize> {
        let is_here = |place: &Option<T>| place.as_ref().is_some_and(|thing| thing.key() == key && is_it(thing));
        if let Some(at) = self.places.iter().take(NEAR).position(is_here) {
            return Some(at);
        }
        if self.places.len() <= NEAR {
            return None;
        }
        let (places, gone) = (&self.places, self.gone);
        let known = self.known.get_or_insert_with(|| Box::new(survey(places, gone)));
        let places = known.iter_hash(hash_of(key)).map(|&number| number - gone);
        places.filter(|&at| is_here(&self.places[at])).min()
    }

    /// Empty places are not kept at the beginning, nor more of them than there are others.
    fn close_up(&mut self) {
        while self.places.front().is_some_and(Option::is_none) {
            self.places.pop_front();
            self.gone += 1;
        }
        if self.places.len() > 2 * self.len + NEAR {
            self.places.retain(Option::is_some);
            // The numbers have changed.
            self.known = None;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }
}

impl<T: Keyed> FromIterator<T> for Row<T> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Row<T> {
        let mut row = Row::default();
        things.into_iter().for_each(|thing| row.push(thing));
        row
    }
}

impl<T> IntoIterator for Row<T> {
    type Item = T;
    type IntoIter = core::iter::Flatten<alloc::collections::vec_deque::IntoIter<Option<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.places.into_iter().flatten()
    }
}

/// Where everything stands.
fn survey<T: Keyed>(places: &VecDeque<Option<T>>, gone: usize) -> HashTable<usize> {
    let mut known = HashTable::with_capacity(places.len());
    for (at, thing) in places.iter().enumerate() {
        if let Some(thing) = thing {
            known.insert_unique(hash(thing), gone + at, |&number| hash_at(places, number - gone));
        }
    }
    known
}

fn hash_at<T: Keyed>(places: &VecDeque<Option<T>>, at: usize) -> u64 {
    places[at].as_ref().map_or(0, hash)
}

fn hash<T: Keyed>(thing: &T) -> u64 {
    hash_of(thing.key())
}

/// Keys are numbers that the broker has counted, so spreading them is enough.
fn hash_of(key: u64) -> u64 {
    let spread = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    spread ^ spread >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::cell::Cell;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Thing(u64, u8);

    impl Keyed for Thing {
        fn key(&self) -> u64 {
            self.0
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(Thing),
        Take(Thing),
        Change(Thing),
    }

    fn step() -> impl Strategy<Value = Step> {
        let thing = || (0..60_u64, 0..2_u8).prop_map(|(key, kind)| Thing(key, kind));
        prop_oneof![
            4 => thing().prop_map(Step::Push),
            3 => thing().prop_map(Step::Take),
            1 => thing().prop_map(Step::Change),
        ]
    }

    proptest! {
        #[test]
        fn it_holds_what_a_list_holds(steps in proptest::collection::vec(step(), 0..600)) {
            let (mut row, mut list) = (Row::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Push(thing) => {
                        row.push(thing.clone());
                        list.push(thing);
                    }
                    Step::Take(thing) => {
                        let expected = list.iter().position(|other| *other == thing).map(|at| list.remove(at));
                        prop_assert_eq!(row.take(thing.0, |other| *other == thing), expected);
                    }
                    Step::Change(thing) => {
                        let changed = Thing(thing.0, thing.1 + 2);
                        let expected = list.iter_mut().find(|other| **other == thing);
                        let found = row.find_mut(thing.0, |other| *other == thing);
                        prop_assert_eq!(found.is_some(), expected.is_some());
                        if let (Some(found), Some(expected)) = (found, expected) {
                            (*found, *expected) = (changed.clone(), changed);
                        }
                    }
                }
                prop_assert_eq!((row.len(), row.is_empty()), (list.len(), list.is_empty()));
                prop_assert!(row.places.len() <= 2 * row.len + NEAR);
            }
            prop_assert_eq!(row.iter().cloned().collect::<Vec<_>>(), list.clone());
            prop_assert_eq!(row.into_iter().collect::<Vec<_>>(), list);
        }
    }

    #[test]
    fn what_stands_at_the_end_or_in_the_middle_is_found_without_looking_at_all_others() {
        let mut row: Row<Thing> = (0..10_000).map(|key| Thing(key, 0)).collect();
        let looks = Cell::new(0);
        let is_it = |_: &Thing| {
            looks.set(looks.get() + 1);
            true
        };
        for number in 0..5_000 {
            row.push(Thing(10_000 + number, 0));
            assert_eq!(row.take(10_000 + number, is_it), Some(Thing(10_000 + number, 0)));
            assert_eq!(row.take(5_000 + number, is_it), Some(Thing(5_000 + number, 0)));
        }
        assert_eq!((row.len(), looks.get()), (5_000, 10_000));
    }
}

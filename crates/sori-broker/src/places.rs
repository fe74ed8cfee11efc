//! Where the subscriptions of one session stand in the index. Most sessions have one or none, and some very many.

use crate::index::Place;
use crate::small_table::{self, SmallTable};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::iter::Chain;
use hashbrown::DefaultHashBuilder;

#[derive(Debug, Default)]
pub(crate) enum Places {
    #[default]
    None,
    One(Place),
    Many(Box<Many>),
}

#[derive(Debug, Default)]
pub(crate) struct Many {
    hasher: DefaultHashBuilder,
    plain: SmallTable<Place>,
    shared: SmallTable<Place>,
}

impl Places {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Places::None)
    }

    /// Is one of them shared?
    pub(crate) fn has_shared(&self) -> bool {
        match self {
            Places::None => false,
            Places::One(place) => place.group.is_some(),
            Places::Many(many) => !many.shared.is_empty(),
        }
    }

    pub(crate) fn insert(&mut self, place: Place) {
        match self {
            Places::None => *self = Places::One(place),
            Places::One(first) if *first == place => {}
            Places::One(first) => {
                let mut many = Box::new(Many::default());
                many.insert(*first);
                many.insert(place);
                *self = Places::Many(many);
            }
            Places::Many(many) => many.insert(place),
        }
    }

    pub(crate) fn remove(&mut self, place: &Place) {
        match self {
            Places::One(first) if first == place => *self = Places::None,
            Places::None | Places::One(_) => {}
            Places::Many(many) => {
                many.remove(place);
                if many.plain.is_empty() && many.shared.is_empty() {
                    *self = Places::None;
                }
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Place> {
        let (one, many) = match self {
            Places::None => (None, None),
            Places::One(place) => (Some(place), None),
            Places::Many(many) => (None, Some(many.shared.iter().chain(many.plain.iter()))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Those behind `after`, at most so many, in an order in which those that stay are met once, whatever else is put in
    /// or removed between one call and the next. What is met may be new.
    pub(crate) fn some_after(&self, after: Option<Place>, most: usize) -> Vec<Place> {
        match self {
            Places::One(place) if after.is_none() => Vec::from([*place]),
            Places::None | Places::One(_) => Vec::new(),
            Places::Many(many) => many.some_after(after, most),
        }
    }

    /// All of them, one after the other, shared ones first.
    pub(crate) fn into_iter(self) -> IntoIter {
        match self {
            Places::None => IntoIter::One(None),
            Places::One(place) => IntoIter::One(Some(place)),
            Places::Many(many) => IntoIter::Many(Box::new(many.shared.into_iter().chain(many.plain))),
        }
    }
}

impl Many {
    /// Shared ones first.
    fn some_after(&self, after: Option<Place>, most: usize) -> Vec<Place> {
        let Many { hasher, plain, shared } = self;
        let hash_of = |place: &Place| hasher.hash_one(place);
        if after.is_some_and(|after| after.group.is_none()) {
            return plain.some_after(after, most, hash_of);
        }
        let mut found = shared.some_after(after, most, hash_of);
        if found.len() < most {
            found.extend(plain.some_after(None, most - found.len(), hash_of));
        }
        found
    }

    fn insert(&mut self, place: Place) {
        let Many { hasher, plain, shared } = self;
        let places = if place.group.is_some() { shared } else { plain };
        let hash = hasher.hash_one(place);
        if places.find(hash, |other| *other == place).is_none() {
            places.insert_unique(hash, place, |place| hasher.hash_one(place));
        }
    }

    fn remove(&mut self, place: &Place) {
        let Many { hasher, plain, shared } = self;
        let places = if place.group.is_some() { shared } else { plain };
        places.remove(hasher.hash_one(place), |other| other == place, |place| hasher.hash_one(place));
    }
}

/// Places that are given up one after the other.
#[derive(Debug)]
pub(crate) enum IntoIter {
    One(Option<Place>),
    Many(Box<Chain<small_table::IntoIter<Place>, small_table::IntoIter<Place>>>),
}

impl Iterator for IntoIter {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        match self {
            IntoIter::One(place) => place.take(),
            IntoIter::Many(places) => places.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            IntoIter::One(place) => (usize::from(place.is_some()), Some(usize::from(place.is_some()))),
            IntoIter::Many(places) => places.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests;

//! The subscriptions that one filter has: none, one or many, cheap to remove from even when there are very many.

use crate::ids::SessionRef;
use crate::small_table::SmallTable;
use crate::subscription::Subscriber;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use hashbrown::DefaultHashBuilder;

/// From how many subscriptions on a table finds a session's place.
const PLACES_FROM: usize = 16;

#[derive(Debug, Default)]
pub(crate) enum Subscribers {
    #[default]
    None,
    One(Subscriber),
    Many(Box<Many>),
}

#[derive(Debug, Default)]
pub(crate) struct Many {
    list: Vec<Subscriber>,
    places: Option<Places>,
}

/// Where each session stands in the list.
#[derive(Debug, Default)]
struct Places {
    hasher: DefaultHashBuilder,
    table: SmallTable<u32>,
}

impl Subscribers {
    pub(crate) fn as_slice(&self) -> &[Subscriber] {
        match self {
            Subscribers::None => &[],
            Subscribers::One(one) => core::slice::from_ref(one),
            Subscribers::Many(many) => &many.list,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Put `subscriber` in; gives the session's earlier subscription, which it replaces. [MQTT-3.8.4-3] [MQTT311-3.8.4-3]
    pub(crate) fn insert(&mut self, subscriber: Subscriber) -> Option<Subscriber> {
        if let Some(old) = self.find_mut(subscriber.session) {
            return Some(core::mem::replace(old, subscriber));
        }
        match self {
            Subscribers::None => *self = Subscribers::One(subscriber),
            Subscribers::One(first) => {
                let list = alloc::vec![*first, subscriber];
                *self = Subscribers::Many(Box::new(Many { list, places: None }));
            }
            Subscribers::Many(many) => many.push(subscriber),
        }
        None
    }

    pub(crate) fn find(&self, session: SessionRef) -> Option<&Subscriber> {
        match self {
            Subscribers::Many(many) => many.place(session).map(|at| &many.list[at]),
            _ => self.as_slice().first().filter(|s| s.session == session),
        }
    }

    pub(crate) fn find_mut(&mut self, session: SessionRef) -> Option<&mut Subscriber> {
        match self {
            Subscribers::None => None,
            Subscribers::One(one) => Some(one).filter(|s| s.session == session),
            Subscribers::Many(many) => many.place(session).map(|at| &mut many.list[at]),
        }
    }

    pub(crate) fn remove(&mut self, session: SessionRef) -> Option<Subscriber> {
        match self {
            Subscribers::None => None,
            Subscribers::One(one) if one.session == session => {
                let one = *one;
                *self = Subscribers::None;
                Some(one)
            }
            Subscribers::One(_) => None,
            Subscribers::Many(many) => {
                let removed = many.remove(session);
                if many.list.len() == 1 {
                    *self = Subscribers::One(many.list[0]);
                }
                removed
            }
        }
    }
}

impl Many {
    fn place(&self, session: SessionRef) -> Option<usize> {
        match &self.places {
            Some(places) => places.find(session, &self.list),
            None => self.list.iter().position(|s| s.session == session),
        }
    }

    fn push(&mut self, subscriber: Subscriber) {
        self.list.push(subscriber);
        let count = self.list.len();
        if self.places.is_none() && count < PLACES_FROM {
            return;
        }
        let first = if self.places.is_some() { count - 1 } else { 0 };
        let places = self.places.get_or_insert_default();
        (first..count).for_each(|at| places.insert(at, &self.list));
    }

    fn remove(&mut self, session: SessionRef) -> Option<Subscriber> {
        let at = self.place(session)?;
        if let Some(places) = &mut self.places {
            places.swap_remove(at, &self.list);
        }
        let removed = self.list.swap_remove(at);
        if self.list.len() < PLACES_FROM / 2 {
            self.places = None;
        }
        if self.list.capacity() > 4 * self.list.len().max(4) {
            self.list.shrink_to(2 * self.list.len());
        }
        Some(removed)
    }
}

impl Places {
    fn find(&self, session: SessionRef, list: &[Subscriber]) -> Option<usize> {
        let is_it = |at: &u32| list[*at as usize].session == session;
        self.table.find(self.hasher.hash_one(session), is_it).map(|at| *at as usize)
    }

    fn insert(&mut self, at: usize, list: &[Subscriber]) {
        let hash = |at: &u32| self.hasher.hash_one(list[*at as usize].session);
        let at = at as u32;
        self.table.insert_unique(hash(&at), at, hash);
    }

    /// What `swap_remove` does to the list is done here first: the last one gets the place of the one that goes.
    fn swap_remove(&mut self, at: usize, list: &[Subscriber]) {
        let hash = |at: &u32| self.hasher.hash_one(list[*at as usize].session);
        let (at, last) = (at as u32, list.len() as u32 - 1);
        self.table.remove(hash(&at), |other| *other == at, hash);
        if let Some(moved) = self.table.find_mut(hash(&last), |other| *other == last) {
            *moved = at;
        }
    }
}

#[cfg(test)]
mod tests;

//! The subscriptions that one filter has: none, one or many, cheap to remove from even when there are very many.

use crate::ids::SessionRef;
use crate::subscription::Subscriber;
use alloc::boxed::Box;
use alloc::vec::Vec;
use hashbrown::HashMap;

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
    places: Option<HashMap<SessionRef, u32>>,
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
            Some(places) => places.get(&session).map(|&at| at as usize),
            None => self.list.iter().position(|s| s.session == session),
        }
    }

    fn push(&mut self, subscriber: Subscriber) {
        self.list.push(subscriber);
        let at = self.list.len() as u32 - 1;
        match &mut self.places {
            Some(places) => {
                places.insert(subscriber.session, at);
            }
            None if self.list.len() >= PLACES_FROM => {
                self.places = Some(self.list.iter().zip(0..).map(|(s, at)| (s.session, at)).collect());
            }
            None => {}
        }
    }

    fn remove(&mut self, session: SessionRef) -> Option<Subscriber> {
        let at = self.place(session)?;
        let removed = self.list.swap_remove(at);
        if let Some(places) = &mut self.places {
            places.remove(&session);
            if let Some(moved) = self.list.get(at) {
                places.insert(moved.session, at as u32);
            }
        }
        if self.list.len() < PLACES_FROM / 2 {
            self.places = None;
        }
        if self.list.capacity() > 4 * self.list.len().max(4) {
            self.list.shrink_to(2 * self.list.len());
        }
        Some(removed)
    }
}

#[cfg(test)]
mod tests;

//! Topic aliases of one connection, in both directions. MQTT 5.0 section 3.3.2.3.4.

use crate::looks;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Aliases that the client has set. They end with the connection. [MQTT-3.3.2-7]
#[derive(Debug, Default)]
pub(crate) struct AliasesIn {
    topics: Vec<Option<Arc<str>>>,
}

impl AliasesIn {
    /// `alias` is in 1..=Topic Alias Maximum: the caller has checked.
    pub(crate) fn set(&mut self, alias: u16, topic: &str) {
        let at = usize::from(alias) - 1;
        if self.topics.len() <= at {
            self.topics.resize(at + 1, None);
        }
        if self.topics[at].as_deref() != Some(topic) {
            self.topics[at] = Some(Arc::from(topic));
        }
    }

    pub(crate) fn find(&self, alias: u16) -> Option<Arc<str>> {
        self.topics.get(usize::from(alias).wrapping_sub(1))?.clone()
    }
}

/// Aliases that the broker sets towards a client, first come, first served.
#[derive(Debug)]
pub(crate) struct AliasesOut {
    topics: Vec<Box<str>>,
    /// Finds the place of a topic when there are many.
    places: Option<Box<Places>>,
    /// The client's Topic Alias Maximum, or the broker's own if that is less. [MQTT-3.1.2-26] [MQTT-3.3.2-11]
    count_max: u16,
}

/// From how many aliases on a table finds a topic's place.
const PLACES_FROM: usize = 16;

/// The places of topics in their list, by what they are called.
#[derive(Debug, Default)]
struct Places {
    hasher: DefaultHashBuilder,
    table: HashTable<u16>,
}

impl Places {
    fn find(&self, topic: &str, topics: &[Box<str>]) -> Option<usize> {
        let is_it = |at: &u16| is_same(&topics[usize::from(*at)], topic);
        self.table.find(self.hasher.hash_one(topic), is_it).map(|at| usize::from(*at))
    }

    fn insert(&mut self, at: usize, topics: &[Box<str>]) {
        let hash = |at: usize| self.hasher.hash_one(&*topics[at]);
        self.table.insert_unique(hash(at), at as u16, |at| hash(usize::from(*at)));
    }
}

fn is_same(one: &str, other: &str) -> bool {
    looks::note();
    one == other
}

/// How a topic is written with an alias.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Alias {
    /// Topic and alias together: from now on the alias stands for it.
    Set(u16),
    /// The alias alone.
    Use(u16),
}

impl AliasesOut {
    pub(crate) fn new(count_max: u16) -> AliasesOut {
        AliasesOut { topics: Vec::new(), places: None, count_max }
    }

    pub(crate) fn find(&self, topic: &str) -> Option<Alias> {
        match self.place(topic) {
            Some(at) => Some(Alias::Use(at as u16 + 1)),
            None if self.topics.len() < usize::from(self.count_max) => Some(Alias::Set(self.topics.len() as u16 + 1)),
            None => None,
        }
    }

    fn place(&self, topic: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.find(topic, &self.topics),
            None => self.topics.iter().position(|other| is_same(other, topic)),
        }
    }

    /// What an alias stands for.
    pub(crate) fn topic(&self, alias: u16) -> Option<&str> {
        self.topics.get(usize::from(alias).wrapping_sub(1)).map(|topic| &**topic)
    }

    /// The alias of [`AliasesOut::find`] has been sent.
    pub(crate) fn sent(&mut self, alias: Alias, topic: &str) {
        if let Alias::Set(_) = alias {
            self.topics.push(Box::from(topic));
            self.note_place();
        }
    }

    /// The last topic has come in.
    fn note_place(&mut self) {
        let count = self.topics.len();
        if count < PLACES_FROM {
            return;
        }
        let first = if self.places.is_some() { count - 1 } else { 0 };
        let places = self.places.get_or_insert_default();
        (first..count).for_each(|at| places.insert(at, &self.topics));
    }
}

#[cfg(test)]
mod tests;

//! The sessions of one shard by client identifier. The identifiers stand in the sessions, here are their slots only.

use crate::ids::Slots;
use crate::session::{Session, SessionKey};
use crate::table::Table;
use core::hash::BuildHasher;
use hashbrown::DefaultHashBuilder;

#[derive(Debug, Default)]
pub(crate) struct ClientIds {
    hasher: DefaultHashBuilder,
    slots: Table<u32>,
}

impl ClientIds {
    pub(crate) fn find(&self, client_id: &str, sessions: &Slots<Session>) -> Option<SessionKey> {
        let is_its = |&slot: &u32| sessions.at(slot).is_some_and(|session| *session.client_id == *client_id);
        let slot = *self.slots.find(self.hasher.hash_one(client_id), is_its)?;
        sessions.key_at(slot).map(|(slot, generation)| SessionKey { slot, generation })
    }

    /// The session at `slot` is new.
    pub(crate) fn insert(&mut self, slot: u32, sessions: &Slots<Session>) {
        let hash = hash_of(&self.hasher, sessions);
        self.slots.insert_unique(hash(slot), slot, |&slot| hash(slot));
    }

    /// The session at `slot` is about to go.
    pub(crate) fn remove(&mut self, slot: u32, sessions: &Slots<Session>) {
        let hash = hash_of(&self.hasher, sessions);
        self.slots.remove(hash(slot), |&other| other == slot, |&other| hash(other));
    }
}

fn hash_of(hasher: &DefaultHashBuilder, sessions: &Slots<Session>) -> impl Fn(u32) -> u64 {
    |slot| sessions.at(slot).map_or(0, |session| hasher.hash_one(&*session.client_id))
}

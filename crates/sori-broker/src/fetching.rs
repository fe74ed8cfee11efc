//! Messages that lie in the store only come back into memory before their turn, a few at a time.

use crate::delivery::Order;
use crate::event::{Effect, Event};
use crate::recovered::load;
use crate::session::SessionKey;
use crate::shard::Shard;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Messages fetched at once for one session.
const FETCH_MESSAGES: usize = 128;
/// Payload bytes after which no more are asked for at once.
const FETCH_BYTES: usize = 256 * 1024;

/// Messages of one session, to be read from the store.
#[derive(Debug)]
pub struct Fetch {
    session: SessionKey,
    orders: Vec<Order>,
    /// Where they stand.
    pub places: Vec<u64>,
    /// What stands there, in the same order; `None` when it cannot be read. To be filled in by who reads.
    pub found: Vec<Option<Vec<u8>>>,
}

impl Shard {
    /// Ask for the next messages of a session that lie in the store only.
    pub(crate) fn fetch(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        if core::mem::replace(&mut session.is_fetching, true) {
            return;
        }
        let mut fetch = Fetch { session: key, orders: Vec::new(), places: Vec::new(), found: Vec::new() };
        for (order, place) in session.queue.to_fetch(FETCH_MESSAGES, FETCH_BYTES) {
            fetch.orders.push(order);
            fetch.places.push(place);
        }
        self.effects.push_back(Effect::Fetch(Box::new(fetch)));
    }

    pub(crate) fn take_fetched(&mut self, fetch: Fetch) {
        let Fetch { session: key, orders, places, found } = fetch;
        let (me, memory) = (self.session_ref(key), self.memory.clone());
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        session.is_fetching = false;
        let mut lost = 0;
        for ((order, place), bytes) in orders.into_iter().zip(places).zip(found) {
            let message = bytes.and_then(|bytes| load(&bytes, place, me, &memory, self.recorder.clocks()));
            if let Some(gone) = session.queue.fetched(order, message, &memory) {
                self.recorder.note_gone(me, session, &gone);
                lost += 1;
            }
        }
        if lost > 0 {
            self.totals.dropped_damaged += lost as u64;
            session.dropped += lost as u64;
            let client_id = Arc::clone(&session.client_id);
            self.event(Event::Damaged { client_id, count: lost });
        }
        self.pump(key);
    }
}

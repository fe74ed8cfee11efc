//! What the index says of a session beside its subscriptions: whether the client is there, by which shared subscriptions choose, and whether
//! what the session is owed is recorded. It changes when the client comes or goes, and where there are very many
//! subscriptions it takes several turns until all say so: meanwhile the others say what was.

use crate::index::Place;
use crate::session::SessionKey;
use crate::shard::Shard;

/// A session whose subscriptions are still to be marked.
#[derive(Debug)]
pub(crate) struct Marking {
    key: SessionKey,
    /// All of them, or only the shared ones?
    all: bool,
    /// Those up to here have been.
    after: Option<Place>,
}

impl Shard {
    /// The session has got its connection, or has lost it.
    pub(crate) fn mark_members(&mut self, key: SessionKey) {
        self.mark(key, false);
    }

    /// The session outlives its connection from now on, or does not any more. What is recorded for nothing meanwhile goes with it.
    pub(crate) fn mark_all(&mut self, key: SessionKey) {
        self.mark(key, true);
    }

    fn mark(&mut self, key: SessionKey, all: bool) {
        let Some(session) = self.session(key) else { return };
        if !core::mem::replace(&mut session.is_marking, true) {
            self.markings.push_back(Marking { key, all, after: None });
        } else if let Some(marking) = self.markings.iter_mut().find(|marking| marking.key == key) {
            // It has come and gone before all was said: that begins anew.
            (marking.all, marking.after) = (marking.all || all, None);
        }
        self.mark_some();
    }

    /// Mark some subscriptions. A session that has lost its connection hands back what it has from groups when none of them chooses it
    /// before others any more.
    pub(crate) fn mark_some(&mut self) {
        while self.budget.marks > 0
            && let Some(mut marking) = self.markings.pop_front()
        {
            if !self.mark_places(&mut marking) {
                self.markings.push_front(marking);
                continue;
            }
            let key = marking.key;
            let Some(session) = self.session(key) else { continue };
            session.is_marking = false;
            if session.connection.is_none() {
                self.hand_back(key);
            }
        }
    }

    /// Gives whether that was all.
    fn mark_places(&mut self, marking: &mut Marking) -> bool {
        let (key, most) = (marking.key, self.budget.marks);
        let Some(session) = self.sessions.get(key.slot, key.generation) else { return true };
        let me = self.session_ref(key);
        let is_connected = session.connection.is_some();
        let is_durable = session.is_persistent() && self.settings.keeps_records;
        // Shared ones come first.
        let mut some = session.places.some_after(marking.after, most);
        let were_all = some.len() < most;
        if !marking.all {
            some.retain(|place| place.group.is_some());
        }
        let Some(last) = some.last() else { return true };
        let is_over = were_all || some.len() < most;
        marking.after = Some(*last);
        self.budget.marks -= some.len();
        self.space.write_index(&mut |index| {
            some.iter().for_each(|place| index.mark(place, me, is_connected, is_durable));
        });
        self.generation = self.space.generation();
        is_over
    }
}

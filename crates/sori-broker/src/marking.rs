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
        // What has been begun before begins anew.
        let was_all = self.markings.iter().any(|marking| marking.key == key && marking.all);
        self.markings.retain(|marking| marking.key != key);
        self.markings.push_back(Marking { key, all: all || was_all, after: None });
        self.mark_some();
    }

    /// Mark some subscriptions. A session that has lost its connection hands back what it has from groups when none of them chooses it
    /// before others any more.
    pub(crate) fn mark_some(&mut self) {
        while self.budget.marks > 0
            && let Some(mut marking) = self.markings.pop_front()
        {
            let is_over = self.mark_places(&mut marking);
            let key = marking.key;
            if !is_over {
                self.markings.push_front(marking);
            } else if self.session(key).is_some_and(|session| session.connection.is_none()) {
                self.hand_back(key, false);
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

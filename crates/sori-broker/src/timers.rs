//! Deadlines of one shard, each of which at most one per connection and session stands here.

use crate::time::Time;
use alloc::collections::BTreeSet;

/// What is due. Connections and sessions are known by their slot: whoever leaves one takes its timer out before.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub(crate) enum Timer {
    /// CONNECT is due, or a packet within Keep Alive.
    Connection(u32),
    /// A session ends, or its will is due.
    Session(u32),
    /// A retained message expires.
    Retained,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Time, Timer)>,
}

impl Timers {
    /// Move `timer` from where `place` says to `when`; one that is set to `NEVER` stands nowhere.
    pub(crate) fn set(&mut self, timer: Timer, place: &mut Time, when: Time) {
        if *place == when {
            return;
        }
        if *place != Time::NEVER {
            self.due.remove(&(*place, timer));
        }
        if when != Time::NEVER {
            self.due.insert((when, timer));
        }
        *place = when;
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.due.first().map(|(when, _)| *when)
    }

    /// The next timer that is due at `now`; whoever set it forgets its place.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Timer> {
        let (when, _) = self.due.first()?;
        if *when > now {
            return None;
        }
        self.due.pop_first().map(|(_, timer)| timer)
    }
}

#[cfg(test)]
mod tests;

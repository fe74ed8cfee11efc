//! Deadlines of one shard, each of which at most one per connection and session stands here.

use crate::ids::ConnectionId;
use crate::session::SessionKey;
use crate::time::Time;
use alloc::collections::BTreeSet;

#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub(crate) enum Timer {
    /// CONNECT is due, or a packet within Keep Alive.
    Connection(ConnectionId),
    /// A session ends, or its will is due.
    Session(SessionKey),
    /// A retained message expires.
    Retained,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Time, Timer)>,
}

impl Timers {
    /// Move `timer` from where `place` says to `when`; `NEVER` takes it out.
    pub(crate) fn set(&mut self, timer: Timer, place: &mut Option<Time>, when: Time) {
        if *place == Some(when) {
            return;
        }
        if let Some(old) = place.take() {
            self.due.remove(&(old, timer));
        }
        if when != Time::NEVER {
            self.due.insert((when, timer));
            *place = Some(when);
        }
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

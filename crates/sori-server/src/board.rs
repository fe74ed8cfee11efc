//! Where each shard hangs out its counters, for `$SYS` and whoever else wants to read them.

use sori_broker::{Census, Shard, ShardId, Time, Totals};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How old the counters on the board may be, while something happens.
const AGE_MILLIS_MAX: u64 = 1000;

/// The counters of all shards.
#[derive(Debug)]
pub(crate) struct Board {
    slots: Vec<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    totals: Mutex<Totals>,
    /// The count that is going on.
    census: Mutex<Census>,
    /// When the shard reports next; 0 when it has nothing new.
    due: AtomicU64,
    activity: AtomicU64,
}

impl Board {
    pub(crate) fn new(shards: u16) -> Board {
        Board { slots: (0..shards).map(|_| Slot::default()).collect() }
    }

    /// A shard's turn is over: when `activity` is another number than before, its counters will be hung out soon. With very
    /// many sessions that takes several turns.
    pub(crate) fn report(&self, id: ShardId, shard: &Shard, activity: u64, now: Time) {
        let slot = &self.slots[usize::from(id.0)];
        let due = slot.due.load(Ordering::Relaxed);
        if due == 0 {
            if activity != slot.activity.load(Ordering::Relaxed) {
                slot.due.store(now.plus_millis(AGE_MILLIS_MAX).0, Ordering::Relaxed);
            }
        } else if due <= now.0 {
            slot.count(shard, activity);
        }
    }

    /// When [`Board::report`] has to be called for a shard, even if nothing happens.
    pub(crate) fn next_report(&self, id: ShardId) -> Option<Time> {
        match self.slots[usize::from(id.0)].due.load(Ordering::Relaxed) {
            0 => None,
            due => Some(Time(due)),
        }
    }

    /// The sum over all shards.
    pub(crate) fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        for slot in &self.slots {
            sum += &*slot.totals.lock().unwrap_or_else(PoisonError::into_inner);
        }
        sum
    }
}

impl Slot {
    fn count(&self, shard: &Shard, activity: u64) {
        let mut census = self.census.lock().unwrap_or_else(PoisonError::into_inner);
        if !census.is_begun() {
            // What happens until the count is over may not be in it, and is reported by the next.
            self.activity.store(activity, Ordering::Relaxed);
        }
        if let Some(totals) = shard.count(&mut census) {
            *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = totals;
            self.due.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::LockedSpace;
    use sori_broker::{ListenerSettings, OpenAccess, Settings};
    use std::sync::Arc;

    /// A shard on which so many clients have connected.
    fn shard(clients: u32, now: Time) -> Shard {
        let (settings, space) = (Arc::new(Settings::default()), Arc::new(LockedSpace::new(1)));
        let mut shard = Shard::new(ShardId(0), 1, settings, space, Arc::new(OpenAccess), 1, now);
        for number in 0..clients {
            let id = shard.open(now, Arc::new(ListenerSettings::default()), "127.0.0.1:1");
            let mut connect = b"\x10\x11\0\x04MQTT\x04\x02\0\x3c\0\x05".to_vec();
            connect.extend_from_slice(format!("{number:05}").as_bytes());
            shard.receive(now, id, &connect);
        }
        shard
    }

    #[test]
    fn very_many_sessions_are_counted_in_several_turns() {
        let (board, id, now) = (Board::new(1), ShardId(0), Time(1000));
        let shard = shard(10_000, now);
        board.report(id, &shard, 1, now);
        let now = now.plus_seconds(1);
        for turn in 0..2 {
            board.report(id, &shard, 2, now);
            assert_eq!((board.totals(), board.next_report(id)), (Totals::default(), Some(now)), "turn {turn}");
        }
        board.report(id, &shard, 3, now);
        assert_eq!((board.totals(), board.next_report(id)), (shard.totals(), None));
        assert_eq!(board.totals().clients_connected, 10_000);
        // What happened meanwhile may not have been counted.
        board.report(id, &shard, 3, now);
        assert!(board.next_report(id).is_some());
    }
}

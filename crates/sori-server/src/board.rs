//! Where each shard hangs out its counters, for `$SYS` and whoever else wants to read them.

use sori_broker::{Shard, ShardId, Time, Totals};
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
    /// When the shard reports next; 0 when it has nothing new.
    due: AtomicU64,
    activity: AtomicU64,
}

impl Board {
    pub(crate) fn new(shards: u16) -> Board {
        Board { slots: (0..shards).map(|_| Slot::default()).collect() }
    }

    /// A shard's turn is over: when `activity` is another number than before, its counters will be hung out soon.
    pub(crate) fn report(&self, id: ShardId, shard: &Shard, activity: u64, now: Time) {
        let slot = &self.slots[usize::from(id.0)];
        let due = slot.due.load(Ordering::Relaxed);
        if due == 0 {
            if activity != slot.activity.load(Ordering::Relaxed) {
                slot.due.store(now.plus_millis(AGE_MILLIS_MAX).0, Ordering::Relaxed);
            }
        } else if due <= now.0 {
            slot.activity.store(activity, Ordering::Relaxed);
            *slot.totals.lock().unwrap_or_else(PoisonError::into_inner) = shard.totals();
            slot.due.store(0, Ordering::Relaxed);
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

//! The store is well when the broker is at rest: nothing was unreadable, and neither it nor the memory grows without end.

use super::{Check, Findings, Rest};

pub(super) struct Store;

/// What a store takes however little there is to keep: its reserve, one segment that is being written and one that was, and the
/// records that have come since the checkpoint.
const ROOM_BYTES: u64 = 512 << 10;

/// What the memory holds although nothing waits for anybody: retained messages, subscriptions, wills.
const MEMORY_BYTES: u64 = 1 << 20;

impl Check for Store {
    fn name(&self) -> &'static str {
        "store"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        if rest.totals.dropped_damaged > 0 {
            found.report(format!("{} messages could not be read back", rest.totals.dropped_damaged));
        }
        let Some(figures) = &rest.figures else { return };
        if figures.disk_bytes > figures.live_bytes * 3 / 2 + ROOM_BYTES {
            found.report(format!("{} bytes on the disk for {} live ones", figures.disk_bytes, figures.live_bytes));
        }
        if rest.memory_used > MEMORY_BYTES {
            found.report(format!("{} bytes of memory are used though everybody has got everything", rest.memory_used));
        }
    }
}

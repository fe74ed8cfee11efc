//! How a thread waits for its next turn.

use mio::{Events, Poll};
use std::io;
use std::time::Duration;

/// Wait for something to do, `patience` at most; `events` are those of the last wait.
///
/// After a turn that had something to do, others get the processor first, if any want it. What they send meanwhile is
/// handled in one turn, and a thread that has not gone to sleep need not be woken: with one message in flight per client
/// that was a fifth of all work.
pub(crate) fn wait(poll: &mut Poll, events: &mut Events, patience: Option<Duration>) -> io::Result<()> {
    if !events.is_empty() && patience != Some(Duration::ZERO) {
        std::thread::yield_now();
        poll.poll(events, Some(Duration::ZERO))?;
        if !events.is_empty() {
            return Ok(());
        }
    }
    poll.poll(events, patience)
}

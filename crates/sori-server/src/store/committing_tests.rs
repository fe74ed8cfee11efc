//! Tests of [`crate::store::committing`]. They stand apart because the model checker compiles that file with its own locks.

use crate::inbox::{Inbox, Letter};
use crate::log::Log;
use crate::store::committing::{Alarm, Handed, Shared};
use crate::store::desk::Desk;
use crate::store::gauges;
use crate::worker::Clock;
use mio::{Poll, Token, Waker};
use sori_broker::StoreState;
use std::sync::Arc;

#[test]
fn a_thread_that_ends_before_its_time_is_a_store_that_has_failed() {
    let poll = Poll::new().expect("the system has polls");
    let inbox = Arc::new(Inbox::new(Waker::new(poll.registry(), Token(0)).expect("the system has wakers")));
    let shared = Shared {
        desk: Arc::new(Desk::new(1)),
        inboxes: vec![Arc::clone(&inbox)],
        gauges: Arc::default(),
        clock: Clock::start(),
        log: Log::silent(),
    };
    shared.desk.hand_in(Handed::Checkpoint, 5, false);
    assert!(shared.desk.is_overfull());
    let in_thread = shared.clone();
    let thread = std::thread::spawn(move || {
        let _alarm = Alarm(Some(in_thread));
        // As a panic, but without its message.
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(thread.join().is_err());
    assert!(matches!(inbox.take().pop_front(), Some(Letter::StoreState(StoreState::Failed))));
    assert!(!shared.desk.is_overfull(), "nobody waits for it");
    assert_eq!(gauges::word(&shared.gauges.figures().state), "failed");
}

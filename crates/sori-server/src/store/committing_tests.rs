//! Tests of [`crate::store::committing`]. They stand apart because the model checker compiles that file with its own locks.

use crate::inbox::{Inbox, Letter};
use crate::log::Log;
use crate::store::committing::{Alarm, Handed, Shared, hand_in, run};
use crate::store::desk::Desk;
use crate::store::gauges;
use crate::worker::Clock;
use mio::{Poll, Token, Waker};
use sori_broker::{Records, ShardId, StoreState};
use sori_store::{Committer, MemoryDisk, Options};
use std::sync::Arc;
use std::time::Duration;

/// What the thread shares with one shard.
fn shared(limit: usize) -> (Poll, Shared) {
    let poll = Poll::new().expect("the system has polls");
    let inbox = Arc::new(Inbox::new(Waker::new(poll.registry(), Token(0)).expect("the system has wakers")));
    let shared = Shared {
        desk: Arc::new(Desk::new(limit)),
        inboxes: vec![inbox],
        gauges: Arc::default(),
        clock: Clock::start(),
        log: Log::silent(),
    };
    (poll, shared)
}

#[test]
fn a_thread_that_ends_before_its_time_is_a_store_that_has_failed() {
    let (_poll, shared) = shared(1);
    shared.desk.hand_in(Handed::Checkpoint, 5, false);
    assert!(shared.desk.is_overfull());
    let in_thread = shared.clone();
    let thread = std::thread::spawn(move || {
        let _alarm = Alarm(Some(in_thread));
        // As a panic, but without its message.
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(thread.join().is_err());
    assert!(matches!(shared.inboxes[0].take().pop_front(), Some(Letter::StoreState(StoreState::Failed))));
    assert!(!shared.desk.is_overfull(), "nobody waits for it");
    assert_eq!(gauges::word(&shared.gauges.figures().state), "failed");
}

/// The next state of the store that a shard is told.
fn next_state(inbox: &Inbox) -> StoreState {
    loop {
        for letter in inbox.take() {
            if let Letter::StoreState(state) = letter {
                return state;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_waits_for_a_disk_without_any_room_has_a_bound() {
    const LIMIT: usize = 100_000;
    let (_poll, shared) = shared(LIMIT);
    let (desk, inbox) = (Arc::clone(&shared.desk), Arc::clone(&shared.inboxes[0]));
    let disk = Arc::new(MemoryDisk::new());
    let options = Options { reserve_bytes: 0, store_id: 7, ..Options::default() };
    let on_disk: Arc<dyn sori_store::Disk> = Arc::<MemoryDisk>::clone(&disk);
    let committer = Committer::open(on_disk, options, 1, &mut |_, _| Ok(())).expect("a new store");
    let thread = std::thread::spawn(move || run(committer, shared));
    let mut upto = 0;
    let mut hand_in_more = |bytes: usize| {
        upto += 1;
        let mut records = Records::default();
        (records.bytes, records.upto, records.is_awaited) = (vec![0; bytes], upto, true);
        hand_in(&desk, ShardId(0), records);
    };
    disk.set_capacity(Some(0));
    hand_in_more(1000);
    assert_eq!(next_state(&inbox), StoreState::Full);
    // What is within the limit may wait; more is too much.
    hand_in_more(LIMIT / 2);
    hand_in_more(LIMIT);
    assert_eq!(next_state(&inbox), StoreState::Stuck);
    disk.set_capacity(None);
    let mut states = vec![next_state(&inbox)];
    if states == [StoreState::Full] {
        states.push(next_state(&inbox));
    }
    assert_eq!(states.last(), Some(&StoreState::Ok));
    desk.close();
    thread.join().expect("it ends in order");
}

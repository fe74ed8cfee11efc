//! A full disk: nothing that was acknowledged is lost, nothing is acknowledged that is not there, and room makes all well again.

use crate::keeper::Keeper;
use sori_store::{MemoryDisk, Operation, Options, State};
use std::io;

fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        reserve_bytes: 16 << 10,
        checkpoint_bytes_min: 64 << 10,
        store_id: 7,
        ..Options::default()
    }
}

/// Fills the store until it says so.
fn fill(keeper: &mut Keeper) {
    for _ in 0..10_000 {
        keeper.submit(0, &[1000], 0, true);
        keeper.step();
        if keeper.state == State::Full {
            return;
        }
    }
    panic!("it is never full");
}

#[test]
fn state_file_destroyed_by_stopping_on_a_full_disk() {
    let mut keeper = Keeper::new(options(), 1);
    keeper.disk.set_capacity(Some(300_000));
    fill(&mut keeper);
    assert_eq!(keeper.durable, keeper.submitted(), "the reserve took it");
    assert!(!keeper.disk.files().contains_key("reserve"));
    // Refusing writers still say small things.
    for _ in 0..10 {
        keeper.submit(0, &[], 1, true);
        keeper.step();
    }
    assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Full));
    // Until the reserve is used up as well.
    while keeper.durable == keeper.submitted() {
        keeper.submit(0, &[1000], 0, true);
        keeper.step();
    }
    let durable = keeper.durable;
    (0..5).for_each(|_| keeper.submit(0, &[1000], 0, true));
    keeper.now += 5000;
    keeper.step();
    assert_eq!(keeper.durable, durable, "nothing is durable that could not be written");
    assert!(
        keeper.committer.next_due(keeper.now).is_some_and(|due| due > keeper.now),
        "it tries again, but not at once"
    );
    keeper.check_live();

    // It stops, and starts on the disk that is still full.
    let files = keeper.disk.files();
    let again = MemoryDisk::with_files(files);
    again.set_capacity(Some(300_000));
    keeper.reopen(again, durable).expect("it starts");
    keeper.step();
    assert_eq!(keeper.state, State::Full);
    keeper.check_live();

    keeper.disk.set_capacity(None);
    keeper.now += 1000;
    keeper.step();
    assert_eq!(keeper.state, State::Ok);
    keeper.submit(0, &[1000], 0, true);
    keeper.step();
    assert_eq!(keeper.durable, keeper.submitted());
}

#[test]
fn what_waited_for_room_is_durable_when_there_is_some() {
    let mut keeper = Keeper::new(Options { reserve_bytes: 0, ..options() }, 1);
    keeper.disk.set_capacity(Some(100_000));
    fill(&mut keeper);
    assert_eq!(keeper.durable + 1, keeper.submitted());
    keeper.submit(0, &[100], 0, true);
    keeper.disk.set_capacity(Some(200_000));
    keeper.now += 999;
    keeper.step();
    assert_eq!(keeper.durable + 2, keeper.submitted(), "not before a second has passed");
    keeper.now += 1;
    keeper.step();
    assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Ok));
    let (durable, files) = (keeper.durable, keeper.disk.files());
    keeper.reopen(MemoryDisk::with_files(files), durable).expect("a whole store");
}

#[test]
fn a_full_disk_at_a_new_segment_loses_nothing() {
    // The room ends at every point around the beginning of a segment.
    for capacity in (130_000..135_000).step_by(37) {
        let mut keeper = Keeper::new(Options { reserve_bytes: 0, ..options() }, 1);
        keeper.disk.set_capacity(Some(capacity));
        fill(&mut keeper);
        let left = keeper.disk.after_power_cut(capacity);
        let durable = keeper.durable;
        keeper.disk.set_capacity(None);
        keeper.now += 1000;
        keeper.step();
        assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Ok));
        keeper.reopen(left, durable).unwrap_or_else(|error| panic!("capacity {capacity}: {error}"));
    }
}

#[test]
fn a_store_at_its_size_limit_refuses_until_messages_are_gone() {
    let limit = 400_000;
    // The usual reasons for a checkpoint do not come up.
    let options = Options { size_limit: Some(limit), checkpoint_bytes_min: u64::MAX, ..options() };
    let mut keeper = Keeper::new(options, 1);
    fill(&mut keeper);
    assert!(keeper.committer.figures().disk_bytes <= limit, "{:?}", keeper.committer.figures());
    for _ in 0..60 {
        keeper.submit(0, &[1000], 0, true);
        keeper.now += 100;
        keeper.step();
    }
    assert!(keeper.committer.figures().disk_bytes <= limit, "{:?}", keeper.committer.figures());
    assert!(keeper.durable < keeper.submitted());
    for _ in 0..300 {
        keeper.submit(0, &[], 2, true);
        keeper.now += 100;
        while keeper.committer.wants_step() {
            keeper.step();
        }
        keeper.step();
    }
    assert_eq!((keeper.durable, &keeper.state), (keeper.submitted(), &State::Ok));
    assert!(keeper.committer.figures().disk_bytes < limit / 2, "{:?}", keeper.committer.figures());
}

#[test]
fn a_store_at_its_size_limit_has_room_again_however_its_messages_go() {
    // A checkpoint on the way, after any number of messages, leaves more than there may be for room, and less than a reserve.
    let (reserve_bytes, size_limit) = (40 << 10, Some(122_000));
    let options =
        Options { reserve_bytes, size_limit, segment_bytes: 16 << 10, checkpoint_bytes_min: 40 << 10, ..options() };
    for requested_after in 0..60 {
        let mut keeper = Keeper::new(options.clone(), 1);
        fill(&mut keeper);
        let mut dropped = 0;
        while keeper.live_bytes() > 0 {
            keeper.submit(0, &[], 1, true);
            dropped += 1;
            if dropped == requested_after {
                keeper.committer.request_checkpoint();
            }
            keeper.now += 100;
            keeper.settle();
        }
        for _ in 0..30 {
            keeper.now += 100;
            keeper.step();
            keeper.settle();
        }
        assert_eq!(keeper.state, State::Ok, "{requested_after}: {:?}", keeper.committer.figures());
    }
}

#[test]
fn the_quota_of_a_user_is_a_full_disk_too() {
    let mut keeper = Keeper::new(options(), 1);
    keeper.disk.set_faults(Some(Box::new(|operation, _| {
        (operation == Operation::Append).then(|| io::ErrorKind::QuotaExceeded.into())
    })));
    keeper.submit(0, &[10], 0, true);
    keeper.step();
    assert_eq!((keeper.durable, &keeper.state), (0, &State::Full));
    keeper.disk.set_faults(None);
    keeper.now += 1000;
    keeper.step();
    assert_eq!((keeper.durable, &keeper.state), (1, &State::Ok));
}

#[test]
fn a_torn_write_that_cannot_be_cut_off_is_a_failure() {
    let mut keeper = Keeper::new(options(), 1);
    keeper.disk.set_faults(Some(Box::new(|operation, _| match operation {
        Operation::Append => Some(io::ErrorKind::StorageFull.into()),
        Operation::Truncate => Some(io::Error::other("it is broken")),
        _ => None,
    })));
    keeper.submit(0, &[10], 0, true);
    keeper.step();
    assert!(matches!(&keeper.state, State::Failed { text } if text.contains("it is broken")), "{:?}", keeper.state);
}

#[test]
fn room_for_the_reserve_alone_is_not_room_enough() {
    let mut keeper = Keeper::new(options(), 1);
    keeper.disk.set_capacity(Some(200_000));
    fill(&mut keeper);
    for (room, state) in [(24 << 10, State::Full), (40 << 10, State::Ok)] {
        let used = keeper.committer.figures().disk_bytes;
        keeper.disk.set_capacity(Some(used + room));
        keeper.now += 1000;
        keeper.step();
        assert_eq!(keeper.state, state, "{room} bytes of room");
    }
}

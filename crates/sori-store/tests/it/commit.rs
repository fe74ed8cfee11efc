//! When a piece is written, when it is durable, and what a failure does.

use crate::keeper::{Found, Keeper, open};
use sori_store::{Committer, Durability, MemoryDisk, Operation, Options, Outcome, Piece, State};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn with(durability: Durability) -> Options {
    Options { durability, reserve_bytes: 1 << 10, store_id: 7, ..Options::default() }
}

fn piece(upto: u64, is_awaited: bool) -> Piece {
    Piece { upto, is_awaited, bytes: vec![0; 9], ..Piece::default() }
}

fn durable(outcomes: &[Outcome]) -> Vec<u64> {
    let upto = |outcome: &Outcome| match outcome {
        Outcome::Durable { upto, .. } => Some(*upto),
        _ => None,
    };
    outcomes.iter().filter_map(upto).collect()
}

/// A new store, and a count of the syncs of its segments.
fn counted(durability: Durability) -> (Committer, Arc<MemoryDisk>, Arc<AtomicU64>) {
    let disk = Arc::new(MemoryDisk::new());
    let (committer, _) = open(&disk, &with(durability), 1).expect("a new store");
    let syncs = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&syncs);
    disk.set_faults(Some(Box::new(move |operation, _| {
        counter.fetch_add(u64::from(operation == Operation::Sync), Ordering::Relaxed);
        None
    })));
    (committer, disk, syncs)
}

#[test]
fn many_pieces_cost_one_write_and_one_sync() {
    let (mut committer, _, syncs) = counted(Durability::Always);
    (1..=100).for_each(|upto| committer.submit(piece(upto, true)));
    assert_eq!(durable(&committer.step(0)), (1..=100).collect::<Vec<_>>());
    assert_eq!((syncs.load(Ordering::Relaxed), committer.figures().commits), (1, 1));
    assert_eq!(committer.recent_batches(), [32 + 900], "a header and the pieces");
}

#[test]
fn what_nobody_waits_for_rides_along_or_goes_after_a_tenth_of_a_second() {
    let (mut committer, _, _) = counted(Durability::Always);
    committer.submit(piece(1, false));
    assert!(committer.wants_step(), "to note the time");
    assert!(committer.step(5).is_empty());
    assert!(!committer.wants_step());
    assert_eq!(committer.next_due(20), Some(105));
    assert!(committer.step(104).is_empty());
    assert_eq!(durable(&committer.step(105)), [1]);
    assert_eq!(committer.next_due(105), None);

    committer.submit(piece(2, false));
    committer.submit(piece(3, true));
    assert_eq!(durable(&committer.step(106)), [2, 3]);
}

#[test]
fn a_fence_is_durable_with_what_came_before_it() {
    let (mut committer, _, syncs) = counted(Durability::Always);
    let fence = |upto| Piece { upto, is_awaited: true, ..Piece::default() };
    committer.submit(fence(1));
    assert_eq!(durable(&committer.step(0)), [1], "nothing came before it");
    assert_eq!(syncs.load(Ordering::Relaxed), 0);
    committer.submit(piece(2, false));
    committer.submit(fence(3));
    assert_eq!(durable(&committer.step(0)), [2, 3]);
    assert_eq!(syncs.load(Ordering::Relaxed), 1);
}

#[test]
fn with_an_interval_it_is_durable_when_written_and_synced_later() {
    let (mut committer, _, syncs) = counted(Durability::Interval(Duration::from_millis(500)));
    committer.submit(piece(1, true));
    assert_eq!(durable(&committer.step(1000)), [1]);
    assert_eq!((syncs.load(Ordering::Relaxed), committer.next_due(1000)), (0, Some(1500)));
    committer.submit(piece(2, true));
    committer.step(1400);
    committer.step(1500);
    assert_eq!((syncs.load(Ordering::Relaxed), committer.next_due(1500)), (1, None));
}

#[test]
fn with_never_it_is_synced_when_the_store_is_closed() {
    let (mut committer, disk, syncs) = counted(Durability::Never);
    committer.submit(piece(1, true));
    assert_eq!(durable(&committer.step(0)), [1]);
    assert_eq!((syncs.load(Ordering::Relaxed), committer.next_due(0)), (0, None));
    committer.submit(piece(2, false));
    assert_eq!(durable(&committer.close()), [2]);
    let left = Arc::new(disk.after_power_cut(3));
    let mut pieces = 0;
    Committer::open(left, with(Durability::Never), 1, &mut |_, bytes| {
        pieces += bytes.len() / 9;
        Ok(())
    })
    .expect("a whole store");
    assert_eq!(pieces, 2);
}

#[test]
fn closing_without_work_writes_nothing() {
    let (committer, disk, _) = counted(Durability::Always);
    let before = disk.files();
    assert!(committer.close().is_empty());
    assert_eq!(disk.files(), before);
}

#[test]
fn long_pieces_are_not_split_and_short_ones_fill_frames() {
    let disk = Arc::new(MemoryDisk::new());
    let (mut committer, _) = open(&disk, &with(Durability::Always), 1).expect("a new store");
    let lengths = [5 << 20, 2 << 20, 5 << 20, 40 << 20, 100];
    for (upto, length) in (1..).zip(lengths) {
        committer.submit(Piece { upto, is_awaited: true, bytes: vec![upto as u8; length], ..Piece::default() });
    }
    assert_eq!(durable(&committer.step(0)), [1, 2, 3, 4, 5]);
    drop(committer);
    let mut frames = Vec::new();
    Committer::open(disk, with(Durability::Always), 1, &mut |_, bytes| {
        frames.push(bytes.len());
        Ok(())
    })
    .expect("a whole store");
    assert_eq!(frames, [7 << 20, 5 << 20, 40 << 20, 100]);
}

/// Lets the first operation of a kind on a segment fail, with everything after it well again.
fn fail_once(operation: Operation) -> (Vec<Outcome>, Vec<Outcome>, Arc<MemoryDisk>) {
    let disk = Arc::new(MemoryDisk::new());
    let (mut committer, _) = open(&disk, &with(Durability::Always), 1).expect("a new store");
    committer.submit(piece(1, true));
    assert_eq!(durable(&committer.step(0)), [1]);
    let mut has_failed = false;
    disk.set_faults(Some(Box::new(move |now, _| {
        let fails = now == operation && !has_failed;
        has_failed |= fails;
        fails.then(|| io::Error::other("the disk is broken"))
    })));
    committer.submit(piece(2, true));
    let first = committer.step(1);
    committer.submit(piece(3, true));
    assert!(!committer.wants_step() && committer.next_due(5).is_none(), "there is nothing to be done");
    let later = committer.step(5000);
    (first, later, disk)
}

#[test]
fn after_a_failed_write_nothing_is_durable_any_more() {
    let (first, later, disk) = fail_once(Operation::Append);
    assert!(
        matches!(&first[..], [Outcome::State(State::Failed { text })] if text.contains("00000001.log")),
        "{first:?}"
    );
    assert!(later.is_empty(), "{later:?}");
    open(&Arc::new(disk.after_power_cut(1)), &with(Durability::Always), 1).expect("what was durable before");
}

#[test]
fn a_failed_sync_is_never_repeated_as_if_it_had_worked() {
    let (first, later, _) = fail_once(Operation::Sync);
    assert!(
        matches!(&first[..], [Outcome::State(State::Failed { text })] if text.contains("sync 00000001.log")),
        "{first:?}"
    );
    assert!(later.is_empty(), "{later:?}");
}

#[test]
fn a_store_that_cannot_be_made_says_why() {
    for operation in [Operation::Create, Operation::Append, Operation::Sync, Operation::SyncDirectory] {
        let disk = MemoryDisk::new();
        disk.set_faults(Some(Box::new(move |now, _| (now == operation).then(|| io::Error::other("it is broken")))));
        let error = open(&Arc::new(disk), &with(Durability::Always), 1).err().expect("the disk is broken");
        assert!(error.to_string().contains("it is broken"), "{error}");
    }
}

#[test]
fn records_that_are_not_understood_are_named() {
    let mut keeper = Keeper::new(with(Durability::Always), 1);
    keeper.submit(0, &[10], 0, true);
    keeper.step();
    let disk: Arc<dyn sori_store::Disk> = Arc::new(MemoryDisk::with_files(keeper.disk.files()));
    let refused = Committer::open(disk, with(Durability::Always), 1, &mut |_, _| Err("what is this?".into()));
    let text = refused.err().expect("it was refused").to_string();
    assert!(text.contains("00000001.log, offset 128: what is this?"), "{text}");
}

#[test]
fn a_newer_version_is_refused_and_nothing_is_changed() {
    let mut keeper = Keeper::new(with(Durability::Always), 1);
    keeper.submit(0, &[10], 0, true);
    keeper.step();
    let mut files = keeper.disk.files();
    let segment = files.get_mut("00000001.log").expect("the first segment");
    for copy in [0, 64] {
        segment[copy + 8] = 2;
        let crc = crc32fast::hash(&segment[copy..copy + 60]);
        segment[copy + 60..copy + 64].copy_from_slice(&crc.to_le_bytes());
    }
    let disk = Arc::new(MemoryDisk::with_files(files.clone()));
    let text = open(&disk, &with(Durability::Always), 1).err().expect("it is newer").to_string();
    assert!(text.contains("00000001.log") && text.contains("version 2") && text.contains("newer"), "{text}");
    assert_eq!(disk.files(), files);
}

#[test]
fn the_same_work_gives_the_same_bytes() {
    let run = || {
        let mut keeper = Keeper::new(with(Durability::Always), 2);
        let mut chance = crate::chance::Chance(5);
        (0..50).for_each(|_| keeper.random_turn(&mut chance));
        keeper.disk.files()
    };
    assert_eq!(run(), run());
}

#[test]
fn replay_gives_what_was_submitted_in_order() {
    let mut keeper = Keeper::new(with(Durability::Always), 2);
    (0..10).for_each(|at| keeper.submit(at % 2, &[at * 10, 3], 0, at % 3 == 0));
    keeper.settle();
    let (durable, files) = (keeper.durable, keeper.disk.files());
    assert_eq!(durable, 10);
    keeper.reopen(MemoryDisk::with_files(files), durable).expect("a whole store");
    let mut found = Found::default();
    assert!(found.apply(0, &[9; 9]).is_err(), "the test's own reader refuses what it does not know");
}

/// So much that one frame of what nobody waits for does not hold two of them.
const LONG: usize = 200 << 10;

#[test]
fn nothing_is_told_durable_when_the_sync_before_a_checkpoint_fails() {
    let mut keeper = Keeper::new(Options::default(), 1);
    keeper.submit(0, &[10], 0, true);
    keeper.step();
    (0..3).for_each(|_| keeper.submit(0, &[LONG], 0, false));
    keeper.step();
    keeper.committer.request_checkpoint();
    keeper.disk.set_faults(Some(Box::new(|operation, _| {
        (operation == Operation::Sync).then(|| io::Error::other("it is broken"))
    })));
    keeper.now += 100;
    keeper.step();
    assert!(matches!(&keeper.state, State::Failed { text } if text.contains("it is broken")), "{:?}", keeper.state);
    assert_eq!(keeper.durable, 1, "what was written since is not synced");
}

#[test]
fn closing_writes_all_that_is_left_though_nobody_waits() {
    let mut keeper = Keeper::new(Options::default(), 1);
    (0..3).for_each(|_| keeper.submit(0, &[LONG], 0, false));
    let submitted = keeper.submitted();
    keeper.close();
    assert_eq!(keeper.durable, submitted);
    let files = keeper.disk.files();
    keeper.reopen(MemoryDisk::with_files(files), submitted).expect("a whole store");
}

#[test]
fn a_piece_that_is_too_long_is_a_failure() {
    let mut keeper = Keeper::new(Options::default(), 1);
    keeper.committer.submit(Piece { upto: 1, bytes: vec![0; (1 << 30) + 1], is_awaited: true, ..Piece::default() });
    keeper.step();
    assert!(matches!(&keeper.state, State::Failed { text } if text.contains("1073741825 bytes")), "{:?}", keeper.state);
    assert!(!keeper.committer.wants_step());
}

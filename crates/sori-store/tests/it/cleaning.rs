//! Checkpoints, and how little of what is dead stays on the disk.

use crate::chance::Chance;
use crate::keeper::{Keeper, check_content, open};
use sori_store::{MemoryDisk, Options, Outcome, State};
use std::collections::BTreeMap;
use std::sync::Arc;

fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        reserve_bytes: 1 << 10,
        checkpoint_bytes_min: 64 << 10,
        store_id: 7,
        ..Options::default()
    }
}

/// Messages come and go; each of the given number of turns lets the writers answer.
fn churn(keeper: &mut Keeper, turns: u64, drops: usize) {
    for turn in 0..turns {
        keeper.submit(turn as usize % 2, &[500, 700], drops, true);
        keeper.settle();
    }
}

#[test]
fn disk_use_stays_near_what_is_alive() {
    let mut keeper = Keeper::new(options(), 2);
    churn(&mut keeper, 1000, 0);
    churn(&mut keeper, 5000, 2);
    let figures = keeper.committer.figures();
    let live = keeper.live_bytes();
    assert!(live > 1_000_000, "{live}");
    assert!(figures.checkpoints > 5 && figures.segments_removed > 50, "{figures:?}");
    assert!(figures.disk_bytes < live * 3 / 2 + (128 << 10), "{} bytes for {live} that are alive", figures.disk_bytes);
    assert!(
        figures.live_bytes > live && figures.live_bytes < live * 5 / 4,
        "{} bytes by estimate, {live} are alive",
        figures.live_bytes
    );
    keeper.check_live();
    let (durable, files) = (keeper.durable, keeper.disk.files());
    keeper.reopen(MemoryDisk::with_files(files), durable).expect("a whole store");
}

#[test]
fn a_store_whose_messages_are_all_gone_is_small_again() {
    let mut keeper = Keeper::new(options(), 2);
    churn(&mut keeper, 1000, 0);
    while keeper.live_bytes() > 0 {
        churn(&mut keeper, 1, 100);
        (0..2).for_each(|writer| keeper.submit(writer, &[], 100, true));
    }
    keeper.committer.request_checkpoint();
    keeper.settle();
    let figures = keeper.committer.figures();
    assert!(figures.disk_bytes < 64 << 10, "{figures:?}");
    assert!(keeper.disk.files().len() < 5, "{:?}", keeper.disk.files().keys());
}

#[test]
fn sparse_segments_are_emptied_and_their_messages_found_at_their_old_places() {
    let mut keeper = Keeper::new(options(), 1);
    for _ in 0..400 {
        keeper.submit(0, &[1000], 0, true);
        keeper.step();
    }
    // Every fourth stays.
    let places: BTreeMap<u64, u64> =
        keeper.writers[0].live.iter().filter_map(|(id, place)| Some((*id, (*place)?))).collect();
    let kept: BTreeMap<u64, u64> = places.into_iter().step_by(4).collect();
    let mut all = std::mem::take(&mut keeper.writers[0].live);
    all.retain(|id, _| kept.contains_key(id));
    keeper.writers[0].live = all;
    for round in 1..=2 {
        keeper.committer.request_checkpoint();
        keeper.settle();
        check_content(&keeper.committer.reader(), &kept);
        assert!(keeper.moved_bytes > 50_000, "{} bytes moved", keeper.moved_bytes);
        assert!(keeper.committer.figures().relocations > 50, "round {round}: {:?}", keeper.committer.figures());
    }
    assert!(keeper.committer.figures().disk_bytes < 160_000, "{:?}", keeper.committer.figures());
    // Two checkpoints later everybody knows the new places.
    keeper.committer.request_checkpoint();
    keeper.settle();
    assert_eq!(keeper.committer.figures().relocations, 0);
    keeper.check_live();
    let (oldest, _) = kept.iter().next().expect("many are kept");
    let error = keeper.committer.reader().read(kept[oldest]).expect_err("its segment is gone").to_string();
    assert!(error.contains("00000001.log"), "{error}");
}

#[test]
fn an_old_place_that_is_named_while_a_checkpoint_runs_is_understood_after_a_restart() {
    let mut keeper = Keeper::new(options(), 2);
    for _ in 0..400 {
        keeper.submit(0, &[1000], 0, true);
        keeper.step();
    }
    let mut at = 0;
    keeper.writers[0].live.retain(|_, _| {
        at += 1;
        at % 4 == 0
    });
    let kept: BTreeMap<u64, u64> =
        keeper.writers[0].live.iter().filter_map(|(id, place)| Some((*id, (*place)?))).collect();
    keeper.committer.request_checkpoint();
    keeper.settle();
    assert!(keeper.moved_bytes > 50_000, "{} bytes moved", keeper.moved_bytes);
    // The next checkpoint begins. The first writer tells all that it has; the second has not heard of any move.
    keeper.committer.request_checkpoint();
    keeper.step();
    while keeper.writers[0].is_busy() {
        keeper.submit(0, &[], 0, true);
        keeper.step();
    }
    keeper.submit_names(1, &kept);
    keeper.settle();
    assert_eq!(keeper.committer.figures().checkpoints, 2);
    let disk = Arc::new(MemoryDisk::with_files(keeper.disk.files()));
    let (committer, found) = open(&disk, &keeper.options, 2).expect("a whole store");
    assert!(found.live.keys().eq(kept.keys()));
    check_content(&committer.reader(), &found.live);
}

#[test]
fn a_message_that_cannot_be_read_keeps_its_segment() {
    let mut keeper = Keeper::new(options(), 1);
    for _ in 0..100 {
        keeper.submit(0, &[1000], 0, true);
        keeper.step();
    }
    let mut files = keeper.disk.files();
    // A bit of the second message flips on the medium while the store is in use.
    let second = *keeper.writers[0].live.values().nth(1).expect("many").as_ref().expect("placed") as usize;
    files.get_mut("00000001.log").expect("the first segment")[second % (1 << 32) + 500] ^= 1;
    let mut at = 0;
    keeper.writers[0].live.retain(|_, _| {
        at += 1;
        at <= 2
    });
    let bytes = files.remove("00000001.log").expect("the first segment");
    sori_store::Disk::truncate(&*keeper.disk, "00000001.log", 0).expect("it is there");
    sori_store::Disk::append(&*keeper.disk, "00000001.log", &bytes).expect("it is there");
    keeper.committer.request_checkpoint();
    let mut unreadable = Vec::new();
    for _ in 0..100 {
        for outcome in keeper.committer.step(keeper.now) {
            match outcome {
                Outcome::Unreadable(error) => unreadable.push(error.to_string()),
                outcome => keeper.hear(outcome),
            }
        }
        keeper.submit(0, &[], 0, true);
    }
    assert!(matches!(&unreadable[..], [text] if text.contains("00000001.log")), "{unreadable:?}");
    assert!(keeper.disk.files().contains_key("00000001.log"));
    assert_eq!(keeper.state, State::Ok);
}

#[test]
fn messages_are_read_while_their_segments_go() {
    let mut keeper = Keeper::new(options(), 2);
    churn(&mut keeper, 200, 0);
    let reader = keeper.committer.reader();
    std::thread::scope(|scope| {
        let kept: BTreeMap<u64, u64> =
            keeper.writers[1].live.iter().step_by(5).filter_map(|(id, place)| Some((*id, (*place)?))).collect();
        keeper.writers[1].live.retain(|id, _| kept.contains_key(id));
        keeper.writers[0].live.clear();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let (looked, has_looked) = std::sync::mpsc::channel();
        scope.spawn(move || {
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                check_content(&reader, &kept);
                let _ = looked.send(());
            }
        });
        has_looked.recv().expect("all can be read");
        keeper.committer.request_checkpoint();
        keeper.settle();
        has_looked.try_iter().for_each(drop);
        has_looked.recv().expect("all can be read at the end");
        drop(stop);
    });
    assert!(keeper.cleaned_segments > 2 && keeper.moved_bytes > 0, "{}", keeper.cleaned_segments);
}

#[test]
fn random_lives_without_faults_are_clean_at_the_end() {
    let mut chance = Chance(11);
    let mut keeper = Keeper::new(options(), 3);
    for _ in 0..3000 {
        keeper.random_turn(&mut chance);
    }
    keeper.settle();
    assert_eq!(keeper.durable, keeper.submitted());
    keeper.check_live();
}

#[test]
fn what_is_alive_is_known_after_a_restart() {
    let mut keeper = Keeper::new(options(), 1);
    (0..100).for_each(|_| keeper.submit(0, &[500, 700], 0, true));
    keeper.settle();
    assert_eq!(keeper.committer.figures().checkpoints, 0);
    let (live, files) = (keeper.live_bytes(), keeper.disk.files());
    keeper.reopen(MemoryDisk::with_files(files), keeper.durable).expect("a whole store");
    assert_eq!(keeper.committer.figures().live_bytes, live);
    keeper.settle();
    assert_eq!(keeper.committer.figures().checkpoints, 0, "{:?}", keeper.committer.figures());
}

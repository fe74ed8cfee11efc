//! Power cuts between any two operations of the disk, in life after life of one store.

use crate::chance::Chance;
use crate::keeper::Keeper;
use sori_store::{Durability, MemoryDisk, Operation, Options};
use std::io;
use std::time::Duration;

fn small(store_id: u64, durability: Durability) -> Options {
    Options {
        durability,
        segment_bytes: 8 << 10,
        reserve_bytes: 1 << 10,
        checkpoint_bytes_min: 12 << 10,
        store_id,
        ..Options::default()
    }
}

/// Lives that end with a power cut after some operation. Says how often segments were cleaned.
fn lives(seed: u64, lives: u64, durability: Durability) -> (u32, u64) {
    let mut chance = Chance(seed);
    let mut keeper = Keeper::new(small(seed, durability), 3);
    for _ in 0..lives {
        let mut operations_left = 1 + chance.below(600);
        keeper.disk.set_faults(Some(Box::new(move |operation, _| {
            operations_left = operations_left.saturating_sub(u64::from(operation != Operation::Read));
            (operations_left == 0).then(|| io::Error::other("the power is off"))
        })));
        if chance.one_in(4) {
            let used: usize = keeper.disk.files().values().map(Vec::len).sum();
            keeper.disk.set_capacity(Some(used as u64 + chance.below(20_000)));
        }
        for _ in 0..200 {
            keeper.random_turn(&mut chance);
            if chance.one_in(150) {
                keeper.committer.request_checkpoint();
            }
        }
        // With the other durabilities a power cut may lose anything that was told, but what is left must make sense. The end of the
        // process loses nothing.
        let is_power_cut = durability == Durability::Always || chance.one_in(2);
        let (after, durable) = if is_power_cut {
            let durable = if durability == Durability::Always { keeper.durable } else { 0 };
            (keeper.disk.after_power_cut(chance.next()), durable)
        } else {
            (MemoryDisk::with_files(keeper.disk.files()), keeper.durable)
        };
        keeper.reopen(after, durable).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    (keeper.cleaned_segments, keeper.moved_bytes)
}

#[test]
fn what_was_durable_survives_a_power_cut_after_any_operation() {
    let (mut cleaned, mut moved) = (0, 0);
    for seed in 0..30 {
        let (segments, bytes) = lives(seed, 12, Durability::Always);
        cleaned += segments;
        moved += bytes;
    }
    assert!(cleaned > 50 && moved > 5_000, "the runs clean little: {cleaned} segments, {moved} bytes moved");
}

#[test]
fn with_an_interval_or_never_what_was_told_survives_the_end_of_the_process_and_a_power_cut_leaves_a_prefix() {
    for seed in 0..10 {
        lives(seed, 6, Durability::Interval(Duration::from_millis(50)));
        lives(seed, 6, Durability::Never);
    }
}

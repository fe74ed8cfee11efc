//! What a shard hands in to be kept is kept, and the shard is told when it is: not before it is on the disk, and not never.
//!
//! The committer's thread is the real one, on a disk in memory whose power is cut whenever somebody is told that something is durable.

use crate::explore::{Thread, explore, explore_with, spawn};
use crate::inbox::{Inbox, Letter};
use crate::log::Log;
use crate::store::committing::{self, Handed, Shared};
use crate::store::desk::Desk;
use crate::store::gauges::Gauges;
use crate::sync::Waker;
use crate::worker::Clock;
use sori_broker::{Records, ShardId, StoreState};
use sori_store::{Committer, MemoryDisk, Operation, Options};
use std::sync::Arc;

/// Seeds of power cuts: what was not synced is there after some of them, and missing after others.
const CUTS: std::ops::Range<u64> = 0..3;

/// A store, its committer's thread, and two shards.
struct Store {
    disk: Arc<MemoryDisk>,
    desk: Arc<Desk<Handed>>,
    ends: [End; 2],
    thread: Thread<()>,
}

/// A shard's end of the store.
#[derive(Clone)]
struct End {
    shard: u8,
    desk: Arc<Desk<Handed>>,
    inbox: Arc<Inbox>,
    waker: Waker,
    disk: Arc<MemoryDisk>,
}

fn options() -> Options {
    Options { reserve_bytes: 0, store_id: 7, ..Options::default() }
}

/// The records in a store, each its shard and its number.
fn found(disk: MemoryDisk) -> Vec<[u8; 2]> {
    let mut found = Vec::new();
    let opened = Committer::open(Arc::new(disk), options(), 2, &mut |_, records| {
        found.extend(records.chunks_exact(2).map(|record| [record[0], record[1]]));
        Ok(())
    });
    drop(opened.expect("a power cut damages nothing"));
    found
}

impl Store {
    fn start() -> Store {
        let disk = Arc::new(MemoryDisk::new());
        let on_disk: Arc<dyn sori_store::Disk> = Arc::<MemoryDisk>::clone(&disk);
        let committer = Committer::open(on_disk, options(), 2, &mut |_, _| Ok(())).expect("a new store");
        let desk = Arc::new(Desk::new(1000));
        let ends = [0, 1].map(|shard| {
            let waker = Waker::new();
            let inbox = Arc::new(Inbox::new(waker.clone()));
            End { shard, desk: Arc::clone(&desk), inbox, waker, disk: Arc::clone(&disk) }
        });
        let inboxes = ends.iter().map(|end| Arc::clone(&end.inbox)).collect();
        let shared = Shared { desk: Arc::clone(&desk), inboxes, gauges: Arc::new(Gauges), clock: Clock, log: Log };
        let thread = spawn(move || committing::run(committer, shared));
        Store { disk, desk, ends, thread }
    }

    /// The broker stops: everything that was handed in must be in the store.
    fn stop(self, expected: &[[u8; 2]]) {
        self.desk.close();
        self.thread.join();
        let mut found = found(self.disk.after_power_cut(1));
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}

impl End {
    fn hand_in(&self, number: u8, is_awaited: bool) {
        self.hand_in_bytes(vec![self.shard, number], number, is_awaited);
    }

    fn hand_in_bytes(&self, bytes: Vec<u8>, number: u8, is_awaited: bool) {
        let mut records = Records::default();
        (records.bytes, records.upto, records.is_awaited) = (bytes, number.into(), is_awaited);
        committing::hand_in(&self.desk, ShardId(self.shard.into()), records);
    }

    /// Waits for one letter.
    fn next_letter(&self) -> Letter {
        loop {
            self.waker.wait();
            if let Some(letter) = self.inbox.take().pop_front() {
                return letter;
            }
        }
    }

    /// Waits until it is told that its records up to a number are durable; `is_there` is asked about the store as it is then.
    fn wait_for(&self, number: u64, is_there: impl Fn(&[[u8; 2]], u64) -> bool) {
        let mut durable = 0;
        while durable < number {
            self.waker.wait();
            for letter in self.inbox.take() {
                let Letter::Durable(upto) = letter else { unreachable!("nothing else is told") };
                assert!(upto > durable, "it is told once, in order");
                durable = upto;
                for seed in CUTS {
                    assert!(is_there(&found(self.disk.after_power_cut(seed)), upto), "it is not on the disk");
                }
            }
        }
    }

    fn has_all(&self) -> impl Fn(&[[u8; 2]], u64) -> bool {
        let shard = self.shard;
        move |found, upto| {
            let mine: Vec<_> = found.iter().filter(|record| record[0] == shard).map(|record| record[1]).collect();
            mine.len() as u64 >= upto && mine.iter().zip(1..).all(|(number, expected)| *number == expected)
        }
    }
}

pub fn what_two_shards_hand_in_is_kept_and_each_is_told() {
    explore_with(Some(2), || {
        let store = Store::start();
        let shards = store.ends.clone().map(|end| {
            spawn(move || {
                end.hand_in(1, true);
                if end.shard == 0 {
                    end.hand_in(2, true);
                }
                end.wait_for(2 - u64::from(end.shard), end.has_all());
            })
        });
        shards.into_iter().for_each(Thread::join);
        store.stop(&[[0, 1], [0, 2], [1, 1]]);
    });
}

/// A piece without records waits only for what was handed in before, by whomever.
pub fn what_waits_for_what_another_shard_handed_in_is_told_after_it() {
    explore_with(Some(2), || {
        let store = Store::start();
        let [first, second] = store.ends.clone();
        let mail = Arc::clone(&second.inbox);
        let a = spawn(move || {
            first.hand_in(1, false);
            mail.post(Letter::Stirred(1));
        });
        let b = spawn(move || {
            second.next_letter();
            second.hand_in_bytes(Vec::new(), 1, true);
            second.wait_for(1, |found, _| found == [[0, 1]]);
        });
        a.join();
        b.join();
        store.stop(&[[0, 1]]);
    });
}

pub fn what_nobody_waits_for_is_kept_when_the_broker_stops() {
    explore(|| {
        let store = Store::start();
        let end = store.ends[0].clone();
        let shard = spawn(move || end.hand_in(1, false));
        shard.join();
        store.stop(&[[0, 1]]);
    });
}

pub fn a_failed_store_is_told_to_who_waits() {
    explore_with(Some(2), || {
        let store = Store::start();
        store.disk.set_faults(Some(Box::new(|operation, _| {
            (operation == Operation::Sync).then(|| std::io::ErrorKind::Other.into())
        })));
        let shards = store.ends.clone().map(|end| {
            spawn(move || {
                end.hand_in(1, true);
                assert!(matches!(end.next_letter(), Letter::StoreState(StoreState::Failed)), "nothing is durable");
            })
        });
        shards.into_iter().for_each(Thread::join);
        store.desk.close();
        store.thread.join();
    });
}

//! A client identifier has one owner, whatever connects and ends at the same time.

use crate::explore::{Thread, explore, explore_with, spawn};
use crate::packets::{DISCONNECT, connect};
use crate::worker::{Worker, finish, workers};

/// One session and one connection are left, whoever won.
fn assert_one_owner<const COUNT: usize>(workers: &mut [Worker; COUNT]) {
    finish(workers);
    let sessions: Vec<u64> = workers.iter().map(Worker::sessions).collect();
    assert_eq!(sessions.iter().sum::<u64>(), 1, "sessions by shard: {sessions:?}");
    assert_eq!(workers.iter().map(Worker::connected).sum::<u64>(), 1);
}

pub fn two_shards_that_claim_one_client_id_end_up_with_one_session() {
    for clean_start in [true, false] {
        explore(move || {
            let [mut a, mut b] = workers();
            let threads = [
                spawn(move || {
                    a.connect("first", &[&connect("c", clean_start)]);
                    a.turn();
                    a
                }),
                spawn(move || {
                    b.connect("second", &[&connect("c", clean_start)]);
                    b.turn();
                    b
                }),
            ];
            let mut both = threads.map(Thread::join);
            assert_one_owner(&mut both);
            let is_open = |client: &str| both.iter().any(|worker| worker.has_client(client));
            assert!(is_open("first") != is_open("second"), "one was taken over by the other");
        });
    }
}

pub fn a_client_id_that_is_released_while_two_shards_want_it_goes_to_one() {
    explore_with(Some(3), || {
        let [mut a, mut b, mut c] = workers();
        a.connect("old", &[&connect("c", true)]);
        let threads = [
            spawn(move || {
                a.receive("old", &[&DISCONNECT]);
                a.turn();
                a
            }),
            spawn(move || {
                b.connect("first", &[&connect("c", true)]);
                b.turn();
                b
            }),
            spawn(move || {
                c.connect("second", &[&connect("c", true)]);
                c.turn();
                c
            }),
        ];
        let mut all = threads.map(Thread::join);
        assert_one_owner(&mut all);
    });
}

//! Tests of [`crate::store::desk`]. They stand apart because the model checker compiles that file with its own locks.

use crate::store::desk::{Desk, SHORT};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn taken(desk: &Desk<u32>, patience: Option<Duration>) -> (Vec<u32>, bool) {
    let mut things = Vec::new();
    let is_open = desk.take(patience, &mut things);
    (things, is_open)
}

#[test]
fn everything_is_taken_in_order_and_what_is_there_at_the_end_too() {
    let desk = Desk::new(100);
    assert_eq!(taken(&desk, Some(Duration::ZERO)), (vec![], true));
    for thing in 0..3 {
        desk.hand_in(thing, 1, thing == 1);
    }
    assert_eq!(taken(&desk, None), (vec![0, 1, 2], true));
    desk.hand_in(3, 1, false);
    desk.close();
    assert_eq!(taken(&desk, None), (vec![3], false));
    assert_eq!(taken(&desk, None), (vec![], false));
}

#[test]
fn who_sleeps_is_woken_by_what_is_urgent() {
    for patience in [None, Some(SHORT), Some(Duration::from_secs(60))] {
        let desk = Arc::new(Desk::new(100));
        let other = Arc::clone(&desk);
        let sleeper = std::thread::spawn(move || taken(&other, patience));
        while desk.is_at_work() && !sleeper.is_finished() {
            std::thread::yield_now();
        }
        desk.hand_in(2, 0, true);
        let started = Instant::now();
        let (things, _) = sleeper.join().expect("ends");
        // The short sleep may have been over before.
        assert!(things == [2] || patience == Some(SHORT), "{patience:?}");
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn what_is_not_urgent_waits_for_who_looks_soon_anyway() {
    for (patience, waits) in [(None, false), (Some(SHORT), true), (Some(Duration::from_secs(60)), false)] {
        let desk = Arc::new(Desk::new(100));
        let other = Arc::clone(&desk);
        let sleeper = std::thread::spawn(move || {
            let started = Instant::now();
            (taken(&other, patience).0, started.elapsed())
        });
        while desk.is_at_work() && !sleeper.is_finished() {
            std::thread::yield_now();
        }
        desk.hand_in(1, 0, false);
        let (things, slept) = sleeper.join().expect("ends");
        assert!(slept < Duration::from_secs(30));
        assert!(things == [1] || waits, "{patience:?}");
        assert!(!waits || slept >= SHORT);
    }
}

#[test]
fn too_much_is_told_and_when_it_ends_too() {
    let desk = Desk::new(10);
    desk.hand_in(1, 10, false);
    assert!(!desk.is_overfull());
    desk.hand_in(2, 5, false);
    assert!(desk.is_overfull());
    assert!(!desk.settle(4) && desk.is_overfull());
    assert!(desk.settle(1) && !desk.is_overfull());
    assert!(!desk.settle(1));
    desk.hand_in(3, 1000, false);
    desk.hold_to_limit(false);
    assert!(!desk.is_overfull());
    desk.hold_to_limit(true);
    assert!(desk.is_overfull());
}

#[test]
fn loud_clients_wait_before_all_do() {
    let desk = Desk::new(40);
    desk.hand_in(1, 10, false);
    assert!(!desk.is_filling());
    desk.hand_in(2, 1, false);
    assert!(desk.is_filling() && !desk.is_overfull());
    desk.hold_to_limit(false);
    assert!(!desk.is_filling());
    desk.hold_to_limit(true);
    desk.settle(1);
    assert!(!desk.is_filling());
}

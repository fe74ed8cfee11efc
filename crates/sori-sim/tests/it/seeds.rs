//! Two hundred runs of each kind in each test of the workspace; any other number: `cargo run --release -p sori-sim -- --seeds N`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sori_sim::{Weather, run};

const SEEDS: u64 = 200;

#[test]
fn two_hundred_seeds_break_no_rule() {
    break_no_rule(Weather::Fair);
}

#[test]
fn two_hundred_seeds_with_crashes_break_no_rule() {
    break_no_rule(Weather::Crashes);
}

fn break_no_rule(weather: Weather) {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    // A panic of the broker names its seed too.
                    let report = std::panic::catch_unwind(|| run(seed, weather, false).findings);
                    match report {
                        Ok(findings) if findings.is_empty() => {}
                        Ok(findings) => failed.lock().unwrap().push((seed, format!("{:?}", findings.first()))),
                        Err(_) => failed.lock().unwrap().push((seed, "panicked, see above".to_owned())),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    for (seed, text) in &failed {
        println!(
            "seed {seed}: {text}\nreplay: cargo run -p sori-sim -- --seed {seed} -v (with --no-crashes if {weather:?})"
        );
    }
    assert!(failed.is_empty(), "{} of {SEEDS} seeds failed, see above", failed.len());
}

#[test]
fn one_seed_is_one_run() {
    for seed in [3, 11, 42] {
        for weather in [Weather::Fair, Weather::Crashes] {
            let (one, other) = (run(seed, weather, false), run(seed, weather, false));
            assert_eq!((one.digest, one.turns), (other.digest, other.turns), "seed {seed} does not repeat itself");
        }
    }
}

#[test]
fn runs_are_not_trivial() {
    let mut totals = (0, 0);
    for seed in 0..5 {
        let report = run(seed, Weather::Fair, false);
        totals = (totals.0 + report.messages, totals.1 + report.deliveries);
    }
    assert!(totals.0 > 200 && totals.1 > 1000, "five runs with {totals:?} messages in and out");
}

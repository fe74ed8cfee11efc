//! Something is broken on purpose, and the rule sees it that is there for it. What sees nothing proves nothing.

use sori_sim::{Sabotage, Weather, run, run_broken};

/// Enough for each to be seen several times over; the first seed that shows it ends the search.
const SEEDS: u64 = 40;

/// The seed in which the rule sees it, where it sees nothing when nothing is broken.
#[track_caller]
fn is_seen(sabotage: Sabotage, rule: &str) {
    let sees = |seed: &u64| run_broken(*seed, sabotage, false).findings.iter().any(|(found, _)| *found == rule);
    let seed = (0..SEEDS).find(sees);
    assert!(seed.is_some(), "[{rule}] does not see {sabotage:?} in {SEEDS} seeds");
    let findings = seed.map(|seed| run(seed, Weather::Crashes, false).findings);
    assert_eq!(findings, Some(Vec::new()), "seed {seed:?} without it");
}

#[test]
fn a_dropped_sync_is_seen() {
    is_seen(Sabotage::Sync, "acknowledged is delivered");
}

#[test]
fn a_pubrec_that_leaves_early_is_seen() {
    is_seen(Sabotage::PubRec, "acknowledged is delivered");
}

#[test]
fn a_record_that_is_read_twice_is_seen() {
    is_seen(Sabotage::Record, "exactly once");
}

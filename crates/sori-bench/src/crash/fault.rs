//! Rules that were broken, in plain words.

use std::collections::BTreeMap;

/// So many of each rule are told; the rest is counted.
const TOLD_MAX: usize = 12;

#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: BTreeMap<&'static str, Vec<String>>,
    counts: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub(super) fn add(&mut self, rule: &'static str, kills: u32, text: impl FnOnce() -> String) {
        *self.counts.entry(rule).or_default() += 1;
        let told = self.rules.entry(rule).or_default();
        if told.len() < TOLD_MAX {
            told.push(format!("[{rule}] after kill {kills}: {}", text()));
        }
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(rule, count)| (*rule, *count))
    }

    pub(super) fn told(&self) -> impl Iterator<Item = &str> {
        self.rules.values().flatten().map(String::as_str)
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

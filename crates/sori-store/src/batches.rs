//! How long the last commits were: what a benchmark needs to write the same again without a store.

use std::collections::VecDeque;

/// A record of the last commits.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    bytes: VecDeque<u32>,
}

impl Batches {
    pub(crate) fn note(&mut self, bytes: u64) {
        if self.bytes.len() == BATCHES_MAX {
            self.bytes.pop_front();
        }
        self.bytes.push_back(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Oldest first.
    pub(crate) fn all(&self) -> Vec<u32> {
        self.bytes.iter().copied().collect()
    }
}

const BATCHES_MAX: usize = 16 << 10;

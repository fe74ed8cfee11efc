//! How the store is doing, for `$SYS`, for log lines and for whoever asks.

use crate::progress::bytes;
use sori_store::{Figures, State};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The store's figures as of its last commit.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    figures: Mutex<Figures>,
    unreadable: AtomicU64,
}

impl Gauges {
    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, figures: Figures) {
        *self.lock() = figures;
    }

    pub(crate) fn set_failed(&self) {
        self.lock().state = State::Failed { text: "its thread has ended".to_owned() };
    }

    pub(crate) fn figures(&self) -> Figures {
        self.lock().clone()
    }

    /// A message could not be read back.
    pub(crate) fn note_unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages that could not be read back.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }
}

/// The state in a word.
pub(crate) fn word(state: &State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Full => "full",
        State::Failed { .. } => "failed",
    }
}

/// How large a store is, for a line of the log.
pub(crate) fn sizes(figures: &Figures) -> String {
    let Figures { disk_bytes, live_bytes, segments, .. } = figures;
    format!("{} on disk in {segments} segments, about {} of them in use", bytes(*disk_bytes), bytes(*live_bytes))
}

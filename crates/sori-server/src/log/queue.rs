//! The bounded queue between the threads that log and the one that writes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Kind, Kinds, LogConfig};

/// Lines that may wait.
pub(super) const LINES_MAX: usize = 8192;
/// Bytes that may wait.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// One line on its way.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) kind: Kind,
    pub(super) at: SystemTime,
    pub(super) text: String,
}

/// What the writing thread is to do next.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) lines: VecDeque<Line>,
    /// Lines that found the queue full since the last turn.
    pub(super) lost: u64,
    pub(super) change: Option<Change>,
}

/// The destinations are to be opened anew.
#[derive(Debug)]
pub(super) struct Change {
    /// So many of the lines are from before that.
    pub(super) after: usize,
    /// And they are others than before.
    pub(super) config: Option<LogConfig>,
}

#[derive(Debug, Default)]
struct State {
    work: Work,
    bytes: usize,
    /// The writer has taken work and not finished it.
    busy: bool,
    /// The writer waits, and has not been woken.
    asleep: bool,
    /// All handles are gone.
    closed: bool,
}

/// Filled by every thread, emptied by one.
#[derive(Debug)]
pub(super) struct Queue {
    kinds: AtomicU16,
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

impl Queue {
    pub(super) fn new(kinds: Kinds) -> Queue {
        Queue {
            kinds: AtomicU16::new(kinds.bits()),
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    pub(super) fn kinds(&self) -> Kinds {
        Kinds::from_bits(self.kinds.load(Ordering::Relaxed))
    }

    pub(super) fn push(&self, line: Line) {
        let mut state = self.lock();
        if state.work.lines.len() >= LINES_MAX || state.bytes + line.text.len() > BYTES_MAX {
            state.work.lost += 1;
            return;
        }
        state.bytes += line.text.len();
        state.work.lines.push_back(line);
        // The writer takes all lines at once, so it is woken for the first of them; and not when it is about to look by itself, as each
        // waking is a system call.
        if std::mem::take(&mut state.asleep) {
            drop(state);
            self.filled.notify_one();
        }
    }

    pub(super) fn reopen(&self) {
        self.change(None);
    }

    pub(super) fn configure(&self, config: LogConfig) {
        self.kinds.store(config.wanted().bits(), Ordering::Relaxed);
        self.change(Some(config));
    }

    fn change(&self, config: Option<LogConfig>) {
        let work = &mut self.lock().work;
        let earlier = work.change.take().and_then(|change| change.config);
        work.change = Some(Change { after: work.lines.len(), config: config.or(earlier) });
        self.filled.notify_one();
    }

    /// No more work will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Waits for work, but no longer than `patience`; without work by then, there is none in the answer. `None`: there
    /// will be no more.
    pub(super) fn take(&self, patience: Option<Duration>) -> Option<Work> {
        let mut state = self.lock();
        state.busy = false;
        if state.is_idle() {
            self.emptied.notify_all();
            state.asleep = true;
            state = match patience {
                Some(patience) => {
                    let waited =
                        self.filled.wait_timeout_while(state, patience, |state| state.is_idle() && !state.closed);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.filled.wait_while(state, |state| state.is_idle() && !state.closed);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
            state.asleep = false;
        }
        if state.is_idle() && state.closed {
            return None;
        }
        state.busy = true;
        state.bytes = 0;
        Some(std::mem::take(&mut state.work))
    }

    /// Waits until all work is done.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        while state.busy || !state.is_idle() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// A thread that panicked while it held the lock has left nothing half done in here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.work.lines.is_empty() && self.work.lost == 0 && self.work.change.is_none()
    }
}

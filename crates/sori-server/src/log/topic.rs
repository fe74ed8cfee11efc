//! Log lines on their way to the topics below `$SYS/broker/log`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines that may wait to be published; what comes after them is dropped.
const LINES_MAX: usize = 1000;

/// One line to publish at QoS 2, not retained, with an expiry of 20 seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicLine {
    /// The topic of its kind.
    pub topic: &'static str,
    /// The line with its time.
    pub text: String,
}

/// The bounded channel from the log to the broker. All clones are the same channel.
#[derive(Debug, Clone, Default)]
pub struct TopicLines {
    shared: Arc<Mutex<Shared>>,
}

type Waker = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Shared {
    lines: VecDeque<TopicLine>,
    dropped: u64,
    waker: Option<Waker>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("lines", &self.lines.len())
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl TopicLines {
    /// Calls this, from the log's thread, whenever the first line of a batch arrives, and now if lines wait already.
    pub fn wake_with(&self, waker: impl Fn() + Send + Sync + 'static) {
        let mut shared = self.lock();
        let lines_wait = !shared.lines.is_empty();
        let waker: Waker = Arc::new(waker);
        shared.waker = Some(Arc::clone(&waker));
        drop(shared);
        if lines_wait {
            waker();
        }
    }

    /// The oldest line that waits.
    pub fn next_line(&self) -> Option<TopicLine> {
        self.lock().lines.pop_front()
    }

    /// Lines that found the channel full, since the start.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    pub(super) fn push(&self, line: TopicLine) {
        let mut shared = self.lock();
        if shared.lines.len() >= LINES_MAX {
            shared.dropped += 1;
            return;
        }
        shared.lines.push_back(line);
        let waker = shared.waker.clone().filter(|_| shared.lines.len() == 1);
        drop(shared);
        if let Some(wake) = waker {
            wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

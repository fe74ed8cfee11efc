//! The model checker's part for everything in `sori-server`'s module of this name.

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, RwLock as ShardedLock};
pub(crate) use loom::thread::yield_now;
pub(crate) use std::sync::{PoisonError, TryLockError};

use loom::sync::Notify;
use std::io;
use std::sync::Arc;

/// What the eventfd behind a worker's poll does: it remembers that it was woken until the worker has waited for it.
#[derive(Clone)]
pub(crate) struct Waker(Arc<Notify>);

impl Waker {
    pub(crate) fn new() -> Waker {
        Waker(Arc::new(Notify::new()))
    }

    pub(crate) fn wake(&self) -> io::Result<()> {
        self.0.notify();
        Ok(())
    }

    /// What a worker does in its poll. It may also return without any reason.
    pub(crate) fn wait(&self) {
        self.0.wait();
    }
}

//! What `sori-server` has in its module of this name, for its files that are compiled here as well.

pub(crate) use crossbeam_utils::sync::ShardedLock;
pub(crate) use mio::Waker;
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
pub(crate) use std::thread::yield_now;

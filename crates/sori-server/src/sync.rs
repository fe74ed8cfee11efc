//! Locks, atomic numbers and wakers: whatever the threads of this crate meet at, named in one place, so that the model
//! checker (`sori-model`) can put its own in their place and run the same code.

pub(crate) use crossbeam_utils::sync::ShardedLock;
pub(crate) use mio::Waker;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
pub(crate) use std::thread::yield_now;

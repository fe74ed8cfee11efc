//! How many bytes the messages that wait take: counted when one is made and when it is dropped, wherever that happens.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicI64, Ordering};

/// Who wants to know that a stored message is not needed any more: its place in the store, and its size.
pub type Forget = Box<dyn Fn(u64, u32) + Send + Sync>;

/// A counter of bytes that clones share.
#[derive(Clone, Default)]
pub struct MemoryUse(Arc<Counter>);

/// Every message of a shard counts here. A cache line of its own, and the one that processors fetch beside it: next to the
/// counter of another shard, each count of the one would take the line away from the other.
#[derive(Default)]
#[repr(align(128))]
struct Counter {
    bytes: AtomicI64,
    forget: Option<Forget>,
}

impl core::fmt::Debug for MemoryUse {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("MemoryUse").field(&self.bytes()).finish()
    }
}

impl MemoryUse {
    /// A counter that also tells which stored messages are dropped.
    #[must_use]
    pub fn telling(forget: Forget) -> MemoryUse {
        MemoryUse(Arc::new(Counter { bytes: AtomicI64::new(0), forget: Some(forget) }))
    }

    /// The bytes counted now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.0.bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(crate) fn add(&self, bytes: i64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A message that stands at `place` in the store is not needed by whoever held it.
    pub(crate) fn forget(&self, place: u64, size: u32) {
        if let Some(forget) = &self.0.forget {
            forget(place, size);
        }
    }
}

//! How many bytes the messages that wait take: counted when one is made and when it is dropped, wherever that happens.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicI64, Ordering};

/// A counter of bytes that clones share.
#[derive(Clone, Debug, Default)]
pub struct MemoryUse(Arc<AtomicI64>);

impl MemoryUse {
    /// The bytes counted now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(crate) fn add(&self, bytes: i64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

//! How much of the log is alive, by estimate, and so when a checkpoint pays.
//!
//! A checkpoint finds it out exactly. From then on what is written as blobs is added, and what is forgotten subtracted; records
//! count as dead, because mostly they only say that something is done.

/// What was known at the last checkpoint, and what has happened since.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Liveness {
    /// Live bytes when the last checkpoint was complete.
    pub(crate) live_bytes: u64,
    /// Bytes of blobs written since then.
    pub(crate) blob_bytes: u64,
    /// All bytes written since then, blobs or not.
    pub(crate) bytes_written: u64,
    /// Bytes that had been forgotten when the last checkpoint began.
    pub(crate) forgotten_before: u64,
}

impl Liveness {
    /// What is alive by now. `forgotten`: bytes that have ever been forgotten.
    pub(crate) fn live_bytes(&self, forgotten: u64) -> u64 {
        self.live_bytes.saturating_add(self.blob_bytes).saturating_sub(forgotten - self.forgotten_before)
    }

    /// How much has changed since the last checkpoint.
    pub(crate) fn changed_bytes(&self, forgotten: u64) -> u64 {
        self.bytes_written + (forgotten - self.forgotten_before)
    }

    /// Whether a checkpoint pays: enough is dead, in bytes and in comparison with what is alive, and it is not all from before the
    /// last one, which could not free it either.
    pub(crate) fn wants_checkpoint(&self, log_bytes: u64, forgotten: u64, dead_bytes_min: u64) -> bool {
        let live = self.live_bytes(forgotten);
        let dead = log_bytes.saturating_sub(live);
        dead >= dead_bytes_min && dead > live / 10 * 3 && self.changed_bytes(forgotten) >= dead_bytes_min
    }

    /// Whether a checkpoint is worth a try when there is no room: so much is dead, and not all from before the last one.
    pub(crate) fn wants_checkpoint_for_room(&self, log_bytes: u64, forgotten: u64, dead_bytes_min: u64) -> bool {
        let dead = log_bytes.saturating_sub(self.live_bytes(forgotten));
        dead >= dead_bytes_min && self.changed_bytes(forgotten) >= dead_bytes_min
    }
}

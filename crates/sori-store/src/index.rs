//! How much a checkpoint would write by now, by estimate: everything that is alive but for the blobs.
//!
//! The writers say with each piece by how much it grows. A checkpoint finds it out anew.

/// What the writers have said, and what the running checkpoint has found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Index {
    bytes: u64,
    /// What has been repeated for the running checkpoint.
    repeated: u64,
    /// By how much it has grown since that began.
    grown: i64,
}

impl Index {
    /// How much a checkpoint would write.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A piece grows it, and repeats some of it for a checkpoint.
    pub(crate) fn note(&mut self, growth: i64, repeated: u64) {
        self.bytes = self.bytes.saturating_add_signed(growth);
        self.grown = self.grown.saturating_add(growth);
        self.repeated += repeated;
    }

    pub(crate) fn checkpoint_begins(&mut self) {
        (self.repeated, self.grown) = (0, 0);
    }

    pub(crate) fn checkpoint_completed(&mut self) {
        self.bytes = self.repeated.saturating_add_signed(self.grown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_puts_an_estimate_right() {
        let mut index = Index::default();
        index.note(100, 0);
        index.note(-300, 0);
        assert_eq!(index.bytes(), 0, "less than nothing cannot be");
        index.note(100, 0);
        index.checkpoint_begins();
        index.note(0, 70);
        index.note(20, 0);
        assert_eq!(index.bytes(), 120);
        index.checkpoint_completed();
        assert_eq!(index.bytes(), 90);
    }
}

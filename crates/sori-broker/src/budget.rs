//! How much a shard does of what may wait, from one tick to the next. Whoever finds nothing left goes on in a later turn, so
//! that very many sessions with something to do at one moment keep nobody waiting.

/// Subscriptions of sessions that have ended, which takes a fraction of a millisecond. So many go in one go.
pub(crate) const REMOVED_MAX: usize = 512;

/// What is left until the next tick.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Subscriptions to be taken out of the index.
    pub(crate) removals: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { removals: REMOVED_MAX }
    }
}

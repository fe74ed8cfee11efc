//! How a store behaves.

use crate::head::AHEAD_BYTES;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// When something counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it has been synced: it survives a power cut.
    #[default]
    Always,
    /// When it has been written: it survives the end of the process. A power cut loses at most what came in the given time.
    Interval(Duration),
    /// When it has been written. The operating system syncs when it likes; the store itself does only when a segment ends, before
    /// it deletes something, and when it is closed.
    Never,
}

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// When something counts as durable.
    pub durability: Durability,
    /// A segment that has as many bytes ends, and a new file begins.
    pub segment_bytes: u64,
    /// How many bytes all files together may have, with the room that the last one holds ahead. What is under way when that is
    /// reached may go beyond it, and a checkpoint for a moment, until what it replaces is deleted. Segments are small enough then
    /// that one of them can always be emptied.
    pub size_limit: Option<u64>,
    /// How many bytes are held in reserve, at least, for the time when there is no room any more.
    pub reserve_bytes: u64,
    /// A checkpoint begins when more than this is dead, and more than three tenths of what is alive. With a limit, an eighth of that
    /// is enough.
    pub checkpoint_bytes_min: u64,
    /// How many bytes of segments that need not be replayed are checked when the store is opened, newest first. The rest is
    /// checked when it is read.
    pub verify_bytes_max: u64,
    /// Names a store that is made anew. Checksums depend on it, so that what clients send cannot pass for a frame.
    pub store_id: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::Always,
            segment_bytes: 32 << 20,
            size_limit: None,
            reserve_bytes: 4 << 20,
            checkpoint_bytes_min: 4 << 20,
            verify_bytes_max: 1 << 30,
            // The keys of a hash map are the only randomness in std.
            store_id: RandomState::new().build_hasher().finish(),
        }
    }
}

impl Options {
    /// A store with a limit has small segments: one that is mostly alive has to go into the reserve before it is deleted.
    pub(crate) fn within_limit(mut self) -> Options {
        if let Some(limit) = self.size_limit {
            self.segment_bytes = self.segment_bytes.min((limit / SEGMENTS).max(SEGMENT_BYTES_MIN));
            let reserve_bytes = if self.reserve_bytes > 0 { self.reserve_bytes.max(2 * self.segment_bytes) } else { 0 };
            self.reserve_bytes = reserve_bytes.min(limit / RESERVES);
            self.checkpoint_bytes_min = self.checkpoint_bytes_min.min(limit / CHECKPOINTS);
        }
        self
    }

    /// How much longer the last segment may be than what stands in it: no longer than it is going to be, about.
    pub(crate) fn ahead_max(&self) -> u64 {
        self.size_limit.map_or(u64::MAX, |limit| self.segment_bytes.min(limit / SEGMENTS))
    }

    /// What the log and the reserve may have together, for themselves.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.size_limit.map(|limit| limit.saturating_sub(self.ahead_max().min(AHEAD_BYTES)))
    }
}

/// A limit has room for so many segments,
const SEGMENTS: u64 = 64;

/// and for so many reserves.
const RESERVES: u64 = 8;

/// When so small a part of a limit is dead it is worth a checkpoint: a store must not be full of what nobody needs.
const CHECKPOINTS: u64 = 8;

const SEGMENT_BYTES_MIN: u64 = 16 << 10;

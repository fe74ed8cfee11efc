//! What operators and benchmarks are shown.

use crate::piece::State;

/// How a store is doing. Counters run since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Whether it can promise anything.
    pub state: State,
    /// Bytes of all segments and the reserve.
    pub disk_bytes: u64,
    /// How many of them are alive, by estimate.
    pub live_bytes: u64,
    /// How many segments there are.
    pub segments: u64,
    /// Pieces written.
    pub pieces: u64,
    /// Writes of pieces.
    pub commits: u64,
    /// Syncs of segments.
    pub syncs: u64,
    /// Bytes written to segments.
    pub bytes_written: u64,
    /// Checkpoints completed.
    pub checkpoints: u64,
    /// Whether one is running.
    pub is_checkpoint_running: bool,
    /// Segments removed.
    pub segments_removed: u64,
    /// Bytes of live blobs copied out of sparse segments.
    pub bytes_moved: u64,
    /// Places of moved blobs that are still translated.
    pub relocations: u64,
    /// Pieces submitted that are not durable yet.
    pub pieces_waiting: u64,
}

//! Writes what is submitted, many pieces at once.

use crate::disk::Disk;
use crate::error::OpenError;
use crate::figures::Figures;
use crate::options::Options;
use crate::piece::{Outcome, Piece};
use crate::reader::Reader;
use std::sync::Arc;

/// Writes what is submitted, many pieces at once, and says when it is durable.
pub struct Committer {
    disk: Arc<dyn Disk>,
    waiting: Vec<Piece>,
}

impl Committer {
    /// Opens a store, or makes one, and replays it: `replay(place, bytes)` for each frame of records since the last complete
    /// checkpoint, in order. `place` is where `bytes` begin.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        writers: u16,
        replay: &mut dyn FnMut(u64, &[u8]) -> Result<(), String>,
    ) -> Result<Committer, OpenError> {
        let _ = (options, writers, replay);
        Ok(Committer { disk, waiting: Vec::new() })
    }

    /// Reads blobs back.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.disk))
    }

    /// Takes a piece. Pieces become durable in the order in which they are submitted.
    pub fn submit(&mut self, piece: Piece) {
        self.waiting.push(piece);
    }

    /// One step: writes, and by [`crate::Durability`] syncs, what was submitted; checks room; cleans a bounded bit.
    pub fn step(&mut self, now_millis: u64) -> Vec<Outcome> {
        let _ = now_millis;
        Vec::new()
    }

    /// Whether [`Committer::step`] has something to do now.
    pub fn wants_step(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When [`Committer::step`] is to be called at the latest though nothing is submitted.
    pub fn next_due(&self, now_millis: u64) -> Option<u64> {
        self.wants_step().then_some(now_millis)
    }

    /// A checkpoint begins with one of the next steps, even if it does not pay yet.
    pub fn request_checkpoint(&mut self) {}

    /// How it is doing.
    pub fn figures(&self) -> Figures {
        Figures::default()
    }

    /// Bytes of the last writes, oldest first: what a benchmark needs to repeat them.
    pub fn recent_batches(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Writes and syncs all that is left. What could not be written is told in no outcome.
    pub fn close(self) -> Vec<Outcome> {
        Vec::new()
    }
}

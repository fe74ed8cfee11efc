//! A checkpoint, from its beginning until it is complete.
//!
//! ```text
//!  a new segment begins       -> Begin to all writers
//!  all writers have walked    -> Pass to all writers
//!  all writers have passed    -> the live bytes of older segments are measured
//!  all segments are measured  -> the frame that says so is written and synced
//! ```
//!
//! If anything stops on the way, nothing has happened: what the writers submitted repeats what was known, and replay still starts
//! at the checkpoint before.

use crate::bytes::{u32_at, u64_at};
use crate::piece::Step;
use crate::place;
use crate::segment::{Checkpoint, SEQUENCE_MAX};
use std::collections::BTreeMap;

/// A checkpoint under way.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) stage: Stage,
    /// Writers that have done what the stage asks for.
    done: Vec<bool>,
    /// Offsets of blobs that are alive in segments before the first.
    pub(crate) references: BTreeMap<u32, Vec<u32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Walking,
    Passing,
    Measuring,
}

impl Running {
    pub(crate) fn new(checkpoint: Checkpoint, writers: u16) -> Running {
        Running { checkpoint, stage: Stage::Walking, done: vec![false; writers.into()], references: BTreeMap::new() }
    }

    /// A blob is alive. Segments of the checkpoint itself are kept anyway.
    pub(crate) fn refer(&mut self, place: u64) {
        if place::segment(place) < self.checkpoint.first {
            self.references.entry(place::segment(place)).or_default().push(place::offset(place));
        }
    }

    /// A writer tells how far it is. True: all writers are, and the next stage begins.
    pub(crate) fn hear(&mut self, writer: u16, step: Step) -> bool {
        let is_expected = match step {
            Step::Walked(number) => self.stage == Stage::Walking && number == self.checkpoint.number,
            Step::Passed(number) => self.stage == Stage::Passing && number == self.checkpoint.number,
        };
        match self.done.get_mut(usize::from(writer)) {
            Some(done) if is_expected => *done = true,
            _ => return false,
        }
        if self.done.contains(&false) {
            return false;
        }
        self.done.fill(false);
        self.stage = if self.stage == Stage::Walking { Stage::Passing } else { Stage::Measuring };
        true
    }
}

/// What stands in the log when a checkpoint is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) checkpoint: Checkpoint,
    /// Live bytes of the whole log.
    pub(crate) live_bytes: u64,
    /// The segments before the first that are still needed.
    pub(crate) needed: BTreeMap<u32, Needed>,
}

/// A segment that holds blobs which are alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needed {
    /// How long its file is.
    pub(crate) bytes: u64,
    /// How many bytes its live blobs have.
    pub(crate) live_bytes: u64,
}

impl End {
    /// `[number u64][first u32][count u32][live bytes u64]`, then for each segment `[segment u32][bytes u64][live bytes u64]`.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.checkpoint.number.to_le_bytes());
        into.extend_from_slice(&self.checkpoint.first.to_le_bytes());
        into.extend_from_slice(&(self.needed.len() as u32).to_le_bytes());
        into.extend_from_slice(&self.live_bytes.to_le_bytes());
        for (segment, needed) in &self.needed {
            into.extend_from_slice(&segment.to_le_bytes());
            into.extend_from_slice(&needed.bytes.to_le_bytes());
            into.extend_from_slice(&needed.live_bytes.to_le_bytes());
        }
    }

    /// `None`: that makes no sense.
    pub(crate) fn decode(payload: &[u8]) -> Option<End> {
        let (head, entries) = payload.split_at_checked(24)?;
        let checkpoint = Checkpoint { number: u64_at(head, 0)?, first: u32_at(head, 8)? };
        let count = u32_at(head, 12)? as usize;
        if checkpoint.number >= SEQUENCE_MAX || checkpoint.first == 0 {
            return None;
        }
        if entries.len() != count.checked_mul(ENTRY_BYTES)? {
            return None;
        }
        let entry = |entry: &[u8]| {
            Some((u32_at(entry, 0)?, Needed { bytes: u64_at(entry, 4)?, live_bytes: u64_at(entry, 12)? }))
        };
        let needed = entries.chunks_exact(ENTRY_BYTES).map(entry).collect::<Option<_>>()?;
        Some(End { checkpoint, live_bytes: u64_at(head, 16)?, needed })
    }
}

const ENTRY_BYTES: usize = 20;

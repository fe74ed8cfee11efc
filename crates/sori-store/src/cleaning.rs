//! What follows a checkpoint: segments without live blobs are deleted, sparse ones emptied and then deleted, a bit at a time.

use crate::blob;
use crate::checkpoint::{End, Needed};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::frame::Kind;
use crate::log::{Log, Trouble};
use crate::place::place;
use crate::reader::Shared;
use crate::relocations;
use crate::window::Window;
use std::collections::{BTreeMap, VecDeque};

/// What is left to be cleaned.
#[derive(Debug, Default)]
pub(crate) struct Cleaning {
    /// Segments whose files can go.
    dead: VecDeque<u32>,
    /// Segments to be emptied, with the bytes that moving writes.
    sparse: VecDeque<(u32, u64)>,
    /// Offsets of the live blobs of each.
    references: BTreeMap<u32, Vec<u32>>,
    /// How many of the first sparse segment's are moved.
    next: usize,
    window: Window,
    /// For the report.
    pub(crate) segments: u32,
    pub(crate) bytes: u64,
    pub(crate) bytes_moved: u64,
}

impl Cleaning {
    /// Decides what is to be cleaned after a checkpoint.
    pub(crate) fn after(end: &End, segments: &BTreeMap<u32, u64>, references: BTreeMap<u32, Vec<u32>>) -> Cleaning {
        let older = segments.range(..end.checkpoint.first).map(|(segment, _)| *segment);
        let dead = older.filter(|segment| !end.needed.contains_key(segment)).collect();
        Cleaning { dead, sparse: sparse(end, &references), references, ..Cleaning::default() }
    }

    /// Whether segments are left that can be deleted without writing anything.
    pub(crate) fn has_dead(&self) -> bool {
        !self.dead.is_empty()
    }

    /// Whether everything is done.
    pub(crate) fn is_done(&self) -> bool {
        self.dead.is_empty() && self.sparse.is_empty()
    }

    /// Nothing more is moved: there is no room. The next checkpoint finds what is left.
    pub(crate) fn stop_moving(&mut self) {
        self.sparse.clear();
    }

    /// How much is going to be written until the next sparse segment is empty. `None`: there is none, or it is half done.
    pub(crate) fn bytes_to_move(&self) -> Option<u64> {
        let (_, moved_bytes) = self.sparse.front().filter(|_| self.next == 0)?;
        Some(moved_bytes + moved_bytes / 64 + FRAMES_BYTES)
    }

    /// The next sparse segment stays as it is.
    pub(crate) fn leave_one(&mut self) {
        self.sparse.pop_front();
    }

    /// Deletes one dead segment.
    pub(crate) fn remove_one(&mut self, log: &mut Log) -> Result<(), Trouble> {
        if let Some(segment) = self.dead.pop_front() {
            self.bytes += log.remove(segment)?;
            self.segments += 1;
        }
        Ok(())
    }

    /// Moves some blobs of a sparse segment, and deletes it when they were the last. A blob that cannot be read keeps its segment
    /// where it is.
    pub(crate) fn move_some(
        &mut self,
        disk: &dyn Disk,
        log: &mut Log,
        shared: &Shared,
    ) -> Result<Option<ReadError>, Trouble> {
        let Some((segment, _)) = self.sparse.front().copied() else { return Ok(None) };
        let mut batch = Batch::default();
        let offsets = self.references.entry(segment).or_default();
        if self.next == 0 {
            // Translations are looked up in this order; they were sorted when they were measured, but more may have come since.
            offsets.sort_unstable();
            offsets.dedup();
        }
        while let Some(offset) =
            offsets.get(self.next + batch.moved.len()).filter(|_| batch.blobs.len() < MOVED_PER_STEP)
        {
            if let Err(error) = batch.add(disk, &mut self.window, segment, *offset) {
                self.sparse.pop_front();
                self.next = 0;
                return Ok(Some(error));
            }
        }
        let is_last = self.next + batch.moved.len() >= offsets.len();
        batch.write(log, shared, is_last.then_some(segment))?;
        self.next += batch.moved.len();
        self.bytes_moved += batch.blobs.len() as u64;
        if is_last {
            self.sparse.pop_front();
            self.next = 0;
            // A segment must not go before its blobs stand elsewhere for good, and before the log says that it is not missing.
            log.sync()?;
            self.dead.push_back(segment);
        }
        Ok(None)
    }
}

/// Blobs on their way.
#[derive(Default)]
struct Batch {
    /// Old places, and offsets in `blobs`.
    moved: Vec<(u64, u32)>,
    blobs: Vec<u8>,
}

impl Batch {
    fn add(&mut self, disk: &dyn Disk, window: &mut Window, segment: u32, offset: u32) -> Result<(), ReadError> {
        let (at, old) = (self.blobs.len(), place(segment, offset.into()));
        if let Some(blob) = window.blob(disk, segment, offset) {
            self.blobs.extend_from_slice(blob);
        } else if let Err(error) = blob::read(disk, old, &mut self.blobs) {
            self.blobs.truncate(at);
            return Err(error);
        }
        self.moved.push((old, at as u32));
        Ok(())
    }

    fn write(&self, log: &mut Log, shared: &Shared, emptied: Option<u32>) -> Result<(), Trouble> {
        log.prepare()?;
        log.begin_frame();
        let base = log.next_place();
        relocations::encode(&self.moved, &self.blobs, log.payload());
        log.end_frame(Kind::Moved);
        if let Some(segment) = emptied {
            log.begin_frame();
            log.payload().extend_from_slice(&segment.to_le_bytes());
            log.end_frame(Kind::Removed);
        }
        log.write()?;
        let table = relocations::table_bytes(self.moved.len()) as u64;
        let moved: Vec<(u64, u64)> = self.moved.iter().map(|(old, at)| (*old, base + table + u64::from(*at))).collect();
        shared.change_relocations(|relocations| relocations.add(log.checkpoint.number, &moved));
        Ok(())
    }
}

/// The sparsest segments, as many as it takes until what is dead in old segments is an eighth of what is alive. What moving adds
/// counts as alive: else short blobs would be moved for ever.
fn sparse(end: &End, references: &BTreeMap<u32, Vec<u32>>) -> VecDeque<(u32, u64)> {
    let moved_bytes = |(segment, needed): (&u32, &Needed)| {
        let count = references.get(segment).map_or(0, Vec::len);
        let moved_bytes = needed.live_bytes + relocations::table_bytes(count) as u64;
        (*segment, needed.bytes, moved_bytes)
    };
    let mut segments: Vec<(u32, u64, u64)> = end.needed.iter().map(moved_bytes).collect();
    segments.sort_by_key(|(_, bytes, moved_bytes)| moved_bytes * 1024 / bytes.max(&1));
    let mut dead: u64 = segments.iter().map(|(_, bytes, moved_bytes)| bytes.saturating_sub(*moved_bytes)).sum();
    let mut chosen = VecDeque::new();
    for (segment, bytes, moved_bytes) in segments {
        if dead <= end.live_bytes / 8 {
            break;
        }
        dead -= bytes.saturating_sub(moved_bytes);
        chosen.push_back((segment, moved_bytes));
    }
    chosen
}

/// How many bytes of blobs one step moves, so that nobody waits for it for long.
const MOVED_PER_STEP: usize = 128 << 10;

/// What frames and the header of a segment need beside what is in them.
const FRAMES_BYTES: u64 = 4 << 10;

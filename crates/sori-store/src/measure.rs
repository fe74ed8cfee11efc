//! How many bytes of a segment are alive: adds up the lengths of the blobs that are referred to, a bounded bit at a time.

use crate::blob::BLOB_HEADER_BYTES;
use crate::bytes::u32_at;
use crate::checkpoint::Needed;
use crate::disk::Disk;
use crate::segment;
use std::collections::BTreeMap;
use std::io;

/// The measuring of all segments before a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Measure {
    /// Segments that are done.
    pub(crate) needed: BTreeMap<u32, Needed>,
    /// How far the segment is which is being measured.
    next: usize,
    live_bytes: u64,
    window: Window,
}

/// A bit of a file, so that blobs near to each other cost one read.
#[derive(Debug, Default)]
struct Window {
    at: u64,
    bytes: Vec<u8>,
}

impl Measure {
    /// Goes on for a bit. True: all is measured. A segment that cannot be read counts as alive: it stays where it is.
    pub(crate) fn step(
        &mut self,
        disk: &dyn Disk,
        lengths: &BTreeMap<u32, u64>,
        references: &mut BTreeMap<u32, Vec<u32>>,
    ) -> bool {
        // What nobody can read any more keeps nothing.
        references.retain(|segment, _| lengths.contains_key(segment));
        let Some((segment, offsets)) = references.iter_mut().find(|(segment, _)| !self.needed.contains_key(segment))
        else {
            return true;
        };
        let bytes = lengths.get(segment).copied().unwrap_or(0);
        if self.next == 0 {
            offsets.sort_unstable();
            offsets.dedup();
            self.window.bytes.clear();
        }
        let end = offsets.len().min(self.next + BLOBS_PER_STEP);
        let mut reads = 0;
        while self.next < end && reads < READS_PER_STEP {
            let offset = offsets.get(self.next).copied().unwrap_or(0);
            match self.window.cover(disk, *segment, offset.into()) {
                Ok(has_read) => {
                    reads += usize::from(has_read);
                    self.live_bytes += self.window.blob_bytes(offset.into(), bytes);
                    self.next += 1;
                }
                Err(_) => (self.next, self.live_bytes) = (offsets.len(), bytes),
            }
        }
        if self.next >= offsets.len() {
            self.needed.insert(*segment, Needed { bytes, live_bytes: self.live_bytes.min(bytes) });
            (self.next, self.live_bytes) = (0, 0);
        }
        false
    }
}

impl Window {
    /// Reads where the header of a blob stands, if it has not been read with the one before. True: it was read.
    fn cover(&mut self, disk: &dyn Disk, segment: u32, at: u64) -> io::Result<bool> {
        if !self.bytes.is_empty() && at >= self.at && at + BLOB_HEADER_BYTES as u64 <= self.at + self.bytes.len() as u64
        {
            return Ok(false);
        }
        self.bytes.resize(WINDOW_BYTES, 0);
        let got = disk.read(&segment::name(segment), at, &mut self.bytes)?;
        self.bytes.truncate(got);
        self.at = at;
        Ok(true)
    }

    /// How long the blob is whose header the window covers; nothing if that cannot be.
    fn blob_bytes(&self, at: u64, file_bytes: u64) -> u64 {
        let length = u32_at(&self.bytes, (at - self.at) as usize).unwrap_or(0);
        let whole = BLOB_HEADER_BYTES as u64 + u64::from(length);
        if at + whole <= file_bytes { whole } else { 0 }
    }
}

const WINDOW_BYTES: usize = 16 << 10;
const READS_PER_STEP: usize = 64;
const BLOBS_PER_STEP: usize = 16 << 10;

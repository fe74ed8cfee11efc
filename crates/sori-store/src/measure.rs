//! How many bytes of a segment are alive: adds up the lengths of the blobs that are referred to, a bounded bit at a time.

use crate::blob::BLOB_HEADER_BYTES;
use crate::checkpoint::Needed;
use crate::disk::Disk;
use crate::window::Window;
use std::collections::BTreeMap;

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
        }
        let end = offsets.len().min(self.next + BLOBS_PER_STEP);
        let mut reads = 0;
        while self.next < end && reads < READS_PER_STEP {
            let offset = offsets.get(self.next).copied().unwrap_or(0);
            match self.window.cover(disk, *segment, offset, BLOB_HEADER_BYTES) {
                Ok(has_read) => {
                    reads += usize::from(has_read);
                    self.live_bytes += self
                        .window
                        .blob_length(offset)
                        .filter(|length| u64::from(offset) + length <= bytes)
                        .unwrap_or(0);
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

const READS_PER_STEP: usize = 16;
const BLOBS_PER_STEP: usize = 4 << 10;

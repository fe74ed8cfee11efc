//! Where moved blobs are now.

use crate::bytes::{u32_at, u64_at};
use crate::place;
use std::collections::HashMap;

/// Where the blobs of segments that were emptied are now.
#[derive(Debug, Default)]
pub(crate) struct Relocations {
    segments: HashMap<u32, Emptied>,
}

/// A segment whose live blobs were copied elsewhere.
#[derive(Debug)]
struct Emptied {
    /// The last complete checkpoint when it was emptied.
    checkpoint: u64,
    /// Old offsets and new places, in the order of the offsets.
    blobs: Vec<(u32, u64)>,
}

impl Relocations {
    /// Where a blob is now. A moved blob may have been moved again.
    pub(crate) fn current(&self, mut place: u64) -> u64 {
        // Blobs only move to later segments, so this ends.
        while let Some(next) = self.next(place) {
            place = next;
        }
        place
    }

    fn next(&self, at: u64) -> Option<u64> {
        let blobs = &self.segments.get(&place::segment(at))?.blobs;
        let found = blobs.binary_search_by_key(&place::offset(at), |(offset, _)| *offset).ok()?;
        blobs.get(found).map(|(_, place)| *place)
    }

    /// Notes what one [`crate::frame::Kind::Moved`] frame holds, which must be in the order of the old places.
    pub(crate) fn add(&mut self, checkpoint: u64, moved: &[(u64, u64)]) {
        for (old, new) in moved {
            let emptied = self.segments.entry(place::segment(*old));
            let emptied = emptied.or_insert_with(|| Emptied { checkpoint, blobs: Vec::new() });
            if emptied.blobs.last().is_none_or(|(last, _)| *last < place::offset(*old)) {
                emptied.blobs.push((place::offset(*old), *new));
            }
        }
    }

    /// Forgets what nobody can ask for any more after a checkpoint is complete: who held an old place learned the new one in a
    /// checkpoint that began after the move. One more goes by, for those who had asked for a blob just before.
    pub(crate) fn checkpoint_completed(&mut self, number: u64) {
        self.segments.retain(|_, emptied| emptied.checkpoint + 1 >= number);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.segments.values().map(|emptied| emptied.blobs.len() as u64).sum()
    }
}

/// The payload of a frame of moved blobs: `[count u32]`, then for each `[old place u64][offset in the payload u32]`, then the blobs.
pub(crate) fn encode(moved: &[(u64, u32)], blobs: &[u8], into: &mut Vec<u8>) {
    let table = table_bytes(moved.len());
    into.extend_from_slice(&(moved.len() as u32).to_le_bytes());
    for (old, at) in moved {
        into.extend_from_slice(&old.to_le_bytes());
        into.extend_from_slice(&(table as u32 + at).to_le_bytes());
    }
    into.extend_from_slice(blobs);
}

/// Old and new places in the payload of such a frame, whose first byte stands at `base`. `None`: that makes no sense.
pub(crate) fn decode(base: u64, payload: &[u8]) -> Option<Vec<(u64, u64)>> {
    let count = u32_at(payload, 0)? as usize;
    let table = payload.get(4..table_bytes(count))?;
    table.chunks_exact(ENTRY_BYTES).map(|entry| decode_entry(base, payload, entry)).collect()
}

fn decode_entry(base: u64, payload: &[u8], entry: &[u8]) -> Option<(u64, u64)> {
    let (old, at) = (u64_at(entry, 0)?, u32_at(entry, 8)?);
    let is_within = (at as usize) < payload.len() && place::segment(old) < place::segment(base);
    is_within.then_some((old, base + u64::from(at)))
}

/// How long the payload is before its first blob.
pub(crate) fn table_bytes(count: usize) -> usize {
    4usize.saturating_add(count.saturating_mul(ENTRY_BYTES))
}

const ENTRY_BYTES: usize = 12;

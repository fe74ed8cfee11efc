//! A frame: what the log is made of. All that was committed at once stands in one frame (or in several, if it is much).
//!
//! ```text
//!  0        4         8        12     13      16         24            32
//!  | crc    | crc of  | length | kind | 0 0 0 | sequence | synced_upto | payload ...
//!  | header | payload |
//! ```
//!
//! The header's checksum also covers the store, the segment and the offset at which the frame stands. So bytes that were moved,
//! that come from another store, or that a client sent as a message, never pass for a frame.

use crate::bytes::{u32_at, u64_at};
use crate::segment::SEQUENCE_MAX;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Pieces, one after the other.
    Records = 1,
    /// A checkpoint is complete.
    CheckpointEnd = 2,
    /// Blobs that were copied here, and where they stood.
    Moved = 3,
    /// Segments whose live blobs have all been copied: their files may be deleted.
    Removed = 4,
    /// Nothing. It says that all before it is durable.
    Synced = 5,
    /// Stands where a frame was damaged. `synced_upto` is the last sequence number of what it replaces.
    Lost = 6,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        let kinds = [Kind::Records, Kind::CheckpointEnd, Kind::Moved, Kind::Removed, Kind::Synced, Kind::Lost];
        kinds.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The file in which a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) store_id: u64,
    pub(crate) segment: u32,
}

/// A frame that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) sequence: u64,
    /// The last frame that was known to be durable when this one was written.
    pub(crate) synced_upto: u64,
    /// Where its payload begins in the file.
    pub(crate) payload_at: u64,
    pub(crate) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at an offset of a file, if it is whole.
    pub(crate) fn parse(home: Home, file: &'a [u8], at: usize) -> Option<Frame<'a>> {
        let header = file.get(at..at.checked_add(FRAME_HEADER_BYTES)?)?;
        let kind = Kind::from_byte(*header.get(12)?)?;
        let length = u32_at(header, 8)? as usize;
        let payload_at = at + FRAME_HEADER_BYTES;
        let payload = file.get(payload_at..payload_at.checked_add(length)?)?;
        let is_whole = u32_at(header, 0)? == header_crc(home, at as u64, header.get(4..)?)
            && u32_at(header, 4)? == crc32fast::hash(payload);
        let (sequence, synced_upto) = (u64_at(header, 16)?, u64_at(header, 24)?);
        let is_possible = sequence < SEQUENCE_MAX
            && synced_upto < SEQUENCE_MAX
            && (kind == Kind::Lost) == (synced_upto >= sequence)
            && payload_at as u64 <= u64::from(u32::MAX);
        let payload_at = payload_at as u64;
        (is_whole && is_possible).then_some(Frame { kind, sequence, synced_upto, payload_at, payload })
    }

    /// Where it begins in the file.
    pub(crate) fn at(&self) -> u64 {
        self.payload_at - FRAME_HEADER_BYTES as u64
    }

    /// Where the next one begins.
    pub(crate) fn end(&self) -> u64 {
        self.payload_at + self.payload.len() as u64
    }

    /// The sequence number of the next one.
    pub(crate) fn next_sequence(&self) -> u64 {
        match self.kind {
            Kind::Lost => self.synced_upto + 1,
            _ => self.sequence + 1,
        }
    }
}

/// The header of a frame whose payload is known, for this offset of this file.
pub(crate) fn header(
    home: Home,
    at: u64,
    kind: Kind,
    sequence: u64,
    synced_upto: u64,
    payload: &[u8],
) -> [u8; FRAME_HEADER_BYTES] {
    let mut header = [0; FRAME_HEADER_BYTES];
    header[4..8].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    header[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[12] = kind as u8;
    header[16..24].copy_from_slice(&sequence.to_le_bytes());
    header[24..32].copy_from_slice(&synced_upto.to_le_bytes());
    let crc = header_crc(home, at, &header[4..]);
    header[..4].copy_from_slice(&crc.to_le_bytes());
    header
}

fn header_crc(home: Home, at: u64, rest: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&home.store_id.to_le_bytes());
    crc.update(&home.segment.to_le_bytes());
    crc.update(&at.to_le_bytes());
    crc.update(rest);
    crc.finalize()
}

/// The frames of a file from `at` on, as long as they are whole and each follows the one before.
pub(crate) struct Frames<'a> {
    home: Home,
    file: &'a [u8],
    /// Where the next one would begin.
    pub(crate) at: u64,
    /// The sequence number it would have.
    pub(crate) sequence: u64,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(home: Home, file: &'a [u8], at: u64, sequence: u64) -> Frames<'a> {
        Frames { home, file, at, sequence }
    }

    /// Whether the whole file has been read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.file.len() as u64
    }

    /// Whole frames behind a damaged one, wherever they begin.
    pub(crate) fn after_damage(&self) -> impl Iterator<Item = Frame<'a>> {
        let (home, file, sequence) = (self.home, self.file, self.sequence);
        let first = (self.at as usize).saturating_add(FRAME_HEADER_BYTES);
        (first..file.len())
            .filter_map(move |at| Frame::parse(home, file, at))
            .filter(move |frame| frame.sequence > sequence)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let frame = Frame::parse(self.home, self.file, self.at as usize).filter(|f| f.sequence == self.sequence)?;
        self.at = frame.end();
        self.sequence = frame.next_sequence();
        Some(frame)
    }
}

/// How long the header of a frame is.
pub(crate) const FRAME_HEADER_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_only_where_it_was_written() {
        let home = Home { store_id: 7, segment: 3 };
        let mut file = vec![0; 40];
        file.extend(header(home, 40, Kind::Records, 9, 8, b"payload"));
        file.extend(b"payload");
        let frame = Frame::parse(home, &file, 40).expect("it is whole");
        assert_eq!(
            (frame.kind, frame.sequence, frame.synced_upto, frame.payload),
            (Kind::Records, 9, 8, &b"payload"[..])
        );
        assert_eq!(Frame::parse(Home { store_id: 8, ..home }, &file, 40), None, "another store");
        assert_eq!(Frame::parse(Home { segment: 4, ..home }, &file, 40), None, "another segment");
        file.remove(0);
        assert_eq!(Frame::parse(home, &file, 39), None, "another offset");
    }
}

//! The file of a segment: its name and its header.
//!
//! A header says which store and which segment it is, and from where on the log is to be replayed as far as that was known when
//! the segment began. It stands there twice, so that damage to one does not cost what follows.

use crate::bytes::{u32_at, u64_at};
use crate::disk::Disk;
use std::io;

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) store_id: u64,
    pub(crate) segment: u32,
    /// Of its first frame.
    pub(crate) sequence: u64,
    pub(crate) checkpoint: Checkpoint,
}

/// A complete checkpoint: where replay starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// 0: there was none yet, and replay starts at the first segment.
    pub(crate) number: u64,
    /// The first segment to be replayed.
    pub(crate) first: u32,
}

impl Checkpoint {
    /// There was none yet.
    pub(crate) const NONE: Checkpoint = Checkpoint { number: 0, first: 1 };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// It is cut off, or its checksum is wrong.
    Damaged,
    /// It is whole, but of a version that this program does not know.
    Newer(u32),
}

impl Header {
    /// Both copies.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.store_id.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.checkpoint.number.to_le_bytes());
        bytes.extend_from_slice(&self.checkpoint.first.to_le_bytes());
        bytes.resize(COPY_BYTES - 4, 0);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_within(..);
        bytes
    }

    /// Reads a header of which both copies must be whole.
    pub(crate) fn decode(file: &[u8]) -> Result<Header, HeaderError> {
        let first = Header::decode_copy(file, 0)?;
        let second = Header::decode_copy(file, COPY_BYTES)?;
        if first == second { Ok(first) } else { Err(HeaderError::Damaged) }
    }

    /// Reads whichever copy is whole.
    pub(crate) fn decode_either(file: &[u8]) -> Result<Header, HeaderError> {
        Header::decode_copy(file, 0).or_else(|error| Header::decode_copy(file, COPY_BYTES).map_err(|_| error))
    }

    fn decode_copy(file: &[u8], at: usize) -> Result<Header, HeaderError> {
        let copy = file.get(at..at + COPY_BYTES).ok_or(HeaderError::Damaged)?;
        let (body, crc) = copy.split_at(COPY_BYTES - 4);
        if !body.starts_with(MAGIC) || u32_at(crc, 0) != Some(crc32fast::hash(body)) {
            return Err(HeaderError::Damaged);
        }
        let version = u32_at(body, 8).ok_or(HeaderError::Damaged)?;
        if version > VERSION {
            return Err(HeaderError::Newer(version));
        }
        Header::fields(body).filter(Header::is_possible).ok_or(HeaderError::Damaged)
    }

    /// Numbers that nobody lives to reach would make others overflow.
    fn is_possible(&self) -> bool {
        (1..SEQUENCE_MAX).contains(&self.sequence)
            && self.checkpoint.number < SEQUENCE_MAX
            && (1..=self.segment).contains(&self.checkpoint.first)
    }

    fn fields(body: &[u8]) -> Option<Header> {
        Some(Header {
            segment: u32_at(body, 12)?,
            store_id: u64_at(body, 16)?,
            sequence: u64_at(body, 24)?,
            checkpoint: Checkpoint { number: u64_at(body, 32)?, first: u32_at(body, 40)? },
        })
    }
}

/// The name of a segment's file.
pub(crate) fn name(segment: u32) -> String {
    format!("{segment:08}.log")
}

/// The segment whose file has this name.
pub(crate) fn number(file: &str) -> Option<u32> {
    let digits = file.strip_suffix(".log").filter(|digits| digits.len() >= 8)?;
    let segment = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    (name(segment) == file && (1..SEGMENTS_MAX).contains(&segment)).then_some(segment)
}

/// Whether a file of this name is a part of a store's log.
pub fn is_segment(file: &str) -> bool {
    number(file).is_some()
}

/// All segments of a directory, in order.
pub(crate) fn numbers(disk: &dyn Disk) -> io::Result<Vec<u32>> {
    let mut found: Vec<u32> = disk.list()?.iter().filter_map(|file| number(file)).collect();
    found.sort_unstable();
    Ok(found)
}

/// A whole file. Segments are small enough to be looked at in memory, one at a time.
pub(crate) fn read_whole(disk: &dyn Disk, file: &str) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(disk.length(file)?).map_err(io::Error::other)?];
    let got = disk.read(file, 0, &mut bytes)?;
    bytes.truncate(got);
    Ok(bytes)
}

const MAGIC: &[u8; 8] = b"sori.log";

/// The version of the format. A header keeps its magic, its version and its checksum where they are in all versions.
pub(crate) const VERSION: u32 = 1;

/// Where the first frame begins.
pub(crate) const HEADER_BYTES: u64 = 2 * COPY_BYTES as u64;

/// Sequence numbers and numbers of checkpoints stay below this: at a million frames a second for 290,000 years.
pub(crate) const SEQUENCE_MAX: u64 = 1 << 63;

/// Numbers of segments stay below this: 64 PiB have been written then.
const SEGMENTS_MAX: u32 = 1 << 31;

const COPY_BYTES: usize = 64;

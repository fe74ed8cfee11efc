//! A blob: bytes that are read back one by one. `[length u32][crc u32][bytes]`, anywhere in the payload of a frame.

use crate::bytes::u32_at;
use crate::disk::Disk;
use crate::error::ReadError;
use crate::{place, segment};

/// Writes the checksum into a blob that begins at `at`, and says how many bytes it has in all; `None` if it is not all there.
pub(crate) fn seal(bytes: &mut [u8], at: u32) -> Option<u64> {
    let at = at as usize;
    let length = u32_at(bytes, at)? as usize;
    let body = at.checked_add(BLOB_HEADER_BYTES)?;
    let crc = crc32fast::hash(bytes.get(body..body.checked_add(length)?)?);
    bytes.get_mut(at + 4..body)?.copy_from_slice(&crc.to_le_bytes());
    Some((BLOB_HEADER_BYTES + length) as u64)
}

/// Whether a blob that begins at `at` is all there, as it was written.
pub(crate) fn is_whole(bytes: &[u8], at: usize) -> bool {
    let body = |length: u32| bytes.get(at + BLOB_HEADER_BYTES..(at + BLOB_HEADER_BYTES).checked_add(length as usize)?);
    let body = u32_at(bytes, at).and_then(body);
    body.is_some_and(|body| u32_at(bytes, at + 4) == Some(crc32fast::hash(body)))
}

/// Appends the blob at a place to `into`, header and all, and says how long its bytes are.
///
/// Memory is taken as bytes arrive, not as the length claims.
pub(crate) fn read(disk: &dyn Disk, at: u64, into: &mut Vec<u8>) -> Result<usize, ReadError> {
    let file = segment::name(place::segment(at));
    let start = into.len();
    let failed = |text: String| ReadError { file: file.clone(), offset: u64::from(place::offset(at)), text };
    let mut wanted = FIRST_READ_BYTES;
    loop {
        let got = read_more(disk, &file, at, start, wanted, into).map_err(|error| failed(error.to_string()))?;
        let blob = into.get(start..).unwrap_or_default();
        let (Some(length), Some(crc)) = (u32_at(blob, 0), u32_at(blob, 4)) else {
            return Err(failed("the file ends before it".into()));
        };
        let length = length as usize;
        let whole = BLOB_HEADER_BYTES.saturating_add(length);
        match blob.get(BLOB_HEADER_BYTES..whole) {
            Some(body) if crc32fast::hash(body) == crc => {
                into.truncate(start + whole);
                return Ok(length);
            }
            Some(_) => return Err(failed("its checksum is wrong".into())),
            None if !got => return Err(failed("the file ends within it".into())),
            None => wanted = (whole - blob.len()).min(blob.len().saturating_mul(4)),
        }
    }
}

/// Reads `wanted` more bytes of what begins at a place and stands in `into` from `start` on. False: the file has no more.
fn read_more(
    disk: &dyn Disk,
    file: &str,
    at: u64,
    start: usize,
    wanted: usize,
    into: &mut Vec<u8>,
) -> std::io::Result<bool> {
    let before = into.len();
    into.resize(before + wanted, 0);
    let offset = u64::from(place::offset(at)) + (before - start) as u64;
    let got = disk.read(file, offset, into.get_mut(before..).unwrap_or_default());
    into.truncate(before + *got.as_ref().unwrap_or(&0));
    Ok(got? > 0)
}

/// Length and checksum.
pub(crate) const BLOB_HEADER_BYTES: usize = 8;

/// Most messages are shorter, so that one read is enough.
const FIRST_READ_BYTES: usize = 1024;

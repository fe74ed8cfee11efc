//! The file as a whole: a header, then chunks to the end.
//!
//! ```text
//! magic      15 bytes   00 B5 00 "mosquitto db"
//! checksum    4 bytes   always 0
//! version     4 bytes
//! chunk       kind and length (2 and 4 bytes up to version 4, 4 and 4 since version 5), body
//! chunk ...
//! ```
//!
//! The file has no end mark: one that was cut off between two chunks cannot be told from a whole one. Mosquitto writes
//! a new file and renames it, so that its own files are never cut off.

use super::chunk::Chunk;
use super::collector::{Collector, UnknownClient};
use super::remarks::Reason;
use super::{ImportFault, Imported, Place, layout_v2, layout_v5};
use std::io::{self, Read};

pub(super) fn read(file: impl Read) -> Result<Imported, ImportFault> {
    let mut file = Counted { file, offset: 0 };
    let mut collector = Collector::new(UnknownClient::GetsSession);
    let mut body = Vec::new();
    if file.fill(&mut body, HEADER_LENGTH)? == 0 {
        collector.remark(Reason::EmptyFile, Place::Byte(0));
        return Ok(collector.finish());
    }
    let version = version(&body)?;
    while let Some((kind, length)) = chunk_header(&mut file, &mut body, version)? {
        let start = file.offset;
        let Some(name) = chunk_name(kind) else {
            collector.remark(Reason::UnknownChunk, Place::Byte(start));
            file.skip(length)?;
            continue;
        };
        if file.fill(&mut body, length)? < length {
            return Err(truncated(start, &format!("{name} of {length} bytes, of which {} are there", body.len())));
        }
        let chunk = Chunk::new(name, start, &body);
        match version {
            ..5 => layout_v2::take(&mut collector, kind, chunk, version)?,
            _ => layout_v5::take(&mut collector, kind, chunk, version)?,
        }
    }
    Ok(collector.finish())
}

pub(super) const CONFIGURATION: u32 = 1;
pub(super) const MESSAGE: u32 = 2;
pub(super) const DELIVERY: u32 = 3;
pub(super) const RETAINED: u32 = 4;
pub(super) const SUBSCRIPTION: u32 = 5;
pub(super) const CLIENT: u32 = 6;

const fn chunk_name(kind: u32) -> Option<&'static str> {
    match kind {
        CONFIGURATION => Some("configuration chunk"),
        MESSAGE => Some("message chunk"),
        DELIVERY => Some("client message chunk"),
        RETAINED => Some("retained message chunk"),
        SUBSCRIPTION => Some("subscription chunk"),
        CLIENT => Some("client chunk"),
        _ => None,
    }
}

/// Message numbers of another width come from a build of Mosquitto that nobody ships.
pub(super) fn check_store_id_width(chunk: &Chunk<'_>, width: u8) -> Result<(), ImportFault> {
    match width {
        8 => Ok(()),
        _ => Err(chunk.fault(&format!("says that messages are numbered with {width} bytes; it must be 8"))),
    }
}

const MAGIC: &[u8] = b"\x00\xB5\x00mosquitto db";
const HEADER_LENGTH: u32 = 23;

fn version(header: &[u8]) -> Result<u32, ImportFault> {
    if !header.starts_with(MAGIC) && !MAGIC.starts_with(header) {
        return Err(ImportFault::Foreign);
    }
    if header.len() < HEADER_LENGTH as usize {
        return Err(truncated(0, "its header"));
    }
    let mut rest = Chunk::new("header", MAGIC.len() as u64, header.get(MAGIC.len()..).unwrap_or_default());
    let _checksum = rest.four_bytes()?;
    match rest.four_bytes()? {
        version @ 2..=6 => Ok(version),
        newer @ 7.. => Err(ImportFault::Unsupported(format!(
            "its format version is {newer}, and this sori knows up to 6; a newer sori may read it"
        ))),
        old => Err(ImportFault::Unsupported(format!("its format version is {old}, and this sori knows 2 to 6"))),
    }
}

/// Kind and length of the next chunk, or `None` at the end of the file.
fn chunk_header(
    file: &mut Counted<impl Read>,
    buffer: &mut Vec<u8>,
    version: u32,
) -> Result<Option<(u32, u32)>, ImportFault> {
    let start = file.offset;
    let wanted = if version < 5 { 6 } else { 8 };
    match file.fill(buffer, wanted)? {
        0 => return Ok(None),
        found if found < wanted => return Err(truncated(start, "the head of a chunk")),
        _ => {}
    }
    let mut header = Chunk::new("head of a chunk", start, buffer);
    let kind = if version < 5 { header.two_bytes()?.into() } else { header.four_bytes()? };
    Ok(Some((kind, header.four_bytes()?)))
}

fn truncated(offset: u64, what: &str) -> ImportFault {
    ImportFault::damaged(Place::Byte(offset), format!("the file ends within {what}"))
}

/// A file and how much of it has been read. Memory grows with the bytes that come, never with a length that the file
/// claims.
struct Counted<R> {
    file: R,
    offset: u64,
}

impl<R: Read> Counted<R> {
    /// Fills `buffer` with that many bytes, or with fewer at the end of the file. Returns how many there are.
    fn fill(&mut self, buffer: &mut Vec<u8>, length: u32) -> Result<u32, ImportFault> {
        buffer.clear();
        let found = self.file.by_ref().take(length.into()).read_to_end(buffer).map_err(ImportFault::Io)?;
        self.offset += found as u64;
        Ok(u32::try_from(found).unwrap_or(length))
    }

    fn skip(&mut self, length: u32) -> Result<(), ImportFault> {
        let start = self.offset;
        let found = io::copy(&mut self.file.by_ref().take(length.into()), &mut io::sink()).map_err(ImportFault::Io)?;
        self.offset += found;
        if found < length.into() { Err(truncated(start, "a chunk of an unknown kind")) } else { Ok(()) }
    }
}

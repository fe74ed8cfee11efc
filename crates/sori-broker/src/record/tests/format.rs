//! Reads records by the table in docs/store-format.md and by nothing else: what the document says is what is written.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

const DOCUMENT: &str = include_str!("../../../../../docs/store-format.md");

/// A line of the table.
pub(super) struct Row {
    pub(super) kind: u8,
    pub(super) name: &'static str,
    parts: Vec<&'static str>,
}

pub(super) fn rows() -> impl Iterator<Item = Row> {
    let (_, table) = DOCUMENT.split_once("### Kinds of records").expect("the document has the table");
    let (table, _) = table.split_once("### ").expect("something follows the table");
    table.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, kind, name, parts, ..] = cells[..] else { return None };
        let parts = parts.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        Some(Row { kind: kind.parse().ok()?, name, parts })
    })
}

struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Read<T> = Result<T, String>;

impl Bytes<'_> {
    fn take(&mut self, count: u64) -> Read<&[u8]> {
        let begin = self.at;
        self.at = begin + count as usize;
        self.bytes.get(begin..self.at).ok_or_else(|| format!("{count} bytes are missing at {begin}"))
    }

    fn varint(&mut self) -> Read<u64> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return Ok(value);
            }
        }
    }

    fn parts(&mut self, parts: &[&str]) -> Read<u64> {
        parts.iter().try_fold(0, |_, part| self.part(part))
    }

    /// Passes over one part of a record; gives its value, if it is a number.
    fn part(&mut self, part: &str) -> Read<u64> {
        match part {
            "byte" => self.take(1).map(|bytes| bytes[0].into()),
            "delivery" => {
                let has_group = self.take(1)?[0] & 0b1000 != 0;
                self.take(if has_group { 4 } else { 0 }).map(|_| 0)
            }
            "flag" => match self.take(1)?[0] {
                flag @ 0..=1 => Ok(flag.into()),
                other => Err(format!("a flag is {other}")),
            },
            "varint" => self.varint(),
            "number" | "time" | "place" => self.take(8).map(|_| 0),
            "seconds" => self.take(4).map(|_| 0),
            "packet id" => self.take(2).map(|_| 0),
            "text" => {
                let length = self.varint()?;
                let text = self.take(length)?;
                core::str::from_utf8(text).map(|_| 0).map_err(|error| format!("{error}"))
            }
            "bytes" => {
                let length = self.varint()?;
                self.take(length).map(|_| 0)
            }
            "identifiers" => (0..self.varint()?).try_fold(0, |_, _| self.varint()),
            "session" => self.parts(&["varint", "varint", "varint"]),
            "blob" => {
                let length = u32::from_le_bytes(self.take(4)?.try_into().expect("four bytes"));
                self.take(4)?;
                let end = self.at + length as usize;
                self.parts(&["number", "time", "delivery", "text", "bytes"])?;
                let payload = end.checked_sub(self.at).ok_or("a message ends too early")?;
                self.take(payload as u64).map(|_| 0)
            }
            "will" => self.parts(&["seconds", "number", "bytes"]),
            "user" => match self.part("byte")? {
                0 => Ok(0),
                1 => self.part("text"),
                2 => self.part("seconds"),
                3 => self.parts(&["text", "seconds"]),
                other => Err(format!("the flags of a user are {other}")),
            },
            "head" => {
                self.parts(&["text", "seconds", "user"])?;
                match self.part("byte")? {
                    0 | 2 => Ok(0),
                    1 | 3 => self.part("will"),
                    other => Err(format!("the flags of a session are {other}")),
                }
            }
            "owed" => self.parts(&["number", "number", "place", "varint", "delivery", "identifiers"]),
            "owner" => {
                if self.part("byte")? > 0 {
                    self.parts(&["text", "user"])?;
                }
                Ok(0)
            }
            "copy" => self.parts(&["number", "delivery", "identifiers"]),
            other => Err(format!("the document does not say what '{other}' is")),
        }
    }

    fn record(&mut self, row: &Row) -> Read<u64> {
        match (row.name, &row.parts[..]) {
            ("Published", [parts @ .., "*list*"]) => {
                self.parts(parts)?;
                while self.varint()? > 0 {
                    self.parts(&["varint", "varint", "delivery", "identifiers"])?;
                }
                Ok(0)
            }
            ("Session", [parts @ .., "*list*"]) => {
                let count = self.parts(parts)?;
                (0..count).try_fold(0, |_, _| self.part("number"))
            }
            ("InFlight", [parts @ .., "owed"]) => match self.parts(parts)? {
                0 => Ok(0),
                _ => self.part("owed"),
            },
            (_, parts) => self.parts(parts),
        }
    }
}

/// Gives where each record ends.
pub(super) fn check(bytes: &[u8]) -> Result<Vec<usize>, String> {
    let rows: Vec<Row> = rows().collect();
    let mut reader = Bytes { bytes, at: 0 };
    let mut ends = Vec::new();
    while reader.at < bytes.len() {
        let begin = reader.at;
        let kind = reader.take(1)?[0];
        let row = rows.iter().find(|row| row.kind == kind).ok_or_else(|| format!("no kind {kind} at {begin}"))?;
        reader.record(row).map_err(|error| format!("{} at {begin}: {error}", row.name))?;
        ends.push(reader.at);
    }
    Ok(ends)
}

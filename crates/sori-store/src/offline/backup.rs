//! Copies a store, also while a broker writes to it.
//!
//! Segments only grow, and only the last one does. So files are copied in their order and the last one as far as it is by then; what
//! is cut off there is cut at a whole frame. If a segment is deleted before it was copied, then the log says by now that nobody needs
//! it, and the end of the log is copied again. To restore a store means to copy the files back.

use super::Progress;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::open::{self, io_error};
use crate::segment;
use std::collections::BTreeSet;
use std::io;

/// Copies a store to an empty directory. What was durable when the copy began is in it.
pub fn backup(from: &dyn Disk, to: &dyn Disk, progress: &mut dyn FnMut(Progress)) -> Result<(), OpenError> {
    let failed = |error| io_error("copy the store", error);
    if !segment::numbers(to).map_err(failed)?.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "there is a store already")));
    }
    let mut copy = Copy { from, to, complete: BTreeSet::new(), bytes_done: 0, progress };
    let mut checks_left = CHECKS_MAX;
    for _ in 0..PASSES_MAX {
        if !copy.pass().map_err(failed)? {
            continue;
        }
        checks_left -= 1;
        match open::check(to) {
            Ok(end) => return copy.finish(end).map_err(failed),
            // The end may have been copied while a torn write was being cut off. Or the store itself is damaged.
            Err(OpenError::Damaged { .. }) if checks_left > 0 => copy.complete.clear(),
            Err(error) => return Err(error),
        }
    }
    Err(failed(io::Error::other("segments are deleted faster than they are copied")))
}

struct Copy<'a> {
    from: &'a dyn Disk,
    to: &'a dyn Disk,
    /// Segments that will not change any more and have been copied.
    complete: BTreeSet<u32>,
    bytes_done: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl Copy<'_> {
    /// Copies all that has not been copied. False: a segment was deleted meanwhile.
    fn pass(&mut self) -> io::Result<bool> {
        let numbers = segment::numbers(self.from)?;
        let last = numbers.last().copied();
        let todo: Vec<u32> = numbers.into_iter().filter(|number| !self.complete.contains(number)).collect();
        let mut bytes_left = todo.iter().map(|number| self.from.length(&segment::name(*number)).unwrap_or(0)).sum();
        for number in todo {
            match self.copy(&segment::name(number), &mut bytes_left) {
                // All before the last one were complete when the directory was read.
                Ok(()) if Some(number) != last => drop(self.complete.insert(number)),
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn copy(&mut self, file: &str, bytes_left: &mut u64) -> io::Result<()> {
        // A file that is gone leaves nothing behind in the copy.
        self.from.length(file)?;
        if self.to.list()?.iter().any(|name| name == file) {
            self.to.remove(file)?;
        }
        self.to.create(file)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut offset = 0;
        loop {
            let got = match self.from.read(file, offset, &mut chunk) {
                Err(error) => {
                    self.to.remove(file)?;
                    return Err(error);
                }
                Ok(0) => return Ok(()),
                Ok(got) => got,
            };
            self.to.append(file, chunk.get(..got).unwrap_or_default())?;
            offset += got as u64;
            self.bytes_done += got as u64;
            *bytes_left = bytes_left.saturating_sub(got as u64);
            (self.progress)(Progress { bytes_done: self.bytes_done, bytes_total: self.bytes_done + *bytes_left });
        }
    }

    fn finish(&self, end: Option<(u32, u64)>) -> io::Result<()> {
        if let Some((segment, bytes)) = end {
            self.to.truncate(&segment::name(segment), bytes)?;
        }
        for number in segment::numbers(self.to)? {
            self.to.sync(&segment::name(number))?;
        }
        self.to.sync_directory()
    }
}

/// A checkpoint deletes many segments at once, but not many checkpoints are completed while one store is copied.
const PASSES_MAX: usize = 100;

/// How often a copy may be damaged before it is the store that is.
const CHECKS_MAX: usize = 3;

const CHUNK_BYTES: usize = 1 << 20;

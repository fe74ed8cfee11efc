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
use std::{fmt, io};

/// Why a copy could not be made. What there is of it is of no use.
#[derive(Debug)]
pub enum BackupError {
    /// The store that is copied cannot be read, or is damaged.
    Store(OpenError),
    /// The copy cannot be written.
    Copy(OpenError),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::Store(error) | BackupError::Copy(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BackupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BackupError::Store(error) | BackupError::Copy(error) => Some(error),
        }
    }
}

/// Copies a store to an empty directory. What was durable when the copy began is in it. Until this is done, and when it fails, the
/// directory holds something that must not pass for a store.
pub fn backup(from: &dyn Disk, to: &dyn Disk, progress: &mut dyn FnMut(Progress)) -> Result<(), BackupError> {
    if !segment::numbers(to).map_err(|error| unwritable("the directory", error))?.is_empty() {
        return Err(unwritable("it", io::Error::new(io::ErrorKind::AlreadyExists, "there is a store already")));
    }
    let mut copy = Copy { from, to, complete: BTreeSet::new(), bytes_done: 0, progress };
    let mut checks_left = CHECKS_MAX;
    for _ in 0..PASSES_MAX {
        if !copy.pass()? {
            continue;
        }
        checks_left -= 1;
        match open::check(to) {
            Ok(end) => return copy.finish(end).map_err(|error| unwritable("the copy", error)),
            // The end may have been copied while a torn write was being cut off. Or the store itself is damaged.
            Err(OpenError::Damaged { .. }) if checks_left > 0 => copy.complete.clear(),
            Err(error @ OpenError::Io { .. }) => return Err(BackupError::Copy(error)),
            Err(error) => return Err(BackupError::Store(error)),
        }
    }
    Err(unreadable("all segments", io::Error::other("they are deleted faster than they are copied")))
}

fn unreadable(what: &str, error: io::Error) -> BackupError {
    BackupError::Store(io_error(&format!("read {what}"), error))
}

fn unwritable(what: &str, error: io::Error) -> BackupError {
    BackupError::Copy(io_error(&format!("write {what}"), error))
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
    fn pass(&mut self) -> Result<bool, BackupError> {
        let numbers = segment::numbers(self.from).map_err(|error| unreadable("the directory", error))?;
        let last = numbers.last().copied();
        let todo: Vec<u32> = numbers.into_iter().filter(|number| !self.complete.contains(number)).collect();
        let mut bytes_left = todo.iter().map(|number| self.from.length(&segment::name(*number)).unwrap_or(0)).sum();
        for number in todo {
            if !self.copy(&segment::name(number), &mut bytes_left)? {
                return Ok(false);
            }
            // All before the last one were complete when the directory was read.
            if Some(number) != last {
                self.complete.insert(number);
            }
        }
        Ok(true)
    }

    /// False: the file is gone. Nothing of it is left behind in the copy then.
    fn copy(&mut self, file: &str, bytes_left: &mut u64) -> Result<bool, BackupError> {
        if gone(self.from.length(file)).map_err(|error| unreadable(file, error))?.is_none() {
            return Ok(false);
        }
        let written = |done: io::Result<()>| done.map_err(|error| unwritable(file, error));
        written(self.begin(file))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut offset = 0;
        loop {
            let got = match gone(self.from.read(file, offset, &mut chunk)) {
                Ok(Some(0)) => return Ok(true),
                Ok(Some(got)) => got,
                Ok(None) => return written(self.to.remove(file)).map(|()| false),
                Err(error) => return Err(unreadable(file, error)),
            };
            written(self.to.append(file, chunk.get(..got).unwrap_or_default()))?;
            offset += got as u64;
            self.bytes_done += got as u64;
            *bytes_left = bytes_left.saturating_sub(got as u64);
            (self.progress)(Progress { bytes_done: self.bytes_done, bytes_total: self.bytes_done + *bytes_left });
        }
    }

    /// Makes a file of the copy, in the place of what an earlier pass may have made of it.
    fn begin(&self, file: &str) -> io::Result<()> {
        if self.to.list()?.iter().any(|name| name == file) {
            self.to.remove(file)?;
        }
        self.to.create(file)
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

/// `None`: a file is gone.
fn gone<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

/// A checkpoint deletes many segments at once, but not many checkpoints are completed while one store is copied.
const PASSES_MAX: usize = 100;

/// How often a copy may be damaged before it is the store that is.
const CHECKS_MAX: usize = 3;

const CHUNK_BYTES: usize = 1 << 20;

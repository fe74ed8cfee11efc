//! Whether a store is whole: all that is wrong, not only the first thing.

use super::Progress;
use super::inspect::Inspected;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::open::{Replay, io_error};
use crate::segment;
use std::{fmt, io};

/// Something that is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In which file.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// What it is.
    pub text: String,
    /// How bad it is.
    pub severity: Severity,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it is after any power cut. Nothing that was promised is missing.
    Note,
    /// It is whole, and only a newer version can read it.
    Newer,
    /// Something that was durable is not there, or not as it was written.
    Damage,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, offset {}: {}", self.file, self.offset, self.text)
    }
}

/// Looks at every frame of every segment. `understand` says whether it could read records: it gets frames in any order, perhaps more
/// than once, and each is looked at alone. The store may be in use: what is written meanwhile may show as a torn end.
pub fn verify(
    disk: &dyn Disk,
    understand: &mut Replay<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Finding>, OpenError> {
    for _ in 1..PASSES_MAX {
        let before = segment::numbers(disk).map_err(|error| io_error("read the directory", error))?;
        match Inspected::new(disk, understand, progress) {
            // A segment was deleted after the directory had been read.
            Err(OpenError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            // What seems to be missing may be what was deleted meanwhile, and what says so may stand in a segment that came meanwhile.
            Ok(inspected) if is_damaged(&inspected.findings) && segment::numbers(disk).ok() != Some(before) => {}
            Ok(inspected) => return Ok(inspected.findings),
        }
    }
    Ok(Inspected::new(disk, understand, progress)?.findings)
}

fn is_damaged(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Damage)
}

/// Segments are deleted after a checkpoint, many at once, and then none for a while.
const PASSES_MAX: usize = 100;

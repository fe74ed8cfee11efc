//! Whether a store is whole: all that is wrong, not only the first thing.

use super::Progress;
use super::inspect::Inspected;
use crate::disk::Disk;
use crate::error::OpenError;
use std::fmt;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As it is after any power cut. Nothing that was promised is missing.
    Note,
    /// Something that was durable is not there, or not as it was written.
    Damage,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, offset {}: {}", self.file, self.offset, self.text)
    }
}

/// Looks at every frame of every segment. The store may be in use: what is written meanwhile may show as a torn end, and a segment
/// that is deleted meanwhile as an error.
pub fn verify(disk: &dyn Disk, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Finding>, OpenError> {
    Ok(Inspected::new(disk, progress)?.findings)
}

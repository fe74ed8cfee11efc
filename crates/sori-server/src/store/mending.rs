//! What people do with a store beside a broker: look whether it is whole, mend it, copy it.

use crate::progress::Progress;
use crate::startup::RunError;
use crate::store::opening::{refusal, refused_beside};
use crate::store::place::failed;
use crate::store::unfinished::Unfinished;
use sori_broker::Recovered;
use sori_store::{BackupError, FileDisk, OpenError, Records, Refusal};
pub use sori_store::{Finding, Repaired, Severity};
use std::path::Path;

/// Looks at every byte of the store at `path`, also while a broker uses it: everything that is wrong, and what is worth
/// telling.
///
/// # Errors
/// It cannot be read.
pub fn verify(path: &Path) -> Result<Vec<Finding>, RunError> {
    let disk = FileDisk::open_read_only(path).map_err(|error| refused_beside(path, &error))?;
    let mut understand = |place, bytes: &[u8]| Recovered::new().apply(place, bytes).map_err(refusal);
    sori_store::verify(&disk, &mut understand, &mut shown("Checking the store"))
        .map_err(|error| refused_beside(path, &error))
}

/// Mends the store at `path`, which nobody may use: keeps what is whole, and tells what is lost.
///
/// # Errors
/// It is in use, or cannot be written.
pub fn repair(path: &Path) -> Result<Repaired, RunError> {
    let disk = FileDisk::open(path).map_err(|error| refused_beside(path, &error))?;
    let mut understanding = Understanding(Recovered::new());
    sori_store::repair(&disk, &mut understanding, &mut shown("Mending the store"))
        .map_err(|error| refused_beside(path, &error))
}

/// Copies the store at `from`, also while a broker uses it, to the directory `to`, which must be empty or not there. The copy
/// gets this name when it is whole.
///
/// # Errors
/// One cannot be read, or the other not be written.
pub fn backup(from: &Path, to: &Path) -> Result<(), RunError> {
    let source = FileDisk::open_read_only(from).map_err(|error| refused_beside(from, &error))?;
    let unfinished = Unfinished::begin(to)?;
    let target = FileDisk::open(unfinished.path()).map_err(|error| not_copied(to, &error))?;
    let copied = sori_store::backup(&source, &target, &mut shown("Copying the store"));
    copied.map_err(|error| match error {
        BackupError::Store(error) => refused_beside(from, &error),
        BackupError::Copy(error) => not_copied(to, &error),
    })?;
    drop(target);
    unfinished.finish()
}

fn not_copied(to: &Path, error: &OpenError) -> RunError {
    match error {
        OpenError::Io { error, .. } => failed("copy the store to", to, error),
        error => refused_beside(to, error),
    }
}

fn shown(what: &'static str) -> impl FnMut(sori_store::Progress) {
    let mut progress = Progress::start(what);
    move |now| progress.show(now.bytes_done, now.bytes_total)
}

/// Knows which records can be read.
struct Understanding(Recovered);

impl Records for Understanding {
    fn begin(&mut self) {
        self.0 = Recovered::new();
    }

    fn frame(&mut self, place: u64, bytes: &[u8]) -> Result<(), Refusal> {
        self.0.apply(place, bytes).map_err(refusal)
    }
}

//! Files and directories that the broker writes.

use super::permissions::Eyes;
use crate::config::{Config, Remark, Setting, Severity, files};
use crate::store::place::Place;
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::io;
use std::path::Path;

/// Looks at all without which the broker does not start.
pub(crate) fn examine(config: &Config, settings: &[Setting], eyes: Eyes, remarks: &mut Vec<Remark>) {
    let mut look = |option: &str, found: Option<Remark>| {
        remarks.extend(found.map(|remark| files::pointed(option, settings, remark)));
    };
    look("pid_file", config.pid_file.as_deref().and_then(|path| pid_file(path, eyes)));
    if config.persistence {
        look("persistence_location", store(&Place::of(config), eyes));
    }
    look("import_sqlite", config.import_sqlite.as_deref().and_then(|path| file_to_read(path, eyes)));
}

fn pid_file(path: &Path, eyes: Eyes) -> Option<Remark> {
    let error = can_be_written(path).err()?;
    let text = format!("Unable to write pid file {}: {error}.", path.display());
    Some(Remark::new(eyes.weight(&error), text).hint(let_be_written(path)))
}

/// Looks at the log file. Without it the log goes to standard error, so that the broker starts all the same, and says so then.
pub(super) fn examine_log(config: &Config, settings: &[Setting], remarks: &mut Vec<Remark>) {
    let found = config.log.destinations.file.as_deref().and_then(log_file);
    remarks.extend(found.map(|remark| files::pointed("log_dest", settings, remark)));
}

fn log_file(path: &Path) -> Option<Remark> {
    let error = can_be_written(path).err()?;
    let text = format!("{} cannot be written: {error}. The log goes to standard error instead.", path.display());
    Some(Remark::new(Severity::Warning, text).hint(let_be_written(path)))
}

fn let_be_written(path: &Path) -> String {
    format!("make {} writable for the broker.", directory_of(path).display())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that will be made, or written to.
fn can_be_written(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(io::Error::other("it is a directory")),
        Ok(_) => access(path, AccessFlags::W_OK).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => writable_directory(directory_of(path)),
        Err(error) => Err(error),
    }
}

/// The directories of the store are made when they are not there, so their parents only must be.
fn store(place: &Place, eyes: Eyes) -> Option<Remark> {
    let is_made_by_root = eyes == Eyes::Broker { was_root: true } && !place.location().exists();
    let (directory, store) = (place.location(), place.store());
    let is_there = |place: &&Path| place.exists() || place.as_os_str().is_empty();
    let first_there = store.ancestors().find(is_there).filter(|place| !place.as_os_str().is_empty());
    let first_there = first_there.unwrap_or(Path::new("."));
    let error = writable_directory(first_there).err()?;
    // What is no directory stays none, whoever wants one there.
    if is_made_by_root && error.kind() == io::ErrorKind::PermissionDenied {
        return None;
    }
    let text = format!("Nothing can be kept in {}: {}: {error}.", directory.display(), first_there.display());
    Some(Remark::new(eyes.weight(&error), text).hint("name a directory that the broker may write."))
}

pub(super) fn writable_directory(path: &Path) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        return Err(io::Error::other("it is not a directory"));
    }
    access(path, AccessFlags::W_OK | AccessFlags::X_OK).map_err(io::Error::from)
}

fn file_to_read(path: &Path, eyes: Eyes) -> Option<Remark> {
    let error = fs::File::open(path).err()?;
    let text = format!("{} cannot be read: {error}.", path.display());
    Some(Remark::new(eyes.weight(&error), text).hint("name a file that is there, or remove the line."))
}

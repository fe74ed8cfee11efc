//! Files and directories that the broker writes, and the user that it becomes.

use super::permissions::weight;
use crate::config::{Config, Remark, Setting, Severity, files};
use nix::unistd::{AccessFlags, User, access};
use std::fs;
use std::io;
use std::path::Path;

/// Looks at all of them.
pub(super) fn examine(config: &Config, settings: &[Setting], remarks: &mut Vec<Remark>) {
    let mut look = |option: &str, found: Option<Remark>| {
        if let Some(remark) = found {
            let mut remark = [remark];
            files::point_at(option, settings, &mut remark);
            remarks.extend(remark);
        }
    };
    look("pid_file", config.pid_file.as_deref().and_then(|path| file_to_write(path, Severity::Error)));
    // The log goes to standard error instead, so that the broker starts all the same.
    look("log_dest", config.log.destinations.file.as_deref().and_then(|path| file_to_write(path, Severity::Warning)));
    if config.persistence {
        look("persistence_location", config.persistence_location.as_deref().and_then(store_directory));
    }
    look("import_sqlite", config.import_sqlite.as_deref().and_then(file_to_read));
    look("user", config.user.as_deref().and_then(user));
}

/// A file that will be made, or written to.
fn file_to_write(path: &Path, at_most: Severity) -> Option<Remark> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let problem = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(io::Error::other("it is a directory")),
        Ok(_) => access(path, AccessFlags::W_OK).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => writable_directory(directory),
        Err(error) => Err(error),
    };
    let error = problem.err()?;
    let weight = if at_most == Severity::Warning { Severity::Warning } else { weight(&error) };
    let text = format!("{} cannot be written: {error}.", path.display());
    Some(Remark::new(weight, text).hint(format!("make the directory {} writable for the broker.", directory.display())))
}

/// The directory of the store is made when it is not there, so its parents only must be.
fn store_directory(path: &Path) -> Option<Remark> {
    let first_there = path.ancestors().find(|place| place.exists() || place.as_os_str().is_empty());
    let place = first_there.filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let error = writable_directory(place).err()?;
    let text = format!("Nothing can be kept in {}: {}: {error}.", path.display(), place.display());
    Some(Remark::new(weight(&error), text).hint("name a directory that the broker may write."))
}

fn writable_directory(path: &Path) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        return Err(io::Error::other("it is not a directory"));
    }
    access(path, AccessFlags::W_OK | AccessFlags::X_OK).map_err(io::Error::from)
}

fn file_to_read(path: &Path) -> Option<Remark> {
    let error = fs::File::open(path).err()?;
    let text = format!("{} cannot be read: {error}.", path.display());
    Some(Remark::new(weight(&error), text).hint("name a file that is there, or remove the line."))
}

fn user(name: &str) -> Option<Remark> {
    if matches!(User::from_name(name), Ok(Some(_)) | Err(_)) {
        return None;
    }
    // `nobody` stands in for it.
    let weight = if name == "mosquitto" { Severity::Warning } else { Severity::Error };
    let text = format!("Unable to drop privileges to '{name}' because this user does not exist.");
    Some(Remark::new(weight, text).hint(format!("make it: `useradd --system {name}`.")))
}

//! The database as it stands, without a chance for SQLite to change it.
//!
//! A database that was closed is opened as immutable: SQLite then makes no file beside it. One that was not closed has
//! a journal, and what the journal holds must be applied: that happens to a copy.

use sqlx::sqlite::SqliteConnectOptions;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Files that SQLite leaves behind when a database is not closed.
const JOURNALS: [&str; 2] = ["-wal", "-journal"];

pub(super) struct Snapshot {
    database: PathBuf,
    /// Removed with everything in it when the snapshot goes.
    copy: Option<Folder>,
}

impl Snapshot {
    pub(super) fn of(path: &Path, scratch: &Path) -> io::Result<Self> {
        let journals: Vec<&str> = JOURNALS.into_iter().filter(|journal| is_filled(&beside(path, journal))).collect();
        if journals.is_empty() {
            return Ok(Self { database: path.into(), copy: None });
        }
        let folder = Folder::below(scratch)?;
        let database = folder.0.join("database");
        for end in journals.iter().chain(&[""]) {
            fs::copy(beside(path, end), beside(&database, end))?;
        }
        Ok(Self { database, copy: Some(folder) })
    }

    pub(super) fn options(&self) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new().filename(&self.database);
        match self.copy {
            Some(_) => options,
            None => options.read_only(true).immutable(true),
        }
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn is_filled(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() > 0)
}

/// A new folder that nobody else may look into.
struct Folder(PathBuf);

impl Folder {
    fn below(scratch: &Path) -> io::Result<Self> {
        let mut number = 0_u32;
        loop {
            let path = scratch.join(format!("sori-import-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < ATTEMPTS_MAX => number += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

const ATTEMPTS_MAX: u32 = 1000;

impl Drop for Folder {
    fn drop(&mut self) {
        // It is a copy: if it cannot be removed, nothing but room is lost.
        _ = fs::remove_dir_all(&self.0);
    }
}

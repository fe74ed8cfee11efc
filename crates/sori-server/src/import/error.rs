//! What is wrong with a file, where, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file that could not be imported. Nothing of it was taken, and nothing of it was changed.
#[derive(Debug)]
pub struct ImportError {
    path: PathBuf,
    fault: ImportFault,
}

/// Whose fault it is.
#[derive(Debug)]
pub enum ImportFault {
    /// The machine failed, or the file is not there.
    Io(io::Error),
    /// It is something else: not a file of Mosquitto.
    Foreign,
    /// It is a file of Mosquitto that this version cannot read, and why.
    Unsupported(String),
    /// It is a file of Mosquitto and says something that Mosquitto would not have written.
    Damaged {
        /// Where it says so.
        place: Place,
        /// What is wrong there.
        what: String,
    },
}

/// A place in a file.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// So many bytes after the beginning.
    Byte(u64),
    /// The row of a table of an SQLite database.
    Row {
        /// The table.
        table: &'static str,
        /// SQLite's number of the row.
        rowid: i64,
    },
    /// The database as a whole.
    Database,
}

impl ImportError {
    pub(super) fn new(path: &Path, fault: ImportFault) -> Self {
        Self { path: path.to_owned(), fault }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn fault(&self) -> &ImportFault {
        &self.fault
    }
}

impl ImportFault {
    pub(super) fn damaged(place: Place, what: impl Into<String>) -> Self {
        Self::Damaged { place, what: what.into() }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.fault {
            ImportFault::Io(error) => {
                write!(f, "cannot be read: {error}. Check that it is there and that the broker's user may read it")
            }
            ImportFault::Foreign => f.write_str(
                "is neither a mosquitto.db nor an SQLite database. Name another file, or move this one away",
            ),
            ImportFault::Unsupported(why) => {
                write!(f, "cannot be imported: {why}. {WITHOUT_IT}")
            }
            ImportFault::Damaged { place, what } => {
                write!(f, "is damaged{place}: {what}. Nothing was imported; put back a good copy. {WITHOUT_IT}")
            }
        }
    }
}

const WITHOUT_IT: &str = "To start without what it holds, move it away";

/// Follows what is said to be there, as in "damaged at byte 23".
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(offset) => write!(f, " at byte {offset}"),
            Self::Row { table, rowid } => write!(f, " at row {rowid} of table {table}"),
            Self::Database => Ok(()),
        }
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            ImportFault::Io(error) => Some(error),
            _ => None,
        }
    }
}

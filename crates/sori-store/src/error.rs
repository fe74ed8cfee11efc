//! What can go wrong, told so that an operator knows which file to look at.

use std::fmt;
use std::io;

/// Why a store could not be opened. Nothing has been changed then.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it open.
    InUse {
        /// The directory.
        path: String,
        /// The other process, if it is known.
        pid: Option<u32>,
    },
    /// The operating system refused something.
    Io {
        /// What was tried, with the name of the file or directory.
        what: String,
        /// What it said.
        error: io::Error,
    },
    /// It was written by a newer version.
    Newer {
        /// The file that says so.
        file: String,
        /// The version of its format.
        version: u32,
    },
    /// Something that had been durable is not there or not as it was written.
    Damaged {
        /// The file.
        file: String,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        text: String,
    },
    /// The records are whole, but their reader does not understand them.
    Records {
        /// The file.
        file: String,
        /// Where in the file their frame begins.
        offset: u64,
        /// What the reader said.
        refusal: Refusal,
    },
}

/// Why somebody does not take the records of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub text: String,
    /// Nothing is: a newer version can read them.
    pub is_newer: bool,
}

impl From<String> for Refusal {
    fn from(text: String) -> Refusal {
        Refusal { text, is_newer: false }
    }
}

impl From<&str> for Refusal {
    fn from(text: &str) -> Refusal {
        Refusal::from(text.to_owned())
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::InUse { path, pid: Some(pid) } => write!(f, "the store {path} is in use by process {pid}"),
            OpenError::InUse { path, pid: None } => write!(f, "the store {path} is in use by another process"),
            OpenError::Io { what, error } => write!(f, "cannot {what}: {error}"),
            OpenError::Newer { file, version } => {
                write!(f, "{file} has format version {version}, which a newer version of this program wrote")
            }
            OpenError::Damaged { file, offset, text } => {
                write!(
                    f,
                    "the store is damaged: {file}, offset {offset}: {text}; `sori store repair` keeps what is whole"
                )
            }
            OpenError::Records { file, offset, refusal } => {
                let newer = if refusal.is_newer { ", which a newer version of this program wrote" } else { "" };
                let text = &refusal.text;
                write!(f, "the store holds records that cannot be read{newer}: {file}, offset {offset}: {text}")
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why a blob could not be read.
#[derive(Debug)]
pub struct ReadError {
    /// The file that holds it.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read a message from {}, offset {}: {}", self.file, self.offset, self.text)
    }
}

impl std::error::Error for ReadError {}

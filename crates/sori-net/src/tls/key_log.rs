//! The secrets of connections, in the file format that Wireshark reads.

use crate::tls::files::LoadError;
use core::fmt::Write as _;
use rustls::KeyLog;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(crate) struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    /// Lines are appended. The file is for the owner only: who reads it reads all connections.
    pub(crate) fn open(path: &Path) -> Result<KeyLogFile, LoadError> {
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let file = opened.map_err(|error| LoadError::of(path, format!("cannot be written: {error}")))?;
        Ok(KeyLogFile(Mutex::new(file)))
    }

    pub(crate) fn write_line(&self, line: &str) {
        // It helps who debugs; a full disk must not end connections.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(format!("{line}\n").as_bytes());
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = String::from(label);
        for bytes in [client_random, secret] {
            line.push(' ');
            for byte in bytes {
                // Writing to a string cannot fail.
                let _ = write!(line, "{byte:02x}");
            }
        }
        self.write_line(&line);
    }
}

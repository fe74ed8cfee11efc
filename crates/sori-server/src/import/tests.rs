//! Files that real brokers wrote (`tests/data/mosquitto`), files made up field by field, and damaged ones.

mod damage;
mod encoder;
mod formats;
mod outline;
mod real_files;

pub(super) use outline::outline;

use super::{ImportError, Imported, read_mosquitto_db};
use std::path::{Path, PathBuf};

/// A file that a real Mosquitto wrote.
pub(super) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mosquitto").join(name)
}

fn import(bytes: &[u8]) -> Result<Imported, ImportError> {
    read_mosquitto_db(Path::new("mosquitto.db"), bytes)
}

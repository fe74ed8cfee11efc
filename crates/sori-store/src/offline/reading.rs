//! Reads all that a store holds, and changes nothing in it: it may lie on a file system that cannot be written, or be evidence.

use crate::committer::Committer;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::open::{Replay, io_error};
use crate::options::Options;
use crate::reader::Reader;
use crate::segment;
use std::io;
use std::sync::Arc;

/// Replays a store as [`Committer::open`] does, and reads its blobs. What opening would cut off, make or delete is passed over and
/// stays where it is.
pub fn read(disk: Arc<dyn Disk>, replay: &mut Replay<'_>) -> Result<Reader, OpenError> {
    if segment::numbers(&*disk).map_err(|error| io_error("read the directory", error))?.is_empty() {
        return Err(io_error("find a store", io::ErrorKind::NotFound.into()));
    }
    let options = Options { reserve_bytes: 0, ..Options::default() };
    Committer::open(Arc::new(Untouched(disk)), options, 1, replay).map(|committer| committer.reader())
}

/// A directory in which every change succeeds and does nothing. Whoever opens a store does not read what was to be changed again.
struct Untouched(Arc<dyn Disk>);

impl Disk for Untouched {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        self.0.length(name)
    }

    fn create(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn append(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(name, offset, into)
    }

    fn overwrite(&self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

//! Room that is held back for the time when there is no other: a file of real zeros, made shorter to go on writing for a while.

use crate::disk::Disk;
use std::io;
use std::sync::Arc;

pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    bytes: u64,
    is_there: bool,
    /// What failed, if it was not for want of room.
    failure: Option<io::Error>,
}

impl Reserve {
    /// Takes the one that is there.
    pub(crate) fn find(disk: Arc<dyn Disk>) -> Reserve {
        let bytes = disk.length(FILE);
        Reserve { is_there: bytes.is_ok(), bytes: bytes.unwrap_or(0), disk, failure: None }
    }

    /// What failed last, and says nothing about room. On the way the file of the log may have been synced, and that may be it.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    fn note(&mut self, error: io::Error) {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {}
            // Somebody wanted its room.
            io::ErrorKind::NotFound => (self.is_there, self.bytes) = (false, 0),
            _ => self.failure = Some(error),
        }
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it so long, as far as there is room. True: it is.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let zeros = vec![0; CHUNK_BYTES.min(bytes - self.bytes) as usize];
        let mut grown = self.be_there();
        while grown.is_ok() && self.bytes < bytes {
            let chunk = CHUNK_BYTES.min(bytes - self.bytes);
            grown = self.disk.append(FILE, zeros.get(..chunk as usize).unwrap_or_default());
            self.bytes += if grown.is_ok() { chunk } else { 0 };
        }
        // Some file systems take the room only now.
        match grown.and_then(|()| self.disk.sync(FILE)) {
            Ok(()) => return true,
            Err(error) => self.note(error),
        }
        if self.is_there {
            self.cut(self.bytes);
        }
        false
    }

    fn be_there(&mut self) -> io::Result<()> {
        if !self.is_there {
            self.disk.create(FILE)?;
            self.is_there = true;
        }
        Ok(())
    }

    /// Gives room back, so that it is no longer than this. False: there was nothing to be given, or it cannot be.
    pub(crate) fn shrink(&mut self, bytes: u64) -> bool {
        self.bytes > bytes && self.cut(bytes)
    }

    fn cut(&mut self, bytes: u64) -> bool {
        self.bytes = bytes;
        let cut = if bytes > 0 {
            self.disk.truncate(FILE, bytes)
        } else {
            self.is_there = false;
            self.disk.remove(FILE)
        };
        cut.map_err(|error| self.note(error)).is_ok()
    }
}

const FILE: &str = "reserve";

const CHUNK_BYTES: u64 = 256 << 10;

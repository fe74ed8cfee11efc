//! Room that is held back for the time when there is no other: a file of real zeros, deleted to go on writing for a while.

use crate::disk::Disk;
use std::io;
use std::sync::Arc;

pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    /// How many bytes it is to have.
    wanted: u64,
    is_there: bool,
}

impl Reserve {
    /// Takes the one that is there, if it is whole.
    pub(crate) fn find(disk: Arc<dyn Disk>, wanted: u64) -> Reserve {
        let is_there = disk.length(FILE).is_ok_and(|bytes| bytes == wanted);
        Reserve { disk, wanted, is_there }
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> u64 {
        if self.is_there { self.wanted } else { 0 }
    }

    /// Makes it anew, if there is room for twice as much: else the next write would take it away again.
    pub(crate) fn make(&mut self) -> bool {
        if !self.is_there {
            let made = self.write_twice_as_much().and_then(|()| self.disk.truncate(FILE, self.wanted));
            self.is_there = made.is_ok();
            if made.is_err() {
                let _ = self.disk.remove(FILE);
            }
        }
        self.is_there
    }

    fn write_twice_as_much(&self) -> io::Result<()> {
        if self.disk.list()?.iter().any(|name| name == FILE) {
            self.disk.remove(FILE)?;
        }
        self.disk.create(FILE)?;
        let zeros = vec![0; CHUNK_BYTES];
        let mut left = self.wanted * 2;
        while left > 0 {
            let chunk = left.min(CHUNK_BYTES as u64);
            self.disk.append(FILE, zeros.get(..chunk as usize).unwrap_or_default())?;
            left -= chunk;
        }
        // Some file systems take the room only now.
        self.disk.sync(FILE)
    }

    /// Gives the room back. False: there was none.
    pub(crate) fn release(&mut self) -> bool {
        let was_there = std::mem::take(&mut self.is_there);
        was_there && self.disk.remove(FILE).is_ok()
    }

    /// How many bytes there have to be for [`Reserve::make`].
    pub(crate) fn bytes_to_make(&self) -> u64 {
        self.wanted * 2
    }
}

const FILE: &str = "reserve";

const CHUNK_BYTES: usize = 1 << 20;

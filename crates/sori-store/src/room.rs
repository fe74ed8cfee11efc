//! How much may still be written: the limit, and what is held in reserve.
//!
//! ```text
//!  |<----------------------------- limit, or the disk ----------------------------->|
//!  | log                                                          | reserve         |
//!                                                                 | spare | 2 index |
//! ```
//!
//! As long as the reserve is whole, everything is taken. When the log needs a part of it, the store is full: what comes then is
//! what makes room, and writes a little itself. Taking all messages that wait costs about as much as writing down all of them
//! once more, so with twice as much either can be done after the other has been in vain.

use crate::disk::Disk;
use crate::index::Index;
use crate::log::Trouble;
use crate::reserve::Reserve;
use std::sync::Arc;

pub(crate) struct Room {
    reserve: Reserve,
    /// How many bytes the log and the reserve may have together.
    limit: Option<u64>,
    /// How many bytes the reserve has at least, when it is whole.
    least: u64,
    /// How much a checkpoint would write.
    pub(crate) index: Index,
    /// The disk has refused something: what the reserve has is all that is left.
    is_disk_full: bool,
}

impl Room {
    /// With the reserve that is there, whole or not.
    pub(crate) fn find(disk: Arc<dyn Disk>, limit: Option<u64>, least: u64) -> Room {
        Room { reserve: Reserve::find(disk), limit, least, index: Index::default(), is_disk_full: false }
    }

    pub(crate) fn reserve_bytes(&self) -> u64 {
        self.reserve.bytes()
    }

    /// Whether the disk has failed at something else than room.
    pub(crate) fn check(&mut self) -> Result<(), Trouble> {
        match self.reserve.take_failure() {
            Some(error) => Err(Trouble::Failed(format!("cannot change the reserve: {error}"))),
            None => Ok(()),
        }
    }

    /// How many bytes the reserve has when it is whole.
    fn wanted(&self) -> u64 {
        let wanted = self.least.max(self.least / 2 + 2 * self.index.bytes());
        if self.least == 0 { 0 } else { wanted.next_multiple_of((self.least / 4).max(1)) }
    }

    /// Whether the log may have so many bytes and the reserve stays as it is.
    pub(crate) fn is_within(&self, log_bytes: u64) -> bool {
        self.limit.is_none_or(|limit| log_bytes + self.reserve.bytes() <= limit)
    }

    /// Gives the log so much of the reserve that it may have as many bytes, but leaves `floor`. Where that is not enough the
    /// limit gives way: what comes to a full store was under way already, or makes room.
    pub(crate) fn give_within_limit(&mut self, log_bytes: u64, floor: u64) {
        if let Some(limit) = self.limit {
            // Some more than that, so that not each write changes two files.
            let log_bytes = log_bytes + self.least / GIVEN_PARTS;
            self.reserve.shrink(limit.saturating_sub(log_bytes).max(floor));
        }
    }

    /// The disk had no room for so many bytes: gives it some of the reserve, but leaves `floor`. False: there is none to give.
    pub(crate) fn give_to_disk(&mut self, bytes: u64, floor: u64) -> bool {
        self.is_disk_full = true;
        let before = self.reserve.bytes();
        if before <= floor {
            return false;
        }
        // A file system needs some for itself.
        let given = (bytes + bytes / 8).max(self.least / GIVEN_PARTS);
        self.reserve.shrink(before.saturating_sub(given).max(floor))
    }

    /// Whether the reserve is whole, and the log as it should be.
    pub(crate) fn is_whole(&self, log_bytes: u64) -> bool {
        self.reserve.bytes() >= self.wanted() && self.is_within(log_bytes)
    }

    /// Makes the reserve whole, as far as there is room. True: it is.
    pub(crate) fn make_whole(&mut self, log_bytes: u64) -> bool {
        self.is_whole(log_bytes) || self.fill(self.wanted(), log_bytes)
    }

    /// Makes the reserve whole if there is some more room than that: else the next write would take it away again.
    pub(crate) fn make_whole_with_ease(&mut self, log_bytes: u64) -> bool {
        let eased = self.wanted() + self.least;
        if self.is_disk_full {
            // Whether it still is, is asked beyond the limit too.
            self.is_disk_full = !self.reserve.grow(eased);
        }
        let is_whole = self.fill(eased, log_bytes);
        if is_whole {
            self.reserve.shrink(self.wanted());
        }
        is_whole
    }

    fn fill(&mut self, bytes: u64, log_bytes: u64) -> bool {
        let most = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(log_bytes));
        self.reserve.shrink(most);
        let is_filled = self.reserve.grow(bytes.min(most));
        self.is_disk_full |= !is_filled;
        is_filled && bytes <= most
    }

    /// The reserve becomes smaller again when there is less to be done with it.
    pub(crate) fn give_back(&mut self) {
        self.reserve.shrink(self.wanted());
    }

    /// Files have been deleted from a disk that was full: what they had goes into the reserve, before others take it.
    pub(crate) fn take_back(&mut self, log_bytes: u64) {
        if self.is_disk_full {
            self.fill(self.wanted(), log_bytes);
        }
    }

    /// Whether a checkpoint may begin when there is no room: also if it frees nothing, all messages can be taken after it.
    pub(crate) fn is_enough_for_checkpoint(&self) -> bool {
        !self.is_disk_full || self.reserve.bytes() >= 2 * self.index.bytes()
    }

    /// How much must be dead for a checkpoint when there is no room: much, as it costs much, but for the last one that can be paid.
    pub(crate) fn dead_bytes_min(&self) -> u64 {
        let is_last = self.reserve.bytes() < 2 * self.index.bytes() + self.least / 8;
        if is_last { self.least / 4 } else { (self.index.bytes() / 2).max(self.least / DEAD_PARTS) }
    }

    /// Whether so many bytes may be copied to the end of the log, until the place where they were is free. Once the store is full, the
    /// limit gives way for that long; else it would be full because of it.
    pub(crate) fn is_enough_to_move(&self, bytes: u64, log_bytes: u64, is_full: bool) -> bool {
        if is_full {
            // With the rest all messages can be taken.
            !self.is_disk_full || self.reserve.bytes() >= bytes + self.index.bytes()
        } else {
            self.is_within(log_bytes + bytes)
        }
    }
}

/// Such a part of the reserve is given at once, so that a full disk is not asked for every few bytes.
const GIVEN_PARTS: u64 = 64;

/// With so small a part of the reserve dead a store without room is cleaned. The whole of it would be too much: what is left over when
/// it is just missed may be what room is missing for, and nothing more comes that would make it more.
const DEAD_PARTS: u64 = 16;

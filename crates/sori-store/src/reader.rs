//! Reads blobs back, from any thread.

use crate::blob::{self, BLOB_HEADER_BYTES};
use crate::disk::Disk;
use crate::error::ReadError;
use crate::relocations::Relocations;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Reads blobs back. Cheap to clone, for every thread that needs one.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

/// What the committer and all readers have in common.
pub(crate) struct Shared {
    disk: Arc<dyn Disk>,
    relocations: RwLock<Relocations>,
    forgotten: [Stripe; STRIPES],
}

/// A counter with a cache line of its own, so that threads do not fight for it.
#[repr(align(64))]
#[derive(Default)]
struct Stripe(AtomicU64);

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Reader {
        Reader { shared }
    }

    /// The bytes of the blob at a place, also after it was moved.
    pub fn read(&self, place: u64) -> Result<Vec<u8>, ReadError> {
        let mut at = self.current(place);
        loop {
            let mut bytes = Vec::new();
            match blob::read(&*self.shared.disk, at, &mut bytes) {
                Ok(_) => {
                    bytes.drain(..BLOB_HEADER_BYTES);
                    return Ok(bytes);
                }
                // It may have been moved, and its file deleted, since we asked where it is.
                Err(error) => match self.current(at) {
                    same if same == at => return Err(error),
                    moved => at = moved,
                },
            }
        }
    }

    /// Where a blob is now, if it was moved since; else the same place.
    pub fn current(&self, place: u64) -> u64 {
        self.shared.current(place)
    }

    /// Nobody needs the blob at this place any more, which has so many bytes. It is only for an estimate of what is alive: what
    /// may be deleted is found out by a checkpoint.
    pub fn forget(&self, place: u64, bytes: u64) {
        if let Some(Stripe(counter)) = self.shared.forgotten.get((place >> 8) as usize % STRIPES) {
            counter.fetch_add(bytes + BLOB_HEADER_BYTES as u64, Ordering::Relaxed);
        }
    }
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>, relocations: Relocations) -> Shared {
        Shared { disk, relocations: RwLock::new(relocations), forgotten: Default::default() }
    }

    pub(crate) fn current(&self, place: u64) -> u64 {
        self.relocations.read().unwrap_or_else(PoisonError::into_inner).current(place)
    }

    /// Writes at each of the offsets where the blob is now whose place stands there.
    pub(crate) fn make_current(&self, bytes: &mut [u8], offsets: &[u32]) {
        if offsets.is_empty() {
            return;
        }
        let relocations = self.relocations.read().unwrap_or_else(PoisonError::into_inner);
        for at in offsets.iter().map(|at| *at as usize) {
            let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) else { continue };
            *place = relocations.current(u64::from_le_bytes(*place)).to_le_bytes();
        }
    }

    /// A change to the places; each leaves them whole, so that a panic elsewhere does no harm.
    pub(crate) fn change_relocations<T>(&self, change: impl FnOnce(&mut Relocations) -> T) -> T {
        change(&mut self.relocations.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn relocations_count(&self) -> u64 {
        self.relocations.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Bytes of all blobs that were forgotten since the store was opened.
    pub(crate) fn bytes_forgotten(&self) -> u64 {
        self.forgotten.iter().map(|Stripe(counter)| counter.load(Ordering::Relaxed)).sum()
    }
}

const STRIPES: usize = 8;

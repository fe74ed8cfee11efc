//! The end of the log: builds frames, writes them, and begins a new segment when one is full.
//!
//! What is built is written with one call. If that fails, the log is as it was before.

use crate::blob;
use crate::disk::Disk;
use crate::frame::{self, FRAME_HEADER_BYTES, Home, Kind};
use crate::place::place;
use crate::segment::{self, Checkpoint, HEADER_BYTES, Header};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// The end of the log, and which segments there are.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    store_id: u64,
    segment_bytes: u64,
    /// How long the file of each segment is.
    pub(crate) segments: BTreeMap<u32, u64>,
    /// The sum of these.
    bytes: u64,
    /// The segment that is written to.
    pub(crate) head: u32,
    head_file: String,
    head_bytes: u64,
    /// Of the next frame.
    pub(crate) sequence: u64,
    /// All frames up to this one are durable.
    pub(crate) synced_upto: u64,
    /// The last complete checkpoint.
    pub(crate) checkpoint: Checkpoint,
    /// A torn write was cut off, and that is not durable yet.
    is_cut: bool,
    /// Frames that are built and not written.
    buffer: Vec<u8>,
    /// Where in `buffer` the frame begins that is being built.
    frame_at: usize,
    frames_built: u64,
    /// How many bytes the last write had for which there was no room.
    pub(crate) refused_bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) bytes_written: u64,
}

/// What an operation of the disk failed with.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no room. It may come back.
    Full,
    /// Nobody knows what is on the disk.
    Failed(String),
}

/// Where the log goes on.
pub(crate) struct End {
    pub(crate) store_id: u64,
    pub(crate) segments: BTreeMap<u32, u64>,
    pub(crate) sequence: u64,
    pub(crate) checkpoint: Checkpoint,
}

impl Log {
    /// Goes on with a log of which everything is durable.
    pub(crate) fn resume(disk: Arc<dyn Disk>, segment_bytes: u64, end: End) -> Log {
        let (head, head_bytes) = end.segments.last_key_value().map_or((0, 0), |(head, bytes)| (*head, *bytes));
        Log {
            disk,
            store_id: end.store_id,
            bytes: end.segments.values().sum(),
            segment_bytes: segment_bytes.min(SEGMENT_BYTES_MAX),
            segments: end.segments,
            head,
            head_file: segment::name(head),
            head_bytes,
            sequence: end.sequence,
            synced_upto: end.sequence - 1,
            checkpoint: end.checkpoint,
            is_cut: false,
            buffer: Vec::new(),
            frame_at: 0,
            frames_built: 0,
            refused_bytes: 0,
            syncs: 0,
            bytes_written: 0,
        }
    }

    /// The bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether something was written that is not synced.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced_upto + 1 < self.sequence
    }

    /// Makes room for a frame: begins a new segment if this one is full.
    pub(crate) fn prepare(&mut self) -> Result<(), Trouble> {
        debug_assert!(self.buffer.is_empty(), "frames know where they will stand");
        if self.head == 0 || self.head_bytes >= self.segment_bytes { self.roll() } else { Ok(()) }
    }

    /// Begins a new segment. What the old one holds is durable then.
    pub(crate) fn roll(&mut self) -> Result<(), Trouble> {
        self.sync()?;
        let segment = self.head + 1;
        let file = segment::name(segment);
        let header = Header { store_id: self.store_id, segment, sequence: self.sequence, checkpoint: self.checkpoint };
        if let Err(error) = self.disk.create(&file).and_then(|()| self.disk.append(&file, &header.encode())) {
            // An empty file would not be read again anyway, and the next try needs its name.
            let _ = self.disk.remove(&file);
            self.refused_bytes = HEADER_BYTES;
            return Err(trouble("begin", &file, &error));
        }
        self.disk.sync(&file).map_err(|error| sync_failed(&file, &error))?;
        self.disk.sync_directory().map_err(|error| sync_failed("the directory", &error))?;
        self.head = segment;
        self.head_file = file;
        self.head_bytes = HEADER_BYTES;
        self.segments.insert(segment, HEADER_BYTES);
        self.bytes += HEADER_BYTES;
        self.bytes_written += HEADER_BYTES;
        Ok(())
    }

    /// Begins to build a frame.
    pub(crate) fn begin_frame(&mut self) {
        self.frame_at = self.buffer.len();
        self.buffer.resize(self.frame_at + FRAME_HEADER_BYTES, 0);
    }

    /// How long the payload of the frame is by now.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.buffer.len() - self.frame_at - FRAME_HEADER_BYTES
    }

    /// The place of the next byte that is added.
    pub(crate) fn next_place(&self) -> u64 {
        place(self.head, self.head_bytes + self.buffer.len() as u64)
    }

    /// Adds bytes to the frame, and fills in the checksums of its blobs. Returns how many bytes these have in all.
    pub(crate) fn add_piece(&mut self, bytes: &[u8], blobs: &[u32]) -> u64 {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        let piece = self.buffer.get_mut(start..).unwrap_or_default();
        blobs.iter().map(|at| blob::seal(piece, *at).expect("blobs lie within their piece")).sum()
    }

    /// The payload of the frame, to be added to.
    pub(crate) fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Ends the frame, or drops it if it is empty.
    pub(crate) fn end_frame(&mut self, kind: Kind) {
        let payload_at = self.frame_at + FRAME_HEADER_BYTES;
        if self.payload_bytes() == 0 && kind == Kind::Records {
            self.buffer.truncate(self.frame_at);
            return;
        }
        let home = Home { store_id: self.store_id, segment: self.head };
        let at = self.head_bytes + self.frame_at as u64;
        let sequence = self.sequence + self.frames_built;
        let payload = self.buffer.get(payload_at..).unwrap_or_default();
        let header = frame::header(home, at, kind, sequence, self.synced_upto, payload);
        self.buffer[self.frame_at..payload_at].copy_from_slice(&header);
        self.frames_built += 1;
    }

    /// How many bytes are built and not written.
    pub(crate) fn built_bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Forgets what is built.
    pub(crate) fn discard(&mut self) {
        self.frames_built = 0;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
    }

    /// Writes what is built.
    pub(crate) fn write(&mut self) -> Result<(), Trouble> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = self.disk.append(&self.head_file, &self.buffer);
        let (bytes, frames) = (self.built_bytes(), self.frames_built);
        self.discard();
        if let Err(error) = written {
            let cut = self.disk.truncate(&self.head_file, self.head_bytes);
            cut.map_err(|cut| Trouble::Failed(format!("cannot cut off {} after {error}: {cut}", self.head_file)))?;
            self.is_cut = true;
            self.refused_bytes = bytes;
            return Err(trouble("write to", &self.head_file, &error));
        }
        self.head_bytes += bytes;
        self.segments.insert(self.head, self.head_bytes);
        self.bytes += bytes;
        self.bytes_written += bytes;
        self.sequence += frames;
        Ok(())
    }

    /// Makes durable what was written.
    pub(crate) fn sync(&mut self) -> Result<(), Trouble> {
        if self.is_dirty() || self.is_cut {
            self.syncs += 1;
            self.disk.sync(&self.head_file).map_err(|error| sync_failed(&self.head_file, &error))?;
            self.synced_upto = self.sequence - 1;
            self.is_cut = false;
        }
        Ok(())
    }

    /// Deletes a segment. That its name is gone need not be durable: a file that comes back is deleted when the store is opened.
    pub(crate) fn remove(&mut self, segment: u32) -> Result<u64, Trouble> {
        let file = segment::name(segment);
        match self.disk.remove(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Trouble::Failed(format!("cannot delete {file}: {error}")))
            }
            _ => {
                let bytes = self.segments.remove(&segment).unwrap_or(0);
                self.bytes -= bytes;
                Ok(bytes)
            }
        }
    }
}

/// No room is something else than a failure. After a failed write the file is cut off, so it does not matter how much was written.
fn trouble(what: &str, file: &str, error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Trouble::Full,
        _ => Trouble::Failed(format!("cannot {what} {file}: {error}")),
    }
}

/// After a failed sync the operating system may have dropped what was written, so that a second one would succeed without reason.
fn sync_failed(file: &str, error: &io::Error) -> Trouble {
    Trouble::Failed(format!("cannot sync {file}: {error}"))
}

/// Offsets in a segment are 32 bits long; a frame may be as long as a piece.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// A buffer that was longer once is given back.
const BUFFER_BYTES_KEPT: usize = 16 << 20;

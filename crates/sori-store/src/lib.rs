//! Bytes that survive a crash: a segmented log with group commit, checkpoints and cleaning.
//!
//! Writers hand over [`Piece`]s of records to the [`Committer`], which writes and syncs many at once and says what is durable. Parts
//! of records that are read back alone, messages, are *blobs*: each has a place, and a [`Reader`] in any thread finds it there, also
//! after it was moved. All input and output passes the [`Disk`] trait: [`FileDisk`] is a directory, [`MemoryDisk`] one that fails
//! and loses power when a test wants it.
//!
//! Not in here: threads, clocks, and what the records mean. Time is an argument, in milliseconds from any beginning.
//!
//! ```
//! use sori_store::{Committer, MemoryDisk, Options, Outcome, Piece};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let disk = Arc::new(MemoryDisk::new());
//! let options = Options { reserve_bytes: 0, ..Options::default() };
//! let mut committer = Committer::open(disk, options, 1, &mut |_place, _records| Ok(()))?;
//!
//! // A record with a blob in it: the length, room for the checksum, the bytes.
//! let bytes = [&[9][..], &5u32.to_le_bytes(), &[0; 4], b"hello"].concat();
//! committer.submit(Piece { upto: 1, is_awaited: true, bytes, blobs: vec![1], ..Piece::default() });
//!
//! for outcome in committer.step(0) {
//!     if let Outcome::Durable { upto, place, blobs, .. } = outcome {
//!         assert_eq!((upto, blobs.as_slice()), (1, &[1][..]));
//!         assert_eq!(committer.reader().read(place + 1)?, b"hello");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! [`OpenError`] means that nothing has been changed. When there is no room, [`State::Full`] is told and pieces wait; when a write or
//! a sync failed, [`State::Failed`], and the committer does nothing more. A [`ReadError`] concerns one blob.
//!
//! `docs/store-format.md` describes every byte.

mod batches;
mod blob;
mod bytes;
mod checkpoint;
mod cleaning;
mod committer;
mod directory;
mod disk;
mod error;
mod figures;
mod file_disk;
mod frame;
mod head;
mod index;
mod liveness;
mod log;
mod measure;
mod memory_disk;
mod offline;
mod open;
mod options;
mod piece;
mod place;
mod reader;
mod relocations;
mod reserve;
mod room;
mod segment;
mod window;

pub use committer::Committer;
pub use directory::{make_directory, sync_parent};
pub use disk::Disk;
pub use error::{OpenError, ReadError, Refusal};
pub use figures::Figures;
pub use file_disk::FileDisk;
pub use memory_disk::{Faults, MemoryDisk, Operation};
pub use offline::{BackupError, Finding, Progress, Records, Repaired, Severity, backup, read, repair, verify};
pub use open::Replay;
pub use options::{Durability, Options};
pub use piece::{CheckpointOrder, Outcome, Piece, State, Step};
pub use reader::Reader;
pub use segment::is_segment;

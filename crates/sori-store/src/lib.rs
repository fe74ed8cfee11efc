//! Bytes that survive a crash: a segmented log with group commit, checkpoints and cleaning.

mod batches;
mod blob;
mod bytes;
mod checkpoint;
mod cleaning;
mod committer;
mod disk;
mod error;
mod figures;
mod file_disk;
mod frame;
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
mod segment;

pub use committer::Committer;
pub use disk::Disk;
pub use error::{OpenError, ReadError};
pub use figures::Figures;
pub use file_disk::FileDisk;
pub use memory_disk::{Faults, MemoryDisk, Operation};
pub use offline::{Finding, Progress, Records, Repaired, Severity, backup, repair, verify};
pub use options::{Durability, Options};
pub use piece::{CheckpointOrder, Outcome, Piece, State, Step};
pub use reader::Reader;

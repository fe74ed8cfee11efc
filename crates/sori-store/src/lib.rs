//! Bytes that survive a crash: a segmented log with group commit, checkpoints and cleaning.

mod committer;
mod disk;
mod error;
mod figures;
mod file_disk;
mod options;
mod piece;
mod reader;

pub use committer::Committer;
pub use disk::Disk;
pub use error::{OpenError, ReadError};
pub use figures::Figures;
pub use file_disk::FileDisk;
pub use options::{Durability, Options};
pub use piece::{CheckpointOrder, Outcome, Piece, State, Step};
pub use reader::Reader;

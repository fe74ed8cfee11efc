//! What people do with a store beside a broker: look whether it is whole, mend it, copy it, read it.

mod backup;
mod inspect;
mod reading;
mod repair;
mod verify;

pub use backup::{BackupError, backup};
pub use reading::read;
pub use repair::{Records, Repaired, repair};
pub use verify::{Finding, Severity, verify};

/// How far a long work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that have been looked at or copied.
    pub bytes_done: u64,
    /// All bytes, as far as that is known.
    pub bytes_total: u64,
}

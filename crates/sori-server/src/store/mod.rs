//! What the running broker keeps on disk: where that lies, who writes it, and how it is read again.
//!
//! The shards say what must survive; the committer's thread writes and syncs it in one order for all of them and tells
//! them what is durable; another thread reads back what lives on disk only. `docs/persistence.md` is for operators.

pub(crate) mod committing;
#[cfg(test)]
mod committing_tests;
pub mod contents;
pub(crate) mod desk;
#[cfg(test)]
mod desk_tests;
pub(crate) mod gauges;
pub(crate) mod importing;
pub(crate) mod keeper;
pub mod making;
pub mod mending;
pub(crate) mod opening;
pub mod place;
pub(crate) mod portion;
pub(crate) mod reading;
pub mod rewriting;
pub(crate) mod running;
pub(crate) mod unfinished;

//! What the running broker keeps on disk: where that lies, who writes it, and how it is read again.
//!
//! The shards say what must survive, the committer's thread writes and syncs it in one order for all of them and tells
//! them what is durable; `docs/persistence.md` is for operators.

#[cfg(test)]
mod desk;
pub mod place;

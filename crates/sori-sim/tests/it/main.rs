//! The simulator as a test: seeds that must pass, and what earlier seeds found, told as cases.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod broken;
mod failed_sync;
mod found;
mod seeds;

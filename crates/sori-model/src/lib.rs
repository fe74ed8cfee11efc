//! What the broker's threads share, run in every order that is possible.
//!
//! This crate compiles the very files of `sori-server` in which threads meet (`space.rs`, `inbox.rs`, `link.rs`, `store/desk.rs`, `store/committing.rs`) with
//! the model checker's locks and atomics in place of the real ones, puts real shards around them, and lets `loom` run
//! each small scenario of [`check`] in every order in which its threads can take their steps, stale reads included where
//! the memory model allows them. A thread that waits for ever is a failure too, which is how a lost wake-up shows.
//!
//! It is a library, and its tests stand in `tests/it`, so that the unit tests of the files above, which want the real
//! locks, are not compiled here. `docs/model-checking.md` says what each scenario proves, and which mistake it was seen
//! to catch.

pub mod check;
mod explore;
#[path = "../../sori-server/src/inbox.rs"]
#[expect(dead_code, reason = "the server uses what no scenario does")]
mod inbox;
mod knock;
#[path = "../../sori-server/src/link.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "its client may be a task, which waits as a thread does, and outside the crate"
)]
mod link;
mod log;
mod numbers;
mod packets;
mod socket;
#[path = "../../sori-server/src/space.rs"]
#[expect(dead_code, reason = "nothing lies on disk in the scenarios")]
mod space;
mod store;
mod sync;
mod worker;

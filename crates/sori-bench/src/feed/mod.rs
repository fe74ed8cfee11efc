//! Shards fed from memory: the broker's own code between the sockets, without any.
//!
//! A [`Worker`] does what a worker thread of `sori-server` does in its turns, with the same space and the same inboxes,
//! but its clients are values beside it: what they say is handed over as bytes, and what they are sent is answered at
//! once. So a step of the hot path can be counted, timed or run on two threads with nothing of the kernel in it.

mod client;
mod held_index;
mod machine;
mod packets;
mod worker;

pub use client::Tally;
pub use held_index::HeldIndex;
pub use machine::{Machine, Place};
pub use packets::{
    Message, connect, connect_again, connect_in, disconnect, publish, publish_in, publishes, subscribe, subscribe_in,
    unsubscribe,
};
pub use worker::{ClientNumber, Worker, Workers};

/// Whether what the broker does now is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Preparation, or nobody counts.
    #[default]
    No,
    /// What passes [`Counting::work`].
    Yes,
}

impl Counting {
    /// Does some work of the broker. The clients, which run in the same thread, stay outside. It must not be nested.
    #[inline]
    pub fn work<R>(self, work: impl FnOnce() -> R) -> R {
        match self {
            Counting::No => work(),
            Counting::Yes => counted_work(work),
        }
    }
}

/// Whoever counts instructions counts from the beginning of this function to its end, and knows it by this name.
#[inline(never)]
fn counted_work<R>(work: impl FnOnce() -> R) -> R {
    work()
}

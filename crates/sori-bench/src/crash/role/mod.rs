//! What clients do. A role sees what its client learns, and acts when time passes.

mod expirer;
mod probe;
mod publisher;
mod subscriber;
mod will_client;
mod will_keeper;

use mio::Registry;

use super::book::Book;
use super::line::{Line, Seen};
use crate::random::Random;

pub(super) use expirer::{EXPIRY_SECONDS, Expirer};
pub(super) use probe::Probe;
pub(super) use publisher::Publisher;
pub(super) use subscriber::{Habits, Subscriber};
pub(super) use will_client::WillClient;
pub(super) use will_keeper::WillKeeper;

/// Everything a role may use.
pub(super) struct Scene<'a> {
    pub(super) line: &'a mut Line,
    pub(super) book: &'a mut Book,
    pub(super) random: &'a mut Random,
    pub(super) registry: &'a Registry,
}

pub(super) trait Role {
    fn see(&mut self, seen: Seen, scene: &mut Scene<'_>);
    fn act(&mut self, scene: &mut Scene<'_>);
    /// The broker was killed.
    fn broker_died(&mut self, _scene: &mut Scene<'_>) {}
    /// Whether it is ready for the end of the run.
    fn is_done(&self, line: &Line, book: &Book) -> bool;
}

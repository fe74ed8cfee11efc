//! The parts of a turn: opening letters, reading sockets, writing to sockets. Each has its time, and what it does not get to is for
//! the next turn, so that whoever has little to say is heard soon whatever the others do.

use std::time::{Duration, Instant};

/// How long a part of a turn may take, about.
const PART_MAX: Duration = Duration::from_micros(500);
/// After so many sockets it is looked how long they took; as many, or fewer, are nothing to look at the clock for.
pub(super) const SOCKETS_IN_A_GO: usize = 16;

/// A part of a turn that has begun.
pub(super) struct Part {
    /// `None`: so little is to be done that nobody needs to look at the clock.
    began: Option<Instant>,
}

impl Part {
    /// One in which so many letters are opened.
    pub(super) fn of_letters(count: usize) -> Part {
        Part { began: (count > 1).then(Instant::now) }
    }

    /// One in which so many sockets have their turn.
    pub(super) fn of_sockets(count: usize) -> Part {
        Part { began: (count > SOCKETS_IN_A_GO).then(Instant::now) }
    }

    /// Should the rest be left for the next turn?
    pub(super) fn is_over(&self) -> bool {
        self.began.is_some_and(|began| began.elapsed() > PART_MAX)
    }
}

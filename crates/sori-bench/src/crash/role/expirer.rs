//! A client whose session lasts two seconds: it comes back in time and finds it, or much later and does not.

use super::{Role, Scene};
use crate::crash::book::{Book, Micros};
use crate::crash::line::{Expects, Line, Seen, Way};

/// Seconds of its Session Expiry Interval.
pub(in crate::crash) const EXPIRY_SECONDS: u32 = 2;
const EXPIRY: Micros = EXPIRY_SECONDS as Micros * 1_000_000;
/// Around the deadline nothing is certain.
const SLACK: Micros = 1_000_000;
/// A broker that ran so long has noticed who is there.
const LONG_ENOUGH: Micros = 600_000;

pub(in crate::crash) struct Expirer {
    left_at: Option<Micros>,
    back_at: Micros,
    had_session: bool,
}

impl Expirer {
    pub(in crate::crash) fn new() -> Expirer {
        Expirer { left_at: None, back_at: 0, had_session: false }
    }

    fn expects(&self, book: &Book, line: &Line) -> Expects {
        if !self.had_session {
            return if line.is_asked() { Expects::Either } else { Expects::Absent };
        }
        let Some(left_at) = self.left_at else { return Expects::Either };
        let starts_at = noticed_at(book, left_at);
        if line.is_asked() {
            Expects::Either
        } else if book.now + SLACK < left_at + EXPIRY {
            Expects::Present
        } else if starts_at.is_some_and(|starts_at| book.now > starts_at + EXPIRY + SLACK) {
            Expects::Absent
        } else {
            Expects::Either
        }
    }
}

/// When a broker has certainly written down that the client is gone. A kill right after the leaving may hide it: then
/// the session's time begins with the restart, and with the next one if that broker was killed at once.
fn noticed_at(book: &Book, left_at: Micros) -> Option<Micros> {
    let mut ends = book.killed_at.iter().copied().chain([book.now]);
    let mut begins = std::iter::once(0).chain(book.restarted_at.iter().copied());
    std::iter::zip(&mut begins, &mut ends)
        .map(|(begin, end)| (begin.max(left_at), end))
        .find(|(begin, end)| *end > begin + LONG_ENOUGH)
        .map(|(begin, _)| begin)
}

impl Role for Expirer {
    fn see(&mut self, seen: Seen, scene: &mut Scene<'_>) {
        match seen {
            Seen::Connected { .. } => {
                self.had_session = true;
                self.left_at = None;
                self.back_at = scene.book.now + scene.random.range(10_000, 600_000);
            }
            Seen::Lost { was_connected: true } => {
                self.left_at = Some(scene.book.now);
            }
            _ => {}
        }
    }

    fn act(&mut self, scene: &mut Scene<'_>) {
        let now = scene.book.now;
        if scene.line.is_connected() {
            if now >= self.back_at && !scene.book.is_draining {
                scene.line.leave(scene.book, Way::Drop);
                self.left_at = Some(now);
                self.back_at = now + if scene.random.chance(70) { 100_000 } else { 6_000_000 };
            }
        } else if !scene.line.has_socket() {
            scene.line.wants_connection = now >= self.back_at || scene.book.is_draining;
            scene.line.expects = self.expects(scene.book, scene.line);
        }
    }

    fn is_done(&self, _line: &Line, _book: &Book) -> bool {
        true
    }
}

//! Which refusals the log has been told: each once, and not too many at a time. A client that publishes again and again
//! what it may not, or subscribes to `#` where it may read little, is one surprise per topic and not one per message.

use sori_broker::Action;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Refusals that are remembered, 8 bytes each. One that is forgotten is told again.
const SEEN: usize = 16_384;
/// A refusal may be remembered in one of so many neighbouring places.
const NEIGHBOURS: usize = 4;
/// Lines in a window of time.
const LINES_MAX: u32 = 60;
/// The window.
const WINDOW: Duration = Duration::from_secs(60);

/// The refusals that the log knows. Asking costs no lock for those that it does.
#[derive(Debug)]
pub(crate) struct Told {
    seen: Box<[AtomicU64]>,
    hasher: RandomState,
    /// What clients are not sent has a window of its own: one of them may subscribe to a thousand topics that it may not
    /// read, and what another may not publish is to be told all the same.
    of_receiving: Mutex<Window>,
    of_the_rest: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// What is to be done with a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The log knows it.
    Known,
    /// It is to be told, and how many were left out in the window before.
    Tell {
        /// Refusals that nobody was told of.
        left_out: u64,
    },
    /// It is one too many, and counted.
    TooMany,
}

impl Told {
    pub(crate) fn new() -> Told {
        let seen = (0..SEEN).map(|_| AtomicU64::new(0)).collect();
        let (of_receiving, of_the_rest) = (Mutex::default(), Mutex::default());
        Told { seen, hasher: RandomState::new(), of_receiving, of_the_rest }
    }

    /// A client may not do this with a topic. Is that news at this moment?
    pub(crate) fn note(&self, client_id: &str, action: Action, topic: &str, now: Instant) -> News {
        // Who may not see the broker's own tree is told so once and not for each of its topics.
        let is_own_tree = action == Action::Receive && topic.starts_with("$SYS/");
        let topic = if is_own_tree { "$SYS/" } else { topic };
        let hash = self.hasher.hash_one((client_id, action, topic)).max(1);
        let first = (hash as usize % SEEN) / NEIGHBOURS * NEIGHBOURS;
        let neighbours = self.seen.get(first..first + NEIGHBOURS).unwrap_or_default();
        if neighbours.iter().any(|place| place.load(Ordering::Relaxed) == hash) {
            return News::Known;
        }
        let window = if action == Action::Receive { &self.of_receiving } else { &self.of_the_rest };
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = window.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW);
        let left_out = if is_over { window.left_out } else { 0 };
        if is_over {
            *window = Window { began: Some(now), ..Window::default() };
        }
        if window.lines >= LINES_MAX {
            window.left_out += 1;
            return News::TooMany;
        }
        window.lines += 1;
        // An empty place, or one that the hash chooses.
        let empty = neighbours.iter().find(|place| place.load(Ordering::Relaxed) == 0);
        if let Some(place) = empty.or_else(|| neighbours.get((hash >> 32) as usize % NEIGHBOURS)) {
            place.store(hash, Ordering::Relaxed);
        }
        News::Tell { left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TELL: News = News::Tell { left_out: 0 };

    #[test]
    fn each_refusal_is_told_once() {
        let (told, now) = (Told::new(), Instant::now());
        for (client_id, action, topic) in [
            ("a", Action::Publish, "t"),
            ("a", Action::Receive, "t"),
            ("a", Action::Publish, "u"),
            ("b", Action::Publish, "t"),
        ] {
            assert_eq!(told.note(client_id, action, topic, now), TELL);
            for _ in 0..3 {
                assert_eq!(told.note(client_id, action, topic, now), News::Known);
            }
        }
    }

    #[test]
    fn the_brokers_own_tree_is_one_refusal() {
        let (told, now) = (Told::new(), Instant::now());
        assert_eq!(told.note("a", Action::Receive, "$SYS/broker/version", now), TELL);
        assert_eq!(told.note("a", Action::Receive, "$SYS/broker/uptime", now), News::Known);
        assert_eq!(told.note("a", Action::Publish, "$SYS/broker/uptime", now), TELL);
    }

    #[test]
    fn not_too_many_are_told_at_a_time_and_the_rest_is_counted() {
        let (told, now) = (Told::new(), Instant::now());
        let note = |n: u32, at| told.note("a", Action::Publish, &n.to_string(), at);
        for n in 0..LINES_MAX {
            assert_eq!(note(n, now), TELL);
        }
        for n in 0..5 {
            assert_eq!(note(1000 + n, now + Duration::from_secs(59)), News::TooMany);
        }
        assert_eq!(note(0, now), News::Known);
        assert_eq!(told.note("a", Action::Receive, "x", now), TELL, "which does not depend on what is published");
        assert_eq!(note(1000, now + WINDOW), News::Tell { left_out: 5 });
        assert_eq!(note(1001, now + WINDOW), TELL);
    }
}

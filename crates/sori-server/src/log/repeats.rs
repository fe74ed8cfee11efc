//! The same surprise again and again is written a few times and then counted.

use std::time::{Duration, SystemTime};

use super::Kind;

/// So many equal lines in a row are written.
const IN_A_ROW_MAX: u32 = 10;
/// So often the count of those that were not is written.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// Watches the lines that pass.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    latest: Option<(Kind, String)>,
    in_a_row: u32,
    counted: u64,
    counting_since: Option<SystemTime>,
}

/// What is to be done with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// To be written first: how often the line before was repeated.
    pub(super) count: Option<(Kind, String)>,
    /// The line itself is to be written.
    pub(super) write: bool,
}

impl Repeats {
    pub(super) fn next(&mut self, kind: Kind, text: &str, at: SystemTime) -> Verdict {
        // Debug lines show what happens, so all that happens is shown.
        let surprise = matches!(kind, Kind::Error | Kind::Warning | Kind::Notice);
        let again = surprise && self.latest.as_ref().is_some_and(|(k, t)| *k == kind && t == text);
        if !again {
            let count = self.take_count();
            self.remember(kind, text, surprise);
            self.in_a_row = 1;
            return Verdict { count, write: true };
        }
        if self.in_a_row < IN_A_ROW_MAX {
            self.in_a_row += 1;
            return Verdict { count: None, write: true };
        }
        self.counted += 1;
        self.counting_since.get_or_insert(at);
        Verdict { count: self.due(at), write: false }
    }

    fn remember(&mut self, kind: Kind, text: &str, surprise: bool) {
        match &mut self.latest {
            Some(latest) if surprise => {
                latest.0 = kind;
                text.clone_into(&mut latest.1);
            }
            latest => *latest = surprise.then(|| (kind, text.to_owned())),
        }
    }

    /// The count line, when it has waited long enough.
    pub(super) fn due(&mut self, now: SystemTime) -> Option<(Kind, String)> {
        let since = self.counting_since?;
        // A clock that was set back must not stop the counting.
        let waited = now.duration_since(since).unwrap_or(COUNT_EVERY);
        if waited >= COUNT_EVERY { self.take_count() } else { None }
    }

    /// How long the writer may wait for lines before it asks [`Repeats::due`] again.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.counting_since.map(|_| COUNT_EVERY)
    }

    fn take_count(&mut self) -> Option<(Kind, String)> {
        self.counting_since = None;
        let counted = std::mem::take(&mut self.counted);
        let (kind, _) = self.latest.as_ref().filter(|_| counted > 0)?;
        let times = if counted == 1 { "once more" } else { "more times" };
        let number = if counted == 1 { String::new() } else { format!("{counted} ") };
        Some((*kind, format!("The line before was repeated {number}{times}.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Verdict = Verdict { count: None, write: true };

    #[test]
    fn equal_lines_are_counted_after_a_few() {
        let start = SystemTime::UNIX_EPOCH;
        let mut repeats = Repeats::default();
        for _ in 0..IN_A_ROW_MAX {
            assert_eq!(repeats.next(Kind::Warning, "disk full", start), WRITE);
        }
        for _ in 0..1000 {
            assert!(!repeats.next(Kind::Warning, "disk full", start).write);
        }
        assert_eq!(repeats.due(start + COUNT_EVERY / 2), None);
        let count = Some((Kind::Warning, "The line before was repeated 1000 more times.".to_owned()));
        assert_eq!(repeats.due(start + COUNT_EVERY), count);
        assert_eq!(repeats.due(start + COUNT_EVERY * 2), None);
        assert!(!repeats.next(Kind::Warning, "disk full", start).write);
        let verdict = repeats.next(Kind::Error, "disk full", start);
        assert_eq!(verdict.count.map(|(_, text)| text).as_deref(), Some("The line before was repeated once more."));
        assert!(verdict.write);
    }

    #[test]
    fn different_lines_and_debug_lines_all_pass() {
        let start = SystemTime::UNIX_EPOCH;
        let mut repeats = Repeats::default();
        for i in 0..100 {
            assert_eq!(repeats.next(Kind::Notice, &format!("New connection {i}"), start), WRITE);
        }
        for _ in 0..100 {
            assert_eq!(repeats.next(Kind::Debug, "Received PINGREQ from a", start), WRITE);
        }
    }

    #[test]
    fn a_clock_that_goes_back_does_not_stop_the_count() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let mut repeats = Repeats::default();
        for _ in 0..=IN_A_ROW_MAX {
            repeats.next(Kind::Error, "x", start);
        }
        assert!(repeats.due(start - Duration::from_secs(500)).is_some());
    }
}

//! How far something is that takes long, for people at a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Nothing is shown for what is over before this.
const PATIENCE: Duration = Duration::from_secs(1);
/// So often a new line is drawn at most.
const PAUSE: Duration = Duration::from_millis(100);
/// How many characters the bar has.
const BAR: u64 = 30;

/// A line on standard error that is drawn again and again; none when that is no terminal, or when it is over at once.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    number: fn(u64) -> String,
    started: Instant,
    drawn: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    /// Begin something that is measured in bytes.
    #[must_use]
    pub fn start(what: &'static str) -> Progress {
        Progress { what, number: bytes, started: Instant::now(), drawn: None, is_terminal: stderr().is_terminal() }
    }

    /// Begin something that is counted.
    #[must_use]
    pub fn counting(what: &'static str) -> Progress {
        Progress { number: |count| count.to_string(), ..Progress::start(what) }
    }

    /// So much of so much is done.
    pub fn show(&mut self, done: u64, of: u64) {
        let now = Instant::now();
        let is_too_early = match self.drawn {
            None => now.duration_since(self.started) < PATIENCE,
            Some(drawn) => now.duration_since(drawn) < PAUSE,
        };
        if self.is_terminal && !is_too_early {
            self.drawn = Some(now);
            eprint!("\r{}\x1b[K", line(self.what, done, of, self.number, now.duration_since(self.started)));
            // It is only for the eyes.
            let _ = stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            eprint!("\r\x1b[K");
            let _ = stderr().flush();
        }
    }
}

fn line(what: &str, done: u64, of: u64, number: fn(u64) -> String, elapsed: Duration) -> String {
    let (done, of) = (done.min(of), of.max(1));
    let share = |whole: u64| u64::try_from(u128::from(whole) * u128::from(done) / u128::from(of)).unwrap_or(whole);
    let filled = share(BAR);
    let bar: String = (0..BAR).map(|at| if at < filled { '#' } else { '.' }).collect();
    let left = match done {
        0 => String::new(),
        done => {
            let seconds = elapsed.as_secs_f64() * (of - done) as f64 / done as f64;
            format!(", {seconds:.0} s left")
        }
    };
    format!("{what} [{bar}] {} %, {} of {}{left}", share(100), number(done), number(of))
}

/// A number of bytes for people.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut size = count as f64;
    let mut unit = None;
    for name in UNITS {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = Some(name);
    }
    match unit {
        None => format!("{count} bytes"),
        Some(unit) => format!("{size:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_can_be_read() {
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(32 << 20), "32.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn a_line_has_a_bar_a_share_and_the_time_that_is_left() {
        let text = line("Reading the store", 512, 1024, bytes, Duration::from_secs(3));
        assert_eq!(text, "Reading the store [###############...............] 50 %, 512 bytes of 1.0 KiB, 3 s left");
        assert!(line("a", 0, 0, bytes, Duration::ZERO).contains(" 0 %"));
        assert!(line("a", u64::MAX, u64::MAX, bytes, Duration::ZERO).contains("100 %"));
        assert!(line("a", 7, 5, bytes, Duration::ZERO).contains("100 %"));
    }
}

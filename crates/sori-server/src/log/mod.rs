//! The log: classic lines of text for people and for the programs that read them.
//!
//! Every thread holds a [`Log`], which is cheap to clone. A line is put into a bounded queue and written by one thread
//! of its own, so a slow terminal, a full disk or a closed pipe costs lines (which are counted) and never a worker's
//! time. `enabled` is one load of an atomic: ask it before building a line.

mod destination;
mod kind;
pub mod lines;
mod queue;
mod repeats;
mod syslog;
mod timestamp;
mod topic;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use kind::{Kind, Kinds};
pub use topic::{TopicLine, TopicLines};

use queue::{Line, Queue};

/// Where log lines go, which, and how they look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Where they go.
    pub destinations: Destinations,
    /// Which are written.
    pub kinds: Kinds,
    /// Lines start with the time.
    pub timestamp: bool,
    /// How the time looks; `None`: seconds since 1970.
    pub timestamp_format: Option<String>,
    /// The syslog facility.
    pub facility: Facility,
    /// The name under which syslog knows the program.
    pub ident: &'static str,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            destinations: Destinations { stderr: true, ..Destinations::none() },
            kinds: Kinds::DEFAULT,
            timestamp: true,
            timestamp_format: None,
            facility: Facility::Daemon,
            ident: "sori",
        }
    }
}

impl LogConfig {
    /// The kinds of which lines have to be made at all: none, when they would go nowhere.
    fn wanted(&self) -> Kinds {
        if self.destinations == Destinations::none() { Kinds::NONE } else { self.kinds }
    }
}

/// A set of destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destinations {
    /// Standard error.
    pub stderr: bool,
    /// Standard output.
    pub stdout: bool,
    /// The system's log daemon.
    pub syslog: bool,
    /// The topics below `$SYS/broker/log`.
    pub topic: bool,
    /// Standard error, one JSON object per line.
    pub json: bool,
    /// A file, opened again by [`Log::reopen`].
    pub file: Option<PathBuf>,
}

impl Destinations {
    /// Nowhere.
    pub fn none() -> Destinations {
        Destinations { stderr: false, stdout: false, syslog: false, topic: false, json: false, file: None }
    }
}

/// Where syslog files the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facility {
    /// `daemon`
    Daemon,
    /// `local0` to `local7`
    Local(u8),
}

/// A handle to the log. All clones write to the same destinations.
#[derive(Debug, Clone)]
pub struct Log {
    queue: Arc<Handle>,
    topic: TopicLines,
}

/// What all clones share; when the last one goes, the writing thread ends.
#[derive(Debug)]
struct Handle(Arc<Queue>);

impl Deref for Handle {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Log {
    /// Opens the destinations and starts the thread that writes to them. A log file that cannot be opened is replaced
    /// by standard error, and a line says so, as in Mosquitto.
    pub fn open(config: LogConfig) -> Log {
        let queue = Arc::new(Queue::new(config.wanted()));
        let topic = TopicLines::default();
        writer::start(config, queue.clone(), topic.clone());
        Log { queue: Arc::new(Handle(queue)), topic }
    }

    /// A log that writes nothing, for tests and tools.
    pub fn silent() -> Log {
        Log { queue: Arc::new(Handle(Arc::new(Queue::new(Kinds::NONE)))), topic: TopicLines::default() }
    }

    /// Whether lines of this kind are written at all.
    pub fn enabled(&self, kind: Kind) -> bool {
        self.queue.kinds().contains(kind)
    }

    /// Writes one line, without line end. It never blocks; when the destinations do not keep up, the line is dropped
    /// and counted.
    pub fn write(&self, kind: Kind, text: fmt::Arguments<'_>) {
        if self.enabled(kind) {
            self.queue.push(Line { kind, at: SystemTime::now(), text: one_line(text) });
        }
    }

    /// [`Log::write`] for an error.
    pub fn error(&self, text: fmt::Arguments<'_>) {
        self.write(Kind::Error, text);
    }

    /// [`Log::write`] for a warning.
    pub fn warning(&self, text: fmt::Arguments<'_>) {
        self.write(Kind::Warning, text);
    }

    /// [`Log::write`] for a notice.
    pub fn notice(&self, text: fmt::Arguments<'_>) {
        self.write(Kind::Notice, text);
    }

    /// [`Log::write`] for information.
    pub fn information(&self, text: fmt::Arguments<'_>) {
        self.write(Kind::Information, text);
    }

    /// Opens the log file again, after something moved it away (SIGHUP).
    pub fn reopen(&self) {
        self.queue.reopen();
    }

    /// Replaces destinations, kinds and form (reload). The file is opened again even when its name is the same.
    pub fn configure(&self, config: LogConfig) {
        self.queue.configure(config);
    }

    /// Waits until everything written so far has reached its destinations, but no longer than `patience`. Returns
    /// whether it has. Call it before the program ends.
    pub fn flush(&self, patience: Duration) -> bool {
        self.queue.flush(patience)
    }

    /// The lines that wait to be published below `$SYS/broker/log`.
    pub fn topic_lines(&self) -> &TopicLines {
        &self.topic
    }
}

/// A line is one line: what a peer chose (its client identifier, a topic) cannot start another one, nor carry a
/// terminal's escape sequences.
fn one_line(line: fmt::Arguments<'_>) -> String {
    let mut text = String::with_capacity(USUAL_LENGTH);
    // A string cannot refuse to be written to.
    text.write_fmt(line).unwrap_or_default();
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    if is_plain || !text.chars().any(is_unprintable) {
        return text;
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unprintable(c) { clean.extend(c.escape_default()) } else { clean.push(c) }
    }
    clean
}

/// Bytes that most lines find room in.
const USUAL_LENGTH: usize = 120;

/// Mosquitto's own lines contain TABs.
fn is_unprintable(c: char) -> bool {
    c.is_control() && c != '\t'
}

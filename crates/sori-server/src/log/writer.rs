//! The thread that writes the log.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;

use super::destination::{Destination, Rendered, Target};
use super::queue::{Change, Line, Queue, Work};
use super::repeats::Repeats;
use super::syslog::Syslog;
use super::timestamp::Timestamps;
use super::topic::TopicLines;
use super::{Kind, LogConfig};

/// Where every syslog daemon listens.
const SYSLOG: &str = "/dev/log";

/// How long lines gather after others have been written.
const GATHERING: Duration = Duration::from_millis(5);

/// Starts the thread. Where there is no thread to be had, there is no log; the broker runs.
pub(super) fn start(config: LogConfig, queue: Arc<Queue>, topic: TopicLines) {
    let mut writer = Writer::new(config, topic);
    let thread = std::thread::Builder::new().name("log".to_owned());
    let started = thread.spawn(move || {
        while let Some(work) = queue.take(writer.repeats.patience()) {
            writer.carry_out(work);
            // A line is written at once, and those that come right behind it together: to wake this thread for each of them
            // costs those who log more than the line itself.
            std::thread::sleep(GATHERING);
        }
    });
    if let Err(error) = started {
        eprintln!("Error: there is no log, because its thread cannot be started: {error}.");
    }
}

struct Writer {
    config: LogConfig,
    topic: TopicLines,
    destinations: Vec<Destination>,
    timestamps: Timestamps,
    repeats: Repeats,
    /// The line that is being written.
    classic: String,
}

impl Writer {
    fn new(config: LogConfig, topic: TopicLines) -> Writer {
        let mut writer = Writer {
            timestamps: Timestamps::new(config.timestamp_format.clone(), TimeZone::system()),
            config,
            topic,
            destinations: Vec::new(),
            repeats: Repeats::default(),
            classic: String::new(),
        };
        writer.open();
        writer
    }

    fn carry_out(&mut self, mut work: Work) {
        if let Some(Change { after, config }) = work.change {
            work.lines.drain(..after).for_each(|line| self.write_line(&line));
            self.flush();
            match config {
                Some(config) => *self = Writer::new(config, self.topic.clone()),
                None => self.open(),
            }
        }
        work.lines.iter().for_each(|line| self.write_line(line));
        let now = SystemTime::now();
        if let Some((kind, count)) = self.repeats.due(now) {
            self.write(kind, now, &count);
        }
        if work.lost > 0 {
            let lost =
                format!("{} log lines were dropped because they came faster than they could be written.", work.lost);
            self.write(Kind::Warning, now, &lost);
        }
        self.flush();
    }

    fn flush(&mut self) {
        self.destinations.iter_mut().for_each(Destination::flush);
    }

    /// Unless it says what the lines before it said.
    fn write_line(&mut self, line: &Line) {
        let verdict = self.repeats.next(line.kind, &line.text, line.at);
        if let Some((kind, count)) = verdict.count {
            self.write(kind, line.at, &count);
        }
        if verdict.write {
            self.write(line.kind, line.at, &line.text);
        }
    }

    /// Opens all destinations. Standard error takes the place of a file that cannot be opened.
    fn open(&mut self) {
        let wanted = self.config.destinations.clone();
        let mut targets = Vec::new();
        if wanted.json {
            targets.push(Target::Json);
        }
        if wanted.stdout {
            targets.push(Target::Stdout);
        }
        if wanted.syslog {
            let (facility, ident) = (self.config.facility, self.config.ident);
            targets.push(Target::Syslog(Syslog::new(SYSLOG.into(), facility, ident, TimeZone::system())));
        }
        if wanted.topic {
            targets.push(Target::Topic(self.topic.clone()));
        }
        let file = wanted.file.map(|path| Target::file(&path).map_err(|error| (path, error)));
        if wanted.stderr || matches!(file, Some(Err(_))) {
            targets.push(Target::Stderr);
        }
        let mut failed = None;
        match file {
            Some(Ok(target)) => targets.push(target),
            Some(Err(error)) => failed = Some(error),
            None => {}
        }
        self.destinations = targets.into_iter().map(Destination::new).collect();
        if let Some((path, error)) = failed {
            let text = format!("Error: Unable to open log file {} for writing: {error}.", path.display());
            self.write(Kind::Error, SystemTime::now(), &text);
            self.flush();
        }
    }

    fn write(&mut self, kind: Kind, at: SystemTime, text: &str) {
        self.classic.clear();
        if self.config.timestamp {
            self.classic.extend([self.timestamps.text(at), ": "]);
        }
        self.classic.extend([text, "\n"]);
        let line = Rendered { kind, at, text, classic: &self.classic };
        for destination in &mut self.destinations {
            destination.write(&line);
        }
    }
}

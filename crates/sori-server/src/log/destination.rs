//! One place that lines are written to, and what is done when it cannot take them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

use super::syslog::Syslog;
use super::topic::{TopicLine, TopicLines};
use super::{Kind, timestamp};

/// Where a destination's bytes end up.
#[derive(Debug)]
pub(super) enum Target {
    Stderr,
    Stdout,
    Json,
    File(File),
    Syslog(Syslog),
    Topic(TopicLines),
}

/// A line in the form that each destination needs.
#[derive(Debug)]
pub(super) struct Rendered<'a> {
    pub(super) kind: Kind,
    pub(super) at: SystemTime,
    /// The text alone.
    pub(super) text: &'a str,
    /// Time, text and line end.
    pub(super) classic: &'a str,
}

/// A target, what it is still to be given, and the lines it lost.
#[derive(Debug)]
pub(super) struct Destination {
    target: Target,
    /// Lines that are written together, and how many they are.
    gathered: String,
    count: u64,
    lost: u64,
}

/// More bytes than that do not wait for others.
const GATHERED_MAX: usize = 32 * 1024;

impl Destination {
    pub(super) fn new(target: Target) -> Destination {
        Destination { target, gathered: String::new(), count: 0, lost: 0 }
    }

    /// Takes a line: it is written with [`Destination::flush`] at the latest, or counted as lost. What was lost is told with the
    /// first line that arrives again.
    pub(super) fn write(&mut self, line: &Rendered<'_>) {
        if self.lost == 0 || self.count > 0 {
            return self.take(line);
        }
        // What was written last may be half a line.
        let classic = format!("\n{} log lines before this one could not be written.\n", self.lost);
        let lost = Rendered { kind: Kind::Warning, at: line.at, text: classic.trim(), classic: &classic };
        match self.target.text_of(&lost) {
            Some(text) => self.gathered.push_str(&text),
            None if self.target.send(&lost).is_ok() => self.lost = 0,
            None => return self.lost += 1,
        }
        self.take(line);
    }

    fn take(&mut self, line: &Rendered<'_>) {
        match self.target.text_of(line) {
            Some(text) => {
                self.gathered.push_str(&text);
                self.count += 1;
                if self.gathered.len() > GATHERED_MAX {
                    self.flush();
                }
            }
            None if self.target.send(line).is_err() => self.lost += 1,
            None => {}
        }
    }

    /// Writes what has been gathered.
    pub(super) fn flush(&mut self) {
        if self.count > 0 {
            let written = self.target.write(self.gathered.as_bytes());
            self.lost = if written.is_ok() { 0 } else { self.lost + self.count };
            self.gathered.clear();
            self.count = 0;
        }
    }
}

impl Target {
    /// Opens a log file to append to. Others may not read it: it names clients and users.
    pub(super) fn file(path: &Path) -> io::Result<Target> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(Target::File)
    }

    /// The line for a target that takes several at a time; `None`: it is sent each by itself.
    fn text_of<'a>(&self, line: &Rendered<'a>) -> Option<Cow<'a, str>> {
        match self {
            Target::Stderr | Target::Stdout | Target::File(_) => Some(Cow::Borrowed(line.classic)),
            Target::Json => Some(Cow::Owned(json(line))),
            Target::Syslog(_) | Target::Topic(_) => None,
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Target::Stderr | Target::Json => io::stderr().write_all(lines),
            Target::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
            Target::File(file) => file.write_all(lines),
            Target::Syslog(_) | Target::Topic(_) => Ok(()),
        }
    }

    fn send(&mut self, line: &Rendered<'_>) -> io::Result<()> {
        match self {
            Target::Syslog(syslog) => syslog.write(line.kind, line.at, line.classic.trim_matches('\n')),
            Target::Topic(lines) => {
                if let Some(topic) = line.kind.topic() {
                    lines.push(TopicLine { topic, text: line.classic.trim_matches('\n').to_owned() });
                }
                Ok(())
            }
            Target::Stderr | Target::Stdout | Target::Json | Target::File(_) => Ok(()),
        }
    }
}

/// `{"time":"...","level":"...","message":"..."}` and a line end.
fn json(line: &Rendered<'_>) -> String {
    let time = timestamp::rfc3339(line.at);
    let mut json = format!("{{\"time\":\"{time}\",\"level\":\"{}\",\"message\":\"", line.kind.word());
    for c in line.text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            // A string cannot refuse to be written to.
            c if c.is_control() => write!(json, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
            c => json.push(c),
        }
    }
    json.push_str("\"}\n");
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_escaped() {
        let line = Rendered { kind: Kind::Notice, at: SystemTime::UNIX_EPOCH, text: "a \"b\" \\ \tc", classic: "" };
        let expected = r#"{"time":"1970-01-01T00:00:00.000Z","level":"notice","message":"a \"b\" \\ \u0009c"}"#;
        assert_eq!(json(&line), format!("{expected}\n"));
    }

    #[test]
    fn lines_that_a_full_disk_did_not_take_are_counted() {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let mut destination = Destination::new(Target::File(full));
        let line = Rendered { kind: Kind::Error, at: SystemTime::UNIX_EPOCH, text: "x", classic: "1: x\n" };
        for _ in 0..2 {
            destination.write(&line);
            destination.flush();
        }
        destination.write(&line);
        destination.write(&line);
        destination.flush();
        assert_eq!(destination.lost, 4);

        let path = std::env::temp_dir().join(format!("sori-lost-lines-{}", std::process::id()));
        destination.target = Target::file(&path).expect("opens");
        destination.write(&line);
        destination.write(&line);
        destination.flush();
        let written = std::fs::read_to_string(&path).expect("was written");
        std::fs::remove_file(&path).expect("is there");
        assert_eq!(written, "\n4 log lines before this one could not be written.\n1: x\n1: x\n");
        assert_eq!(destination.lost, 0);
    }
}

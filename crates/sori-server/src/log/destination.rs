//! One place that lines are written to, and what is done when it cannot take them.

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

/// A target and the lines it lost.
#[derive(Debug)]
pub(super) struct Destination {
    target: Target,
    lost: u64,
}

impl Destination {
    pub(super) fn new(target: Target) -> Destination {
        Destination { target, lost: 0 }
    }

    /// Writes a line, or counts it as lost. What was lost is told with the first line that arrives again.
    pub(super) fn write(&mut self, line: &Rendered<'_>) {
        if self.lost > 0 {
            // What was written last may be half a line.
            let classic = format!("\n{} log lines before this one could not be written.\n", self.lost);
            let text = classic.trim();
            if self.target.write(&Rendered { kind: Kind::Warning, at: line.at, text, classic: &classic }).is_err() {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        if self.target.write(line).is_err() {
            self.lost += 1;
        }
    }
}

impl Target {
    /// Opens a log file to append to. Others may not read it: it names clients and users.
    pub(super) fn file(path: &Path) -> io::Result<Target> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(Target::File)
    }

    fn write(&mut self, line: &Rendered<'_>) -> io::Result<()> {
        match self {
            Target::Stderr => io::stderr().write_all(line.classic.as_bytes()),
            Target::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line.classic.as_bytes())?;
                stdout.flush()
            }
            Target::Json => io::stderr().write_all(json(line).as_bytes()),
            Target::File(file) => file.write_all(line.classic.as_bytes()),
            Target::Syslog(syslog) => syslog.write(line.kind, line.at, line.classic.trim_matches('\n')),
            Target::Topic(lines) => {
                if let Some(topic) = line.kind.topic() {
                    lines.push(TopicLine { topic, text: line.classic.trim_matches('\n').to_owned() });
                }
                Ok(())
            }
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
        destination.write(&line);
        destination.write(&line);
        assert_eq!(destination.lost, 2);

        let path = std::env::temp_dir().join(format!("sori-lost-lines-{}", std::process::id()));
        destination.target = Target::file(&path).expect("opens");
        destination.write(&line);
        let written = std::fs::read_to_string(&path).expect("was written");
        std::fs::remove_file(&path).expect("is there");
        assert_eq!(written, "\n2 log lines before this one could not be written.\n1: x\n");
        assert_eq!(destination.lost, 0);
    }
}

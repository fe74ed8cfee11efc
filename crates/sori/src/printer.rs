//! Writes messages to standard output.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Stdout, Write};

use crate::failure::Failure;
use crate::format::Arrival;
use crate::message::Message;
use crate::settings::{Form, Output};
use crate::subscribing::Show;
use crate::voice::Voice;

/// With `--watch`: so many topics have a line of their own; the others share the last one.
const WATCHED_TOPICS_MAX: usize = 10_000;

/// Messages as lines of standard output.
pub(crate) struct Printer<'a> {
    output: &'a Output,
    voice: Voice,
    out: BufWriter<Stdout>,
    chance: Option<Chance>,
    /// The terminal's line of each topic.
    lines: HashMap<String, usize>,
    bytes: Vec<u8>,
}

/// Why writing has come to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OutputEnd {
    /// `sori sub | head`: nobody reads any more, and that is no error.
    NobodyReads,
    Failed(Failure),
}

impl From<io::Error> for OutputEnd {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Failed(Failure::new(format!("cannot write to standard output: {error}"))),
        }
    }
}

impl OutputEnd {
    /// How the command ends.
    pub(crate) fn result(self) -> Result<(), Failure> {
        match self {
            Self::NobodyReads => Ok(()),
            Self::Failed(failure) => Err(failure),
        }
    }
}

impl<'a> Printer<'a> {
    /// `per_mille`: how many of a thousand messages to write, chosen by chance.
    pub(crate) fn new(output: &'a Output, voice: Voice, per_mille: Option<u16>) -> Result<Self, OutputEnd> {
        let mut out = BufWriter::new(io::stdout());
        if let Some(broker) = &output.watch {
            // Clears the screen and goes to its upper left corner.
            writeln!(out, "\x1B[2J\x1B[1;1HBroker: {broker}")?;
            out.flush()?;
        }
        let chance = per_mille.map(Chance::new);
        Ok(Self { output, voice, out, chance, lines: HashMap::new(), bytes: Vec::new() })
    }

    /// A line that is no message.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), OutputEnd> {
        Ok(writeln!(self.out, "{line}")?)
    }

    fn line_of(&mut self, topic: &str) -> usize {
        if let Some(line) = self.lines.get(topic) {
            return *line;
        }
        let line = self.lines.len().min(WATCHED_TOPICS_MAX) + 2;
        if self.lines.len() < WATCHED_TOPICS_MAX {
            self.lines.insert(topic.to_owned(), line);
        }
        line
    }
}

impl Show for Printer<'_> {
    fn message(&mut self, message: &Message) -> Result<(), OutputEnd> {
        if self.chance.as_mut().is_some_and(|chance| !chance.hit()) {
            return Ok(());
        }
        self.bytes.clear();
        let complaint = write_message(self.output, self.voice, message, &mut self.bytes);
        if self.output.watch.is_some() {
            let line = self.line_of(&message.topic);
            write!(self.out, "\x1B[{line};1H\x1B[K")?;
        }
        self.out.write_all(&self.bytes)?;
        if self.output.watch.is_some() {
            // The cursor waits below everything.
            write!(self.out, "\x1B[{};1H", self.lines.len() + 2)?;
        }
        if let Some(complaint) = complaint {
            self.idle()?;
            self.voice.complain(&complaint);
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), OutputEnd> {
        Ok(self.out.flush()?)
    }
}

/// `payload`, or `topic payload`. An empty payload is `(null)` beside its topic, and nothing without it.
fn write_message(output: &Output, voice: Voice, message: &Message, out: &mut Vec<u8>) -> Option<String> {
    let mut complaint = None;
    match &output.form {
        Form::Payload if message.payload.is_empty() => return None,
        Form::Payload => out.extend_from_slice(&message.payload),
        // Without line breaks Mosquitto's client leaves its topic out, too.
        Form::Verbose if message.payload.is_empty() && output.no_newline && voice != Voice::Sori => return None,
        Form::Verbose => {
            out.extend_from_slice(message.topic.as_bytes());
            out.push(b' ');
            out.extend_from_slice(if message.payload.is_empty() { b"(null)" } else { &message.payload });
        }
        Form::Format(format) => complaint = format.write(message, &Arrival::now(), out),
    }
    if !output.no_newline {
        out.push(b'\n');
    }
    complaint
}

/// Lets so many of a thousand pass. Not secret, only different in each run.
struct Chance {
    per_mille: u16,
    state: u64,
}

impl Chance {
    fn new(per_mille: u16) -> Self {
        // The standard library's hashers are keyed by the system's random numbers; 0 would stay 0.
        Self { per_mille, state: RandomState::new().hash_one(0) | 1 }
    }

    /// Xorshift of 64 bits; the upper half is the better one.
    fn hit(&mut self) -> bool {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 32) % 1000 < u64::from(self.per_mille)
    }
}

#[cfg(test)]
mod tests {
    use sori_mqtt::{PropertyBuffer, QoS};

    use super::*;
    use crate::format::Format;

    fn written(form: Form, no_newline: bool, payload: &[u8]) -> Vec<u8> {
        written_by(Voice::Mosquitto { quiet: false, debug: false, publishes: false }, form, no_newline, payload)
    }

    fn written_by(voice: Voice, form: Form, no_newline: bool, payload: &[u8]) -> Vec<u8> {
        let (qos, properties) = (QoS::AtMostOnce, PropertyBuffer::new());
        let message =
            Message { topic: "a/b".into(), payload: payload.into(), qos, retain: false, packet_id: 0, properties };
        let mut out = Vec::new();
        assert_eq!(write_message(&Output { form, no_newline, watch: None }, voice, &message, &mut out), None);
        out
    }

    #[test]
    fn messages_look_as_mosquitto_prints_them() {
        assert_eq!(written(Form::Payload, false, b"hi"), b"hi\n");
        assert_eq!(written(Form::Payload, true, b"hi"), b"hi");
        assert_eq!(written(Form::Verbose, false, b"hi"), b"a/b hi\n");
        assert_eq!(written(Form::Payload, false, b""), b"");
        assert_eq!(written(Form::Verbose, false, b""), b"a/b (null)\n");
        assert_eq!(written(Form::Verbose, true, b""), b"");
        assert_eq!(written_by(Voice::Sori, Form::Verbose, true, b""), b"a/b (null)");
        assert_eq!(written(Form::Verbose, true, b"hi"), b"a/b hi");
        assert_eq!(written(Form::Verbose, false, b"\xFF\0"), b"a/b \xFF\0\n");
        let format = Format::new("%t=%p").expect("legal");
        assert_eq!(written(Form::Format(format), true, b"hi"), b"a/b=hi");
    }

    #[test]
    fn chance_lets_about_as_many_pass_as_it_should() {
        for per_mille in [1, 250, 999, 1000] {
            let mut chance = Chance { per_mille, state: 0x9E37_79B9_7F4A_7C15 };
            let hits = (0..100_000).filter(|_| chance.hit()).count();
            let expected = usize::from(per_mille) * 100;
            assert!(hits.abs_diff(expected) <= 500, "{per_mille}: {hits}");
        }
    }
}

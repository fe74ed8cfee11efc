//! The language of `-F`: how a message is written.
//!
//! `%[-][0][width][.precision][separator]conversion` is a field of the message, `@x` is what strftime makes of `%x` with the
//! time of arrival, `@N` its nanoseconds, and `\n` and its like are characters. A format is read once; what it
//! says wrongly is an error then, and writing a message cannot fail.

mod conversion;
mod field;
mod json;
mod number;
mod time;

use std::fmt;

pub(crate) use conversion::{CONVERSIONS, Conversion};
use field::Field;
pub(crate) use time::Arrival;

use crate::message::Message;

/// A format that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    parts: Vec<Part>,
    /// JSON with line breaks and tabs.
    pretty: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Field(Field, Conversion),
    /// The letter of strftime.
    Time(char),
    Nanoseconds,
}

/// What is wrong with a format, in the words of Mosquitto's clients where they have some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FormatError {
    IncompleteSpecifier,
    InvalidSpecifier(char),
    IncompleteEscape,
    InvalidEscape(char),
    /// A width or precision above [`FIELD_MAX`](field::FIELD_MAX).
    TooWide,
}

impl Format {
    pub(crate) fn new(text: &str) -> Result<Self, FormatError> {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(first) = rest.next() {
            match first {
                '%' => {
                    let (field, letter) = Field::read(&mut rest)?;
                    match letter {
                        '%' => push(&mut parts, '%'),
                        letter => parts.push(Part::Field(field, conversion::of(letter)?)),
                    }
                }
                '@' => match rest.next().ok_or(FormatError::IncompleteSpecifier)? {
                    other @ ('@' | '%') => push(&mut parts, other),
                    'N' => parts.push(Part::Nanoseconds),
                    letter => parts.push(Part::Time(letter)),
                },
                '\\' => push(&mut parts, escape(rest.next().ok_or(FormatError::IncompleteEscape)?)?),
                other => push(&mut parts, other),
            }
        }
        Ok(Self { parts, pretty: false })
    }

    /// JSON in many lines, or not.
    pub(crate) const fn with_pretty(mut self, pretty: bool) -> Self {
        self.pretty = pretty;
        self
    }

    /// Appends the message to `out`, without a line break. What could not be written is returned as a sentence.
    pub(crate) fn write(&self, message: &Message, arrival: &Arrival, out: &mut Vec<u8>) -> Option<String> {
        let mut complaint = None;
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Time(letter) => out.extend_from_slice(arrival.strftime(*letter).as_bytes()),
                Part::Nanoseconds => out.extend_from_slice(format!("{:09}", arrival.nanoseconds()).as_bytes()),
                Part::Field(field, conversion) => {
                    let written = conversion.write(field, message, arrival, self.pretty, out);
                    complaint = complaint.or(written.err());
                }
            }
        }
        complaint
    }
}

fn push(parts: &mut Vec<Part>, character: char) {
    let mut bytes = [0; 4];
    let bytes = character.encode_utf8(&mut bytes).as_bytes();
    match parts.last_mut() {
        Some(Part::Text(text)) => text.extend_from_slice(bytes),
        _ => parts.push(Part::Text(bytes.to_vec())),
    }
}

fn escape(letter: char) -> Result<char, FormatError> {
    Ok(match letter {
        '\\' => '\\',
        '0' => '\0',
        'a' => '\x07',
        'e' => '\x1B',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0B',
        other => return Err(FormatError::InvalidEscape(other)),
    })
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IncompleteSpecifier => f.write_str("Incomplete format specifier."),
            Self::InvalidSpecifier(letter) => write!(f, "Invalid format specifier '{letter}'."),
            Self::IncompleteEscape => f.write_str("Incomplete escape specifier."),
            Self::InvalidEscape(letter) => write!(f, "Invalid escape specifier '{letter}'."),
            Self::TooWide => write!(f, "A format specifier is wider than {} characters.", field::FIELD_MAX),
        }
    }
}

#[cfg(test)]
mod tests;

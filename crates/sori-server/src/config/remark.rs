//! What is said about a configuration: errors, warnings and notices, each with the line it is about.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file as it was named.
    pub file: Arc<Path>,
    /// Counted from 1.
    pub line: usize,
    /// The character of the line, counted from 1, where one character or word is meant.
    pub column: Option<usize>,
}

impl Location {
    /// A whole line.
    pub fn line(file: Arc<Path>, line: usize) -> Location {
        Location { file, line, column: None }
    }

    /// Both are in one line.
    pub(crate) fn is_line_of(&self, other: &Location) -> bool {
        self.line == other.line && self.file == other.file
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

/// How much a remark weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The broker does not start with this: it cannot be right.
    Error,
    /// Nor with this: it is right, and the machine does not have it. The program ends with another status.
    Failure,
    /// It starts, but probably not as it was meant.
    Warning,
    /// Something that is done differently, or not needed.
    Notice,
    /// What was read.
    Information,
}

/// One thing to say about a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// How much it weighs.
    pub severity: Severity,
    /// The line it is about.
    pub at: Option<Location>,
    /// What is the matter. Errors use Mosquitto's words, because scripts look for them.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Remark {
    /// Something that is about no line.
    pub fn new(severity: Severity, text: impl Into<String>) -> Remark {
        Remark { severity, at: None, text: text.into(), hint: None }
    }

    /// The same about this line.
    #[must_use]
    pub fn at(self, at: Option<Location>) -> Remark {
        Remark { at, ..self }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Remark {
        Remark { hint: Some(hint.into()), ..self }
    }

    /// The broker does not start with this.
    pub fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Error | Severity::Failure)
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        match self.severity {
            Severity::Error | Severity::Failure => f.write_str("Error: ")?,
            Severity::Warning => f.write_str("Warning: ")?,
            Severity::Notice | Severity::Information => {}
        }
        f.write_str(&self.text)?;
        match &self.hint {
            Some(hint) => write!(f, " Hint: {hint}"),
            None => Ok(()),
        }
    }
}

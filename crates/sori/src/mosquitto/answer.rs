//! What the command line can lead to instead of work, and how values are read from it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

/// The command line is not followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Help,
    Version,
    /// What is wrong; it is shown behind `Error: `.
    Wrong(Complaint),
}

/// A sentence, and how far from it the advice stands. Tests of Mosquitto compare the output to the last line break.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) text: String,
    is_spaced: bool,
}

impl Complaint {
    /// What is written to standard error.
    pub(super) fn shown(&self, program: &str) -> String {
        let space = if self.is_spaced { "\n" } else { "" };
        format!("Error: {}\n{space}\nUse '{program} --help' to see usage.", self.text)
    }
}

/// The value of a flag.
#[derive(Clone, Copy)]
pub(super) struct Value<'a>(pub(super) &'a OsStr);

pub(super) fn wrong<T>(text: impl Into<String>) -> Result<T, Answer> {
    Err(Answer::Wrong(Complaint { text: text.into(), is_spaced: true }))
}

/// The same without a blank line more. Which complaint has one is an accident of Mosquitto's clients.
pub(super) fn wrong_briefly<T>(text: impl Into<String>) -> Result<T, Answer> {
    Err(Answer::Wrong(Complaint { text: text.into(), is_spaced: false }))
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> &'a [u8] {
        self.0.as_bytes()
    }

    /// Text in UTF-8; `flag` names the argument in the error.
    pub(super) fn text(self, flag: &str) -> Result<&'a str, Answer> {
        self.0.to_str().map_or_else(|| wrong(format!("Malformed UTF-8 in {flag} argument.")), Ok)
    }

    pub(super) fn owned(self, flag: &str) -> Result<String, Answer> {
        self.text(flag).map(str::to_owned)
    }

    /// For messages.
    pub(super) fn shown(self) -> String {
        self.0.to_string_lossy().trim().to_owned()
    }

    /// A whole number, with blanks around it as files of options have them; `None` when it is none.
    pub(super) fn number<T: FromStr>(self) -> Option<T> {
        self.0.to_str()?.trim().parse().ok()
    }
}

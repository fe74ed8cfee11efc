//! What the command line can lead to instead of work, and how values are read from it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

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

    /// For messages: a number as it was understood, anything else as it stands there.
    pub(super) fn shown_as_number(self) -> String {
        self.number::<i64>().map_or_else(|| self.shown(), |number| number.to_string())
    }

    /// A whole number as `atoi` of C reads it: what stands behind the digits does not count, and nothing at all is 0, because
    /// scripts have `-W 1.5` and variables that are empty. `None` for a word, and what `T` cannot hold.
    pub(super) fn number<T: TryFrom<i64>>(self) -> Option<T> {
        let text = self.0.to_str()?.trim();
        let behind_sign = text.strip_prefix(['+', '-']).unwrap_or(text);
        let behind_digits = behind_sign.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = text.get(..text.len() - behind_digits.len())?;
        let number = if text.is_empty() { 0 } else { digits.parse::<i64>().ok()? };
        T::try_from(number).ok()
    }

    /// The same with decimals, as `atof` reads it.
    pub(super) fn decimal(self) -> Option<f64> {
        let text = self.0.to_str()?.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)).unwrap_or(text.len());
        let number: f64 = match text.is_empty() {
            true => 0.0,
            false => (1..=end).rev().find_map(|end| text.get(..end)?.parse().ok())?,
        };
        number.is_finite().then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_scripts_expect() {
        for (text, whole, decimal) in [
            ("5", Some(5), Some(5.0)),
            (" 5 ", Some(5), Some(5.0)),
            ("-1", Some(-1), Some(-1.0)),
            ("+7", Some(7), Some(7.0)),
            ("1.5", Some(1), Some(1.5)),
            ("60s", Some(60), Some(60.0)),
            ("1-2", Some(1), Some(1.0)),
            ("2e3x", Some(2), Some(2000.0)),
            (".5", None, Some(0.5)),
            ("", Some(0), Some(0.0)),
            ("one", None, None),
            ("-", None, None),
            ("9223372036854775808", None, Some(9_223_372_036_854_775_808.0)),
            ("1e999", Some(1), None),
            ("infinity", None, None),
        ] {
            let value = Value(OsStr::new(text));
            assert_eq!((value.number::<i64>(), value.decimal()), (whole, decimal), "{text:?}");
        }
    }
}

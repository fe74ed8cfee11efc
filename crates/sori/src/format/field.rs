//! What stands between `%` and its letter, and how a value is laid out by it.

use std::str::Chars;

use super::FormatError;

/// The greatest width and precision: a line is never longer than a screen full of text.
pub(super) const FIELD_MAX: usize = 65_535;

/// What separates groups of hexadecimal digits, if the format says so.
const SEPARATORS: &str = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~ ";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    left: bool,
    zero: bool,
    /// 0: as wide as the value.
    width: usize,
    precision: Option<usize>,
    separator: u8,
}

impl Field {
    /// Reads up to and with the letter of the conversion.
    pub(super) fn read(rest: &mut Chars<'_>) -> Result<(Self, char), FormatError> {
        let left = take(rest, '-');
        let zero = take(rest, '0');
        let width = number(rest)?.unwrap_or(0);
        let precision = if take(rest, '.') { Some(number(rest)?.unwrap_or(0)) } else { None };
        let separator = rest.clone().next().filter(|next| SEPARATORS.contains(*next));
        if separator.is_some() {
            rest.next();
        }
        let letter = rest.next().ok_or(FormatError::IncompleteSpecifier)?;
        // Separators are ASCII.
        let separator = separator.map_or(b' ', |separator| separator as u8);
        Ok((Self { left, zero, width, precision, separator }, letter))
    }

    /// In place of a value that is not there.
    pub(super) fn blank(&self, out: &mut Vec<u8>) {
        out.extend(std::iter::repeat_n(self.pad(), self.width));
    }

    pub(super) fn integer(&self, value: u64, out: &mut Vec<u8>) {
        self.digits(&value.to_string(), self.zero, out);
    }

    /// As `printf` with `%f`.
    pub(super) fn float(&self, value: f64, out: &mut Vec<u8>) {
        let precision = self.precision.unwrap_or(6);
        let text = if value.is_nan() {
            if value.is_sign_negative() { "-nan".to_owned() } else { "nan".to_owned() }
        } else {
            format!("{value:.precision$}")
        };
        self.digits(&text, self.zero && value.is_finite(), out);
    }

    fn digits(&self, text: &str, zero: bool, out: &mut Vec<u8>) {
        let padding = self.width.saturating_sub(text.len());
        if self.left {
            out.extend_from_slice(text.as_bytes());
            out.extend(std::iter::repeat_n(b' ', padding));
        } else if zero {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            out.extend_from_slice(sign.as_bytes());
            out.extend(std::iter::repeat_n(b'0', padding));
            out.extend_from_slice(digits.as_bytes());
        } else {
            out.extend(std::iter::repeat_n(b' ', padding));
            out.extend_from_slice(text.as_bytes());
        }
    }

    /// The precision is the most that is written of it; both count bytes, as `printf` does.
    pub(super) fn text(&self, value: &str, out: &mut Vec<u8>) {
        let length = self.precision.unwrap_or(usize::MAX).min(value.len());
        let value = value.as_bytes().get(..length).unwrap_or_default();
        let padding = self.width.saturating_sub(length);
        if !self.left {
            out.extend(std::iter::repeat_n(b' ', padding));
        }
        out.extend_from_slice(value);
        if self.left {
            out.extend(std::iter::repeat_n(b' ', padding));
        }
    }

    /// The width is also the most that is written of it.
    pub(super) fn bytes(&self, value: &[u8], out: &mut Vec<u8>) {
        let value = self.cut(value);
        let padding = self.width.saturating_sub(value.len());
        if !self.left {
            out.extend(std::iter::repeat_n(self.pad(), padding));
        }
        out.extend_from_slice(value);
        if self.left {
            out.extend(std::iter::repeat_n(b' ', padding));
        }
    }

    /// Hexadecimal digits, with a separator after each group of as many as the precision says.
    pub(super) fn hex(&self, value: &[u8], digits: &[u8; 16], out: &mut Vec<u8>) {
        let value = self.cut(value);
        let padding = self.width.saturating_sub(2 * value.len());
        let before = if self.left { 0 } else { padding };
        let pad = std::iter::repeat_n(self.pad(), before);
        let nibbles = value.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let nibbles = nibbles.map(|nibble| digits.get(usize::from(nibble)).copied().unwrap_or(b'?'));
        let length = before + 2 * value.len();
        for (position, character) in pad.chain(nibbles).enumerate() {
            out.push(character);
            let group_ends = self.precision.is_some_and(|group| group > 0 && (position + 1) % group == 0);
            if group_ends && (position + 1 < length || value.is_empty()) {
                out.push(self.separator);
            }
        }
        if self.left {
            out.extend(std::iter::repeat_n(b' ', padding));
        }
    }

    fn cut<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        let most = if self.width > 0 { self.width } else { value.len() };
        value.get(..most).unwrap_or(value)
    }

    const fn pad(&self) -> u8 {
        if self.zero { b'0' } else { b' ' }
    }
}

fn take(rest: &mut Chars<'_>, wanted: char) -> bool {
    let found = rest.clone().next() == Some(wanted);
    if found {
        rest.next();
    }
    found
}

/// Decimal digits, if there are some.
fn number(rest: &mut Chars<'_>) -> Result<Option<usize>, FormatError> {
    let mut value = None;
    while let Some(digit) = rest.clone().next().and_then(|next| next.to_digit(10)) {
        rest.next();
        value = Some(value.unwrap_or(0) * 10 + digit as usize);
        if value > Some(FIELD_MAX) {
            return Err(FormatError::TooWide);
        }
    }
    Ok(value)
}

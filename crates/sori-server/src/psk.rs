//! `psk_file`: the keys of TLS-PSK, one `identity:key` a line, the key in hexadecimal digits. `#` begins a comment line.
//! An identity that stands there twice has its first key, as in Mosquitto.

use crate::config::{Location, Remark, Severity, wrong_encoding};
use crate::text_file::contents;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What an identity may have: RFC 4279 section 5.3 wants 128 bytes at least, and OpenSSL takes no more than this.
const IDENTITY_BYTES_MAX: usize = 256;
/// What a key may have: RFC 4279 section 5.3 wants 64 bytes at least, and OpenSSL takes no more than this.
const KEY_BYTES_MAX: usize = 512;

/// The keys of one file.
#[derive(Clone, Eq, PartialEq)]
pub struct Keys {
    file: Arc<Path>,
    keys: HashMap<Box<str>, Key>,
}

#[derive(Clone, Eq, PartialEq)]
struct Key {
    bytes: Box<[u8]>,
    line: usize,
}

impl Keys {
    /// A file that has not been read: nobody comes in.
    pub(crate) fn none(file: &Path) -> Keys {
        Keys { file: file.into(), keys: HashMap::new() }
    }

    /// Reads a file completely. `remarks` gets everything there is to say about it; with an error among that there are no
    /// keys.
    pub fn read(file: &Path, remarks: &mut Vec<Remark>) -> Option<Keys> {
        match contents(file, "psk_file") {
            Ok(bytes) => Keys::parse(file, &bytes, remarks),
            Err(remark) => {
                remarks.push(remark);
                None
            }
        }
    }

    /// The same for the contents of a file.
    pub fn parse(file: &Path, bytes: &[u8], remarks: &mut Vec<Remark>) -> Option<Keys> {
        let mut keys = Keys::none(file);
        if let Some(text) = wrong_encoding(bytes) {
            let at = Some(Location::line(keys.file, 1));
            let hint = "save the file as UTF-8 without a byte order mark.";
            remarks.push(Remark::new(Severity::Error, text).at(at).hint(hint));
            return None;
        }
        let mut is_good = true;
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if let Some(remark) = keys.take_line(at + 1, line) {
                is_good &= !remark.is_error();
                remarks.push(remark);
            }
        }
        is_good.then_some(keys)
    }

    fn take_line(&mut self, number: usize, line: &[u8]) -> Option<Remark> {
        if line.starts_with(b"#") || line.trim_ascii().is_empty() {
            return None;
        }
        let place = |column| Some(Location { file: Arc::clone(&self.file), line: number, column: Some(column) });
        let (identity, bytes) = match read_line(line) {
            Ok(read) => read,
            Err((before, hint)) => {
                let text = format!("Invalid line in psk_file '{}'.", self.file.display());
                return Some(Remark::new(Severity::Error, text).at(place(before + 1)).hint(hint));
            }
        };
        if let Some(first) = self.line(identity) {
            let text = format!("Duplicate identity '{}' in psk_file.", identity.escape_debug());
            let hint = format!("the key in line {first} counts; remove one of them.");
            return Some(Remark::new(Severity::Warning, text).at(place(1)).hint(hint));
        }
        self.keys.insert(identity.into(), Key { bytes, line: number });
        None
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The key of an identity.
    #[must_use]
    pub fn find(&self, identity: &str) -> Option<&[u8]> {
        self.keys.get(identity).map(|key| &*key.bytes)
    }

    /// The line of an identity, counted from 1.
    #[must_use]
    pub fn line(&self, identity: &str) -> Option<usize> {
        self.keys.get(identity).map(|key| key.line)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The keys of a listener, and the version of the configuration that they are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keyring {
    pub(crate) keys: Arc<Keys>,
    pub(crate) version: u64,
}

#[cfg(feature = "psk")]
impl sori_net::tls::PskKeys for Keys {
    fn key(&self, identity: &[u8]) -> Option<&[u8]> {
        self.find(std::str::from_utf8(identity).ok()?)
    }
}

impl fmt::Debug for Keys {
    /// Without the keys, so that none ever stands in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}: {})", self.file.display(), self.keys.len())
    }
}

/// Identity and key.
type Line<'a> = (&'a str, Box<[u8]>);

/// How many characters stand before what is wrong, and what to do about it.
type Wrong = (usize, String);

fn read_line(line: &[u8]) -> Result<Line<'_>, Wrong> {
    let line = std::str::from_utf8(line).map_err(|_| (0, "the line is not UTF-8.".to_owned()))?;
    let Some((identity, key)) = line.split_once(':') else {
        return Err((0, "a line is <identity>:<key>.".to_owned()));
    };
    let before = identity.chars().count() + 1 + (key.len() - key.trim_start().len());
    let (identity, key) = (identity.trim(), key.trim());
    if identity.is_empty() || identity.len() > IDENTITY_BYTES_MAX || identity.contains('\0') {
        return Err((0, format!("an identity has 1 to {IDENTITY_BYTES_MAX} bytes, and none of them is 0.")));
    }
    let key = read_key(key).map_err(|(at, hint)| (before + at, hint))?;
    Ok((identity, key))
}

/// A key in hexadecimal digits.
///
/// # Errors
/// How many characters stand before what is wrong, and what a key looks like.
pub fn read_key(text: &str) -> Result<Box<[u8]>, (usize, String)> {
    let digit = |(at, c): (usize, char)| {
        let value = c.to_digit(16).and_then(|value| u8::try_from(value).ok());
        value.ok_or_else(|| (at, "a key has hexadecimal digits only, without 0x in front.".to_owned()))
    };
    let digits = text.chars().enumerate().map(digit).collect::<Result<Vec<u8>, _>>()?;
    if digits.is_empty() || digits.len() % 2 > 0 || digits.len() / 2 > KEY_BYTES_MAX {
        let hint = format!("a key has two hexadecimal digits for each byte, and 1 to {KEY_BYTES_MAX} bytes.");
        return Err((0, hint));
    }
    Ok(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (Option<Keys>, Vec<Remark>) {
        let mut remarks = Vec::new();
        (Keys::parse(Path::new("/etc/psk"), text.as_bytes(), &mut remarks), remarks)
    }

    fn places(remarks: &[Remark]) -> Vec<(usize, Option<usize>)> {
        remarks.iter().filter_map(|remark| remark.at.as_ref()).map(|at| (at.line, at.column)).collect()
    }

    #[test]
    fn keys_are_found_by_identity() {
        let (keys, remarks) = read("# a comment\n\nsensor:00ff10\r\n other : ABcd \nsensor:11\n");
        let keys = keys.expect("is good");
        assert_eq!(keys.find("sensor"), Some(&[0, 0xFF, 0x10][..]));
        assert_eq!(keys.find("other"), Some(&[0xAB, 0xCD][..]));
        assert_eq!((keys.find("nobody"), keys.len(), keys.line("other")), (None, 2, Some(4)));
        assert_eq!((places(&remarks), remarks[0].severity), (vec![(5, Some(1))], Severity::Warning));
        assert!(!format!("{keys:?}").contains("255"), "no key is ever written to a log");
    }

    #[test]
    fn broken_lines_are_all_named() {
        let (keys, remarks) = read("a:0x11\nb\n:11\nc:123\nd:\nü: é1\n");
        assert_eq!(keys, None);
        let expected = [(1, 4), (2, 1), (3, 1), (4, 3), (5, 3), (6, 4)].map(|(line, column)| (line, Some(column)));
        assert_eq!(places(&remarks), expected);
        assert!(remarks.iter().all(|remark| remark.text == "Invalid line in psk_file '/etc/psk'."));
        let mut remarks = Vec::new();
        assert_eq!(Keys::read(Path::new("/does/not/exist"), &mut remarks), None);
        assert_eq!(remarks[0].text, "Unable to open psk_file \"/does/not/exist\".");
    }

    /// What stands in a file can be used.
    #[test]
    #[cfg(feature = "psk")]
    fn the_bounds_are_those_of_the_connections() {
        use sori_net::tls::{PSK_IDENTITY_BYTES_MAX, PSK_KEY_BYTES_MAX};
        assert_eq!((IDENTITY_BYTES_MAX, KEY_BYTES_MAX), (PSK_IDENTITY_BYTES_MAX, PSK_KEY_BYTES_MAX));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Keys::parse(Path::new("x"), &bytes, &mut Vec::new());
        }
    }
}

//! Files of options: `-o file`, or the one in the user's configuration folder.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::Program;
use super::answer::{Answer, wrong};

/// A larger file is no list of options.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The file that was named with `-o`.
pub(super) fn named(arguments: &[OsString]) -> Result<Option<PathBuf>, Answer> {
    let mut found = None;
    for (index, word) in arguments.iter().enumerate() {
        if word != "-o" {
            continue;
        }
        if found.is_some() {
            return wrong("Duplicate -o argument given.");
        }
        let Some(path) = arguments.get(index + 1) else {
            return wrong("-o argument given but no options file specified.");
        };
        found = Some(PathBuf::from(path));
    }
    Ok(found)
}

/// The file that is read without `-o`, whether it exists or not.
pub(super) fn by_default(program: Program, environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = environment("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| environment("HOME").map(|home| Path::new(&home).join(".config")));
    folder.map(|folder| folder.join(program.name()))
}

/// The words of each line of a file. One that cannot be read is none to Mosquitto's clients, which scripts use for files that
/// may be there or not; `Ok(Err(..))` is then why.
pub(super) fn read(path: &Path) -> Result<io::Result<Vec<Vec<OsString>>>, Answer> {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > FILE_BYTES_MAX) {
        return wrong(format!("Unable to read options file \"{}\": it is larger than 1 MiB.", path.display()));
    }
    let bytes = std::fs::read(path);
    Ok(bytes.map(|bytes| bytes.split(|byte| *byte == b'\n').filter_map(words).collect()))
}

/// A flag and, behind the first blank, its value as it is. A property has its words apart.
fn words(line: &[u8]) -> Option<Vec<OsString>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.first() == Some(&b'#') {
        return None;
    }
    let line = line.trim_ascii_start();
    if line.is_empty() {
        return None;
    }
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (flag, value) = line.split_at(end);
    let word = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let mut words = vec![word(flag)];
    let value = value.get(1..).unwrap_or_default();
    if value.is_empty() {
        return Some(words);
    }
    if [OsStr::from_bytes(b"-D"), OsStr::from_bytes(b"--property")].contains(&OsStr::from_bytes(flag)) {
        words.extend(property_words(value).into_iter().map(word));
    } else {
        words.push(word(value));
    }
    Some(words)
}

/// `command property value`, where the value is the rest; a user property's name is one word before it.
fn property_words(value: &[u8]) -> Vec<&[u8]> {
    let is_user = value.windows(13).any(|window| window == b"user-property");
    value.trim_ascii().splitn(if is_user { 4 } else { 3 }, |byte| *byte == b' ').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_flag_and_its_value() {
        let check = |line: &str, expected: &[&str]| {
            let found = words(line.as_bytes());
            let expected: Vec<OsString> = expected.iter().map(OsString::from).collect();
            assert_eq!(found.unwrap_or_default(), expected, "{line:?}");
        };
        check("-q 1", &["-q", "1"]);
        check("--retain\r", &["--retain"]);
        check("-m a message  with blanks ", &["-m", "a message  with blanks "]);
        check("-m # no comment", &["-m", "# no comment"]);
        check("# a comment", &[]);
        check("", &[]);
        check("-n ", &["-n"]);
        check(
            "-D publish content-type text/plain; charset=utf-8",
            &["-D", "publish", "content-type", "text/plain; charset=utf-8"],
        );
        check("-D connect user-property name a value", &["-D", "connect", "user-property", "name", "a value"]);
    }

    #[test]
    fn the_configuration_folder_is_where_the_environment_says() {
        let path = |xdg: Option<&str>, home: Option<&str>| {
            by_default(Program::Sub, |name| match name {
                "XDG_CONFIG_HOME" => xdg.map(OsString::from),
                _ => home.map(OsString::from),
            })
        };
        assert_eq!(path(Some("/c"), Some("/h")), Some(PathBuf::from("/c/mosquitto_sub")));
        assert_eq!(path(None, Some("/h")), Some(PathBuf::from("/h/.config/mosquitto_sub")));
        assert_eq!(path(None, None), None);
    }

    #[test]
    fn only_one_file_can_be_named() {
        let named = |words: &str| named(&words.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(named("-t a"), Ok(None));
        assert_eq!(named("-o f -t a"), Ok(Some(PathBuf::from("f"))));
        assert!(named("-o f -o g").is_err() && named("-o").is_err());
    }
}

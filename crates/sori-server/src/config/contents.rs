//! The bytes of a file, if it can be a configuration at all.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::complaint::{Checked, Complaint};

/// No configuration is longer; what is, is something else.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) fn contents(file: &Path) -> Checked<Vec<u8>> {
    if file.is_dir() {
        let complaint = Complaint::from(format!("Config file '{}' is a directory.", file.display()));
        return Err(complaint.hint("name a file; in it, `include_dir` reads the files of a directory."));
    }
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let text = format!("Unable to open config file '{}'.", file.display());
        return Err(Complaint::from(text).hint(format!("the system says: {error}.")));
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let complaint =
            Complaint::from(format!("Config file '{}' is larger than {FILE_BYTES_MAX} bytes.", file.display()));
        return Err(complaint.hint("no configuration is that long: is it the right file?"));
    }
    Ok(bytes)
}

/// What a file that is not UTF-8 begins with.
pub(crate) fn wrong_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xEF, 0xBB, 0xBF, ..] => Some("The file starts with a byte order mark (BOM)."),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("The file is UTF-16."),
        [0, _, ..] | [_, 0, ..] => Some("The file is UTF-16 or not a text at all."),
        _ => None,
    }
}

//! Reading the files beside the configuration: users, rules, keys.

use crate::config::{Remark, Severity};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Two million rules or users; what is longer is something else.
const FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// A file as a whole. `option` is the word of the configuration that names it.
///
/// # Errors
/// It cannot be read, is no file or too large; in Mosquitto's words, because scripts look for them.
pub(crate) fn contents(file: &Path, option: &str) -> Result<Vec<u8>, Remark> {
    let name = file.display();
    let error = |text: String| Remark::new(Severity::Error, text);
    let unable = |reason: io::Error| {
        error(format!("Unable to open {option} \"{name}\".")).hint(format!("the system says: {reason}."))
    };
    // To open a pipe would be to wait for whoever writes into it.
    if !fs::metadata(file).map_err(unable)?.is_file() {
        return Err(error(format!("The {option} \"{name}\" is not a file.")).hint("name a file."));
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(unable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let remark = error(format!("The {option} \"{name}\" is larger than {FILE_BYTES_MAX} bytes."));
        return Err(remark.hint("name the right file, or make it shorter."));
    }
    Ok(bytes)
}

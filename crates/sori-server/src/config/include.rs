//! The files of an `include_dir`, in the order in which they are read.

use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};

/// All files of a directory whose name ends in `.conf`, or `.toml` for a TOML file, and has something before it.
pub(super) fn files(directory: &Path, of_toml: bool) -> io::Result<Vec<PathBuf>> {
    let end: &[u8] = if of_toml { b".toml" } else { b".conf" };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.len() > end.len() && bytes.ends_with(end) {
            names.push(name);
        }
    }
    names.sort_by(|a, b| order(a.as_encoded_bytes(), b.as_encoded_bytes()));
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

/// Alphabetical whatever the case; a capital letter stands directly before its small one.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    for (x, y) in a.iter().zip(b) {
        let different = x.to_ascii_uppercase().cmp(&y.to_ascii_uppercase()).then(x.cmp(y));
        if different != Ordering::Equal {
            return different;
        }
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capital_letters_stand_before_their_small_ones() {
        let mut names = ["b.conf", "B.conf", "a.conf", "01.conf", "A.conf", "00.conf"];
        names.sort_by(|a, b| order(a.as_bytes(), b.as_bytes()));
        assert_eq!(names, ["00.conf", "01.conf", "A.conf", "a.conf", "B.conf", "b.conf"]);
    }
}

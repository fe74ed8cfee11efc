//! Writing certificates and keys: a key is never readable for others, not even for a moment, and nothing that is there is
//! written over unless that is said.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

const KEY_MODE: u32 = 0o600;
/// Certificates are shown to everybody in each handshake.
const CERTIFICATE_MODE: u32 = 0o644;

/// A certificate and its key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Pair {
    /// `NAME.crt` and `NAME.key` in this folder.
    pub(super) fn new(directory: &Path, name: &str) -> Result<Pair, Failure> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) || name.chars().any(char::is_control)
        {
            let text = format!("'{}' is no name of a file: name one with --file", name.escape_debug());
            return Err(Failure::new(text).with_status(2));
        }
        let path = |end: &str| within(directory, &format!("{name}.{end}"));
        Ok(Pair { certificate: path("crt"), key: path("key") })
    }

    /// Before any work: half a pair is worse than none.
    pub(super) fn must_be_free(&self, force: bool) -> Result<(), Failure> {
        for path in [&self.certificate, &self.key] {
            if !force && fs::symlink_metadata(path).is_ok() {
                let text = format!("{} is there already: --force writes over it", path.display());
                return Err(Failure::new(text));
            }
        }
        Ok(())
    }

    /// Both in PEM. The key comes first: a certificate whose key was lost would only look like one.
    pub(super) fn write(&self, certificate: &str, key: &str, force: bool) -> Result<(), Failure> {
        if let Some(directory) = self.key.parent().filter(|path| !path.as_os_str().is_empty()) {
            fs::create_dir_all(directory).map_err(|error| unable(directory, &error))?;
        }
        put(&self.key, key, KEY_MODE, force)?;
        put(&self.certificate, certificate, CERTIFICATE_MODE, force)
    }
}

/// The file in this folder, without a word about the folder that we are in.
pub(super) fn within(directory: &Path, file: &str) -> PathBuf {
    if directory == Path::new(".") { PathBuf::from(file) } else { directory.join(file) }
}

/// Puts a new certificate in the place of this one, which stays beside it as `FILE.old`.
pub(super) fn replace(file: &Path, pem: &str) -> Result<(), Failure> {
    let mut old = file.as_os_str().to_owned();
    old.push(".old");
    let text = fs::read_to_string(file).map_err(|error| unable(file, &error))?;
    put(Path::new(&old), &text, CERTIFICATE_MODE, true)?;
    put(file, pem, CERTIFICATE_MODE, true)
}

fn unable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}", path.display()))
}

fn put(path: &Path, text: &str, mode: u32, force: bool) -> Result<(), Failure> {
    write_all(path, text, mode, force).map_err(|error| unable(path, &error))
}

/// Written beside it and then moved, so that a broker that reads it meanwhile finds a whole one.
fn write_all(path: &Path, text: &str, mode: u32, force: bool) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".new.{}", std::process::id()));
    let new = PathBuf::from(new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // A link, unlike a move, takes no name that somebody has taken meanwhile.
    let moved = written.and_then(|()| if force { fs::rename(&new, path) } else { fs::hard_link(&new, path) });
    if moved.is_err() || !force {
        let _ = fs::remove_file(&new);
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder() {
        for name in ["", ".", "..", "../a", "a/b", ".hidden", "a\nb", "/etc/passwd"] {
            assert!(Pair::new(Path::new("."), name).is_err(), "{name}");
        }
        let pair = Pair::new(Path::new("d"), "a b.c").expect("is a name");
        assert_eq!((pair.certificate, pair.key), (PathBuf::from("d/a b.c.crt"), PathBuf::from("d/a b.c.key")));
    }
}

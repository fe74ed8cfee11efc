//! Writing a password file so that a crash, a full disk or a broker that reads it meanwhile finds the old one or the new one.
//!
//! The new text goes to a file beside it, which then takes its place, with the owner and the mode of the old one. Where
//! that cannot be, as for a file that is mounted alone into a container, the file itself is written, and until that is done
//! a copy of what was in it stands beside it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::job::{Trouble, reason};

/// For its owner alone: what stands in it can be tried against all passwords there are.
const MODE: u32 = 0o600;

pub(super) fn write(file: &Path, text: &str) -> Result<(), Trouble> {
    // Behind a link stands what is meant.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let old = match fs::metadata(&file) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(trouble(&file, &error, None)),
    };
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        let reason = "It is not a file".to_owned();
        return Err(Trouble::NotWritten { file, reason, backup: None });
    }
    match (beside(&file, text, old.as_ref()), old) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(old)) => in_place(&file, text, &old),
        (Err(error), None) => Err(trouble(&file, &error, None)),
    }
}

fn trouble(file: &Path, error: &io::Error, backup: Option<PathBuf>) -> Trouble {
    Trouble::NotWritten { file: file.to_owned(), reason: reason(error), backup }
}

fn sibling(file: &Path, what: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}.{}", std::process::id()));
    file.with_file_name(name)
}

fn beside(file: &Path, text: &str, old: Option<&Metadata>) -> io::Result<()> {
    let path = sibling(file, "new");
    let mode = old.map_or(MODE, Metadata::mode);
    let result = fill(&path, text.as_bytes(), mode, old).and_then(|()| fs::rename(&path, file));
    if result.is_err() {
        let _ = fs::remove_file(&path);
        return result;
    }
    // The new name lasts when its directory is on disk; a file system that cannot do that has done what it can.
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// Makes a file that was not there.
fn fill(path: &Path, bytes: &[u8], mode: u32, like: Option<&Metadata>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    if let Some(like) = like {
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
            fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
    }
    // Only now: an owner that the file had for a moment was not to read it.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode & 0o7777))?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn in_place(file: &Path, text: &str, old: &Metadata) -> Result<(), Trouble> {
    let backup = sibling(file, "backup");
    let before = fs::read(file).map_err(|error| trouble(file, &error, None))?;
    // Opened first, so that nothing is left behind where nothing may be written.
    let mut open = OpenOptions::new().write(true).open(file).map_err(|error| trouble(file, &error, None))?;
    // A directory that takes no file has no room for a copy; then it goes without.
    let backup = fill(&backup, &before, MODE, Some(old)).is_ok().then_some(backup);
    let written = open.set_len(0).and_then(|()| open.write_all(text.as_bytes())).and_then(|()| open.sync_all());
    if let Err(error) = written {
        return Err(trouble(file, &error, backup));
    }
    // It holds old passwords.
    if let Some(backup) = backup {
        let _ = fs::remove_file(backup);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = std::env::temp_dir().join(format!("sori-passwd-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("can be made");
            Directory(path)
        }

        fn names(&self) -> Vec<String> {
            let names = fs::read_dir(&self.0).expect("is there").flatten();
            let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("is there").mode() & 0o777
    }

    #[test]
    fn a_new_file_is_its_owner_s_alone_and_an_old_one_keeps_its_mode() {
        let directory = Directory::new("mode");
        let file = directory.0.join("file");
        write(&file, "a").expect("can be made");
        assert_eq!((fs::read_to_string(&file).expect("is text").as_str(), mode(&file)), ("a", 0o600));
        fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).expect("is ours");
        write(&file, "bc").expect("can be written");
        assert_eq!((fs::read_to_string(&file).expect("is text").as_str(), mode(&file)), ("bc", 0o640));
        assert_eq!(directory.names(), ["file"]);
    }

    #[test]
    fn a_link_stays_one() {
        let directory = Directory::new("link");
        let (file, link) = (directory.0.join("file"), directory.0.join("link"));
        fs::write(&file, "long old text").expect("can be made");
        symlink("file", &link).expect("can be made");
        write(&link, "new").expect("can be written");
        assert!(fs::symlink_metadata(&link).expect("is there").is_symlink());
        assert_eq!(fs::read_to_string(&file).expect("is text"), "new");
    }

    #[test]
    fn what_cannot_be_replaced_is_written_in_place() {
        let directory = Directory::new("place");
        let file = directory.0.join("file");
        fs::write(&file, "long old text").expect("can be made");
        let old = fs::metadata(&file).expect("is there");
        in_place(&file, "new", &old).expect("can be written");
        assert_eq!(fs::read_to_string(&file).expect("is text"), "new");
        assert_eq!(fs::metadata(&file).expect("is there").ino(), old.ino());
        assert_eq!(directory.names(), ["file"]);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let directory = Directory::new("none");
        assert!(matches!(write(&directory.0, "a"), Err(Trouble::NotWritten { .. })));
        assert!(matches!(write(&directory.0.join("no/file"), "a"), Err(Trouble::NotWritten { .. })));
    }
}

//! The file that holds the process id while the broker runs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// The file; it is removed when this value goes, if it is still the one that was written.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// Device and inode of the file that was written.
    identity: (u64, u64),
    text: String,
}

impl PidFile {
    /// Writes this process's id to the file. All may read it.
    pub fn write(path: &Path) -> io::Result<PidFile> {
        let text = std::process::id().to_string();
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path)?;
        file.write_all(text.as_bytes())?;
        let metadata = file.metadata()?;
        Ok(PidFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()), text })
    }

    /// Another broker may have put its own file there meanwhile, or written into this one.
    fn is_ours(&self) -> bool {
        let same = fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        same && fs::read_to_string(&self.path).is_ok_and(|text| text == self.text)
    }
}

/// The process that a file names, if there is one with this id. What else is in the file does not matter.
pub fn running(path: &Path) -> Option<Pid> {
    let text = fs::read_to_string(path).ok()?;
    let pid = text.trim().parse().ok().filter(|pid| *pid > 0).map(Pid::from_raw)?;
    // It is there even if we may not send it anything.
    matches!(kill(pid, None), Ok(()) | Err(Errno::EPERM)).then_some(pid)
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_ours() {
            // There is nobody left to tell that it could not be removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("sori-pid-{name}-{}", std::process::id()))
    }

    #[test]
    fn it_holds_the_id_and_goes_with_the_value() {
        let path = path("own");
        let file = PidFile::write(&path).expect("is written");
        assert_eq!(fs::read_to_string(&path).expect("is there"), std::process::id().to_string());
        assert_eq!(fs::metadata(&path).expect("is there").mode() & 0o777, 0o644);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn the_file_of_another_stays() {
        let path = path("other");
        let file = PidFile::write(&path).expect("is written");
        fs::write(&path, "1").expect("is written");
        drop(file);
        assert_eq!(fs::read_to_string(&path).expect("is there"), "1");
        fs::remove_file(&path).expect("is there");
    }

    #[test]
    fn only_a_process_that_is_there_runs() {
        let path = path("running");
        for (text, is_there) in [
            (std::process::id().to_string(), true),
            (format!("{}\n", std::process::id()), true),
            ("0".to_owned(), false),
            ("-1".to_owned(), false),
            ("2147483647".to_owned(), false),
            (String::new(), false),
        ] {
            fs::write(&path, &text).expect("is written");
            assert_eq!(running(&path).is_some(), is_there, "{text}");
        }
        fs::remove_file(&path).expect("is there");
        assert!(running(&path).is_none());
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        assert!(PidFile::write(Path::new("/does/not/exist.pid")).is_err());
    }
}

//! A store that is being made: it has another name until it is whole, so that nothing half made passes for a store.

use crate::startup::RunError;
use crate::store::opening::refused_beside;
use crate::store::place::{failed, has_segments};
use sori_store::{FileDisk, make_directory, sync_parent};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that says of a directory that the store in it is not whole.
pub(super) const NOTE: &str = "unfinished";
/// The lock of a store: all that is there when somebody was interrupted before the first byte.
const LOCK: &str = "lock";

/// A directory for a store that is being made. It is removed again unless the store is finished.
pub(crate) struct Unfinished {
    path: PathBuf,
    wanted: PathBuf,
    is_finished: bool,
}

impl Unfinished {
    /// Begins a store that is to lie at `wanted`, where nothing may be but an empty directory. What an interrupted try has
    /// left is replaced.
    pub(crate) fn begin(wanted: &Path) -> Result<Unfinished, RunError> {
        let wanted = free(wanted)?;
        let mut name = wanted.file_name().ok_or_else(|| no_name(&wanted))?.to_owned();
        name.push(".new");
        let path = wanted.with_file_name(name);
        remove_leftover(&path)?;
        make_directory(&path).map_err(|error| failed("make", &path, &error))?;
        let unfinished = Unfinished { path, wanted, is_finished: false };
        let note = unfinished.path.join(NOTE);
        let noted = File::create_new(&note).and_then(|file| file.sync_all()).and_then(|()| sync_parent(&note));
        noted.map_err(|error| failed("write", &note, &error))?;
        Ok(unfinished)
    }

    /// Where it is until it is finished.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// It is whole and synced: now it gets its name.
    pub(crate) fn finish(mut self) -> Result<(), RunError> {
        let note = self.path.join(NOTE);
        let named = fs::remove_file(&note)
            .and_then(|()| sync_parent(&note))
            .and_then(|()| fs::rename(&self.path, &self.wanted))
            .and_then(|()| sync_parent(&self.wanted));
        named.map_err(|error| failed("name", &self.wanted, &error))?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            // The room may be what is missing. What cannot be removed now the next try replaces.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The path by which a new store can get its name.
fn free(wanted: &Path) -> Result<PathBuf, RunError> {
    // A directory cannot get the name of a symbolic link that leads to an empty one.
    let wanted = fs::canonicalize(wanted).unwrap_or_else(|_| wanted.to_owned());
    let mut entries = match fs::read_dir(&wanted) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(wanted),
        Err(error) => return Err(failed("read", &wanted, &error)),
    };
    if has_segments(&wanted).map_err(|error| failed("read", &wanted, &error))? {
        return Err(RunError::new(format!("There is a store in {} already.", wanted.display())));
    }
    if entries.next().is_some() {
        return Err(RunError::new(format!(
            "The directory {} is not empty. Name one that is empty, or that is not there yet.",
            wanted.display()
        )));
    }
    if is_mounted(&wanted) {
        return Err(RunError::new(format!(
            "A file system is mounted at {}. Name a directory in it that is not there yet.",
            wanted.display()
        )));
    }
    Ok(wanted)
}

/// Whether a directory lies on another file system than the one that holds it: nothing else can get its name then.
fn is_mounted(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    path.parent().is_some_and(|parent| device(parent) != device(path))
}

fn no_name(path: &Path) -> RunError {
    RunError::new(format!("{} is no name for a store.", path.display()))
}

/// Removes what an interrupted try has left. Anything else of that name stays, and is in the way.
fn remove_leftover(path: &Path) -> Result<(), RunError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read", path, &error)),
    };
    let is_noted = path.join(NOTE).exists();
    if !is_noted && entries.flatten().any(|entry| entry.file_name() != LOCK) {
        return Err(RunError::new(format!(
            "{} is in the way: until it is whole, the new store has that name. Move it elsewhere, or remove it.",
            path.display()
        )));
    }
    // Somebody may be at it.
    drop(FileDisk::open(path).map_err(|error| refused_beside(path, &error))?);
    fs::remove_dir_all(path).map_err(|error| failed("remove", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = std::env::temp_dir().join(format!("sori-unfinished-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("can be made");
            Directory(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[track_caller]
    fn refused(wanted: &Path) -> String {
        Unfinished::begin(wanted).map(drop).expect_err("it is in the way").to_string()
    }

    #[test]
    fn a_store_gets_its_name_when_it_is_whole_and_else_leaves_nothing() {
        let directory = Directory::new("name");
        for wanted in [directory.0.join("a"), directory.0.join("b/"), directory.0.join("c/d")] {
            let unfinished = Unfinished::begin(&wanted).expect("nothing is there");
            assert!(unfinished.path().is_dir() && !wanted.exists());
            drop(unfinished);
            assert!(!wanted.exists());
            let unfinished = Unfinished::begin(&wanted).expect("nothing is there");
            fs::write(unfinished.path().join("00000001.log"), "").expect("can be written");
            unfinished.finish().expect("can be named");
            let left: Vec<_> =
                fs::read_dir(&wanted).expect("is there").flatten().map(|file| file.file_name()).collect();
            assert_eq!(left, ["00000001.log"]);
            assert_eq!(
                refused(&wanted),
                format!("Error: There is a store in {} already.", wanted.components().as_path().display())
            );
        }
        assert_eq!(fs::read_dir(&directory.0).expect("is there").count(), 3);
    }

    #[test]
    fn what_an_interruption_left_is_replaced() {
        let directory = Directory::new("left");
        let wanted = directory.0.join("copy");
        let unfinished = Unfinished::begin(&wanted).expect("nothing is there");
        fs::write(unfinished.path().join("00000001.log"), "half").expect("can be written");
        std::mem::forget(unfinished);
        let unfinished = Unfinished::begin(&wanted).expect("only a leftover is there");
        assert!(!unfinished.path().join("00000001.log").exists());
        let _at_it = FileDisk::open(unfinished.path()).expect("nobody else is at it");
        let text = refused(&wanted);
        assert!(text.contains("copy.new is in use by process"), "{text}");
        assert!(unfinished.path().is_dir());
    }

    #[test]
    fn what_is_somebody_elses_stays() {
        let directory = Directory::new("else");
        let wanted = directory.0.join("copy");
        let other = directory.0.join("copy.new");
        fs::create_dir(&other).expect("can be made");
        fs::write(other.join("00000001.log"), "a store").expect("can be written");
        assert!(refused(&wanted).contains("copy.new is in the way"));
        assert!(other.join("00000001.log").exists());
        assert!(refused(&directory.0).contains("is not empty"));
        let file = directory.0.join("file");
        fs::write(&file, "").expect("can be written");
        assert!(refused(&file).contains("Not a directory"));
        assert!(refused(&directory.0.join("nowhere/..")).contains("is no name for a store"));
        assert!(is_mounted(Path::new("/proc")) && !is_mounted(&other));
    }

    #[test]
    fn an_empty_directory_is_taken_also_by_a_symbolic_link() {
        let directory = Directory::new("empty");
        fs::create_dir(directory.0.join("empty")).expect("can be made");
        std::os::unix::fs::symlink(directory.0.join("empty"), directory.0.join("link")).expect("can be made");
        let unfinished = Unfinished::begin(&directory.0.join("link")).expect("it is empty");
        fs::write(unfinished.path().join("00000001.log"), "").expect("can be written");
        unfinished.finish().expect("can be named");
        assert!(directory.0.join("link/00000001.log").exists());
    }
}

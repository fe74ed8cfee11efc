//! A store that is being made: it has another name until it is whole, so that nothing half made passes for a store.
//!
//! ```text
//!  TO.new       a note in it says that it is not whole, and everything else is written
//!  TO           it is whole and has got its name; the note is still there
//!  TO           the note is gone: it is a store
//! ```
//!
//! Whoever is interrupted leaves one of these, and the next try replaces it: a directory with the note has never been a store.
//! Where something is removed the note is what goes last.

use crate::startup::RunError;
use crate::store::opening::refused_beside;
use crate::store::place::{failed, has_segments};
use sori_store::{FileDisk, make_directory, sync_parent};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that says of a directory that the store in it is not whole.
const NOTE: &str = "unfinished";
/// The lock of a store: all that is there when somebody was interrupted before the first byte.
const LOCK: &str = "lock";
/// What a store holds back for the time when there is no room.
const RESERVE: &str = "reserve";

/// Called before each change of the file system; tests let it end there.
type Before<'a> = dyn FnMut() -> io::Result<()> + 'a;

/// Whether what is at `path` was being made when somebody was interrupted.
pub(super) fn is_unfinished(path: &Path) -> bool {
    path.join(NOTE).exists()
}

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
        Unfinished::begin_by(wanted, &mut || Ok(()))
    }

    fn begin_by(wanted: &Path, before: &mut Before<'_>) -> Result<Unfinished, RunError> {
        // A directory cannot get the name of a symbolic link that leads to an empty one.
        let wanted = fs::canonicalize(wanted).unwrap_or_else(|_| wanted.to_owned());
        let mut name = wanted.file_name().ok_or_else(|| no_name(&wanted))?.to_owned();
        name.push(".new");
        let path = wanted.with_file_name(name);
        take_name_back(&wanted, &path, before)?;
        check_free(&wanted)?;
        remove_leftover(&path, before)?;
        before().and_then(|()| make_directory(&path)).map_err(|error| failed("make", &path, &error))?;
        let unfinished = Unfinished { path, wanted, is_finished: false };
        let note = unfinished.path.join(NOTE);
        let noted = before().and_then(|()| File::create_new(&note)).and_then(|file| file.sync_all());
        noted.and_then(|()| sync_parent(&note)).map_err(|error| failed("write", &note, &error))?;
        Ok(unfinished)
    }

    /// Where it is until it is finished.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// It is whole and synced, and nobody has it open: now it gets its name.
    pub(crate) fn finish(self) -> Result<(), RunError> {
        self.finish_by(&mut || Ok(()))
    }

    fn finish_by(mut self, before: &mut Before<'_>) -> Result<(), RunError> {
        // Nobody may take it for a leftover meanwhile.
        let _lock = FileDisk::open(&self.path).map_err(|error| refused_beside(&self.path, &error))?;
        let note = self.wanted.join(NOTE);
        let named = before()
            .and_then(|()| fs::rename(&self.path, &self.wanted))
            .and_then(|()| sync_parent(&self.wanted))
            .and_then(|()| before())
            .and_then(|()| fs::remove_file(&note))
            .and_then(|()| sync_parent(&note));
        named.map_err(|error| failed("name", &self.wanted, &error))?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            // The room may be what is missing. What cannot be removed now the next try replaces.
            let _ = remove(&self.path, &mut || Ok(()));
        }
    }
}

/// What has got its name and still has the note loses the name again: while it is removed it must look like a leftover all the time.
fn take_name_back(wanted: &Path, path: &Path, before: &mut Before<'_>) -> Result<(), RunError> {
    if !is_unfinished(wanted) || !is_made_here(wanted)? {
        return Ok(());
    }
    remove_leftover(path, before)?;
    // Somebody may be at it.
    let _lock = FileDisk::open(wanted).map_err(|error| refused_beside(wanted, &error))?;
    let renamed = before().and_then(|()| fs::rename(wanted, path)).and_then(|()| sync_parent(wanted));
    renamed.map_err(|error| failed("rename", wanted, &error))
}

/// Whether a new store can get this name.
fn check_free(wanted: &Path) -> Result<(), RunError> {
    let mut entries = match fs::read_dir(wanted) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read", wanted, &error)),
    };
    if has_segments(wanted).map_err(|error| failed("read", wanted, &error))? {
        return Err(RunError::new(format!("There is a store in {} already.", wanted.display())));
    }
    if entries.next().is_some() {
        return Err(RunError::new(format!(
            "The directory {} is not empty. Name one that is empty, or that is not there yet.",
            wanted.display()
        )));
    }
    if is_mounted(wanted) {
        return Err(RunError::new(format!(
            "A file system is mounted at {}. Name a directory in it that is not there yet.",
            wanted.display()
        )));
    }
    Ok(())
}

/// Whether a directory lies on another file system than the one that holds it: nothing else can get its name then.
fn is_mounted(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    path.parent().is_some_and(|parent| device(parent) != device(path))
}

fn no_name(path: &Path) -> RunError {
    RunError::new(format!("{} is no name for a store.", path.display()))
}

/// Whether a directory holds nothing but what is written for a store that is being made.
fn is_made_here(path: &Path) -> Result<bool, RunError> {
    let is_ours = |name: &OsStr| {
        let name = name.to_str().unwrap_or_default();
        [NOTE, LOCK, RESERVE].contains(&name) || sori_store::is_segment(name)
    };
    names(path).map(|names| names.iter().all(|name| is_ours(name))).map_err(|error| failed("read", path, &error))
}

fn names(path: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Removes what an interrupted try has left. Anything else of that name stays, and is in the way.
fn remove_leftover(path: &Path, before: &mut Before<'_>) -> Result<(), RunError> {
    let names = match names(path) {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read", path, &error)),
    };
    let has_only_lock = names.iter().all(|name| name == LOCK);
    let is_leftover = has_only_lock || is_unfinished(path) && is_made_here(path)?;
    if !is_leftover {
        return Err(RunError::new(format!(
            "{} is in the way: until it is whole, the new store has that name. Move it elsewhere, or remove it.",
            path.display()
        )));
    }
    // Somebody may be at it.
    let _lock = FileDisk::open(path).map_err(|error| refused_beside(path, &error))?;
    remove(path, before).map_err(|error| failed("remove", path, &error))
}

/// The note goes last: without it nobody would know what the rest is.
fn remove(path: &Path, before: &mut Before<'_>) -> io::Result<()> {
    for name in names(path)?.into_iter().filter(|name| name != NOTE) {
        before()?;
        fs::remove_file(path.join(name))?;
    }
    let note = path.join(NOTE);
    sync_parent(&note)?;
    before()?;
    match fs::remove_file(&note) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => before()?,
    }
    fs::remove_dir(path)
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

    fn left(path: &Path) -> Vec<std::ffi::OsString> {
        let mut names = names(path).expect("is there");
        names.sort_unstable();
        names
    }

    /// Makes a store, unless that is interrupted before this change.
    fn make(wanted: &Path, mut changes: usize) -> Result<(), RunError> {
        let mut before = || {
            changes = changes.checked_sub(1).ok_or(ErrorKind::Interrupted)?;
            Ok(())
        };
        // A process that is killed tidies nothing up.
        let unfinished = std::mem::ManuallyDrop::new(Unfinished::begin_by(wanted, &mut before)?);
        for name in ["reserve", "00000001.log"] {
            before().map_err(|error| RunError::new(error.to_string()))?;
            fs::write(unfinished.path().join(name), "new").expect("can be written");
        }
        std::mem::ManuallyDrop::into_inner(unfinished).finish_by(&mut before)
    }

    /// Also where what replaces the leftover of one is interrupted itself.
    #[test]
    fn after_each_interruption_the_next_try_makes_the_store() {
        let directory = Directory::new("interrupted");
        let wanted = directory.0.join("store");
        let try_after = |first: usize, second: usize| {
            let is_first = make(&wanted, first).is_ok();
            let is_second = is_first || make(&wanted, second).is_ok();
            assert_eq!(is_second, wanted.exists() && !is_unfinished(&wanted), "{first}, {second}");
            if !is_second {
                let made = make(&wanted, usize::MAX).map_err(|error| error.to_string());
                assert_eq!(made, Ok(()), "{first}, {second}");
            }
            assert_eq!(left(&wanted), ["00000001.log", "lock", "reserve"], "{first}, {second}");
            assert_eq!(left(&directory.0), ["store"], "{first}, {second}");
            fs::remove_dir_all(&wanted).expect("can be removed");
            (is_first, is_second)
        };
        for first in 0.. {
            for second in 0.. {
                match try_after(first, second) {
                    (true, _) => return assert!(first > 5, "{first}"),
                    (false, true) => break,
                    (false, false) => {}
                }
            }
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
            assert_eq!(left(&wanted), ["00000001.log", "lock"]);
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
        // What is called as the note is makes nobody's directory ours.
        fs::write(directory.0.join(NOTE), "of a novel").expect("can be written");
        fs::write(other.join(NOTE), "of a novel").expect("can be written");
        fs::write(other.join("chapter"), "one").expect("can be written");
        assert!(refused(&wanted).contains("copy.new is in the way"));
        assert!(refused(&directory.0).contains("is not empty"));
        assert!(refused(&other).contains("There is a store in "));
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

//! Directories and their names, made durable: a file that is synced is lost with the power all the same if a directory above it is.
//!
//! What happens inside the directory of a store passes [`crate::Disk`]; this is about the ones that hold it.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Makes a directory that only its owner may enter, unless it is there, and those above it that are missing. All their names are
/// durable then. True: it was not there.
///
/// Those above it are nobody's own: whoever the last one is handed over to must get through them.
pub fn make_directory(path: &Path) -> io::Result<bool> {
    make(path, OWNER_ONLY, &mut sync_directory)
}

/// Makes durable what has happened to the name of `path` in the directory that holds it.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_directory(parent(path))
}

/// From the highest one that is missing to the last, so that what is synced hangs from something that is there for good.
fn make(path: &Path, mode: u32, sync: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    let parent = parent(path);
    if parent != path {
        make(parent, USUAL, sync)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => sync(parent).map(|()| true),
        // Somebody else was quicker, or it is a path like `a/..`.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The directory that holds `path`.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

const OWNER_ONLY: u32 = 0o700;

/// What is left of it is up to the umask.
const USUAL: u32 = 0o777;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = std::env::temp_dir().join(format!("sori-directory-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("can be made");
            Directory(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn each_new_name_is_synced_in_the_directory_that_holds_it_from_the_top() {
        let directory = Directory::new("synced");
        let mut synced = Vec::new();
        let mut make = |path: &Path| {
            synced.clear();
            let made = make(path, OWNER_ONLY, &mut |path| {
                synced.push(path.to_path_buf());
                sync_directory(path)
            });
            (made.expect("can be made"), synced.clone())
        };
        let base = &directory.0;
        assert_eq!(make(&base.join("f/x/s")), (true, vec![base.clone(), base.join("f"), base.join("f/x")]));
        assert_eq!(make(&base.join("f/x/s")), (false, vec![]));
        assert_eq!(make(&base.join("f/y")), (true, vec![base.join("f")]));
    }

    #[test]
    fn what_is_in_the_way_is_an_error() {
        let directory = Directory::new("in-the-way");
        fs::write(directory.0.join("file"), "").expect("can be written");
        assert!(make_directory(&directory.0.join("file")).is_err());
        assert!(make_directory(&directory.0.join("file/x")).is_err());
        assert!(make_directory(Path::new("")).is_err());
    }

    #[test]
    fn a_relative_path_begins_here() {
        assert_eq!(parent(Path::new("sori.store")), Path::new("."));
        assert_eq!(parent(Path::new("/")), Path::new("/"));
        sync_parent(Path::new("sori.store")).expect("the directory of this test is there");
    }
}

//! The files below `http_dir`: found by the path of a URL, and never outside.
//!
//! Symbolic links are followed as long as they stay inside. What a path leads to is looked up first, which resolves every link, and
//! then opened name by name without following any: whoever swaps a name for a link in between gains nothing.

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// What is served for a path that ends in `/`.
const INDEX: &str = "index.html";
/// What a file is when its name does not tell.
const UNKNOWN: &str = "application/octet-stream";

/// The kinds of files that web pages are made of, by the ends of their names.
const CONTENT_TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
];

/// A directory whose files everybody may have who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    path: PathBuf,
}

/// A file that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) content_type: &'static str,
}

impl Directory {
    /// # Errors
    /// It is no directory that can be read, in a sentence.
    pub(crate) fn new(path: &Path) -> Result<Directory, String> {
        let is_directory = fs::read_dir(path).map(|_| ());
        is_directory.map_err(|error| format!("Unable to use http_dir \"{}\": {error}.", path.display()))?;
        Ok(Directory { path: path.to_owned() })
    }

    /// The file at the path of a URL; `None` when there is none that may be served.
    pub(super) fn find(&self, url_path: &str) -> Option<Found> {
        let root = fs::canonicalize(&self.path).ok()?;
        let real = fs::canonicalize(root.join(relative(url_path)?)).ok()?;
        let file = open_below(&root, real.strip_prefix(&root).ok()?).ok()?;
        let metadata = file.metadata().ok()?;
        metadata.is_file().then(|| Found { file, length: metadata.len(), content_type: content_type(url_path) })
    }
}

/// A path of a URL as a path of files. Each file has one name only, so that a rule about the one cannot be passed by with
/// another: empty names, `.` and `..` lead nowhere.
fn relative(url_path: &str) -> Option<PathBuf> {
    let names = url_path.strip_prefix('/')?;
    let mut path = PathBuf::new();
    let (directories, file) = names.rsplit_once('/').map_or((None, names), |(before, file)| (Some(before), file));
    for name in directories.into_iter().flat_map(|directories| directories.split('/')) {
        path.push(normal(name)?);
    }
    path.push(if file.is_empty() { INDEX } else { normal(file)? });
    Some(path)
}

fn normal(name: &str) -> Option<&str> {
    let mut components = Path::new(name).components();
    let is_normal =
        matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name);
    is_normal.then_some(name)
}

/// Opens a file by names none of which is a link.
fn open_below(root: &Path, names: &Path) -> io::Result<File> {
    // A pipe that nobody writes to would keep whoever opens it waiting.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut at: OwnedFd = open(root, flags | OFlag::O_DIRECTORY, Mode::empty())?;
    for name in names {
        at = openat(&at, name, flags, Mode::empty())?;
    }
    Ok(File::from(at))
}

fn content_type(url_path: &str) -> &'static str {
    let name = if url_path.ends_with('/') { INDEX } else { url_path };
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    CONTENT_TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(end)).map_or(UNKNOWN, |(_, is)| is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A place with a directory `site` and something secret beside it, gone with the case.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Place {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            let name = format!("sori-http-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            let place = Place(std::env::temp_dir().join(name));
            for directory in ["site/sub", "site-secret"] {
                fs::create_dir_all(place.0.join(directory)).expect("can be made");
            }
            for (file, text) in [
                ("site/index.html", "index"),
                ("site/sub/index.html", "sub index"),
                ("site/a b.TXT", "text"),
                ("site/.hidden", "hidden"),
                ("site-secret/index.html", "secret"),
                ("secret", "secret"),
            ] {
                fs::write(place.0.join(file), text).expect("can be written");
            }
            place
        }

        fn link(&self, to: &str, name: &str) {
            symlink(to, self.0.join("site").join(name)).expect("can be made");
        }

        fn text(&self, url_path: &str) -> Option<String> {
            let mut text = String::new();
            let mut found = Directory::new(&self.0.join("site")).expect("is one").find(url_path)?;
            found.file.read_to_string(&mut text).expect("can be read");
            assert_eq!(found.length, text.len() as u64);
            Some(text)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_are_found_by_their_only_name() {
        let place = Place::new();
        for (path, expected) in [
            ("/", Some("index")),
            ("/index.html", Some("index")),
            ("/sub/", Some("sub index")),
            ("/a b.TXT", Some("text")),
            ("/.hidden", Some("hidden")),
            ("", None),
            ("index.html", None),
            ("/sub", None),
            ("/nothing", None),
            ("/index.html/", None),
            ("//index.html", None),
            ("/sub//index.html", None),
            ("/./index.html", None),
            ("/sub/.", None),
            ("/sub/../index.html", None),
            ("/../secret", None),
            ("/../site-secret/index.html", None),
            ("/..", None),
            ("/sub/../../secret", None),
            ("/\0", None),
        ] {
            assert_eq!(place.text(path).as_deref(), expected, "{path:?}");
        }
    }

    #[test]
    fn links_are_followed_inside_and_not_out() {
        let place = Place::new();
        place.link("sub", "inside");
        place.link("../secret", "file");
        place.link("../site-secret", "directory");
        place.link("/etc", "etc");
        place.link("loop", "loop");
        assert_eq!(place.text("/inside/index.html").as_deref(), Some("sub index"));
        for path in ["/file", "/directory/", "/directory/index.html", "/etc/passwd", "/loop", "/loop/a"] {
            assert_eq!(place.text(path), None, "{path}");
        }
    }

    #[test]
    fn a_name_that_has_become_a_link_is_not_opened() {
        let place = Place::new();
        place.link("../site-secret", "directory");
        place.link("../secret", "file");
        let root = place.0.join("site");
        assert!(open_below(&root, Path::new("sub/index.html")).is_ok());
        for path in ["directory/index.html", "file"] {
            assert!(open_below(&root, Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_no_file_is_not_served_and_waits_for_nobody() {
        let place = Place::new();
        let pipe = place.0.join("site/pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRUSR).expect("can be made");
        assert_eq!(place.text("/pipe"), None);
    }

    #[test]
    fn a_directory_is_needed() {
        let place = Place::new();
        let error = Directory::new(&place.0.join("site/index.html")).expect_err("is a file");
        assert!(error.starts_with("Unable to use http_dir \""), "{error}");
        assert!(Directory::new(&place.0.join("none")).is_err());
    }

    #[test]
    fn names_tell_what_files_are() {
        for (path, expected) in [
            ("/", "text/html; charset=utf-8"),
            ("/a/B.CSS", "text/css; charset=utf-8"),
            ("/a.tar.gz", UNKNOWN),
            ("/html", UNKNOWN),
        ] {
            assert_eq!(content_type(path), expected, "{path}");
        }
        assert!(CONTENT_TYPES.is_sorted());
    }
}

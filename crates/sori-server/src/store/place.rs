//! Where the store lies, and what stands beside it: Mosquitto's databases, and the line that says where the data is.

use crate::config::Config;
use crate::startup::RunError;
use crate::store::unfinished::is_unfinished;
use sori_store::{make_directory, sync_parent};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The directory in `persistence_location` that is the store.
const STORE: &str = "sori.store";
/// Mosquitto's name for its database; brokers that share a directory give it other names.
const DEFAULT_FILE: &str = "mosquitto.db";
/// The file in the store that names our line at the place of Mosquitto's database.
const MARKER_NAME: &str = "marker";
/// Where persist-sqlite keeps its database unless it is told otherwise.
const SQLITE_FILE: &str = "mosquitto.sqlite3";
/// What Mosquitto's database starts with.
const MOSQUITTO_MAGIC: &[u8] = b"\x00\xB5\x00mosquitto db";
/// What an SQLite database starts with.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// What our own line at the place of Mosquitto's database starts with.
const MARKER: &str = "sori keeps sessions and messages in ";

/// The places in one `persistence_location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    location: PathBuf,
    file: Option<PathBuf>,
    sqlite: Option<PathBuf>,
}

/// A database of Mosquitto's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// `mosquitto.db`
    Snapshot(PathBuf),
    /// The database of persist-sqlite.
    Sqlite(PathBuf),
}

impl Foreign {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Foreign::Snapshot(path) | Foreign::Sqlite(path) => path,
        }
    }
}

/// The environment variable that wins over `persistence_location`.
pub const LOCATION_VARIABLE: &str = "MOSQUITTO_PERSISTENCE_LOCATION";

/// The directory in which plain `sori` has its store.
#[must_use]
pub fn native_location() -> PathBuf {
    let named = env::var_os(LOCATION_VARIABLE).map(PathBuf::from);
    let is_root = nix::unistd::geteuid().is_root();
    named.unwrap_or_else(|| default_location(is_root, env::var_os("XDG_DATA_HOME"), env::var_os("HOME")))
}

/// Where the store lies when nobody says where: as the XDG base directory specification has it, for root as any daemon.
fn default_location(is_root: bool, data_home: Option<OsString>, home: Option<OsString>) -> PathBuf {
    // A relative path in the variable counts as none.
    let data_home = data_home.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.map(PathBuf::from).filter(|path| path.is_absolute());
    match (is_root, data_home, home) {
        (true, None, _) | (_, None, None) => PathBuf::from("/var/lib/sori"),
        (_, Some(data_home), _) => data_home.join("sori"),
        (false, None, Some(home)) => home.join(".local/share/sori"),
    }
}

/// The store that people mean who name a directory: itself, or the one in it.
#[must_use]
pub fn store_in(directory: &Path) -> PathBuf {
    let inner = directory.join(STORE);
    let is_store = || directory.file_name() == Some(OsStr::new(STORE)) || has_segments(directory).unwrap_or(false);
    if inner.is_dir() || !is_store() { inner } else { directory.to_path_buf() }
}

/// Whether a directory holds something of a store. Whatever else ends in `.log` does not count.
pub(super) fn has_segments(directory: &Path) -> io::Result<bool> {
    let is_segment = |entry: fs::DirEntry| entry.file_name().to_str().is_some_and(sori_store::is_segment);
    fs::read_dir(directory)?.try_fold(false, |found, entry| Ok(found || is_segment(entry?)))
}

/// Says why the directory of a store holds none.
///
/// # Errors
/// There is no store in it, or only a part of one.
pub fn examine(store: &Path) -> Result<(), RunError> {
    match has_segments(store) {
        Ok(true) if is_unfinished(store) => Err(not_whole(store)),
        Ok(true) => Ok(()),
        Ok(false) => Err(no_store(store)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(no_store(store)),
        Err(error) => Err(unreadable(store, &error)),
    }
}

/// What an interruption has left is no store.
pub(super) fn not_whole(store: &Path) -> RunError {
    RunError::new(format!(
        "The store in {} is not whole: it was being made, and that was interrupted. Make it again.",
        store.display()
    ))
}

fn no_store(path: &Path) -> RunError {
    RunError::new(format!("There is no store in {}.", path.display()))
}

impl Place {
    /// The places that a configuration names.
    #[must_use]
    pub fn of(config: &Config) -> Place {
        let location = config.persistence_location.clone().unwrap_or_else(|| PathBuf::from("."));
        let file = config.persistence_file.as_ref().map(|name| location.join(name));
        Place { location, file, sqlite: config.import_sqlite.clone() }
    }

    /// The directory that holds all of it.
    #[must_use]
    pub fn location(&self) -> &Path {
        &self.location
    }

    /// The directory of the store: one for each name that Mosquitto's database may have.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        match self.file.as_ref().and_then(|file| file.file_name()) {
            Some(name) if name != DEFAULT_FILE => {
                let mut name = name.to_os_string();
                name.push(".");
                name.push(STORE);
                self.location.join(name)
            }
            _ => self.location.join(STORE),
        }
    }

    /// Who removes Mosquitto's database wants to begin anew: likewise who removes our line that stands in its place. The
    /// store is moved aside then, and nothing of it is lost; gives where it is now.
    pub fn set_aside(&self) -> io::Result<Option<PathBuf>> {
        self.set_aside_by(&mut sync_parent)
    }

    fn set_aside_by(&self, sync_parent: &mut SyncParent<'_>) -> io::Result<Option<PathBuf>> {
        let Some(file) = &self.file else { return Ok(None) };
        let store = self.store();
        let Ok(marker) = fs::read_to_string(store.join(MARKER_NAME)) else { return Ok(None) };
        if Path::new(&marker) != std::path::absolute(file)? || file.symlink_metadata().is_ok() {
            return Ok(None);
        }
        for number in 1_u32.. {
            let mut aside = store.clone().into_os_string();
            aside.push(format!(".removed-{number}"));
            let aside = PathBuf::from(aside);
            if aside.symlink_metadata().is_err() {
                fs::rename(&store, &aside)?;
                sync_parent(&aside)?;
                return Ok(Some(aside));
            }
        }
        Ok(None)
    }

    /// Make the directory, unless it is there. True: it was not. Only the last one is nobody else's: whoever it is handed over to
    /// must get through those above it.
    pub fn make_location(&self) -> Result<bool, RunError> {
        make_directory(&self.location).map_err(|error| self.no_location(&error))
    }

    fn no_location(&self, error: &io::Error) -> RunError {
        RunError::new(format!(
            "Unable to make the directory {} for what is kept on disk: {}. Choose another one with \
             persistence_location or the environment variable MOSQUITTO_PERSISTENCE_LOCATION, or switch persistence off.",
            self.location.display(),
            without_number(error)
        ))
    }

    /// Mosquitto's database that is to be taken over when the store is made, and others that are not: of two, the one
    /// that was written last has the sessions.
    pub fn foreign(&self) -> Result<Vec<Foreign>, RunError> {
        if let Some(path) = &self.sqlite {
            return match beginning(path, SQLITE_MAGIC.len()) {
                Ok(bytes) if bytes == SQLITE_MAGIC => Ok(vec![Foreign::Sqlite(path.clone())]),
                Ok(_) => Err(RunError::new(format!("import_sqlite: {} is no SQLite database.", path.display()))),
                Err(error) => Err(unreadable(path, &error)),
            };
        }
        let snapshot = match &self.file {
            Some(file) => self.snapshot(file)?,
            None => None,
        };
        let path = self.location.join(SQLITE_FILE);
        let sqlite = beginning(&path, SQLITE_MAGIC.len()).is_ok_and(|bytes| bytes == SQLITE_MAGIC);
        let mut found: Vec<Foreign> = snapshot.into_iter().chain(sqlite.then_some(Foreign::Sqlite(path))).collect();
        found.sort_by_key(|foreign| std::cmp::Reverse(written_at(foreign.path())));
        Ok(found)
    }

    fn snapshot(&self, file: &Path) -> Result<Option<Foreign>, RunError> {
        match beginning(file, MARKER.len().max(MOSQUITTO_MAGIC.len())) {
            Ok(bytes) if bytes.starts_with(MOSQUITTO_MAGIC) => Ok(Some(Foreign::Snapshot(file.to_path_buf()))),
            Ok(bytes) if bytes.is_empty() || bytes.starts_with(MARKER.as_bytes()) => Ok(None),
            Ok(_) => Err(RunError::new(format!(
                "{} is not a Mosquitto database. Move it away, or give its name to another file with persistence_file.",
                file.display()
            ))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(file, &error)),
        }
    }

    /// Put the line that says where the data is to where people look for Mosquitto's database, unless something else is there.
    /// Wherever the store has come from, from then on it knows of the line.
    pub fn put_marker(&self) -> io::Result<()> {
        self.put_marker_by(&mut sync_parent)
    }

    fn put_marker_by(&self, sync_parent: &mut SyncParent<'_>) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let store = fs::canonicalize(self.store())?;
        let line = format!(
            "{MARKER}{}, and nothing in this file. Whoever removes it while the broker does not run begins anew.\n",
            store.display()
        );
        if file.symlink_metadata().is_err() {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
            write_synced(made?, line.as_bytes())?;
        } else if !beginning(file, MARKER.len()).is_ok_and(|bytes| bytes == MARKER.as_bytes()) {
            return Ok(());
        } else if fs::read(file)? != line.as_bytes() {
            // The directory was moved, or copied.
            replace(file, line.as_bytes())?;
        }
        // Before it is remembered: a line that is gone with the power must not look as if somebody had removed it.
        sync_parent(file)?;
        let (remembered, path) = (store.join(MARKER_NAME), std::path::absolute(file)?);
        let path = path.as_os_str().as_encoded_bytes();
        if fs::read(&remembered).is_ok_and(|bytes| bytes == path) {
            return Ok(());
        }
        replace(&remembered, path)?;
        sync_parent(&remembered)
    }
}

fn write_synced(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// A crash leaves the old or the new.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    write_synced(made, bytes)?;
    fs::rename(&new, path)
}

/// Makes durable what has happened to a name in the directory that holds it; tests note which.
type SyncParent<'a> = dyn FnMut(&Path) -> io::Result<()> + 'a;

fn beginning(path: &Path, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn written_at(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn unreadable(path: &Path, error: &io::Error) -> RunError {
    failed("read", path, error)
}

/// What could not be done with a file or a directory.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> RunError {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => " Make room on that disk.",
        _ => "",
    };
    RunError::new(format!("Unable to {what} {}: {}.{advice}", path.display(), without_number(error)))
}

/// The system's words alone.
pub(crate) fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Directory {
            let path = env::temp_dir().join(format!("sori-place-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("can be made");
            Directory(path)
        }

        fn place(&self) -> Place {
            Place::of_location(&self.0)
        }

        fn write(&self, name: &str, bytes: &[u8]) {
            fs::write(self.0.join(name), bytes).expect("can be written");
        }
    }

    impl Place {
        fn of_location(location: &Path) -> Place {
            Place { location: location.to_owned(), file: Some(location.join("mosquitto.db")), sqlite: None }
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Root makes them, and gives the last one to whoever the broker becomes.
    #[test]
    fn others_get_through_the_directories_above_it() {
        let directory = Directory::new("above");
        let above = directory.0.join("a/b");
        let place = Place { location: above.join("c"), ..directory.place() };
        assert!(place.make_location().expect("can be made"));
        assert!(!place.make_location().expect("is there"));
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!(mode(&place.location), 0o700);
        // What the umask of whoever runs this leaves of it.
        fs::create_dir(directory.0.join("usual")).expect("can be made");
        assert_eq!([mode(&above), mode(&directory.0.join("a"))], [mode(&directory.0.join("usual")); 2]);
    }

    #[test]
    fn the_default_is_where_programs_keep_their_data() {
        let default = |is_root, data_home: Option<&str>, home: Option<&str>| {
            default_location(is_root, data_home.map(OsString::from), home.map(OsString::from))
        };
        assert_eq!(default(false, Some("/data"), Some("/home/a")), Path::new("/data/sori"));
        assert_eq!(default(false, Some("data"), Some("/home/a")), Path::new("/home/a/.local/share/sori"));
        assert_eq!(default(false, None, Some("/home/a")), Path::new("/home/a/.local/share/sori"));
        assert_eq!(default(true, None, Some("/root")), Path::new("/var/lib/sori"));
        assert_eq!(default(true, Some("/data"), Some("/root")), Path::new("/data/sori"));
        assert_eq!(default(false, None, None), Path::new("/var/lib/sori"));
    }

    #[test]
    fn a_line_of_text_says_where_the_data_is_and_is_never_taken_for_data() {
        let directory = Directory::new("marker");
        let place = directory.place();
        assert_eq!(place.foreign(), Ok(vec![]));
        fs::create_dir(place.store()).expect("can be made");
        place.put_marker().expect("can be written");
        let text = fs::read_to_string(directory.0.join("mosquitto.db")).expect("is there");
        let store = fs::canonicalize(place.store()).expect("is there");
        assert!(text.starts_with(&format!("{MARKER}{}, and nothing in this file. ", store.display())), "{text}");
        assert_eq!(place.foreign(), Ok(vec![]));
        directory.write("mosquitto.db", b"\x00\xB5\x00mosquitto db\0\0\0\0");
        place.put_marker().expect("leaves it alone");
        assert_eq!(place.foreign(), Ok(vec![Foreign::Snapshot(directory.0.join("mosquitto.db"))]));
    }

    #[test]
    fn who_removes_the_line_begins_anew_and_loses_nothing() {
        let directory = Directory::new("aside");
        let place = directory.place();
        for number in 1..3 {
            fs::create_dir(place.store()).expect("can be made");
            assert_eq!(place.set_aside().expect("can be read"), None, "a store that was put there by hand");
            place.put_marker().expect("can be written");
            assert_eq!(place.set_aside().expect("can be read"), None);
            fs::remove_file(directory.0.join("mosquitto.db")).expect("is there");
            let aside = directory.0.join(format!("sori.store.removed-{number}"));
            assert_eq!(place.set_aside().expect("can be moved"), Some(aside.clone()));
            assert!(aside.is_dir() && !place.store().exists());
        }
    }

    /// What a removed line means does not depend on where the store has come from.
    #[test]
    fn a_store_that_was_put_there_knows_of_the_line_after_a_start() {
        let begins_anew = |place: &Place| {
            place.put_marker().expect("can be written");
            fs::remove_file(place.location.join("mosquitto.db")).expect("is there");
            let aside = place.set_aside().expect("can be moved");
            fs::rename(aside.expect("it was moved"), place.store()).expect("can be put back");
        };
        let directory = Directory::new("come");
        let place = Place::of_location(&directory.0.join("a"));
        place.make_location().expect("can be made");
        // The line is from the store that was there before, as where a backup was put back, or an import made a new one.
        fs::create_dir(place.store()).expect("can be made");
        place.put_marker().expect("can be written");
        fs::remove_dir_all(place.store()).expect("is there");
        fs::create_dir(place.store()).expect("can be made");
        begins_anew(&place);
        // A crash came before the line was remembered, or in the middle of that.
        for remembered in [None, Some("")] {
            place.put_marker().expect("can be written");
            let marker = place.store().join(MARKER_NAME);
            fs::remove_file(&marker).expect("is there");
            remembered.into_iter().for_each(|text| fs::write(&marker, text).expect("can be written"));
            begins_anew(&place);
        }
        // Where all of it was moved, the line says the new place.
        place.put_marker().expect("can be written");
        let moved = Place::of_location(&directory.0.join("b"));
        fs::rename(&place.location, &moved.location).expect("can be moved");
        moved.put_marker().expect("can be written");
        let text = fs::read_to_string(moved.location.join("mosquitto.db")).expect("is there");
        assert!(text.contains("/b/sori.store, and nothing in this file"), "{text}");
        begins_anew(&moved);
        // The store alone, at another place where there is no line yet, goes on.
        moved.put_marker().expect("can be written");
        place.make_location().expect("can be made");
        fs::rename(moved.store(), place.store()).expect("can be moved");
        assert_eq!(place.set_aside().expect("can be read"), None);
        begins_anew(&place);
    }

    #[test]
    fn what_has_got_a_name_has_it_after_a_power_cut() {
        let directory = Directory::new("durable");
        let place = directory.place();
        let mut synced = Vec::new();
        let mut note = |path: &Path| {
            synced.push(path.to_path_buf());
            sync_parent(path)
        };
        fs::create_dir(place.store()).expect("can be made");
        place.put_marker_by(&mut note).expect("can be written");
        let line = directory.0.join("mosquitto.db");
        fs::remove_file(&line).expect("is there");
        place.set_aside_by(&mut note).expect("can be moved");
        let remembered = fs::canonicalize(&directory.0).expect("is there").join("sori.store/marker");
        assert_eq!(synced, [line, remembered, directory.0.join("sori.store.removed-1")]);
    }

    #[test]
    fn brokers_that_share_a_directory_have_a_store_each() {
        let directory = Directory::new("shared");
        let other = Place { file: Some(directory.0.join("other.db")), ..directory.place() };
        assert_eq!(directory.place().store(), directory.0.join("sori.store"));
        assert_eq!(other.store(), directory.0.join("other.db.sori.store"));
        // Another name for the file does not begin anew what is there.
        fs::create_dir(directory.place().store()).expect("can be made");
        directory.place().put_marker().expect("can be written");
        assert_eq!(other.set_aside().expect("can be read"), None);
    }

    #[test]
    fn a_store_may_be_named_by_what_holds_it() {
        let directory = Directory::new("named");
        let store = directory.0.join("sori.store");
        assert_eq!(store_in(&directory.0), store, "a new one");
        assert_eq!(store_in(&store), store, "a new one");
        fs::create_dir(&store).expect("can be made");
        assert_eq!(store_in(&directory.0), store);
        let copy = directory.0.join("copy");
        fs::create_dir(&copy).expect("can be made");
        assert_eq!(store_in(&copy), copy.join("sori.store"));
        fs::write(copy.join("00000001.log"), b"").expect("can be written");
        assert_eq!(store_in(&copy), copy, "a backup may have any name");
    }

    #[test]
    fn databases_are_known_by_what_is_in_them() {
        let directory = Directory::new("foreign");
        let mut place = directory.place();
        directory.write("mosquitto.db", b"");
        directory.write("mosquitto.sqlite3", b"something else");
        assert_eq!(place.foreign(), Ok(vec![]));
        directory.write("mosquitto.db", b"my diary");
        assert!(place.foreign().is_err_and(|error| error.to_string().contains("is not a Mosquitto database")));
        directory.write("mosquitto.db", b"\x00\xB5\x00mosquitto db\0\0\0\0");
        std::thread::sleep(std::time::Duration::from_millis(20));
        directory.write("mosquitto.sqlite3", b"SQLite format 3\0 and more");
        let (snapshot, sqlite) = (directory.0.join("mosquitto.db"), directory.0.join("mosquitto.sqlite3"));
        let both = vec![Foreign::Sqlite(sqlite.clone()), Foreign::Snapshot(snapshot)];
        assert_eq!(place.foreign(), Ok(both), "the later one is first");
        place.sqlite = Some(sqlite.clone());
        assert_eq!(place.foreign(), Ok(vec![Foreign::Sqlite(sqlite)]));
        place.sqlite = Some(directory.0.join("mosquitto.db"));
        assert!(place.foreign().is_err_and(|error| error.to_string().contains("is no SQLite database")));
        place.sqlite = Some(directory.0.join("missing"));
        assert!(place.foreign().is_err_and(|error| error.to_string().contains("No such file")));
    }
}

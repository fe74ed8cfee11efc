//! From a directory to sessions: opening the store, reading what is in it, and why that may not be possible.

use crate::config::{Config, Durability};
use crate::log::Log;
use crate::patience::until_free;
use crate::progress::Progress;
use crate::startup::RunError;
use crate::store::place::{Place, not_whole, without_number};
use crate::store::unfinished::is_unfinished;
use sori_broker::{RecordError, Recovered};
use sori_store::{Committer, Disk, FileDisk, OpenError, Options, Reader, Refusal};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// An open store, and what it held.
pub(crate) struct Opened {
    pub(crate) committer: Committer,
    pub(crate) recovered: Recovered,
}

/// How a configuration wants its store.
pub(crate) fn options(config: &Config) -> Options {
    Options {
        durability: match config.durability {
            Durability::Always => sori_store::Durability::Always,
            Durability::Interval(interval) => sori_store::Durability::Interval(interval),
            Durability::Never => sori_store::Durability::Never,
        },
        size_limit: config.store_size_limit.map(std::num::NonZero::get),
        ..Options::default()
    }
}

/// Opens the store of a broker with so many shards, or makes one. An existing database of Mosquitto's is taken over
/// when it is made.
pub(crate) fn open(config: &Config, shards: u16, log: &Log) -> Result<Opened, RunError> {
    let place = Place::of(config);
    place.make_location()?;
    match place.set_aside() {
        Ok(None) => {}
        Ok(Some(aside)) => log.notice(format_args!(
            "The file of persistence_file was removed, so this is a start without sessions and messages. Those of before \
             are in {}.",
            aside.display()
        )),
        Err(error) => log.warning(format_args!(
            "Warning: The file of persistence_file was removed, but the store could not be moved aside: {}.",
            without_number(&error)
        )),
    }
    if !place.store().exists() || is_unfinished(&place.store()) {
        super::importing::take_over(&place, log)?;
    }
    if is_unfinished(&place.store()) {
        return Err(not_whole(&place.store()));
    }
    let opened = open_at(&place.store(), options(config), shards);
    let opened = opened.map_err(|error| refused(&place.store(), &error))?;
    if let Err(error) = place.put_marker() {
        log.warning(format_args!(
            "Warning: Unable to leave a line in {} that says where the data is: {}.",
            place.location().display(),
            without_number(&error)
        ));
    }
    Ok(opened)
}

/// Opens the store in a directory for so many writers.
pub(crate) fn open_at(path: &Path, options: Options, writers: u16) -> Result<Opened, OpenError> {
    let disk = until_free(|| FileDisk::open(path), |error| matches!(error, OpenError::InUse { .. }))?;
    let mut reading = Reading::new(&disk);
    let mut committer =
        Committer::open(Arc::new(disk), options, writers, &mut |place, bytes| reading.apply(place, bytes))?;
    committer.note_replayed(reading.recovered.message_bytes());
    Ok(Opened { committer, recovered: reading.into_recovered() })
}

/// What a store holds, and how its messages are read.
pub(crate) struct ToRead {
    /// As long as it lives nobody else changes the store.
    pub(crate) reader: Reader,
    pub(crate) recovered: Recovered,
}

/// Opens the store in a directory without changing anything in it.
pub(crate) fn open_to_read(path: &Path) -> Result<ToRead, OpenError> {
    let disk = until_free(|| FileDisk::open_to_read(path), |error| matches!(error, OpenError::InUse { .. }))?;
    let mut reading = Reading::new(&disk);
    let reader = sori_store::read(Arc::new(disk), &mut |place, bytes| reading.apply(place, bytes))?;
    Ok(ToRead { reader, recovered: reading.into_recovered() })
}

/// Records on their way to sessions.
pub(crate) struct Reading {
    recovered: Recovered,
    progress: Progress,
    done: u64,
    of: u64,
}

impl Reading {
    pub(crate) fn new(disk: &dyn Disk) -> Reading {
        let names = disk.list().unwrap_or_default();
        let of =
            names.iter().filter(|name| sori_store::is_segment(name)).filter_map(|name| disk.length(name).ok()).sum();
        Reading { recovered: Recovered::new(), progress: Progress::start("Reading the store"), done: 0, of }
    }

    pub(crate) fn into_recovered(self) -> Recovered {
        self.recovered
    }

    pub(crate) fn apply(&mut self, place: u64, bytes: &[u8]) -> Result<(), Refusal> {
        self.done += bytes.len() as u64;
        self.progress.show(self.done, self.of);
        self.recovered.apply(place, bytes).map_err(refusal)
    }
}

/// Why records are not taken, in the words of the store.
pub(crate) fn refusal(error: RecordError) -> Refusal {
    Refusal { text: error.to_string(), is_newer: error.is_newer }
}

/// The same for a program that works on a store beside a broker.
pub(crate) fn refused_beside(path: &Path, error: &OpenError) -> RunError {
    match error {
        OpenError::InUse { pid, .. } => RunError::new(format!(
            "The store {} is in use by {}. Stop the broker first, or work on a copy that `sori store backup` makes.",
            path.display(),
            process(*pid)
        )),
        error => refused(path, error),
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Why a store could not be opened, and what can be done about it.
pub(crate) fn refused(path: &Path, error: &OpenError) -> RunError {
    let path = path.display();
    let told = RunError::new(match error {
        OpenError::InUse { pid, .. } => format!(
            "The store {path} is in use by {}. Is another broker running? Give each its own directory with \
             persistence_location.",
            process(*pid)
        ),
        OpenError::Io { what, error } => {
            let advice = match error.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    " Make it writable, choose another directory with persistence_location, or switch persistence off."
                }
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => " Make room on that disk.",
                _ => "",
            };
            format!("Unable to open the store {path}: cannot {what}: {}.{advice}", without_number(error))
        }
        OpenError::Newer { file, version } => format!(
            "The store {path} was written by a newer version of sori: {file} has format version {version}. Start that \
             version, or choose another directory with persistence_location."
        ),
        OpenError::Records { file, offset, refusal: Refusal { text, is_newer: true } } => format!(
            "The store {path} was written by a newer version of sori: {file}, offset {offset}: {text}. Start that version, or \
             choose another directory with persistence_location."
        ),
        OpenError::Damaged { file, offset, text }
        | OpenError::Records { file, offset, refusal: Refusal { text, is_newer: false } } => format!(
            "The store {path} is damaged: {file}, offset {offset}: {text}. Look after the disk, keep a copy of the \
             directory, then run `sori store repair {path}`, which keeps what is whole and tells what is not."
        ),
    });
    let is_damage = match error {
        OpenError::Damaged { .. } => true,
        OpenError::Records { refusal, .. } => !refusal.is_newer,
        _ => false,
    };
    if is_damage { told.of_damage() } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Defaults;
    use std::io;

    #[test]
    fn refusals_say_what_can_be_done() {
        let io = |kind: i32| OpenError::Io { what: "make it".to_owned(), error: io::Error::from_raw_os_error(kind) };
        let damaged = OpenError::Damaged { file: "00000001.log".to_owned(), offset: 42, text: "not whole".to_owned() };
        let records = |is_newer| OpenError::Records {
            file: "00000001.log".to_owned(),
            offset: 42,
            refusal: Refusal { text: "what is this?".to_owned(), is_newer },
        };
        for (error, words) in [
            (OpenError::InUse { path: String::new(), pid: Some(7) }, ["in use by process 7", "persistence_location"]),
            (OpenError::InUse { path: String::new(), pid: None }, ["by another process", "Is another broker running?"]),
            (io(30), ["Read-only file system.", "switch persistence off"]),
            (io(28), ["No space left on device.", "Make room"]),
            (io(5), ["cannot make it", "Input/output error."]),
            (OpenError::Newer { file: "f".to_owned(), version: 2 }, ["newer version of sori", "format version 2"]),
            (damaged, ["00000001.log, offset 42: not whole", "sori store repair /d/sori.store"]),
            (records(false), ["00000001.log, offset 42: what is this?", "sori store repair /d/sori.store"]),
            (records(true), ["00000001.log, offset 42: what is this?", "Start that version"]),
        ] {
            let text = refused(Path::new("/d/sori.store"), &error).to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
            assert!(text.starts_with("Error: ") && text.contains("/d/sori.store"), "{text}");
        }
    }

    /// It had got its name, and somebody was interrupted before it was known to be whole.
    #[test]
    fn a_store_that_was_being_made_is_made_again_or_refused() {
        let directory = std::env::temp_dir().join(format!("sori-opening-{}", std::process::id()));
        let store = directory.join("sori.store");
        let config =
            Config { persistence_location: Some(directory.clone()), ..Config::with_defaults(Defaults::Mosquitto) };
        let leave = || {
            let _ = std::fs::remove_dir_all(&directory);
            std::fs::create_dir_all(&store).expect("can be made");
            std::fs::write(store.join("00000001.log"), "half").expect("can be written");
            std::fs::write(store.join("unfinished"), "").expect("can be written");
        };
        leave();
        let error = open(&config, 1, &Log::silent()).map(|_| ()).expect_err("there is nothing to make it of");
        assert!(error.to_string().contains("Make it again."), "{error}");
        leave();
        let database = include_bytes!("../../tests/data/mosquitto/v6-2.0.22.db");
        std::fs::write(directory.join("mosquitto.db"), database).expect("can be written");
        let opened = open(&config, 1, &Log::silent()).expect("it is made again");
        assert!(opened.recovered.sessions() > 0 && !store.join("unfinished").exists());
        drop(opened);
        let _ = std::fs::remove_dir_all(&directory);
    }
}

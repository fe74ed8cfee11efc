//! A disk in memory that does what real ones do to those who trust them.
//!
//! What a program has written lies in memory until it is synced: it can be read back, it survives the end of the program,
//! and a power cut takes it away, wholly or in parts. A part is a sector: each of them has its old content or the new one,
//! in any combination. Names are a directory's content, so a file that was made, renamed or removed may come back as it
//! was before unless the directory was synced. After a failed sync nobody knows what was written, and a later sync that
//! succeeds says nothing about it (that is what Linux does).
//!
//! Faults come on request only: [`SimDisk::stop_after`] ends the machine in the middle of whatever runs,
//! [`SimDisk::fail`] lets operations fail, [`SimDisk::set_capacity`] makes it small. The seed decides the rest.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard};

use sori_store::Disk;

use crate::random::Random;
use crate::sabotage::ONE_IN;

/// What is written as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A directory of files. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

/// An operation that can fail.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Fault {
    /// A write stores a part of its bytes and fails.
    Write,
    /// A sync fails, and what it was to store is stored in parts.
    Sync,
    /// A file or its new name cannot be made, nor an old one removed.
    Directory,
}

/// What has happened on a disk.
#[derive(Copy, Clone, Default, Eq, PartialEq, Debug)]
pub struct DiskFigures {
    /// All operations that change something or sync it.
    pub operations: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Bytes in files.
    pub bytes_used: u64,
}

#[derive(Debug)]
struct State {
    random: Random,
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    renamings: Vec<Naming>,
    capacity: u64,
    failing: Option<(Fault, u32)>,
    /// Operations until the machine stops.
    stops_after: Option<u64>,
    is_stopped: bool,
    /// It claims some syncs that it has not done.
    drops_syncs: bool,
    figures: DiskFigures,
    /// What has been done, for whoever reads along.
    log: Option<Vec<String>>,
}

/// One file, whatever its name.
#[derive(Clone, Debug, Default)]
struct File {
    /// What a reader finds.
    content: Vec<u8>,
    /// What surely survives.
    durable: Vec<u8>,
    /// What has happened to it since.
    changes: Vec<Change>,
    /// Something was not stored when it had to be, though readers find it.
    has_failed: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// A change of the directory that a power cut may undo.
#[derive(Clone, Debug)]
enum Naming {
    Create(String, usize),
    Rename { from: String, to: String, file: usize },
    Remove(String),
}

/// How much a power cut spares.
#[derive(Copy, Clone, Debug)]
enum Spared {
    Nothing,
    Everything,
    /// What was done first.
    Beginning,
    /// Whatever was in the way of the head.
    Parts,
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => {
                let end = offset + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*offset..end].copy_from_slice(bytes);
            }
            Change::Truncate(length) => content.resize(*length, 0),
        }
    }

    /// Some sectors are written; the length of the file may be the new one though what lies there is not.
    fn apply_torn(&self, content: &mut Vec<u8>, random: &mut Random) {
        let Change::Write { offset, bytes } = self else { return };
        let mut at = *offset;
        while at < offset + bytes.len() {
            let next = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(offset + bytes.len());
            if random.chance(50) {
                let sector = Change::Write { offset: at, bytes: bytes[at - offset..next - offset].to_vec() };
                sector.apply(content);
            }
            at = next;
        }
        if random.chance(30) {
            content.resize(content.len().max(offset + bytes.len()), 0);
        }
    }
}

impl File {
    fn lose_power(&mut self, spared: Spared, random: &mut Random) {
        let changes = std::mem::take(&mut self.changes);
        let whole = match spared {
            Spared::Beginning => random.below(changes.len() + 1),
            _ => 0,
        };
        for (number, change) in changes.iter().enumerate() {
            match spared {
                Spared::Nothing => {}
                Spared::Everything => change.apply(&mut self.durable),
                Spared::Beginning if number < whole => change.apply(&mut self.durable),
                Spared::Beginning if number == whole => change.apply_torn(&mut self.durable, random),
                Spared::Beginning => {}
                Spared::Parts if random.chance(40) => change.apply(&mut self.durable),
                Spared::Parts => change.apply_torn(&mut self.durable, random),
            }
        }
        self.content.clone_from(&self.durable);
        self.has_failed = false;
    }

    /// Whatever could not be stored is not found any more either.
    fn forget_failed(&mut self) {
        if std::mem::take(&mut self.has_failed) {
            self.content.clone_from(&self.durable);
            for change in &self.changes {
                change.apply(&mut self.content);
            }
        }
    }

    fn sync(&mut self) {
        for change in self.changes.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.content);
        self.changes.push(change);
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Naming::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Naming::Rename { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Naming::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl State {
    fn file(&self, name: &str) -> Result<usize> {
        self.names.get(name).copied().ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no {name}")))
    }

    /// One more operation: an error if the machine has stopped. The last one before it stops may be done in part, which is
    /// what `true` says.
    fn begin(&mut self, what: impl FnOnce() -> String) -> Result<bool> {
        if self.is_stopped {
            return Err(stopped());
        }
        if let Some(log) = &mut self.log {
            log.push(what());
        }
        self.figures.operations += 1;
        match &mut self.stops_after {
            Some(0) => {
                self.is_stopped = true;
                self.stops_after = None;
                Ok(true)
            }
            Some(left) => {
                *left -= 1;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    fn fails(&mut self, fault: Fault) -> bool {
        match &mut self.failing {
            Some((kind, count)) if *kind == fault && *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].content.len() as u64).sum()
    }

    fn rename_some(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.renamings.push(naming);
    }

    /// A change of the directory, which is done or not done when the machine stops in it.
    fn change_names(&mut self, naming: Naming) -> Result<()> {
        let stops = self.begin(|| format!("{naming:?}"))?;
        if self.fails(Fault::Directory) {
            return Err(broken("the directory cannot be changed"));
        }
        if !stops || self.random.chance(50) {
            self.rename_some(naming);
        }
        if stops { Err(stopped()) } else { Ok(()) }
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let stops = self.begin(|| format!("append {} bytes to {name}", bytes.len()))?;
        let file = self.file(name)?;
        let room = usize::try_from(self.capacity.saturating_sub(self.used())).unwrap_or(usize::MAX);
        let fails = self.fails(Fault::Write);
        let whole = if stops || fails { self.random.below(bytes.len() + 1) } else { bytes.len() };
        let written = whole.min(room);
        let offset = self.files[file].content.len();
        self.files[file].change(Change::Write { offset, bytes: bytes[..written].to_vec() });
        self.figures.bytes_written += written as u64;
        match () {
            () if stops => Err(stopped()),
            () if fails => Err(broken("a write failed")),
            () if written < bytes.len() => {
                Err(Error::new(ErrorKind::StorageFull, "no space left on the simulated disk"))
            }
            () => Ok(()),
        }
    }

    fn overwrite(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let stops = self.begin(|| format!("write {} bytes of {name} once more", bytes.len()))?;
        let file = self.file(name)?;
        let fails = self.fails(Fault::Write);
        let written = if stops || fails { self.random.below(bytes.len() + 1) } else { bytes.len() };
        let offset = usize::try_from(offset).map_err(Error::other)?;
        self.files[file].change(Change::Write { offset, bytes: bytes[..written].to_vec() });
        self.figures.bytes_written += written as u64;
        match () {
            () if stops => Err(stopped()),
            () if fails => Err(broken("a write failed")),
            () => Ok(()),
        }
    }

    fn sync(&mut self, name: &str) -> Result<()> {
        let stops = self.begin(|| format!("sync {name}"))?;
        let file = self.file(name)?;
        self.figures.syncs += 1;
        if self.fails(Fault::Sync) {
            // What was not stored now is never stored, though readers still find it.
            let content = self.files[file].content.clone();
            self.files[file].lose_power(Spared::Parts, &mut self.random);
            self.files[file].content = content;
            self.files[file].has_failed = true;
            return Err(broken("a sync failed"));
        }
        if stops {
            return Err(stopped());
        }
        if !self.drops_syncs || !self.figures.syncs.is_multiple_of(ONE_IN) {
            self.files[file].sync();
        }
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<()> {
        if self.begin(|| "sync the directory".to_owned())? {
            return Err(stopped());
        }
        if self.fails(Fault::Sync) {
            return Err(broken("a sync of the directory failed"));
        }
        for naming in self.renamings.drain(..) {
            naming.apply(&mut self.durable_names);
        }
        self.forget_nameless();
        Ok(())
    }

    /// Files that will never be found again take no memory.
    fn forget_nameless(&mut self) {
        for (number, file) in self.files.iter_mut().enumerate() {
            if self.names.values().all(|named| *named != number) {
                *file = File::default();
            }
        }
    }

    fn lose_power(&mut self, spared: Spared) {
        let namings = std::mem::take(&mut self.renamings);
        // File systems with a journal keep the order of such changes; others need not.
        let is_ordered = self.random.chance(70);
        let done = self.random.below(namings.len() + 1);
        for (number, naming) in namings.iter().enumerate() {
            let survives = match spared {
                Spared::Nothing => false,
                Spared::Everything => true,
                _ if is_ordered => number < done,
                _ => self.random.chance(50),
            };
            if survives {
                naming.apply(&mut self.durable_names);
            }
        }
        self.names.clone_from(&self.durable_names);
        for file in &mut self.files {
            file.lose_power(spared, &mut self.random);
        }
    }
}

fn stopped() -> Error {
    Error::other("the simulated machine has stopped")
}

fn broken(text: &str) -> Error {
    Error::other(format!("simulated: {text}"))
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            random: Random::new(seed),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renamings: Vec::new(),
            capacity: u64::MAX,
            failing: None,
            stops_after: None,
            is_stopped: false,
            drops_syncs: false,
            figures: DiskFigures::default(),
            log: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// After so many more operations the machine stops, in the middle of the next one: everything fails from then on.
    pub fn stop_after(&self, operations: u64) {
        self.state().stops_after = Some(operations);
    }

    /// The machine does not stop after all, if it has not yet.
    pub fn go_on(&self) {
        self.state().stops_after = None;
    }

    /// Whether the machine has stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state().is_stopped
    }

    /// The program was killed and may be started again: all that was written is there, but nothing more of it is durable.
    /// What a failed sync could not store is found still, or not any more if the operating system wanted the memory; found or not,
    /// no sync will store it unless it is written once more.
    pub fn kill(&self) {
        let mut state = self.state();
        if state.random.chance(50) {
            state.files.iter_mut().for_each(File::forget_failed);
        }
        (state.is_stopped, state.stops_after) = (false, None);
    }

    /// The power fails and comes back: of what was not synced the seed decides.
    pub fn cut_power(&self) {
        let mut state = self.state();
        let spared = match state.random.below(10) {
            0..3 => Spared::Nothing,
            3 => Spared::Everything,
            4..7 => Spared::Beginning,
            _ => Spared::Parts,
        };
        state.lose_power(spared);
        (state.is_stopped, state.stops_after) = (false, None);
    }

    /// The power fails and comes back, and nothing survives but what was synced.
    pub fn cut_power_hard(&self) {
        let mut state = self.state();
        state.lose_power(Spared::Nothing);
        (state.is_stopped, state.stops_after) = (false, None);
    }

    /// The next `count` operations of this kind fail.
    pub fn fail(&self, fault: Fault, count: u32) {
        self.state().failing = Some((fault, count));
    }

    /// Operations succeed again.
    pub fn heal(&self) {
        self.state().failing = None;
    }

    /// How many bytes all files together may have.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Turns one bit over, in memory and on the disk, counted from the beginning of the file.
    ///
    /// # Panics
    ///
    /// When the file or the bit is not there.
    pub fn flip(&self, name: &str, bit: u64) {
        let mut state = self.state();
        let file = state.names[name];
        let (byte, mask) = ((bit / 8) as usize, 1 << (bit % 8));
        let file = &mut state.files[file];
        file.content[byte] ^= mask;
        if let Some(byte) = file.durable.get_mut(byte) {
            *byte ^= mask;
        }
    }

    /// Another disk with what surely survives a power cut on this one.
    #[must_use]
    pub fn durable_copy(&self) -> SimDisk {
        let state = self.state();
        let copy = SimDisk::new(state.random.clone().next());
        {
            let mut other = copy.state();
            other.files = state
                .files
                .iter()
                .map(|file| File { content: file.durable.clone(), durable: file.durable.clone(), ..File::default() })
                .collect();
            other.names.clone_from(&state.durable_names);
            other.durable_names.clone_from(&state.durable_names);
        }
        copy
    }

    /// From now on it claims one sync of a file in eight that it has not done, as bad hardware does.
    pub(crate) fn drop_syncs(&self) {
        self.state().drops_syncs = true;
    }

    /// From now on every operation is noted for [`SimDisk::take_log`].
    pub fn keep_log(&self) {
        self.state().log = Some(Vec::new());
    }

    /// The operations that have been noted since the last call.
    #[must_use]
    pub fn take_log(&self) -> Vec<String> {
        self.state().log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What has happened so far.
    #[must_use]
    pub fn figures(&self) -> DiskFigures {
        let state = self.state();
        DiskFigures { bytes_used: state.used(), ..state.figures }
    }
}

impl Disk for SimDisk {
    fn list(&self) -> Result<Vec<String>> {
        let state = self.state();
        if state.is_stopped { Err(stopped()) } else { Ok(state.names.keys().cloned().collect()) }
    }

    fn length(&self, name: &str) -> Result<u64> {
        let state = self.state();
        let file = state.file(name)?;
        if state.is_stopped { Err(stopped()) } else { Ok(state.files[file].content.len() as u64) }
    }

    fn create(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        if state.names.contains_key(name) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("{name} is there already")));
        }
        let file = state.files.len();
        state.files.push(File::default());
        state.change_names(Naming::Create(name.to_owned(), file))
    }

    fn append(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.state().append(name, bytes)
    }

    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> Result<usize> {
        let state = self.state();
        if state.is_stopped {
            return Err(stopped());
        }
        let content = &state.files[state.file(name)?].content;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let length = into.len().min(content.len() - offset);
        into[..length].copy_from_slice(&content[offset..offset + length]);
        Ok(length)
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        self.state().overwrite(name, offset, bytes)
    }

    fn truncate(&self, name: &str, length: u64) -> Result<()> {
        let mut state = self.state();
        let stops = state.begin(|| format!("truncate {name} to {length} bytes"))?;
        let file = state.file(name)?;
        let length = usize::try_from(length).map_err(Error::other)?;
        if !stops || state.random.chance(50) {
            state.files[file].change(Change::Truncate(length));
        }
        if stops { Err(stopped()) } else { Ok(()) }
    }

    fn sync(&self, name: &str) -> Result<()> {
        self.state().sync(name)
    }

    fn sync_directory(&self) -> Result<()> {
        self.state().sync_directory()
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.state();
        let file = state.file(from)?;
        state.change_names(Naming::Rename { from: from.to_owned(), to: to.to_owned(), file })
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.state();
        state.file(name)?;
        state.change_names(Naming::Remove(name.to_owned()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails where it must not")]
mod tests {
    use super::*;

    fn content(disk: &SimDisk, name: &str) -> Vec<u8> {
        let mut bytes = vec![0; disk.length(name).expect("the disk is well") as usize];
        assert_eq!(disk.read(name, 0, &mut bytes).expect("the disk is well"), bytes.len());
        bytes
    }

    fn disk_with(name: &str) -> SimDisk {
        let disk = SimDisk::new(1);
        disk.create(name).expect("the disk is well");
        disk.sync_directory().expect("the disk is well");
        disk
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_does_not() {
        let disk = disk_with("log");
        disk.append("log", b"one").unwrap();
        disk.sync("log").unwrap();
        disk.append("log", b"two").unwrap();
        disk.create("other").unwrap();
        assert_eq!(content(&disk, "log"), b"onetwo");
        disk.kill();
        assert_eq!(content(&disk, "log"), b"onetwo");
        assert_eq!(content(&disk.durable_copy(), "log"), b"one");
        disk.cut_power_hard();
        assert_eq!(content(&disk, "log"), b"one");
        assert_eq!(disk.list().unwrap(), ["log"]);
    }

    #[test]
    fn a_file_is_lost_with_its_name() {
        let disk = SimDisk::new(1);
        disk.create("log").unwrap();
        disk.append("log", b"one").unwrap();
        disk.sync("log").unwrap();
        disk.cut_power_hard();
        assert!(disk.list().unwrap().is_empty());
    }

    #[test]
    fn a_power_cut_tears_between_sectors_only() {
        let mut torn = 0;
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            disk.create("log").unwrap();
            disk.sync_directory().unwrap();
            disk.append("log", &[1; 3 * SECTOR_BYTES]).unwrap();
            disk.cut_power();
            let left = content(&disk, "log");
            for sector in left.chunks(SECTOR_BYTES) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "seed {seed}");
            }
            torn += u32::from(left.contains(&0) && left.contains(&1));
        }
        assert!(torn > 10, "only {torn} of 200 were torn");
    }

    #[test]
    fn after_a_failed_sync_a_later_one_says_nothing() {
        let mut lost = 0;
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            disk.create("log").unwrap();
            disk.sync_directory().unwrap();
            disk.append("log", b"one").unwrap();
            disk.fail(Fault::Sync, 1);
            disk.sync("log").unwrap_err();
            disk.sync("log").unwrap();
            assert_eq!(content(&disk, "log"), b"one");
            disk.cut_power_hard();
            lost += u32::from(content(&disk, "log") != b"one");
        }
        assert!(lost > 5, "only {lost} of 50 lost something");
    }

    #[test]
    fn what_a_failed_sync_left_is_stored_when_it_is_written_once_more() {
        let mut pretended = 0;
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            disk.create("log").unwrap();
            disk.sync_directory().unwrap();
            disk.append("log", b"one").unwrap();
            disk.fail(Fault::Sync, 1);
            disk.sync("log").unwrap_err();
            disk.kill();
            let found = content(&disk, "log");
            pretended += u32::from(found == b"one" && content(&disk.durable_copy(), "log") != b"one");
            disk.overwrite("log", 0, &found).unwrap();
            disk.sync("log").unwrap();
            disk.cut_power_hard();
            assert_eq!(content(&disk, "log"), found, "seed {seed}");
        }
        assert!(pretended > 5, "only {pretended} of 50 pretended to be stored");
    }

    #[test]
    fn a_full_disk_takes_what_there_is_room_for() {
        let disk = disk_with("log");
        disk.set_capacity(4);
        assert_eq!(disk.append("log", b"abcdef").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(content(&disk, "log"), b"abcd");
        disk.truncate("log", 0).unwrap();
        disk.append("log", b"ab").unwrap();
    }

    #[test]
    fn a_stopped_machine_does_nothing_until_it_is_started_again() {
        let disk = disk_with("log");
        disk.stop_after(1);
        disk.append("log", b"one").unwrap();
        disk.append("log", b"two").unwrap_err();
        assert!(disk.is_stopped());
        disk.sync("log").unwrap_err();
        disk.read("log", 0, &mut [0; 3]).unwrap_err();
        disk.kill();
        assert!(content(&disk, "log").starts_with(b"one"));
    }
}

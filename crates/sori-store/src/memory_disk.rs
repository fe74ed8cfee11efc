//! A directory in memory, for tests: it fails when it is told to, fills up, and loses what was not synced when its power is cut.

use crate::disk::Disk;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A directory in memory. Clones of what it holds can be taken at any moment.
#[derive(Default)]
pub struct MemoryDisk {
    inner: Mutex<Inner>,
}

/// What a disk is asked to do, for tests that let it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Disk::create`]
    Create,
    /// [`Disk::append`]: half of the bytes are written when it fails.
    Append,
    /// [`Disk::overwrite`]
    Overwrite,
    /// [`Disk::read`]
    Read,
    /// [`Disk::truncate`]
    Truncate,
    /// [`Disk::sync`]
    Sync,
    /// [`Disk::sync_directory`]
    SyncDirectory,
    /// [`Disk::rename`]
    Rename,
    /// [`Disk::remove`]
    Remove,
}

/// Decides for each operation on a file whether it fails, and with what.
pub type Faults = Box<dyn FnMut(Operation, &str) -> Option<io::Error> + Send>;

#[derive(Default)]
struct Inner {
    names: BTreeMap<String, usize>,
    /// What the directory would be after a power cut, if nothing of `name_changes` had been written.
    names_synced: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    files: Vec<MemoryFile>,
    /// The file that was appended to last.
    head: Option<usize>,
    capacity: Option<u64>,
    faults: Option<Faults>,
}

#[derive(Clone)]
enum NameChange {
    Add(String, usize),
    Remove(String),
}

#[derive(Clone, Default)]
struct MemoryFile {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// What came after `synced`.
    changes: Vec<FileChange>,
}

#[derive(Clone)]
enum FileChange {
    Append(Vec<u8>),
    Overwrite(usize, Vec<u8>),
    Truncate(usize),
}

impl FileChange {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            FileChange::Append(more) => bytes.extend_from_slice(more),
            FileChange::Overwrite(offset, again) => overwrite(bytes, *offset, again),
            FileChange::Truncate(length) => bytes.truncate(*length),
        }
    }
}

fn overwrite(bytes: &mut Vec<u8>, offset: usize, again: &[u8]) {
    let end = offset + again.len();
    bytes.resize(bytes.len().max(end), 0);
    bytes.splice(offset..end, again.iter().copied());
}

impl MemoryDisk {
    /// An empty one.
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// One that holds these files, all synced.
    pub fn with_files(files: BTreeMap<String, Vec<u8>>) -> MemoryDisk {
        let mut inner = Inner::default();
        for (name, bytes) in files {
            inner.names.insert(name, inner.files.len());
            inner.files.push(MemoryFile { synced: bytes.clone(), bytes, changes: Vec::new() });
        }
        inner.names_synced = inner.names.clone();
        MemoryDisk { inner: Mutex::new(inner) }
    }

    /// All files as they are now.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let inner = self.lock();
        let file = |file: &usize| inner.files.get(*file).map(|file| file.bytes.clone()).unwrap_or_default();
        inner.names.iter().map(|(name, at)| (name.clone(), file(at))).collect()
    }

    /// How many bytes all files together may have.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.lock().capacity = capacity;
    }

    /// Lets operations fail.
    pub fn set_faults(&self, faults: Option<Faults>) {
        self.lock().faults = faults;
    }

    /// What is left after a power cut. Of what was not synced anything may be there: all, nothing, a part, or later bytes without
    /// earlier ones. The seed decides.
    pub fn after_power_cut(&self, seed: u64) -> MemoryDisk {
        let mut chance = Chance(seed);
        let inner = self.lock();
        let mut files: Vec<Vec<u8>> = inner.files.iter().map(|file| file.after_power_cut(&mut chance)).collect();
        let goes_ahead = |head: &usize| inner.files.get(*head).is_some_and(|file| !file.synced.is_empty());
        if let Some(head) = inner.head.filter(goes_ahead).and_then(|head| files.get_mut(head)) {
            // A real one is longer than what stands in it, once its first bytes are there for good.
            let mut chance = Chance(!seed);
            let zeros = if chance.below(2) == 0 { 0 } else { chance.below(2000) as usize };
            head.resize(head.len() + zeros, 0);
        }
        let mut names = inner.names_synced.clone();
        for change in &inner.name_changes {
            match change {
                _ if chance.below(2) == 0 => {}
                NameChange::Add(name, file) => drop(names.insert(name.clone(), *file)),
                NameChange::Remove(name) => drop(names.remove(name)),
            }
        }
        let bytes = |file: usize| files.get(file).cloned().unwrap_or_default();
        MemoryDisk::with_files(names.into_iter().map(|(name, file)| (name, bytes(file))).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn check(&mut self, operation: Operation, name: &str) -> io::Result<()> {
        self.faults.as_mut().and_then(|faults| faults(operation, name)).map_or(Ok(()), Err)
    }

    fn find(&mut self, name: &str) -> io::Result<&mut MemoryFile> {
        let file = self.names.get(name).and_then(|at| self.files.get_mut(*at));
        file.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn free_bytes(&self) -> usize {
        let used = |at: &usize| self.files.get(*at).map_or(0, |file| file.bytes.len() as u64);
        let used: u64 = self.names.values().map(used).sum();
        self.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(used) as usize)
    }
}

impl MemoryFile {
    fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.changes.push(FileChange::Append(bytes.to_vec()));
    }

    fn after_power_cut(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let kept = chance.below(self.changes.len() as u64 + 1) as usize;
        for change in self.changes.iter().take(kept) {
            match change {
                FileChange::Append(more) => bytes.extend(torn(more, chance)),
                other => other.apply(&mut bytes),
            }
        }
        if let Some(FileChange::Append(more)) = self.changes.get(kept) {
            let part = chance.below(more.len() as u64 + 1) as usize;
            bytes.extend(torn(more.get(..part).unwrap_or_default(), chance));
        }
        bytes
    }
}

/// What arrives on a medium that writes sectors in any order: some may still be empty.
fn torn(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if chance.below(3) == 0 {
        bytes.chunks_mut(SECTOR_BYTES).filter(|_| chance.below(3) == 0).for_each(|sector| sector.fill(0));
    }
    bytes
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(self.lock().find(name)?.bytes.len() as u64)
    }

    fn create(&self, name: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check(Operation::Create, name)?;
        if inner.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = inner.files.len();
        inner.files.push(MemoryFile::default());
        inner.names.insert(name.to_owned(), file);
        inner.name_changes.push(NameChange::Add(name.to_owned(), file));
        Ok(())
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        let checked = inner.check(Operation::Append, name);
        inner.head = inner.names.get(name).copied();
        let free = inner.free_bytes();
        let file = inner.find(name)?;
        if let Err(error) = checked {
            file.append(bytes.get(..bytes.len() / 2).unwrap_or_default());
            return Err(error);
        }
        file.append(bytes.get(..bytes.len().min(free)).unwrap_or_default());
        if bytes.len() > free { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.lock();
        inner.check(Operation::Read, name)?;
        let file = inner.find(name)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| file.bytes.get(offset..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(into, from)| *into = *from);
        Ok(count)
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check(Operation::Overwrite, name)?;
        let file = inner.find(name)?;
        let change = FileChange::Overwrite(offset as usize, bytes.to_vec());
        change.apply(&mut file.bytes);
        file.changes.push(change);
        Ok(())
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check(Operation::Truncate, name)?;
        inner.head = None;
        let file = inner.find(name)?;
        file.bytes.truncate(length as usize);
        file.changes.push(FileChange::Truncate(length as usize));
        Ok(())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check(Operation::Sync, name)?;
        let file = inner.find(name)?;
        for change in std::mem::take(&mut file.changes) {
            change.apply(&mut file.synced);
        }
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check(Operation::SyncDirectory, "")?;
        inner.name_changes.clear();
        inner.names_synced = inner.names.clone();
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check(Operation::Rename, from)?;
        let file = inner.names.remove(from).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        inner.names.insert(to.to_owned(), file);
        inner.name_changes.push(NameChange::Add(to.to_owned(), file));
        inner.name_changes.push(NameChange::Remove(from.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inner = self.lock();
        inner.check(Operation::Remove, name)?;
        let file = inner.names.remove(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        inner.head = inner.head.filter(|head| *head != file);
        inner.name_changes.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }
}

/// A small generator of random numbers (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

const SECTOR_BYTES: usize = 512;

//! A disk whose files are those of a store that many disks share, but for those that were changed: so millions of them can be made.

use sori_store::Disk;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

type Files = BTreeMap<String, Vec<u8>>;

pub(crate) struct Overlay {
    files: Arc<Files>,
    /// `None`: the file has been removed.
    changed: Mutex<BTreeMap<String, Option<Vec<u8>>>>,
}

impl Overlay {
    /// All files as they are, but for one.
    pub(crate) fn new(files: &Arc<Files>, file: &str, bytes: Vec<u8>) -> Overlay {
        let changed = BTreeMap::from([(file.to_owned(), Some(bytes))]);
        Overlay { files: Arc::clone(files), changed: Mutex::new(changed) }
    }

    fn changed(&self) -> MutexGuard<'_, BTreeMap<String, Option<Vec<u8>>>> {
        self.changed.lock().expect("no panic holds it")
    }

    fn look<T>(&self, name: &str, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        let found = match self.changed().get(name) {
            Some(changed) => changed.as_deref().map(look),
            None => self.files.get(name).map(|bytes| look(bytes)),
        };
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut bytes = self.look(name, <[u8]>::to_vec)?;
        change(&mut bytes);
        self.changed().insert(name.to_owned(), Some(bytes));
        Ok(())
    }
}

impl Disk for Overlay {
    fn list(&self) -> io::Result<Vec<String>> {
        let changed = self.changed();
        let is_there = |name: &&String| changed.get(*name).is_none_or(Option::is_some);
        Ok(self.files.keys().filter(is_there).cloned().collect())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        self.look(name, |bytes| bytes.len() as u64)
    }

    fn create(&self, _: &str) -> io::Result<()> {
        Err(io::Error::other("nobody makes files here"))
    }

    fn append(&self, name: &str, more: &[u8]) -> io::Result<()> {
        self.change(name, |bytes| bytes.extend_from_slice(more))
    }

    fn overwrite(&self, name: &str, offset: u64, again: &[u8]) -> io::Result<()> {
        self.change(name, |bytes| bytes[offset as usize..][..again.len()].copy_from_slice(again))
    }

    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.look(name, |bytes| {
            let rest = bytes.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            count
        })
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.change(name, |bytes| bytes.truncate(length as usize))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.length(name).map(drop)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::Error::other("nobody gives files another name here"))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.length(name)?;
        self.changed().insert(name.to_owned(), None);
        Ok(())
    }
}

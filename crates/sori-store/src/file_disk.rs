//! A real directory, with a lock that keeps a second process out.

use crate::directory::make_directory;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::head::{AHEAD_BYTES, Head};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A directory of the file system. As long as the value lives no other process can open it.
#[derive(Debug)]
pub struct FileDisk {
    path: PathBuf,
    /// The file that is being appended to.
    head: Mutex<Option<Head>>,
    /// How much longer that may be than what stands in it.
    ahead_max: AtomicU64,
    /// Files that were read from last, newest at the end.
    readers: Mutex<Vec<(String, Arc<File>)>>,
    may_write: bool,
    /// `None`: another process may write.
    _lock: Option<Flock<File>>,
}

impl FileDisk {
    /// Opens a directory, makes it if there is none, and locks it.
    pub fn open(path: &Path) -> Result<FileDisk, OpenError> {
        let failed = |what: &str| {
            let what = format!("{what} {}", path.display());
            move |error| OpenError::Io { what, error }
        };
        make_directory(path).map_err(failed("make the directory"))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path.join(LOCK)).map_err(failed("open the lock file in"))?;
        let mut lock = locked(path, file, FlockArg::LockExclusiveNonblock)?;
        // Only a help for people: a full disk does not keep the store from being opened.
        let _ = lock.set_len(0).and_then(|()| lock.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(FileDisk { may_write: true, ..FileDisk::new(path, Some(lock)) })
    }

    /// Opens a directory only for reading, and nobody writes meanwhile. A store without a lock has no writer.
    pub fn open_to_read(path: &Path) -> Result<FileDisk, OpenError> {
        match File::open(path.join(LOCK)) {
            Ok(file) => Ok(FileDisk::new(path, Some(locked(path, file, FlockArg::LockSharedNonblock)?))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => FileDisk::open_read_only(path),
            Err(error) => Err(OpenError::Io { what: format!("open the lock file in {}", path.display()), error }),
        }
    }

    /// Opens a directory only for reading, also while another process writes.
    pub fn open_read_only(path: &Path) -> Result<FileDisk, OpenError> {
        std::fs::read_dir(path).map_err(|error| OpenError::Io { what: format!("read {}", path.display()), error })?;
        Ok(FileDisk::new(path, None))
    }

    fn new(path: &Path, lock: Option<Flock<File>>) -> FileDisk {
        let (head, readers) = (Mutex::new(None), Mutex::new(Vec::new()));
        let ahead_max = AtomicU64::new(AHEAD_BYTES);
        FileDisk { path: path.to_owned(), head, ahead_max, readers, may_write: false, _lock: lock }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn may_write(&self) -> io::Result<()> {
        match self.may_write {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "opened only for reading")),
        }
    }

    /// Does something with the file to append to, which stays open until another one is asked for.
    fn with_head<T>(&self, name: &str, act: impl FnOnce(&mut Head) -> io::Result<T>) -> io::Result<T> {
        self.may_write()?;
        let mut head = lock(&self.head);
        let open = match head.take() {
            Some(open) if open.name() == name => open,
            other => {
                // It stays the one that is open if this fails, so that it is tried again.
                if let Some(mut other) = other
                    && let Err(error) = other.finish()
                {
                    *head = Some(other);
                    return Err(error);
                }
                Head::open(name, &self.path)?
            }
        };
        act(head.insert(open))
    }

    fn reader(&self, name: &str) -> io::Result<Arc<File>> {
        let mut readers = lock(&self.readers);
        if let Some(at) = readers.iter().position(|(open, _)| open == name) {
            let found = readers.remove(at);
            let file = Arc::clone(&found.1);
            readers.push(found);
            return Ok(file);
        }
        let file = Arc::new(File::open(self.path.join(name))?);
        if readers.len() >= READERS_MAX {
            readers.remove(0);
        }
        readers.push((name.to_owned(), Arc::clone(&file)));
        Ok(file)
    }

    /// A name no longer stands for the file that is open under it.
    fn close(&self, name: &str) {
        lock(&self.readers).retain(|(open, _)| open != name);
        let mut head = lock(&self.head);
        if head.as_ref().is_some_and(|open| open.name() == name) {
            *head = None;
        }
    }
}

impl Disk for FileDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        if let Some(head) = lock(&self.head).as_ref().filter(|head| head.name() == name) {
            return Ok(head.length());
        }
        Ok(std::fs::metadata(self.path.join(name))?.len())
    }

    fn create(&self, name: &str) -> io::Result<()> {
        self.may_write()?;
        let mut head = lock(&self.head);
        if let Some(other) = head.as_mut() {
            other.finish()?;
        }
        *head = Some(Head::create(name, &self.path)?);
        Ok(())
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let ahead_max = self.ahead_max.load(Ordering::Relaxed);
        self.with_head(name, |head| head.append(bytes, ahead_max))
    }

    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = self.reader(name)?;
        let mut got = 0;
        while let Some(rest) = into.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + got as u64) {
                Ok(0) => break,
                Ok(count) => got += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(got)
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.with_head(name, |head| Ok(head.file()))?;
        file.write_all_at(bytes, offset)
    }

    fn set_ahead_max(&self, bytes: u64) {
        self.ahead_max.store(bytes.min(AHEAD_BYTES), Ordering::Relaxed);
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.with_head(name, |head| head.truncate(length))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        // Others may look at the file meanwhile.
        let file = self.with_head(name, |head| Ok(head.file()))?;
        file.sync_data()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.may_write()?;
        File::open(&self.path)?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.may_write()?;
        self.close(from);
        self.close(to);
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.may_write()?;
        self.close(name);
        std::fs::remove_file(self.path.join(name))
    }
}

fn locked(path: &Path, file: File, how: FlockArg) -> Result<Flock<File>, OpenError> {
    Flock::lock(file, how).map_err(|(mut file, errno)| match errno {
        Errno::EWOULDBLOCK => OpenError::InUse { path: path.display().to_string(), pid: pid_in(&mut file) },
        errno => OpenError::Io { what: format!("lock {}", path.display()), error: errno.into() },
    })
}

/// Who holds the lock, as far as the file says so.
fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// A panic of another thread leaves these lists whole: each change is one assignment, push or removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file whose lock says that the store is in use. It holds the number of the process.
const LOCK: &str = "lock";

/// How many files stay open for reading.
const READERS_MAX: usize = 8;

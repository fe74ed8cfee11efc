//! The directory of a store as the store needs it: everything that it reads and writes passes here.
//!
//! Production has [`crate::FileDisk`], tests have [`crate::MemoryDisk`], which cuts power, fails and fills up.

use std::io;

/// A directory. `&self` everywhere: reads come from other threads while one thread writes.
pub trait Disk: Send + Sync {
    /// The names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// How many bytes a file has.
    fn length(&self, name: &str) -> io::Result<u64>;
    /// Makes a new, empty file that only its owner may read. An error if it exists.
    fn create(&self, name: &str) -> io::Result<()>;
    /// Writes at the end of a file. When it fails, a part may have been written.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Reads from `offset` on and says how many bytes it got: fewer than asked for only at the end of the file.
    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes over what stands at `offset`, which these bytes do not go beyond. What a failed sync could not store may be found and
    /// still never be stored by another one; written once more, even with what is found, it is.
    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// A file that is appended to may be at most so much longer on the medium than what stands in it. Without effect where it never is.
    fn set_ahead_max(&self, _: u64) {}
    /// Cuts a file off at `length`.
    fn truncate(&self, name: &str, length: u64) -> io::Result<()>;
    /// Returns when the bytes of a file are on the medium.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Returns when the names of the directory are on the medium: files made, renamed and removed.
    fn sync_directory(&self) -> io::Result<()>;
    /// Gives a file another name, replacing a file that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
}

//! All users of one file, and the check of a password.

use super::hashed::Hashed;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

/// The users of one password file.
#[derive(Clone)]
pub struct Users {
    file: Arc<Path>,
    /// By name.
    entries: Vec<User>,
    /// Chooses for a name that is not there whose password is computed instead.
    decoys: RandomState,
}

/// One line of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// The user name.
    pub name: Box<str>,
    /// The password.
    pub hashed: Hashed,
    /// The line, counted from 1.
    pub line: usize,
}

impl Users {
    /// These users, of which none has the name of another.
    pub(super) fn new(file: Arc<Path>, mut entries: Vec<User>) -> Users {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Users { file, entries, decoys: RandomState::new() }
    }

    /// The users of an empty file: nobody has a password that would fit.
    #[must_use]
    pub fn none(file: &Path) -> Users {
        Users::new(file.into(), Vec::new())
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// All of them, by name.
    #[must_use]
    pub fn entries(&self) -> &[User] {
        &self.entries
    }

    /// The user of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&User> {
        let at = self.entries.binary_search_by(|user| (*user.name).cmp(name)).ok()?;
        self.entries.get(at)
    }

    /// The user, if this is its password. This takes long, on purpose; for a user that is not there it takes as long as for
    /// one that is, so that names cannot be found by the time of the answer.
    #[must_use]
    pub fn check(&self, name: &str, password: &[u8]) -> Option<&User> {
        let found = self.find(name);
        let computed = found.or_else(|| self.decoy(name))?;
        let fits = computed.hashed.verify(password);
        found.filter(|_| fits)
    }

    /// Always the same one for the same name: its costs are those that some user has.
    pub(super) fn decoy(&self, name: &str) -> Option<&User> {
        let count = self.entries.len() as u64;
        let at = self.decoys.hash_one(name).checked_rem(count)?;
        self.entries.get(usize::try_from(at).ok()?)
    }
}

impl PartialEq for Users {
    fn eq(&self, other: &Users) -> bool {
        self.file == other.file && self.entries == other.entries
    }
}

impl Eq for Users {}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({}: {})", self.file.display(), self.entries.len())
    }
}

//! A watch over files that the configuration names: passwords, rules, certificates. Whoever changes them need not tell.
//!
//! Once a second each file is asked for what the system knows of it. A file that is different from before may still be
//! in the making, so it counts as changed only when it looks the same twice in a row. A thread looks; what has changed is
//! told through a channel, and what happens then is not known here.

use crate::companion::Companion;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// How a file looks from outside: where it lies, how long it is, and when it was changed. `None`: it cannot be found.
/// Links are followed, so that a link to another file is another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look(Option<[i128; 5]>);

impl Look {
    fn at(path: &Path) -> Look {
        Look(fs::metadata(path).ok().map(|metadata| {
            let at = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
            [
                i128::from(metadata.dev()),
                i128::from(metadata.ino()),
                i128::from(metadata.size()),
                at(metadata.mtime(), metadata.mtime_nsec()),
                at(metadata.ctime(), metadata.ctime_nsec()),
            ]
        }))
    }
}

/// What is known of the files.
#[derive(Debug)]
pub(crate) struct Looks {
    files: Vec<PathBuf>,
    /// When they were read last.
    known: Vec<Look>,
    /// At the last look.
    latest: Vec<Look>,
}

impl Looks {
    /// The files as they are now.
    pub(crate) fn new(files: Vec<PathBuf>) -> Looks {
        let known: Vec<Look> = files.iter().map(|file| Look::at(file)).collect();
        Looks { files, latest: known.clone(), known }
    }

    /// Look once more: those that are different from when they were read, once they stay as they are. Each change is
    /// told once.
    fn look(&mut self, at: impl Fn(&Path) -> Look) -> Vec<PathBuf> {
        let now: Vec<Look> = self.files.iter().map(|file| at(file)).collect();
        let is_settled = now == self.latest;
        self.latest = now;
        if !is_settled || self.latest == self.known {
            return Vec::new();
        }
        let pairs = self.files.iter().zip(self.latest.iter().zip(&self.known));
        let changed = pairs.filter(|(_, (latest, known))| latest != known).map(|(file, _)| file.clone()).collect();
        self.known.clone_from(&self.latest);
        changed
    }
}

/// The thread that looks; it ends with this value.
#[derive(Debug)]
pub(crate) struct Watch(Companion<Looks>);

impl Watch {
    /// Looks at these files, and calls `tell` with those that have changed.
    pub(crate) fn start(looks: Looks, tell: impl Fn(Vec<PathBuf>) + Send + 'static) -> std::io::Result<Watch> {
        Companion::start("watch", move |others| watch(looks, &others, &tell)).map(Watch)
    }

    /// From now on these files are looked at, as they were at that time.
    pub(crate) fn change(&self, looks: Looks) {
        self.0.tell(looks);
    }
}

fn watch(mut looks: Looks, others: &Receiver<Looks>, tell: &impl Fn(Vec<PathBuf>)) {
    loop {
        match others.recv_timeout(PERIOD) {
            Ok(other) => looks = other,
            Err(RecvTimeoutError::Timeout) => {
                let changed = looks.look(Look::at);
                if !changed.is_empty() {
                    tell(changed);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn look(inode: i128) -> Look {
        Look(Some([0, inode, 0, 0, 0]))
    }

    #[test]
    fn a_change_is_told_once_and_when_it_is_over() {
        let file = PathBuf::from("a");
        let mut looks = Looks { files: vec![file.clone()], known: vec![look(1)], latest: vec![look(1)] };
        let now = Cell::new(look(1));
        let mut at = |what: Look| {
            now.set(what);
            looks.look(|_| now.get())
        };
        assert_eq!(at(look(1)), [""; 0].map(PathBuf::from), "nothing has changed");
        assert!(at(look(2)).is_empty(), "it may not be over");
        assert!(at(Look(None)).is_empty(), "it is not");
        assert!(at(look(3)).is_empty());
        assert_eq!(at(look(3)), std::slice::from_ref(&file));
        assert!(at(look(3)).is_empty(), "it has been told");
        assert!(at(look(4)).is_empty());
        assert!(at(look(3)).is_empty(), "it is as it was when it was read");
        assert!(at(Look(None)).is_empty());
        assert_eq!(at(Look(None)), [file], "that it is gone is a change too");
    }

    #[test]
    fn contents_places_and_links_are_seen() {
        let directory = std::env::temp_dir().join(format!("sori-watch-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("can be made");
        let (a, b, link) = (directory.join("a"), directory.join("b"), directory.join("link"));
        fs::write(&a, "1").expect("can be written");
        fs::write(&b, "1").expect("can be written");
        std::os::unix::fs::symlink(&a, &link).expect("can be made");
        let first = Look::at(&link);
        assert_eq!(first, Look::at(&a));
        fs::remove_file(&link).expect("is there");
        assert_eq!(Look::at(&link), Look(None));
        std::os::unix::fs::symlink(&b, &link).expect("can be made");
        assert_ne!(Look::at(&link), first);
        let before = Look::at(&a);
        fs::write(&a, "22").expect("can be written");
        assert_ne!(Look::at(&a), before);
        fs::remove_dir_all(&directory).expect("is there");
    }
}

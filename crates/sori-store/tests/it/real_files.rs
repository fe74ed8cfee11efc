//! A store in a real directory.

use sori_store::{Committer, Durability, FileDisk, OpenError, Options, Outcome, Piece, State};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is deleted at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sori-store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Directory(std::env::temp_dir().join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options() -> Options {
    Options { reserve_bytes: 64 << 10, ..Options::default() }
}

fn open(path: &Path) -> (Committer, Vec<u8>) {
    let mut found = Vec::new();
    let disk = Arc::new(FileDisk::open(path).expect("the directory is free"));
    let committer = Committer::open(disk, options(), 1, &mut |_, bytes| {
        found.extend_from_slice(bytes);
        Ok(())
    });
    (committer.expect("a whole store"), found)
}

#[test]
fn pieces_are_there_when_the_store_is_opened_again() {
    let directory = Directory::new();
    let path = directory.0.join("deep").join("sori.store");
    let (mut committer, found) = open(&path);
    assert!(found.is_empty());
    let mut blob = vec![5, 0, 0, 0, 0, 0, 0, 0];
    blob.extend_from_slice(b"hello");
    committer.submit(Piece { upto: 1, is_awaited: true, bytes: blob.clone(), blobs: vec![0], ..Piece::default() });
    let outcomes = committer.step(0);
    let [Outcome::Durable { place, .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(committer.reader().read(*place).expect("it was written"), b"hello");
    drop(committer);
    let (committer, found) = open(&path);
    assert_eq!(found.len(), blob.len());
    assert_eq!(committer.reader().read(*place).expect("it was written"), b"hello");
}

/// With the zeros that are written ahead.
#[test]
fn all_files_together_stay_within_the_limit() {
    for limit in [300_000, 1_000_000, 20_000_000] {
        let directory = Directory::new();
        let disk = Arc::new(FileDisk::open(&directory.0).expect("the directory is free"));
        let options = Options { size_limit: Some(limit), durability: Durability::Never, ..Options::default() };
        let mut committer = Committer::open(disk, options, 1, &mut |_, _| Ok(())).expect("a new store");
        let mut is_full = false;
        let mut upto = 0;
        while !is_full {
            upto += 1;
            committer.submit(Piece { upto, is_awaited: true, bytes: vec![7; 5000], ..Piece::default() });
            is_full = committer.step(0).iter().any(|outcome| matches!(outcome, Outcome::State(State::Full)));
            let files = std::fs::read_dir(&directory.0).expect("it is there");
            let bytes: u64 = files.map(|file| file.expect("a file").metadata().expect("its length").len()).sum();
            assert!(bytes <= limit, "{bytes} of {limit}");
        }
        assert!(committer.figures().disk_bytes > limit / 10 * 9);
    }
}

/// CVE-2017-9868 of Mosquitto.
#[test]
fn world_readable_persistence_file_mosquitto_2017_9868() {
    let directory = Directory::new();
    let (committer, _) = open(&directory.0);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&directory.0), 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(&directory.0).expect("a directory") {
        assert_eq!(mode(&entry.expect("a file").path()), 0o600);
        files += 1;
    }
    assert_eq!(files, 3, "a segment, the reserve, the lock");
    drop(committer);
}

/// What the test below runs in another process; without its variable it has nothing to do.
#[test]
fn the_other_process() {
    let Some(path) = std::env::var_os("SORI_STORE_TEST_SECOND_PROCESS") else { return };
    match FileDisk::open(Path::new(&path)) {
        Ok(_) => println!("it is free"),
        Err(error) => println!("refused: {error}"),
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let directory = Directory::new();
    let second = || {
        let test = std::env::current_exe().expect("this program");
        let mut command = Command::new(test);
        command.args(["--exact", "real_files::the_other_process", "--nocapture"]);
        let output = command.env("SORI_STORE_TEST_SECOND_PROCESS", &directory.0).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (committer, _) = open(&directory.0);
    let said = second();
    let expected = format!("refused: the store {} is in use by process {}", directory.0.display(), std::process::id());
    assert!(said.contains(&expected), "{said}");
    drop(committer);
    let said = second();
    assert!(said.contains("it is free"), "{said}");
}

#[test]
fn the_same_process_cannot_open_it_twice() {
    let directory = Directory::new();
    let (_committer, _) = open(&directory.0);
    let refused = FileDisk::open(&directory.0).expect_err("it is in use");
    assert!(matches!(refused, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{refused}");
    // But it can be looked at.
    let looker = FileDisk::open_read_only(&directory.0).expect("everybody may look");
    assert!(sori_store::Disk::list(&looker).expect("a directory").contains(&"00000001.log".to_owned()));
    let refused = sori_store::Disk::remove(&looker, "00000001.log").expect_err("only for reading");
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn a_path_that_cannot_be_a_directory_is_named() {
    let directory = Directory::new();
    std::fs::create_dir(&directory.0).expect("a new directory");
    let file = directory.0.join("file");
    std::fs::write(&file, b"").expect("a new file");
    let refused = FileDisk::open(&file).expect_err("it is a file").to_string();
    assert!(refused.contains(&file.display().to_string()), "{refused}");
}

#[test]
fn files_that_are_not_of_the_store_stay() {
    let directory = Directory::new();
    std::fs::create_dir(&directory.0).expect("a new directory");
    std::fs::write(directory.0.join("notes.txt"), b"mine").expect("a new file");
    std::fs::write(directory.0.join("1.log"), b"mine").expect("a new file");
    let (committer, _) = open(&directory.0);
    assert!(committer.close().is_empty());
    open(&directory.0);
    assert_eq!(std::fs::read(directory.0.join("1.log")).expect("it is there"), b"mine");
    assert_eq!(std::fs::read(directory.0.join("notes.txt")).expect("it is there"), b"mine");
}

//! Every truncation and every single flipped bit of a store: it starts with all that stands before the damage, or refuses and names
//! the file and the offset.
//!
//! The normal run takes a sample of a small store. All of a store of 1 MiB takes some time:
//! `SORI_STORE_DAMAGE=all cargo test --release -p sori-store damage`

use crate::chance::Chance;
use crate::keeper::{Found, Keeper, content, open, random_length};
use sori_store::{Committer, Disk, MemoryDisk, OpenError, Options, Reader};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A store, and how far the log goes at which place.
pub(crate) struct Sample {
    pub(crate) options: Options,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) frames: Vec<SampleFrame>,
    /// What each prefix of the log makes, by the number of its last piece.
    states: BTreeMap<u64, BTreeMap<u64, u64>>,
    pub(crate) tail: String,
}

/// A frame of records.
pub(crate) struct SampleFrame {
    pub(crate) file: String,
    /// Where its payload begins in the file.
    pub(crate) at: u64,
    pub(crate) place: u64,
    pub(crate) payload: Vec<u8>,
    /// The number of its last piece.
    number: u64,
}

impl SampleFrame {
    pub(crate) fn end(&self) -> u64 {
        self.at + self.payload.len() as u64
    }
}

impl Sample {
    /// A store that has had checkpoints and moved messages, about as long as said.
    pub(crate) fn new(bytes: u64) -> Sample {
        let options = Options {
            segment_bytes: (bytes / 8).max(4 << 10),
            reserve_bytes: 100,
            // They begin when the sample wants them.
            checkpoint_bytes_min: u64::MAX,
            store_id: 7,
            ..Options::default()
        };
        let mut keeper = Keeper::new(options.clone(), 2);
        let mut chance = Chance(bytes);
        let mut grow = |keeper: &mut Keeper, bytes: u64, drops: usize| {
            while keeper.committer.figures().disk_bytes < bytes {
                for writer in 0..2 {
                    keeper.submit(writer, &[random_length(&mut chance), 100], drops, true);
                    keeper.step();
                }
            }
        };
        grow(&mut keeper, bytes / 2, 0);
        // What one writer has makes each segment sparse.
        let some = keeper.writers[0].live.len() * 2 / 5;
        keeper.submit(0, &[], some, true);
        keeper.committer.request_checkpoint();
        keeper.settle();
        assert!(keeper.moved_bytes > bytes / 50, "{} bytes moved", keeper.moved_bytes);
        grow(&mut keeper, bytes, 1);
        let files = keeper.disk.files();
        let mut sample = Sample { options, files, frames: Vec::new(), states: BTreeMap::new(), tail: String::new() };
        let mut found = Found::default();
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::with_files(sample.files.clone()));
        Committer::open(disk, sample.options.clone(), 2, &mut |place, payload| {
            if sample.states.is_empty() {
                // A store may be cut off before its first frame.
                sample.states.insert(0, BTreeMap::new());
            }
            found.apply(place, payload)?;
            sample.frames.push(SampleFrame {
                file: format!("{:08}.log", place >> 32),
                at: place & 0xffff_ffff,
                place,
                payload: payload.to_vec(),
                number: found.number,
            });
            sample.states.insert(found.number, found.live.clone());
            Ok(())
        })
        .expect("a whole store");
        let tails: std::collections::BTreeSet<_> = sample.frames.iter().map(|frame| frame.file.clone()).collect();
        assert!(tails.len() > 2 && sample.segments().count() > tails.len(), "{tails:?}");
        sample.tail = sample.files.keys().rfind(|name| name.ends_with(".log")).expect("a segment").clone();
        sample
    }

    /// What must be there though the file is damaged from an offset on.
    fn number_before(&self, file: &str, offset: u64) -> u64 {
        let before = self.frames.iter().filter(|frame| (frame.file.as_str(), frame.end()) <= (file, offset));
        before.map(|frame| frame.number).max().unwrap_or(0)
    }

    /// Opens the store with one file changed at an offset.
    fn check(&self, file: &str, offset: u64, change: impl FnOnce(&mut Vec<u8>)) {
        let mut files = self.files.clone();
        change(files.get_mut(file).expect("a file of the sample"));
        let disk = Arc::new(MemoryDisk::with_files(files));
        match open(&disk, &self.options, 2) {
            Ok((committer, found)) => {
                assert!(file == self.tail, "{file} is damaged at {offset}, and nobody saw it");
                let least = self.number_before(file, offset);
                assert!(found.number >= least, "{file} is damaged at {offset}: {} of {least} are left", found.number);
                let expected = self.states.get(&found.number).expect("a state that there has been");
                assert_eq!(&found.live, expected, "{file} is damaged at {offset}");
                self.check_some_content(&committer.reader(), &found.live, offset);
            }
            Err(OpenError::Damaged { file: named, offset: at, .. }) => {
                // A log that ends too early, between two frames, may lack the one that says which segments have been deleted.
                let is_cut = file == self.tail && !self.files.contains_key(&named);
                assert!(named == *file || is_cut, "{file} is damaged at {offset}, but {named} is named");
                assert!(at <= offset, "{file} is damaged at {offset}, but {at} is named");
            }
            Err(error) => panic!("{file} is damaged at {offset}: {error}"),
        }
    }

    /// All messages would take too long in thousands of rounds.
    fn check_some_content(&self, reader: &Reader, live: &BTreeMap<u64, u64>, seed: u64) {
        for (id, place) in live.iter().skip(seed as usize % 7).step_by(7) {
            assert!(reader.read(*place).expect("it is there") == content(*id));
        }
    }

    fn check_flip(&self, file: &str, bit: u64) {
        self.check(file, bit / 8, |bytes| bytes[bit as usize / 8] ^= 1 << (bit % 8));
    }

    fn check_truncation(&self, file: &str, length: u64) {
        self.check(file, length, |bytes| bytes.truncate(length as usize));
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = (&str, u64)> {
        let segments = self.files.iter().filter(|(name, _)| name.ends_with(".log"));
        segments.map(|(name, bytes)| (name.as_str(), bytes.len() as u64))
    }
}

/// Checks all of a large store, or a sample of a small one.
fn for_all_or_some(step: u64, check: impl Fn(&Sample, &str, u64) + Sync, units_per_byte: u64) {
    let is_all = std::env::var("SORI_STORE_DAMAGE").is_ok_and(|wanted| wanted == "all");
    let (sample, step) = if is_all { (Sample::new(1 << 20), 1) } else { (Sample::new(60 << 10), step) };
    for (file, bytes) in sample.segments() {
        let units = bytes * units_per_byte;
        // Headers and the end of the log are looked at whole.
        let is_special =
            |unit: u64| unit < 128 * units_per_byte || file == sample.tail && units - unit < 300 * units_per_byte;
        let (sample, check) = (&sample, &check);
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                scope.spawn(move || {
                    let mine = (thread..units).step_by(threads as usize);
                    let chosen = mine.filter(|unit| {
                        (unit / threads).is_multiple_of(step) || is_special(*unit) && unit.is_multiple_of(3)
                    });
                    chosen.for_each(|unit| check(sample, file, unit));
                });
            }
        });
    }
}

#[test]
fn damaged_store_every_truncation() {
    for_all_or_some(29, |sample, file, unit| sample.check_truncation(file, unit), 1);
}

#[test]
fn damaged_store_every_single_bit_flip() {
    for_all_or_some(331, |sample, file, unit| sample.check_flip(file, unit), 8);
}

#[test]
fn a_missing_segment_is_named() {
    let sample = Sample::new(60 << 10);
    for (missing, _) in sample.segments() {
        let mut files = sample.files.clone();
        files.remove(missing);
        match open(&Arc::new(MemoryDisk::with_files(files)), &sample.options, 2) {
            // Without the last segment the end of a checkpoint may be missing, and with it which segments were deleted.
            Err(OpenError::Damaged { file, .. }) => {
                assert!(
                    file == missing || missing == sample.tail && !sample.files.contains_key(&file),
                    "{file}, {missing}"
                );
            }
            Ok(_) => assert_eq!(missing, sample.tail, "{missing} is missing, and nobody saw it"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn what_is_not_checked_when_the_store_is_opened_is_checked_when_it_is_read() {
    let mut sample = Sample::new(60 << 10);
    sample.options.verify_bytes_max = 0;
    let (mut opened, mut unreadable) = (0, 0);
    for (file, bytes) in sample.segments() {
        for at in (0..bytes).step_by(97) {
            let mut files = sample.files.clone();
            files.get_mut(file).expect("a segment")[at as usize] ^= 16;
            let disk = Arc::new(MemoryDisk::with_files(files));
            let Ok((committer, found)) = open(&disk, &sample.options, 2) else { continue };
            opened += 1;
            for (id, place) in &found.live {
                match committer.reader().read(*place) {
                    Ok(bytes) => assert!(bytes == content(*id), "wrong data"),
                    Err(error) => {
                        assert_eq!(error.file, file);
                        unreadable += 1;
                    }
                }
            }
        }
    }
    assert!(opened > 20 && unreadable > 20, "{opened} stores opened, {unreadable} messages unreadable");
}

#[test]
fn after_a_clean_end_damage_to_the_last_frame_is_seen_too() {
    let mut keeper = Keeper::new(Options { reserve_bytes: 0, store_id: 7, ..Options::default() }, 1);
    keeper.submit(0, &[100], 0, true);
    keeper.step();
    let (options, disk) = (keeper.options.clone(), Arc::clone(&keeper.disk));
    drop(keeper.committer.close());
    let mut files = disk.files();
    files.get_mut("00000001.log").expect("the first segment")[200] ^= 1;
    let text = open(&Arc::new(MemoryDisk::with_files(files)), &options, 1).err().expect("it is damaged").to_string();
    assert!(text.contains("00000001.log, offset 128") && text.contains("sori store repair"), "{text}");
}

#[test]
fn a_segment_that_ends_too_early_between_two_frames_is_seen() {
    let sample = Sample::new(60 << 10);
    let inner = sample.frames.iter().filter(|frame| frame.file != sample.tail);
    assert!(inner.clone().count() > 10);
    for frame in inner {
        if frame.end() < sample.files[&frame.file].len() as u64 {
            sample.check_truncation(&frame.file, frame.end());
        }
    }
}

#[test]
fn a_segment_that_was_just_begun_is_begun_again() {
    for begun in [0, 60, 128] {
        let mut keeper = Keeper::new(Options { reserve_bytes: 0, store_id: 7, ..Options::default() }, 1);
        keeper.submit(0, &[100], 0, true);
        keeper.step();
        let (durable, mut files) = (keeper.durable, keeper.disk.files());
        files.insert("00000002.log".to_owned(), vec![0; begun]);
        keeper.reopen(MemoryDisk::with_files(files), durable).expect("nothing has ever stood there");
        keeper.committer.request_checkpoint();
        keeper.settle();
        assert_eq!((keeper.committer.figures().checkpoints, &keeper.state), (1, &sori_store::State::Ok));
    }
}

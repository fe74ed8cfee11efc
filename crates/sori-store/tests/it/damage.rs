//! Every truncation and every single flipped bit of a store: it starts with all that stands before the damage, or refuses and names
//! the file and the offset.
//!
//! The normal run takes a sample of a small store. All of a store of 1 MiB, eight million bits, takes some time; it says how far it is:
//! `SORI_STORE_DAMAGE=all cargo test --release -p sori-store --test it damaged_store_every -- --nocapture`

use crate::chance::Chance;
use crate::keeper::{Found, Keeper, content, open, random_length};
use crate::overlay::Overlay;
use sori_store::{Committer, Disk, MemoryDisk, OpenError, Options, Reader};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

    /// How many frames must be there though the file is damaged from an offset on.
    fn frames_before(&self, file: &str, offset: u64) -> usize {
        self.frames.partition_point(|frame| (frame.file.as_str(), frame.end()) <= (file, offset))
    }

    /// Opens the store with one file changed at an offset. What it replays must be what was written, from the first frame on.
    fn check(
        &self,
        shared: &Arc<BTreeMap<String, Vec<u8>>>,
        file: &str,
        offset: u64,
        change: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut bytes = shared[file].clone();
        change(&mut bytes);
        let disk: Arc<dyn Disk> = Arc::new(Overlay::new(shared, file, bytes));
        let mut replayed = 0;
        let opened = Committer::open(disk, self.options.clone(), 2, &mut |place, payload| {
            let expected = self.frames.get(replayed).expect("no more than was written");
            assert!((expected.place, expected.payload.as_slice()) == (place, payload), "{file} is damaged at {offset}");
            replayed += 1;
            Ok(())
        });
        match opened {
            Ok(committer) => {
                assert!(file == self.tail, "{file} is damaged at {offset}, and nobody saw it");
                let least = self.frames_before(file, offset);
                assert!(replayed >= least, "{file} is damaged at {offset}: {replayed} of {least} frames are left");
                let number = replayed.checked_sub(1).map_or(0, |last| self.frames[last].number);
                let live = self.states.get(&number).expect("a state that there has been");
                self.check_some_content(&committer.reader(), live, offset);
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

    pub(crate) fn segments(&self) -> impl Iterator<Item = (&str, u64)> {
        let segments = self.files.iter().filter(|(name, _)| name.ends_with(".log"));
        segments.map(|(name, bytes)| (name.as_str(), bytes.len() as u64))
    }
}

/// How a file may be damaged.
#[derive(Copy, Clone)]
enum Damage {
    /// It ends at one of its bytes.
    Truncation,
    /// One of its bits is another.
    Flip,
}

impl Damage {
    fn units_per_byte(self) -> u64 {
        match self {
            Damage::Truncation => 1,
            Damage::Flip => 8,
        }
    }

    fn check(self, sample: &Sample, shared: &Arc<BTreeMap<String, Vec<u8>>>, file: &str, unit: u64) {
        match self {
            Damage::Truncation => sample.check(shared, file, unit, |bytes| bytes.truncate(unit as usize)),
            Damage::Flip => sample.check(shared, file, unit / 8, |bytes| bytes[unit as usize / 8] ^= 1 << (unit % 8)),
        }
    }
}

/// Checks all of a large store, or each so manieth of a small one. Behind the end of the log stand zeros, as after a crash.
fn for_all_or_some(damage: Damage, step: u64) {
    let is_all = std::env::var("SORI_STORE_DAMAGE").is_ok_and(|wanted| wanted == "all");
    let (mut sample, step) = if is_all { (Sample::new(1 << 20), 1) } else { (Sample::new(60 << 10), step) };
    let tail = sample.tail.clone();
    let tail_bytes = sample.files.get_mut(&tail).expect("it is there");
    tail_bytes.extend_from_slice(&[0; ZEROS]);
    let shared = Arc::new(sample.files.clone());
    let units_per_byte = damage.units_per_byte();
    let files: Vec<(&str, u64)> = sample.segments().map(|(file, bytes)| (file, bytes * units_per_byte)).collect();
    let all: u64 = files.iter().map(|(_, units)| units).sum();
    let check = |mut unit: u64| {
        for (file, units) in &files {
            if unit >= *units {
                unit -= units;
                continue;
            }
            // Headers and the end of the log are looked at whole.
            let is_at_end = *file == tail && units - unit < (300 + ZEROS as u64) * units_per_byte;
            let is_special = unit < 128 * units_per_byte || is_at_end;
            if unit.is_multiple_of(step) || is_special && unit.is_multiple_of(3) {
                damage.check(&sample, &shared, file, unit);
            }
            return;
        }
    };
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let unit = next.fetch_add(1, Ordering::Relaxed);
            if unit >= all {
                return;
            }
            check(unit);
            if is_all && unit.is_multiple_of(all / 1000 + 1) {
                println!("{unit} of {all}");
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    if is_all {
        println!("all {all}, in {} segments", files.len());
    }
}

const ZEROS: usize = 100;

#[test]
fn damaged_store_every_truncation() {
    for_all_or_some(Damage::Truncation, 29);
}

#[test]
fn damaged_store_every_single_bit_flip() {
    for_all_or_some(Damage::Flip, 331);
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
    let shared = Arc::new(sample.files.clone());
    let inner = sample.frames.iter().filter(|frame| frame.file != sample.tail);
    assert!(inner.clone().count() > 10);
    for frame in inner {
        if frame.end() < sample.files[&frame.file].len() as u64 {
            Damage::Truncation.check(&sample, &shared, &frame.file, frame.end());
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

//! Looking at stores, mending them, and copying them while they are in use.

use crate::chance::Chance;
use crate::damage::Sample;
use crate::keeper::{Found, Keeper, content, open};
use sori_store::{
    BackupError, Disk, Finding, MemoryDisk, OpenError, Operation, Options, Progress, Records, Refusal, Repaired,
    Severity, backup, read, repair, verify,
};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

type Files = BTreeMap<String, Vec<u8>>;

/// The owner of the records. It refuses pieces with one number.
#[derive(Default)]
struct Owner {
    found: Found,
    refused: Option<u64>,
}

impl Records for Owner {
    fn begin(&mut self) {
        self.found = Found::default();
    }

    fn frame(&mut self, place: u64, bytes: &[u8]) -> Result<(), Refusal> {
        self.found.apply(place, bytes)?;
        if self.refused == Some(self.found.number) { Err("it makes no sense".into()) } else { Ok(()) }
    }
}

fn damage(files: &Files) -> Vec<Finding> {
    let findings =
        verify(&MemoryDisk::with_files(files.clone()), &mut |_, _| Ok(()), &mut |_| ()).expect("it can be read");
    findings.into_iter().filter(|finding| finding.severity == Severity::Damage).collect()
}

/// Repairs, and opens what comes out.
fn mend(sample: &Sample, files: &Files, refused: Option<u64>) -> (Found, Files, Repaired) {
    let disk = Arc::new(MemoryDisk::with_files(files.clone()));
    let mut owner = Owner { refused, ..Owner::default() };
    let repaired = repair(&*disk, &mut owner, &mut |_| ()).expect("it can be repaired");
    let files = disk.files();
    let left = damage(&files);
    assert!(left.is_empty(), "{left:?}");
    let (committer, found) = open(&disk, &sample.options, 2).expect("it is whole again");
    for (id, place) in &found.live {
        // A message may be lost, but none has other bytes than it was given.
        assert!(committer.reader().read(*place).is_ok_and(|bytes| bytes == content(*id)) || !repaired.lost.is_empty());
    }
    (found, files, repaired)
}

/// What is left if all frames but some are replayed.
fn without(sample: &Sample, is_lost: impl Fn(&str, u64, u64) -> bool) -> Vec<u64> {
    let mut found = Found::default();
    for frame in &sample.frames {
        if !is_lost(&frame.file, frame.at - 32, frame.end()) {
            found.apply(frame.place, &frame.payload).expect("it is whole");
        }
    }
    found.live.into_keys().collect()
}

#[test]
fn a_whole_store_has_nothing_to_be_repaired() {
    let sample = Sample::new(60 << 10);
    assert_eq!(damage(&sample.files), []);
    let mut seen = Vec::new();
    verify(&MemoryDisk::with_files(sample.files.clone()), &mut |_, _| Ok(()), &mut |progress| seen.push(progress))
        .expect("it can be read");
    let bytes = sample.segments().map(|(_, bytes)| bytes).sum();
    assert_eq!(seen.last(), Some(&Progress { bytes_done: bytes, bytes_total: bytes }));
    let (_, files, repaired) = mend(&sample, &sample.files, None);
    assert_eq!((files, repaired), (sample.files.clone(), Repaired::default()));
}

#[test]
fn repair_loses_the_damaged_frame_and_nothing_else() {
    let sample = Sample::new(60 << 10);
    for (file, bytes) in sample.segments() {
        for at in (0..bytes).step_by(331).chain(0..130) {
            let mut files = sample.files.clone();
            files.get_mut(file).expect("a segment")[at as usize] ^= 4;
            let findings = damage(&files);
            if findings.is_empty() {
                // It may as well be a torn end, and is cut off when the store is opened.
                assert_eq!(file, sample.tail);
                continue;
            }
            assert!(
                findings.iter().any(|finding| finding.file == file && finding.offset <= at),
                "{file} {at}: {findings:?}"
            );
            let (found, mended, repaired) = mend(&sample, &files, None);
            let expected = without(&sample, |other, from, to| other == file && (from..to).contains(&at));
            if file != sample.tail {
                // At the end of the log what follows the damage is cut off, if nothing says that it was durable.
                assert_eq!(found.live.into_keys().collect::<Vec<_>>(), expected, "{file} {at}");
            }
            let copy = repaired.copies.iter().find(|copy| copy.starts_with(file)).expect("a copy of the damaged file");
            assert_eq!(mended.get(copy), files.get(file));
        }
    }
}

#[test]
fn repair_of_a_file_that_was_cut_off_keeps_all_other_files() {
    let sample = Sample::new(60 << 10);
    for (file, bytes) in sample.segments() {
        for length in (0..bytes).step_by(499) {
            let mut files = sample.files.clone();
            files.get_mut(file).expect("a segment").truncate(length as usize);
            if damage(&files).is_empty() {
                continue;
            }
            let (found, ..) = mend(&sample, &files, None);
            let expected = without(&sample, |other, _, to| other == file && to > length);
            assert!(file != sample.tail, "a log may end anywhere");
            assert_eq!(found.live.into_keys().collect::<Vec<_>>(), expected, "{file} {length}");
        }
    }
}

#[test]
fn repair_goes_on_without_a_missing_segment() {
    let sample = Sample::new(60 << 10);
    for (missing, _) in sample.segments() {
        let mut files = sample.files.clone();
        files.remove(missing);
        if damage(&files).is_empty() {
            continue;
        }
        let (found, ..) = mend(&sample, &files, None);
        let expected = without(&sample, |other, _, _| other == missing);
        assert_eq!(found.live.into_keys().collect::<Vec<_>>(), expected, "{missing}");
    }
}

#[test]
fn repair_drops_frames_that_their_owner_refuses() {
    let sample = Sample::new(60 << 10);
    let frame = &sample.frames[sample.frames.len() / 2];
    let mut found = Found::default();
    found.apply(frame.place, &frame.payload).expect("it is whole");
    let (left, files, repaired) = mend(&sample, &sample.files, Some(found.number));
    let expected = without(&sample, |file, from, to| file == frame.file && (from..to).contains(&frame.at));
    assert_eq!(left.live.into_keys().collect::<Vec<_>>(), expected);
    assert!(matches!(&repaired.lost[..], [lost] if lost.text == "it makes no sense" && lost.file == frame.file));
    // Once more, nothing is damaged, and the copies stay.
    let (_, again, repaired) = mend(&sample, &files, None);
    assert_eq!((again, repaired), (files, Repaired::default()));
}

/// What a start would refuse is told, and only that: nobody replays what stands before the checkpoint.
#[test]
fn records_that_cannot_be_read_are_found() {
    let sample = Sample::new(60 << 10);
    let disk = MemoryDisk::with_files(sample.files.clone());
    let refused = sample.frames.len() / 2;
    for is_newer in [false, true] {
        let frame = &sample.frames[refused];
        let mut understand = |place, _: &[u8]| match place < sample.frames[0].place || place == frame.place {
            true => Err(Refusal { text: "what is this?".to_owned(), is_newer }),
            false => Ok(()),
        };
        let findings = verify(&disk, &mut understand, &mut |_| ()).expect("it can be looked at");
        let found: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Note).collect();
        let severity = if is_newer { Severity::Newer } else { Severity::Damage };
        let (file, offset, text) = (frame.file.clone(), frame.at - 32, "what is this?".to_owned());
        assert_eq!(found, [&Finding { file, offset, text, severity }]);
    }
}

/// It is for that version to do something about it.
#[test]
fn repair_changes_nothing_of_a_newer_version() {
    struct Older;
    impl Records for Older {
        fn begin(&mut self) {}

        fn frame(&mut self, _: u64, _: &[u8]) -> Result<(), Refusal> {
            Err(Refusal { text: "what is this?".to_owned(), is_newer: true })
        }
    }
    let files = Sample::new(60 << 10).files;
    let disk = MemoryDisk::with_files(files.clone());
    let error = repair(&disk, &mut Older, &mut |_| ()).expect_err("it is left to that version");
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(disk.files(), files);
}

#[test]
fn a_repaired_store_goes_on() {
    let sample = Sample::new(60 << 10);
    let mut files = sample.files.clone();
    let (file, _) = sample.segments().next().expect("a segment");
    let file = file.to_owned();
    files.get_mut(&file).expect("a segment").truncate(1000);
    let (_, files, _) = mend(&sample, &files, None);
    let disk = Arc::new(MemoryDisk::with_files(files));
    let (mut committer, found) = open(&disk, &sample.options, 1).expect("it is whole again");
    let piece =
        sori_store::Piece { is_awaited: true, bytes: vec![0, 255, 255, 0, 0, 0, 0, 0, 0], ..Default::default() };
    committer.submit(piece);
    assert_eq!(committer.step(0).len(), 1);
    drop(committer.close());
    let (_, again) = open(&disk, &sample.options, 1).expect("still");
    assert_eq!((again.number, again.live), (65535, found.live));
}

#[test]
fn a_torn_end_is_no_damage() {
    let sample = Sample::new(60 << 10);
    let mut files = sample.files.clone();
    files.get_mut(&sample.tail).expect("a segment").extend_from_slice(&[7; 1000]);
    let findings = verify(&MemoryDisk::with_files(files), &mut |_, _| Ok(()), &mut |_| ()).expect("it can be read");
    let notes: Vec<_> = findings.iter().filter(|finding| finding.file == sample.tail).collect();
    assert!(
        matches!(&notes[..], [note] if note.severity == Severity::Note && note.text.contains("1000 bytes")),
        "{notes:?}"
    );
}

/// A store that goes on working whenever somebody reads from it.
struct InUse {
    disk: Arc<MemoryDisk>,
    keeper: Mutex<(Keeper, Chance)>,
    /// No read gives more.
    read_bytes_max: usize,
}

impl InUse {
    fn look<T>(&self, look: impl FnOnce(&Keeper) -> T) -> T {
        look(&self.keeper.lock().expect("no panic").0)
    }

    fn new(seed: u64, read_bytes_max: usize) -> InUse {
        let options = Options {
            segment_bytes: 16 << 10,
            reserve_bytes: 100,
            checkpoint_bytes_min: 16 << 10,
            store_id: seed,
            ..Options::default()
        };
        let (mut keeper, mut chance) = (Keeper::new(options, 2), Chance(seed));
        (0..300).for_each(|_| keeper.random_turn(&mut chance));
        InUse { disk: Arc::clone(&keeper.disk), keeper: Mutex::new((keeper, chance)), read_bytes_max }
    }
}

impl Disk for InUse {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn length(&self, name: &str) -> io::Result<u64> {
        self.disk.length(name)
    }
    fn read(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let (keeper, chance) = &mut *self.keeper.lock().expect("no panic");
        for _ in 0..chance.below(6) {
            keeper.random_turn(chance);
        }
        let bytes = into.len().min(self.read_bytes_max);
        self.disk.read(name, offset, &mut into[..bytes])
    }
    fn create(&self, _: &str) -> io::Result<()> {
        unreachable!("it is only read")
    }
    fn append(&self, _: &str, _: &[u8]) -> io::Result<()> {
        unreachable!("it is only read")
    }
    fn overwrite(&self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
        unreachable!("it is only read")
    }
    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        unreachable!("it is only read")
    }
    fn sync(&self, _: &str) -> io::Result<()> {
        unreachable!("it is only read")
    }
    fn sync_directory(&self) -> io::Result<()> {
        unreachable!("it is only read")
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        unreachable!("it is only read")
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        unreachable!("it is only read")
    }
}

#[test]
fn a_backup_of_a_store_in_use_is_a_state_that_there_was() {
    let mut deleted_meanwhile = 0;
    for seed in 0..12 {
        // In small bits, so that much happens in between.
        let source = InUse::new(seed, 4000);
        let (durable, before) = source.look(|keeper| (keeper.durable, keeper.cleaned_segments));
        let copy = MemoryDisk::new();
        let mut last = None;
        backup(&source, &copy, &mut |progress| last = Some(progress)).expect("it can be copied");
        assert!(last.is_some_and(|last| last.bytes_done == last.bytes_total), "{last:?}");
        let (mut keeper, _) = source.keeper.into_inner().expect("no panic");
        deleted_meanwhile += keeper.cleaned_segments - before;
        assert_eq!(damage(&copy.files()), []);
        assert_eq!(copy.after_power_cut(seed).files(), copy.files(), "all is synced");
        keeper.reopen(copy, durable).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    assert!(deleted_meanwhile > 10, "{deleted_meanwhile}");
}

#[test]
fn a_store_in_use_is_whole_whatever_is_deleted_meanwhile() {
    let mut deleted_meanwhile = 0;
    for seed in 0..40 {
        let store = InUse::new(seed, usize::MAX);
        let before = store.look(|keeper| keeper.cleaned_segments);
        let findings =
            verify(&store, &mut |_, _| Ok(()), &mut |_| ()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let damage: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Damage).collect();
        assert!(damage.is_empty(), "seed {seed}: {damage:?}");
        deleted_meanwhile += store.look(|keeper| keeper.cleaned_segments) - before;
    }
    assert!(deleted_meanwhile > 10, "{deleted_meanwhile}");
}

#[test]
fn damage_to_what_nobody_needs_is_none() {
    let options =
        Options { segment_bytes: 4 << 10, reserve_bytes: 100, checkpoint_bytes_min: u64::MAX, ..Options::default() };
    let mut keeper = Keeper::new(options.clone(), 1);
    (0..40).for_each(|_| {
        keeper.submit(0, &[500], 0, true);
        keeper.step();
    });
    let before = keeper.disk.files();
    keeper.submit(0, &[], 40, true);
    keeper.committer.request_checkpoint();
    keeper.settle();
    let mut files = keeper.disk.files();
    let (name, leftover) = before.into_iter().find(|(name, _)| !files.contains_key(name)).expect("it was deleted");
    for at in (0..leftover.len()).step_by(97) {
        let mut leftover = leftover.clone();
        leftover[at] ^= 1;
        files.insert(name.clone(), leftover);
        let findings =
            verify(&MemoryDisk::with_files(files.clone()), &mut |_, _| Ok(()), &mut |_| ()).expect("it can be read");
        let of_leftover: Vec<_> = findings.iter().filter(|finding| finding.file == name).collect();
        assert!(
            matches!(&of_leftover[..], [note] if note.severity == Severity::Note && note.text.contains("will be deleted")),
            "{at}: {of_leftover:?}"
        );
        assert_eq!(damage(&files), []);
        let disk = Arc::new(MemoryDisk::with_files(files.clone()));
        open(&disk, &options, 1).expect("as whole as it was");
        assert!(!disk.files().contains_key(&name), "opening deletes it");
    }
}

#[test]
fn who_reads_a_store_changes_nothing_in_it() {
    let sample = Sample::new(60 << 10);
    let mut files = sample.files.clone();
    files.get_mut(&sample.tail).expect("a segment").extend_from_slice(&[7; 1000]);
    files.insert("00099999.log".to_owned(), vec![0; 50]);
    files.remove("reserve");
    let disk = Arc::new(MemoryDisk::with_files(files.clone()));
    let fails = |operation, _: &str| (operation != Operation::Read).then(|| io::Error::other("it is only read"));
    disk.set_faults(Some(Box::new(fails)));
    let mut found = Found::default();
    let reader = read(disk.clone(), &mut |place, bytes| Ok(found.apply(place, bytes)?)).expect("it is whole");
    assert_eq!(found.live.keys().copied().collect::<Vec<_>>(), without(&sample, |_, _, _| false));
    for (id, place) in &found.live {
        assert!(reader.read(*place).is_ok_and(|bytes| bytes == content(*id)));
    }
    assert_eq!(disk.files(), files);
}

#[test]
fn where_no_store_is_none_is_read() {
    match read(Arc::new(MemoryDisk::new()), &mut |_, _| Ok(())) {
        Err(OpenError::Io { error, .. }) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        other => panic!("{:?}", other.map(drop)),
    }
}

#[test]
fn a_backup_does_not_replace_another() {
    let sample = Sample::new(60 << 10);
    let source = MemoryDisk::with_files(sample.files.clone());
    let copy = MemoryDisk::new();
    backup(&source, &copy, &mut |_| ()).expect("an empty directory");
    let refused = backup(&source, &copy, &mut |_| ()).expect_err("it is not empty");
    assert!(refused.to_string().contains("there is a store already"), "{refused}");
}

#[test]
fn a_copy_that_finds_no_room_says_that_it_is_the_copy() {
    let sample = Sample::new(60 << 10);
    let source = MemoryDisk::with_files(sample.files.clone());
    let copy = MemoryDisk::new();
    copy.set_capacity(Some(40 << 10));
    match backup(&source, &copy, &mut |_| ()) {
        Err(BackupError::Copy(OpenError::Io { what, error })) => {
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(what.starts_with("write 000000"), "{what}");
        }
        other => panic!("{other:?}"),
    }
    source.set_faults(Some(Box::new(|operation, _| (operation == Operation::Read).then(|| io::Error::other("no")))));
    match backup(&source, &MemoryDisk::new(), &mut |_| ()) {
        Err(BackupError::Store(OpenError::Io { what, .. })) => assert!(what.starts_with("read 000000"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_store_is_not_backed_up_as_if_it_were_whole() {
    let sample = Sample::new(60 << 10);
    let mut files = sample.files.clone();
    let (first, _) = sample.segments().next().expect("a segment");
    files.get_mut(first).expect("a segment")[1000] ^= 1;
    match backup(&MemoryDisk::with_files(files), &MemoryDisk::new(), &mut |_| ()) {
        Err(BackupError::Store(OpenError::Damaged { file, .. })) => assert_eq!(file, first),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_length_of_the_last_segments_header_can_be_looked_at_and_mended() {
    let sample = Sample::new(60 << 10);
    for length in 0..=130 {
        let mut files = sample.files.clone();
        files.get_mut(&sample.tail).expect("a segment").truncate(length);
        mend(&sample, &files, None);
    }
}

//! Whatever a directory holds, opening it as a store ends with a store or with an error, and so does everything else that is done to
//! it: reading what it says is there, looking for damage, mending it.
//!
//! The checksums would keep a fuzzer out, so the bytes are a recipe: headers and frames get the right ones. What comes out of a
//! repair must be a store that opens.

#![no_main]

use std::collections::BTreeMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sori_store::{Committer, Disk, MemoryDisk, OpenError, Options, Piece, Records, Refusal, Severity, repair, verify};

fuzz_target!(|data: &[u8]| {
    let files = Recipe { left: data }.files();
    open(&files);
    let disk = MemoryDisk::with_files(files);
    let Ok(findings) = verify(&disk, &mut |_, _| Ok(()), &mut |_| ()) else { return };
    let is_damaged = findings.iter().any(|finding| finding.severity == Severity::Damage);
    if let Ok(repaired) = repair(&disk, &mut Anything, &mut |_| ()) {
        assert_eq!(is_damaged, !repaired.lost.is_empty());
        assert_eq!(
            is_damaged,
            !repaired.copies.is_empty() || repaired.lost.iter().any(|lost| lost.text.contains("missing"))
        );
    }
});

/// Opens a store, reads from places all over it, and goes on with it.
fn open(files: &BTreeMap<String, Vec<u8>>) {
    let disk = Arc::new(MemoryDisk::with_files(files.clone()));
    let options = || Options { reserve_bytes: 0, segment_bytes: 4096, ..Options::default() };
    let mut places = Vec::new();
    let opened = Committer::open(Arc::clone(&disk) as Arc<dyn Disk>, options(), 1, &mut |place, bytes| {
        places.extend((0..bytes.len().min(64) as u64).map(|offset| place + offset));
        Ok(())
    });
    match opened {
        Ok(mut committer) => {
            let reader = committer.reader();
            places.iter().for_each(|place| drop(reader.read(*place)));
            let mut piece = Piece { is_awaited: true, bytes: vec![1; 100], ..Piece::default() };
            for place in places {
                piece.references.push(piece.bytes.len() as u32);
                piece.bytes.extend_from_slice(&place.to_le_bytes());
            }
            committer.submit(piece);
            committer.request_checkpoint();
            (0..8).for_each(|now| drop(committer.step(now)));
            committer.close();
            Committer::open(disk, options(), 1, &mut |_, _| Ok(())).map(drop).expect("what was closed opens again");
        }
        // Nothing has been changed.
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(matches!(error, OpenError::Io { .. }) || &disk.files() == files);
        }
    }
}

struct Anything;

impl Records for Anything {
    fn begin(&mut self) {}

    fn frame(&mut self, _: u64, _: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }
}

struct Recipe<'a> {
    left: &'a [u8],
}

impl Recipe<'_> {
    fn byte(&mut self) -> u8 {
        let (byte, left) = self.left.split_first().map_or((0, self.left), |(byte, left)| (*byte, left));
        self.left = left;
        byte
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    fn files(&mut self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut sequence = 1;
        for _ in 0..self.byte() % 5 {
            let segment = u32::from(self.byte() % 8);
            let file = self.segment(segment, &mut sequence);
            files.insert(format!("{segment:08}.log"), file);
        }
        files
    }

    fn segment(&mut self, segment: u32, sequence: &mut u64) -> Vec<u8> {
        let mut file = b"sori.log".to_vec();
        file.extend(1u32.to_le_bytes());
        file.extend(segment.to_le_bytes());
        file.extend(STORE_ID.to_le_bytes());
        file.extend(sequence.to_le_bytes());
        file.extend(u64::from(self.byte() % 4).to_le_bytes());
        file.extend(u32::from(self.byte() % 8).to_le_bytes());
        file.resize(60, 0);
        let crc = crc32fast::hash(&file);
        file.extend(crc.to_le_bytes());
        file.extend_from_within(..);
        while !self.left.is_empty() {
            match self.byte() {
                0..=7 => break,
                kind @ 8..=200 => self.frame(kind % 8, segment, sequence, &mut file),
                201..=220 => {
                    let count = self.byte().into();
                    file.extend(self.bytes(count));
                }
                221..=235 => {
                    let at = usize::from(self.byte()) * 256 + usize::from(self.byte());
                    if let Some(byte) = file.get_mut(at) {
                        *byte ^= 0x10;
                    }
                }
                _ => file.truncate(file.len().saturating_sub(self.byte().into())),
            }
        }
        file
    }

    fn frame(&mut self, kind: u8, segment: u32, sequence: &mut u64, file: &mut Vec<u8>) {
        let length = self.byte().into();
        let payload = self.bytes(length);
        let at = file.len() as u64;
        let (ahead, synced) = (u64::from(self.byte() % 16 == 1), u64::from(self.byte() % 8));
        *sequence += ahead;
        let synced_upto = if kind == 6 { *sequence + synced } else { sequence.saturating_sub(1 + synced) };
        let mut rest = crc32fast::hash(&payload).to_le_bytes().to_vec();
        rest.extend((payload.len() as u32).to_le_bytes());
        rest.extend([kind, 0, 0, 0]);
        rest.extend(sequence.to_le_bytes());
        rest.extend(synced_upto.to_le_bytes());
        let mut covered = STORE_ID.to_le_bytes().to_vec();
        covered.extend(segment.to_le_bytes());
        covered.extend(at.to_le_bytes());
        covered.extend(&rest);
        file.extend(crc32fast::hash(&covered).to_le_bytes());
        file.extend(rest);
        file.extend(payload);
        *sequence = if kind == 6 { synced_upto } else { *sequence } + 1;
    }
}

const STORE_ID: u64 = 7;

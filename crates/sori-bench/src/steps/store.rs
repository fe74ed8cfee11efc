//! Records on their way to a disk that is in memory.

use std::io;
use std::sync::Arc;

use sori_store::{Committer, MemoryDisk, Options, Piece};

use super::{Prepared, Step};

const PIECES: u64 = 100;

pub(super) const STEPS: [Step; 2] = [
    Step::new("store-append", "a piece of 100 bytes with a blob, 100 in each commit", || appending(100)),
    Step::new("store-append-4k", "the same of 4 KiB", || appending(4096)),
];

fn appending(length: usize) -> io::Result<Prepared> {
    // Always the same name and no checkpoint, so that each run does the same.
    let options = Options { store_id: 1, checkpoint_bytes_min: u64::MAX, reserve_bytes: 0, ..Options::default() };
    let disk = Arc::new(MemoryDisk::new());
    let mut committer = Committer::open(disk, options, 1, &mut |_, _| Ok(())).map_err(io::Error::other)?;
    let mut number = 0;
    Ok(Prepared::new(PIECES, move |counting| {
        let pieces: Vec<Piece> = (1..=PIECES).map(|at| piece(number + at, length)).collect();
        number += PIECES;
        counting.work(|| {
            pieces.into_iter().for_each(|piece| committer.submit(piece));
            let outcomes = committer.step(number);
            assert_eq!(outcomes.len() as u64, PIECES, "all is durable");
        });
    }))
}

/// As a message makes it: the length of the blob, room for its checksum, its bytes.
fn piece(upto: u64, length: usize) -> Piece {
    let mut bytes = vec![0x55; length];
    bytes[..4].copy_from_slice(&(length as u32 - 8).to_le_bytes());
    Piece { upto, is_awaited: true, bytes, blobs: vec![0], ..Piece::default() }
}

//! How fast a disk takes batches, without a store and through one: the reference for the store's own rate.
//!
//! ```text
//! cargo run --release -p sori-store --example probe -- DIRECTORY                 # batches of several lengths
//! cargo run --release -p sori-store --example probe -- DIRECTORY 4096 65536      # these lengths, 200 of each
//! cargo run --release -p sori-store --example probe -- DIRECTORY --list FILE     # one length per line, in this order
//! ```
//!
//! `plain` appends each batch to a file and syncs it. `store` submits the same bytes as pieces of at most 256 bytes and steps once
//! per batch; frames of 32 bytes come on top. `cpu` is what the program itself and the system calls took, per piece.

use sori_store::{Committer, Durability, FileDisk, MemoryDisk, Options, Outcome, Piece};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("which directory? it must not hold a store")?);
    let rest: Vec<String> = arguments.collect();
    std::fs::create_dir_all(&directory)?;
    println!("{:>10} {:>6}  {:8} {:>9} {:>10} {:>9} {:>12}", "batch", "count", "", "MB/s", "batches/s", "p50", "cpu");
    for batches in batches(&rest)? {
        // Twice, so that a disk that becomes slower or faster shows.
        for _ in 0..2 {
            report(&batches, "plain", &plain(&directory, &batches)?);
            report(&batches, "store", &store(&directory, &batches)?);
        }
    }
    println!("without a disk: {:?} per piece of 100 bytes, 100 in each commit", without_disk()?);
    Ok(())
}

fn batches(arguments: &[String]) -> Result<Vec<Vec<usize>>, Failure> {
    match arguments {
        [option, file] if option == "--list" => {
            let lengths: Result<Vec<usize>, _> =
                std::fs::read_to_string(file)?.split_whitespace().map(str::parse).collect();
            Ok(vec![lengths?])
        }
        [] => Ok([300, 4 << 10, 32 << 10, 256 << 10, 1 << 20].map(|length| vec![length; 200]).to_vec()),
        lengths => lengths.iter().map(|length| Ok(vec![length.parse()?; 200])).collect(),
    }
}

/// What writing all batches took.
struct Measured {
    whole: Duration,
    each: Vec<Duration>,
    cpu_per_piece: Option<Duration>,
}

fn report(batches: &[usize], what: &str, measured: &Measured) {
    let bytes: usize = batches.iter().sum();
    let seconds = measured.whole.as_secs_f64();
    let mut each = measured.each.clone();
    each.sort_unstable();
    let p50 = each.get(each.len() / 2).copied().unwrap_or_default();
    let cpu = measured.cpu_per_piece.map_or(String::new(), |cpu| format!("{cpu:.2?}"));
    println!(
        "{:>10} {:>6}  {what:8} {:>9.2} {:>10.0} {:>9.2?} {cpu:>12}",
        bytes / batches.len().max(1),
        batches.len(),
        bytes as f64 / 1e6 / seconds,
        batches.len() as f64 / seconds,
        p50,
    );
}

fn plain(directory: &Path, batches: &[usize]) -> Result<Measured, Failure> {
    let path = directory.join("probe.plain");
    let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
    let bytes = vec![0x55; batches.iter().copied().max().unwrap_or(0)];
    let (start, mut each) = (Instant::now(), Vec::new());
    for length in batches {
        let before = Instant::now();
        file.write_all(&bytes[..*length])?;
        file.sync_data()?;
        each.push(before.elapsed());
    }
    let whole = start.elapsed();
    std::fs::remove_file(path)?;
    Ok(Measured { whole, each, cpu_per_piece: None })
}

fn store(directory: &Path, batches: &[usize]) -> Result<Measured, Failure> {
    let path = directory.join("probe.store");
    let disk = Arc::new(FileDisk::open(&path)?);
    let mut committer = Committer::open(disk, Options::default(), 1, &mut |_, _| Ok(()))?;
    let (start, mut each, mut pieces) = (Instant::now(), Vec::new(), 0);
    let cpu = cpu_time();
    for length in batches {
        let before = Instant::now();
        for part in parts(*length) {
            pieces += 1;
            committer.submit(piece(pieces, part));
        }
        let outcomes = committer.step(start.elapsed().as_millis() as u64);
        let last = outcomes.iter().rev().find_map(|outcome| match outcome {
            Outcome::Durable { upto, .. } => Some(*upto),
            _ => None,
        });
        assert_eq!(last, Some(pieces), "all is durable");
        each.push(before.elapsed());
    }
    let whole = start.elapsed();
    let cpu_per_piece = Some((cpu_time() - cpu) / pieces.max(1) as u32);
    drop(committer);
    std::fs::remove_dir_all(path)?;
    Ok(Measured { whole, each, cpu_per_piece })
}

/// What the committer itself costs: checksums, copies, outcomes.
fn without_disk() -> Result<Duration, Failure> {
    let options = Options { durability: Durability::Never, checkpoint_bytes_min: u64::MAX, ..Options::default() };
    let mut committer = Committer::open(Arc::new(MemoryDisk::new()), options, 1, &mut |_, _| Ok(()))?;
    let mut spent = Duration::ZERO;
    for batch in 0..2000 {
        let pieces: Vec<Piece> = (0..100).map(|at| piece(batch * 100 + at, 100)).collect();
        let start = Instant::now();
        pieces.into_iter().for_each(|piece| committer.submit(piece));
        let outcomes = committer.step(batch);
        spent += start.elapsed();
        assert_eq!(outcomes.len(), 100);
    }
    Ok(spent / 200_000)
}

fn parts(length: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(PIECE_BYTES).map(move |at| PIECE_BYTES.min(length - at))
}

/// A piece with one blob, as a message makes.
fn piece(upto: u64, length: usize) -> Piece {
    let mut bytes = vec![0x55; length];
    let mut blobs = Vec::new();
    if let Some(length) = length.checked_sub(8) {
        bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
        blobs.push(0);
    }
    Piece { upto, is_awaited: true, bytes, blobs, ..Piece::default() }
}

/// What this process has used, as far as the operating system tells.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

const PIECE_BYTES: usize = 256;

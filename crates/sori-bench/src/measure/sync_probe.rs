//! How long one append and fdatasync takes in a directory, right now.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) struct SyncProbe {
    file: File,
    /// In microseconds.
    pub(super) latencies: Vec<u64>,
}

impl SyncProbe {
    pub(super) fn new(directory: &Path) -> io::Result<SyncProbe> {
        let file = OpenOptions::new().create(true).append(true).open(directory.join("sync-probe"))?;
        Ok(SyncProbe { file, latencies: Vec::new() })
    }

    pub(super) fn measure(&mut self, bytes: usize) -> io::Result<Duration> {
        let block = vec![7; bytes];
        let began = Instant::now();
        self.file.write_all(&block)?;
        self.file.sync_data()?;
        let took = began.elapsed();
        self.latencies.push(took.as_micros() as u64);
        Ok(took)
    }

    /// In microseconds.
    pub(super) fn median(&mut self) -> u64 {
        self.latencies.sort_unstable();
        super::percentile(&self.latencies, 50)
    }
}

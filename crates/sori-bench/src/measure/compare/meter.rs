//! What a broker takes for one part of a scenario.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::process;

pub(super) struct Meter {
    process: u32,
}

/// What was measured. What is not a number was not.
#[derive(Debug, Clone)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// Messages, connections or filters.
    pub(super) operations: u64,
    pub(super) cpu: Duration,
    pub(super) elapsed: Duration,
    pub(super) p99_us: f64,
    pub(super) bytes_per_item: f64,
    pub(super) lost: u64,
}

/// What was freed in the last turn goes back to the system a moment later.
const REST: Duration = Duration::from_millis(500);

impl Meter {
    pub(super) fn new(process: u32) -> Meter {
        Meter { process }
    }

    /// Measures `work`, which is `operations` of something unless it counts them itself.
    pub(super) fn phase<R>(
        &self,
        name: &'static str,
        operations: u64,
        work: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<(Phase, R)> {
        let (before, began) = (process::cpu_time_exact(self.process)?, Instant::now());
        let result = work()?;
        let elapsed = began.elapsed();
        let cpu = process::cpu_time_exact(self.process)?.saturating_sub(before);
        let phase = Phase { name, operations, cpu, elapsed, p99_us: f64::NAN, bytes_per_item: f64::NAN, lost: 0 };
        Ok((phase, result))
    }

    /// Resident memory of the broker when it has nothing to do.
    pub(super) fn resident(&self) -> io::Result<u64> {
        thread::sleep(REST);
        process::resident(self.process)
    }
}

impl Phase {
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.as_nanos() as f64 / 1000.0 / self.operations as f64
    }

    pub(super) fn per_second(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }

    /// The memory that came with what the phase has brought.
    pub(super) fn with_memory(self, before: u64, after: u64) -> Phase {
        let bytes_per_item = (after as f64 - before as f64) / self.operations as f64;
        Phase { bytes_per_item, ..self }
    }
}

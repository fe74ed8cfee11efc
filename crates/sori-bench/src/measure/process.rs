//! What the system knows of a process, and the end of one that another started.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Linux counts processor time in hundredths of a second, on every machine we know.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time of all its threads, in user mode and in the kernel.
pub(super) fn cpu_time(process: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold blanks; utime and stime are the 14th and 15th field.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |position: usize| fields.get(position).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS_PER_SECOND))
}

/// The same of the threads that run now, to the nanosecond.
pub(super) fn cpu_time_exact(process: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // "time on a processor, time in a queue, turns"; a thread may have ended meanwhile.
        let schedstat = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += schedstat.split_whitespace().next().and_then(|time| time.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory in bytes.
pub(super) fn resident(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024)
}

/// Bytes handed to write calls, files and sockets, and how many calls.
pub(super) fn written(process: u32) -> io::Result<(u64, u64)> {
    let io = fs::read_to_string(format!("/proc/{process}/io"))?;
    let number = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0);
    Ok((number("wchar:"), number("syscw:")))
}

/// The first process that this one started.
pub(super) fn child_of(process: u32) -> Option<u32> {
    fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?.split_whitespace().next()?.parse().ok()
}

/// Asks a process that is not our child to end.
pub(super) fn terminate(process: u32) -> io::Result<()> {
    Command::new("kill").arg(process.to_string()).status().map(drop)
}

/// Bytes of all files below a directory.
pub(super) fn bytes_below(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { bytes_below(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

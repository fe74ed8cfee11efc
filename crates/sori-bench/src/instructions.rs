//! How many instructions a step of the hot path takes, and whether that is more than it was.
//!
//! Time on a busy machine tells a loss of a quarter at best; a count tells one of a hundredth. Each step runs in a process
//! of its own under valgrind's callgrind, which counts what passes [`crate::feed::Counting::work`] and nothing else. What
//! a count depends on besides the code is fixed: the seeds, the time, the number of rounds, the keys of hash maps (which
//! are made of addresses, and those are the same in every run under valgrind). What remains moves it by well under one in
//! a hundred. Another compiler or another C library counts otherwise: then the baseline is made anew.

mod baseline;
mod by_file;
#[cfg(test)]
mod quoted;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub use baseline::{Baseline, Verdict};
pub use by_file::by_file;

use crate::steps::Step;

/// The function of `feed` that callgrind is to look at, however its name is written in the program.
const COUNTED: &str = "*counted_work*";

/// What was counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// Of which step.
    pub name: &'static str,
    /// What one operation of it is.
    pub operation: &'static str,
    /// How many operations were counted.
    pub operations: f64,
    /// Instructions of one operation.
    pub instructions: f64,
}

/// Counts these steps, as many at a time as there are processors. Callgrind's own files are left in `profiles`, if that is
/// given, for `callgrind_annotate`.
///
/// # Errors
/// No valgrind, or a step that fails under it.
pub fn count(steps: &[&'static Step], profiles: Option<&Path>) -> io::Result<Vec<Count>> {
    // Each step runs elsewhere.
    let profiles = profiles.map(std::path::absolute).transpose()?;
    let profiles = profiles.as_deref();
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<Vec<(usize, Count)>> {
        let mut counts = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(step) = steps.get(at)
        {
            counts.push((at, count_one(step, profiles)?));
        }
        Ok(counts)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut counts = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            counts.extend(worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread failed")))?);
        }
        Ok::<_, io::Error>(())
    })?;
    counts.sort_by_key(|(at, _)| *at);
    Ok(counts.into_iter().map(|(_, count)| count).collect())
}

/// Does a step's name contain one of the words, or is there none?
#[must_use]
pub fn is_wanted(step: &Step, wanted: &[String]) -> bool {
    wanted.is_empty() || wanted.iter().any(|part| step.name.contains(part.as_str()))
}

fn count_one(step: &Step, profiles: Option<&Path>) -> io::Result<Count> {
    let profile = profiles.map_or(PathBuf::from("/dev/null"), |directory| directory.join(step.name));
    let program = std::env::current_exe()?;
    let (Some(here), Some(name)) = (program.parent(), program.file_name()) else {
        return Err(io::Error::other("this program has no name"));
    };
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", &format!("--toggle-collect={COUNTED}")])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        // Arguments and environment lie in the process's memory, and move what lies beside them: so they are the same
        // wherever the program is.
        .current_dir(here)
        .arg(Path::new(".").join(name))
        .args(["step", step.name])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        // Large copies are made by vector instructions: the C library's other way is one instruction for each byte to callgrind, and
        // whether it is taken depends on where on their pages the two places lie.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=0x7fffffff")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io::Error::new(error.kind(), format!("valgrind: {error}")))?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let operations = said.lines().find_map(|line| line.strip_prefix("operations ")?.parse::<f64>().ok());
    let collected = errors.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<f64>().ok());
    match (output.status.success(), operations, collected) {
        (true, Some(operations), Some(collected)) if collected > 0.0 => {
            let instructions = collected / operations;
            Ok(Count { name: step.name, operation: step.operation, operations, instructions })
        }
        _ => Err(io::Error::other(format!("{} under valgrind: {errors}", step.name))),
    }
}

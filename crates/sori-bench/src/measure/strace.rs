//! A broker under strace, and what that has written.
//!
//! It must be installed; it slows the broker down, so rates are measured elsewhere.

use std::io;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::process;
use crate::broker::Broker;

/// The clock of a trace.
pub(super) fn seconds_now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Its calls go to the file `trace`.
pub(super) fn start(broker: &Broker, trace: &str, arguments: &[&str]) -> io::Result<Child> {
    let words: Vec<&str> = ["strace", "-f", "-ttt", "-o", trace].into_iter().chain(arguments.iter().copied()).collect();
    broker.start_below(&words)
}

/// Ends the broker; strace ends with it.
pub(super) fn end(strace: &mut Child) -> io::Result<()> {
    if let Some(broker) = process::child_of(strace.id()) {
        process::terminate(broker)?;
    }
    let until = Instant::now() + Duration::from_secs(20);
    while strace.try_wait()?.is_none() {
        if Instant::now() > until {
            strace.kill()?;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// One system call: the lines of the trace where it began and ended.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) text: String,
    /// When it began, in seconds as [`seconds_now`] gives them.
    pub(super) time: f64,
    pub(super) began: usize,
    pub(super) ended: usize,
}

/// "PID TIME name(arguments) = result", or its two halves.
pub(super) fn parse(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: Vec<(String, usize)> = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((process, rest)) = text.split_once(' ') else { continue };
        let Some((time, rest)) = rest.trim_start().split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("<... ") {
            if let Some(position) = unfinished.iter().position(|(other, _)| other == process) {
                let (_, call) = unfinished.remove(position);
                calls[call].ended = line;
            }
            continue;
        }
        let Some((name, arguments)) = rest.split_once('(') else { continue };
        let is_whole = !rest.ends_with("<unfinished ...>");
        if !is_whole {
            unfinished.push((process.to_owned(), calls.len()));
        }
        calls.push(Call {
            name: name.to_owned(),
            text: arguments.to_owned(),
            time: time.parse().unwrap_or(0.0),
            began: line,
            ended: if is_whole { line } else { usize::MAX },
        });
    }
    calls
}

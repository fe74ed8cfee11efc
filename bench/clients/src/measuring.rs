//! What is measured, and how it is told.

use std::fmt;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::Failure;

/// One task: where, how many messages, of how many bytes.
pub(crate) struct Work {
    pub(crate) url: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) messages: u64,
    pub(crate) payload: Vec<u8>,
    /// A topic for this process alone.
    pub(crate) topic: String,
}

impl Work {
    pub(crate) fn new(url: &str, messages: u64, bytes: usize) -> Result<Self, Failure> {
        let authority = url.strip_prefix("mqtt://").ok_or("the URL is mqtt://host:port")?;
        let (host, port) = authority.split_once(':').unwrap_or((authority, "1883"));
        let topic = std::env::var(TOPIC).unwrap_or_else(|_| format!("bench/clients/{}", std::process::id()));
        let (url, host, port) = (url.to_owned(), host.to_owned(), port.parse()?);
        Ok(Self { url, host, port, messages, payload: vec![b'x'; bytes], topic })
    }

    /// Another process publishes all messages of this work.
    pub(crate) fn feed(&self) -> Result<Feeder, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["feed", &self.url, &self.messages.to_string(), &self.payload.len().to_string()]);
        Ok(Feeder(command.env(TOPIC, &self.topic).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?))
    }
}

/// The topic of a process that publishes for another one.
const TOPIC: &str = "SORI_BENCH_TOPIC";

/// A process that publishes, until it is dropped.
pub(crate) struct Feeder(Child);

impl Drop for Feeder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Watches from the first message to the last.
pub(crate) struct Watch {
    began: Instant,
    cpu: Duration,
}

impl Watch {
    pub(crate) fn start() -> Result<Self, Failure> {
        Ok(Self { began: Instant::now(), cpu: cpu_time()? })
    }

    pub(crate) fn stop(self, messages: u64, mut receipts: Vec<Duration>) -> Result<Figures, Failure> {
        receipts.sort_unstable();
        let receipt_p50 = receipts.get(receipts.len() / 2).copied();
        Ok(Figures { messages, cpu: cpu_time()? - self.cpu, wall: self.began.elapsed(), receipt_p50 })
    }
}

/// In the program and in the system's calls.
fn cpu_time() -> Result<Duration, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let microseconds = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_usec()).unwrap_or(0)
    };
    Ok(Duration::from_micros(microseconds(usage.user_time()) + microseconds(usage.system_time())))
}

/// What one measurement has found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    messages: u64,
    cpu: Duration,
    wall: Duration,
    receipt_p50: Option<Duration>,
}

impl Figures {
    /// The one that was disturbed less.
    pub(crate) fn better(self, other: Self) -> Self {
        if other.cpu < self.cpu { other } else { self }
    }

    pub(crate) fn row(&self) -> String {
        let per = |time: Duration| self.messages as f64 / time.as_secs_f64();
        let receipt = self.receipt_p50.map_or(String::new(), |time| format!("{time:.1?}"));
        format!("{:>16.0} {:>14.0} {receipt:>12}", per(self.cpu), per(self.wall))
    }
}

impl fmt::Display for Figures {
    /// For the process that asked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receipt = self.receipt_p50.map_or(0, |time| time.as_nanos());
        write!(f, "{} {} {} {receipt}", self.messages, self.cpu.as_nanos(), self.wall.as_nanos())
    }
}

impl FromStr for Figures {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let numbers: Result<Vec<u64>, _> = text.split(' ').map(str::parse).collect();
        let [messages, cpu, wall, receipt] = numbers?[..] else { return Err("four numbers were expected".into()) };
        let receipt_p50 = (receipt > 0).then(|| Duration::from_nanos(receipt));
        Ok(Self { messages, cpu: Duration::from_nanos(cpu), wall: Duration::from_nanos(wall), receipt_p50 })
    }
}

//! `sori bench throughput`, `latency` and `connections`: a given broker, measured with clients of sori-client.

mod connections;
mod latency;
mod throughput;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{Args, value_parser};
use serde::Serialize;
use sori_client::blocking::Client;
use sori_client::{Options, Reconnect};
use sori_mqtt::{QoS, Version};

use super::chart::Chart;
use crate::failure::Failure;
use crate::transport::TlsArguments;

pub(super) use connections::Arguments as Connections;
pub(super) use latency::Arguments as Latency;
pub(super) use throughput::Arguments as Throughput;

/// So much waits in a client at most; beyond it publishing waits.
const QUEUE_BYTES_MAX: usize = 1 << 20;
/// When nothing has come for so long, nothing more is on its way.
const QUIET: Duration = Duration::from_secs(1);
/// How often everybody looks whether it is to stop.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What all three have.
#[derive(Args, Debug)]
pub(super) struct Common {
    /// The broker, as in mqtt://user:password@host:port; mqtts://, ws://, wss:// and unix: as well
    #[arg(default_value = "mqtt://localhost")]
    url: String,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Write the bars as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArguments,
}

/// The messages of throughput and latency.
#[derive(Args, Debug)]
pub(super) struct Messages {
    /// QoS of publishers and subscribers
    #[arg(short, long, default_value_t = 0, value_parser = value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Bytes of a payload
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = value_parser!(u32).range(8..=10_000_000))]
    size: u32,
    /// How long to publish
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u16).range(1..=3600))]
    seconds: u16,
}

impl Messages {
    fn qos(&self) -> QoS {
        QoS::from_u8(self.qos).unwrap_or_default()
    }

    fn payload(&self) -> Vec<u8> {
        vec![b'x'; usize::try_from(self.size).unwrap_or(usize::MAX)]
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

impl Common {
    fn connect(&self) -> Result<Client, Failure> {
        Client::connect(self.options()?).map_err(|error| self.failure(&error))
    }

    /// For a client that does not connect again: a lost connection is a result, and not to be hidden in one.
    fn options(&self) -> Result<Options, Failure> {
        let options = Options::new(&self.url).map_err(|error| failure(&error))?;
        let options = options.reconnect(Reconnect::never());
        let options = options.queue_bytes_max(QUEUE_BYTES_MAX, sori_client::WhenFull::Wait);
        Ok(match self.tls.tls()? {
            Some(tls) => options.tls(tls),
            None => options,
        })
    }

    /// Why a client was not let in.
    fn failure(&self, error: &sori_client::Error) -> Failure {
        let server = Options::new(&self.url).map_or_else(|_| String::new(), |options| options.server());
        Failure::of(error, &server, Version::V5)
    }

    /// Shows a result: as JSON, or as lines and bars.
    fn show(&self, report: &impl Serialize, lines: &str, chart: &Chart) -> Result<(), Failure> {
        if self.json {
            println!("{}", serde_json::to_string(report).map_err(|error| Failure::new(error.to_string()))?);
        } else {
            print!("{lines}\n{}", chart.terminal());
        }
        let Some(path) = &self.svg else { return Ok(()) };
        fs::write(path, chart.svg()).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
    }
}

/// A topic of this run alone.
fn topic(kind: &str) -> String {
    format!("bench/{}/{kind}", std::process::id())
}

fn failure(error: &sori_client::Error) -> Failure {
    Failure::new(error.to_string())
}

/// Times in order, and what stands at which part of them.
struct Times(Vec<Duration>);

/// Milliseconds.
#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Times {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn at(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }

    fn percentiles(&self) -> Percentiles {
        Percentiles { p50: self.at(50), p90: self.at(90), p99: self.at(99), max: self.at(100) }
    }

    /// How many took up to 1, 2, 4... units of 16 µs.
    fn chart(&self, title: &str) -> Chart {
        let mut bars = Vec::new();
        let (mut limit, mut counted) = (Duration::from_micros(16), 0);
        while counted < self.0.len() {
            let below = self.0.partition_point(|time| *time <= limit);
            if below > 0 {
                #[expect(clippy::cast_precision_loss, reason = "a count")]
                bars.push((format!("up to {limit:?}"), (below - counted) as f64));
            }
            (limit, counted) = (limit * 2, below);
        }
        Chart { title: title.to_owned(), bars }
    }
}

impl Percentiles {
    fn line(&self) -> String {
        let Self { p50, p90, p99, max } = self;
        format!("half within {p50:.3} ms, 90 % {p90:.3} ms, 99 % {p99:.3} ms, all {max:.3} ms\n")
    }
}

pub(super) fn throughput(arguments: &Throughput, interrupted: &Arc<AtomicBool>) -> Result<(), Failure> {
    throughput::run(arguments, interrupted)
}

pub(super) fn latency(arguments: &Latency, interrupted: &AtomicBool) -> Result<(), Failure> {
    latency::run(arguments, interrupted)
}

pub(super) fn connections(arguments: &Connections, interrupted: &AtomicBool) -> Result<(), Failure> {
    connections::run(arguments, interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_times_in_order() {
        let times = Times::new((1..=101).rev().map(Duration::from_millis).collect());
        let Percentiles { p50, p90, p99, max } = times.percentiles();
        assert_eq!([p50, p90, p99, max].map(f64::round), [51.0, 91.0, 100.0, 101.0]);
        assert_eq!(Times::new(Vec::new()).percentiles().max.to_bits(), 0);
    }

    #[test]
    fn every_time_is_in_one_bar() {
        let times = Times::new([1, 16, 17, 100, 100].map(Duration::from_micros).to_vec());
        let bars = times.chart("times").bars;
        let expected = [("up to 16µs", 2.0), ("up to 32µs", 1.0), ("up to 64µs", 0.0), ("up to 128µs", 2.0)];
        assert_eq!(bars, expected.map(|(label, value)| (label.to_owned(), value)));
    }
}

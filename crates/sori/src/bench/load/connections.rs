//! `sori bench connections`: how fast clients are let in, and whether all can stay.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use serde::Serialize;
use sori_client::State;

use super::{Common, Percentiles, Times};
use crate::bench::qos_run::wait_until;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Clients, each a whole one with a thread of its own
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u16).range(1..=5000))]
    count: u16,
    /// How long they stay
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(0..=3600))]
    seconds: u16,
}

#[derive(Serialize)]
struct Report {
    connected: usize,
    /// Those that were still connected in the end.
    stayed: usize,
    connected_per_second: f64,
    /// From the first packet of TCP to CONNACK.
    milliseconds: Percentiles,
}

pub(super) fn run(arguments: &Arguments, interrupted: &AtomicBool) -> Result<(), Failure> {
    let Arguments { common, count, seconds } = arguments;
    let (mut clients, mut times, start) = (Vec::new(), Vec::new(), Instant::now());
    for _ in 0..*count {
        wait_until(Instant::now(), interrupted)?;
        let before = Instant::now();
        clients.push(common.connect().map_err(|failure| Failure {
            message: format!("with {} clients connected: {}", clients.len(), failure.message),
            ..failure
        })?);
        times.push(before.elapsed());
    }
    let spent = start.elapsed();
    wait_until(Instant::now() + Duration::from_secs((*seconds).into()), interrupted)?;
    let stayed = clients.iter().filter(|client| matches!(client.state(), State::Connected { .. })).count();
    let times = Times::new(times);
    let report = Report {
        connected: clients.len(),
        stayed,
        connected_per_second: f64::from(*count) / spent.as_secs_f64(),
        milliseconds: times.percentiles(),
    };
    let lines = format!(
        "connected {count}, one after the other, {:.0} per second; {stayed} stayed\n{}",
        report.connected_per_second,
        report.milliseconds.line()
    );
    common.show(&report, &lines, &times.chart("connections that took up to"))
}

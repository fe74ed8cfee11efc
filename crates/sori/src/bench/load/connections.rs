//! `sori bench connections`: how fast clients are let in, and whether all can stay. One thread drives all of them.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use serde::Serialize;
use sori_client::{Client, State};
use sori_server::process::open_files;

use super::{Common, LOOK_AGAIN, Percentiles, Times};
use crate::bench::qos_run::stop_if;
use crate::failure::Failure;

/// Files that this program has open besides a socket for each client.
const OTHER_FILES: u64 = 32;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Clients, each with a connection of its own
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000_000))]
    count: u32,
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
    let Arguments { common, count, .. } = arguments;
    allow_files(u64::from(*count) + OTHER_FILES)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("sockets cannot be watched: {error}")))?;
    let (times, stayed, spent) = runtime.block_on(measure(arguments, interrupted))?;
    let times = Times::new(times);
    let report = Report {
        connected: times.0.len(),
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

/// Each connection is an open file.
fn allow_files(files: u64) -> Result<(), Failure> {
    match open_files::raise_limit() {
        Some(limit) if limit < files => Err(Failure::new(format!(
            "--count wants {files} open files, and this process may have {limit}: raise that with ulimit -Hn, or connect \
             fewer clients"
        ))),
        _ => Ok(()),
    }
}

/// How long each connection took, how many are there in the end, and how long connecting took.
async fn measure(arguments: &Arguments, interrupted: &AtomicBool) -> Result<(Vec<Duration>, usize, Duration), Failure> {
    let Arguments { common, count, seconds } = arguments;
    let (mut clients, mut times, start) = (Vec::new(), Vec::new(), Instant::now());
    for _ in 0..*count {
        stop_if(interrupted)?;
        let before = Instant::now();
        let client = Client::connect(common.options()?).await.map_err(|error| {
            let failure = common.failure(&error);
            Failure { message: format!("with {} clients connected: {}", clients.len(), failure.message), ..failure }
        })?;
        times.push(before.elapsed());
        clients.push(client);
    }
    let spent = start.elapsed();
    let until = Instant::now() + Duration::from_secs((*seconds).into());
    while Instant::now() < until {
        stop_if(interrupted)?;
        tokio::time::sleep(until.saturating_duration_since(Instant::now()).min(LOOK_AGAIN)).await;
    }
    let stayed = clients.iter().filter(|client| matches!(client.state(), State::Connected { .. })).count();
    for client in clients {
        // One that is gone already has been counted.
        let _ = client.close().await;
    }
    Ok((times, stayed, spent))
}

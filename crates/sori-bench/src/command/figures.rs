//! `sori-bench sync-order`, `durable-rate`, `clean-path`, `churn` and `restart`: figures, one per line or as JSON.

use std::io;
use std::time::Duration;

use clap::Args;
use sori_bench::measure::durable_rate::{self, Figures};
use sori_bench::measure::{churn, clean_path, restart, sync_order};

use super::BrokerArguments;

#[derive(Args)]
pub(super) struct SyncOrder {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Messages published one at a time
    #[arg(long, default_value_t = 200)]
    single: u16,
    /// Messages published by fifty, with two in flight each
    #[arg(long, default_value_t = 20_000)]
    loaded: u64,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct DurableRate {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Publishers at a time
    #[arg(long, default_value_t = 50)]
    publishers: usize,
    /// Messages in flight of each
    #[arg(long, default_value_t = 2)]
    window: usize,
    /// Bytes of each payload
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// Seconds of load
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Messages published one at a time
    #[arg(long, default_value_t = 300)]
    idle: u16,
    /// Nobody is there to keep the messages for: the same load without the disk
    #[arg(long)]
    not_durable: bool,
    /// Publish over a Unix socket: where all share two cores, TCP costs as much as a fast disk
    #[arg(long)]
    unix: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct CleanPath {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Messages that are counted
    #[arg(long, default_value_t = 3000)]
    messages: u16,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Churn {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Messages that are kept
    #[arg(long, default_value_t = 100_000)]
    kept: u64,
    /// So many times as many come and go
    #[arg(long, default_value_t = 3)]
    times: u64,
    /// Bytes of each payload
    #[arg(long, default_value_t = 200)]
    payload: usize,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Restart {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Messages that wait for one session
    #[arg(long, default_value_t = 0)]
    queued: u64,
    /// Sessions with one subscription each
    #[arg(long, default_value_t = 0)]
    sessions: u64,
    /// Bytes of each payload
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// Read the whole queue at the end
    #[arg(long)]
    read: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn sync_order(arguments: &SyncOrder) -> io::Result<bool> {
    let seen = sync_order::run(&sync_order::Options {
        broker: arguments.broker.options(),
        single_messages: arguments.single,
        loaded_messages: arguments.loaded,
    })?;
    for fault in seen.faults.iter().take(10) {
        eprintln!("{fault}");
    }
    show(&seen.figures, arguments.json);
    Ok(seen.faults.is_empty())
}

pub(super) fn durable_rate(arguments: &DurableRate) -> io::Result<bool> {
    let figures = durable_rate::run(&durable_rate::Options {
        broker: arguments.broker.options(),
        publishers: arguments.publishers,
        window: arguments.window,
        payload_size: arguments.payload,
        time: Duration::from_secs(arguments.seconds),
        idle_messages: arguments.idle,
        is_durable: !arguments.not_durable,
        is_local: arguments.unix,
    })?;
    show(&figures, arguments.json);
    Ok(true)
}

pub(super) fn clean_path(arguments: &CleanPath) -> io::Result<bool> {
    let options = clean_path::Options { broker: arguments.broker.options(), messages: arguments.messages };
    show(&clean_path::run(&options)?, arguments.json);
    Ok(true)
}

pub(super) fn churn(arguments: &Churn) -> io::Result<bool> {
    let figures = churn::run(&churn::Options {
        broker: arguments.broker.options(),
        kept: arguments.kept,
        times: arguments.times,
        payload_size: arguments.payload,
    })?;
    show(&figures, arguments.json);
    Ok(true)
}

pub(super) fn restart(arguments: &Restart) -> io::Result<bool> {
    let figures = restart::run(&restart::Options {
        broker: arguments.broker.options(),
        queued: arguments.queued,
        sessions: arguments.sessions,
        payload_size: arguments.payload,
        reads: arguments.read,
    })?;
    show(&figures, arguments.json);
    Ok(true)
}

pub(super) fn show(figures: &Figures, is_json: bool) {
    if is_json {
        let fields: Vec<String> = figures.0.iter().map(|(name, value)| format!("\"{name}\":{value:.3}")).collect();
        println!("{{{}}}", fields.join(","));
        return;
    }
    for (name, value) in &figures.0 {
        println!("{:44} {value:14.3}", name.replace('_', " "));
    }
}

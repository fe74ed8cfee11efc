//! `sori-bench scaling`.

use std::io;
use std::time::Duration;

use clap::Args;
use sori_bench::measure::scaling;
use sori_mqtt::QoS;

use super::figures::show;

#[derive(Args)]
pub(super) struct Arguments {
    /// Publishers of each shard, and subscribers
    #[arg(long, default_value_t = 10)]
    pairs: u16,
    /// Messages that a publisher says in one turn
    #[arg(long, default_value_t = 100)]
    batch: u16,
    /// Bytes of each payload
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// QoS of messages and subscriptions
    #[arg(long, default_value_t = 0)]
    qos: u8,
    /// Milliseconds for each placement, each time
    #[arg(long, default_value_t = 1000)]
    milliseconds: u64,
    /// How often the placements take their turn; the medians are told
    #[arg(long, default_value_t = 5)]
    times: usize,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    let figures = scaling::run(&scaling::Options {
        pairs: arguments.pairs,
        batch: arguments.batch,
        payload_size: arguments.payload,
        qos: QoS::from_u8(arguments.qos).ok_or_else(|| io::Error::other("QoS is 0, 1 or 2"))?,
        time: Duration::from_millis(arguments.milliseconds),
        times: arguments.times,
    })?;
    show(&figures, arguments.json);
    Ok(true)
}

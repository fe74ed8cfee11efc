//! `sori-bench crash`.

use std::io;
use std::time::Duration;

use clap::Args;
use sori_bench::crash::{self, Options};

use super::BrokerArguments;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    broker: BrokerArguments,
    /// How many times the broker is killed; 0: a calm run
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// What the plan is made of
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times the usual 45 connections
    #[arg(long, default_value_t = 1)]
    scale: usize,
    /// Seconds of load when nobody is killed
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// No client names a Receive Maximum: some brokers do not keep to it when they send again
    #[arg(long)]
    no_receive_maximum: bool,
    /// Print one line of JSON instead of the counts
    #[arg(long)]
    json: bool,
    /// Tell each kill
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    let report = crash::run(&Options {
        broker: arguments.broker.options(),
        kills: arguments.kills,
        seed: arguments.seed,
        scale: arguments.scale,
        calm: Duration::from_secs(arguments.seconds),
        uses_receive_maximum: !arguments.no_receive_maximum,
        is_verbose: arguments.verbose,
    })?;
    if arguments.json {
        for fault in &report.faults {
            eprintln!("{fault}");
        }
        println!("{}", report.json());
    } else {
        println!("{report}");
    }
    Ok(report.is_good())
}

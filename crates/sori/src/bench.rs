//! `sori bench`: what a broker does with messages, measured.

mod chart;
mod load;
mod own_broker;
mod qos;
mod qos_run;
mod tally;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{Args, Subcommand};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sori bench qos                                    what QoS 0, 1 and 2 promise, seen on a broker of its own
  sori bench qos --restart-at 50% --kill            and what is left of it when the broker is killed half way
  sori bench qos --messages 20 --rate 5 --csv arrivals.csv
  sori bench throughput mqtt://localhost -q 1       as many messages as go through
  sori bench latency mqtt://localhost --rate 500    how long a message takes
  sori bench connections --count 500 --svg out.svg  how fast clients are let in
  sori bench connections mqtts://broker --cafile ca.pem --count 10000";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Publish with QoS 0, 1 and 2 side by side, and count what is lost, doubled and out of order
    #[command(disable_help_flag = true)]
    Qos(qos::Arguments),
    /// Publish as much as goes through a broker
    #[command(disable_help_flag = true)]
    Throughput(load::Throughput),
    /// Measure how long messages take from a publisher to a subscriber
    #[command(disable_help_flag = true)]
    Latency(load::Latency),
    /// Connect many clients, one after the other
    #[command(disable_help_flag = true)]
    Connections(load::Connections),
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    }
    match &arguments.command {
        Command::Qos(arguments) => qos::run(arguments, &interrupted),
        Command::Throughput(arguments) => load::throughput(arguments, &interrupted),
        Command::Latency(arguments) => load::latency(arguments, &interrupted),
        Command::Connections(arguments) => load::connections(arguments, &interrupted),
    }
}

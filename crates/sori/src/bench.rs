//! `sori bench`: what a broker does with messages, measured.

mod own_broker;
mod qos;
mod qos_run;
mod tally;

use clap::{Args, Subcommand};

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sori bench qos                                    what QoS 0, 1 and 2 promise, seen on a broker of its own
  sori bench qos --restart-at 50% --kill            and what is left of it when the broker is killed half way
  sori bench qos --messages 20 --rate 5 --csv arrivals.csv";

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
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Qos(arguments) => qos::run(arguments),
    }
}

//! `sori-bench`: what can be asked.

mod choices;
mod compare;
mod crash;
mod figures;
mod growth;
mod instructions;
mod plot;
mod scaling;
mod steps;
mod syscalls;
mod trouble;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sori_bench::broker::BrokerOptions;

/// Looks at a broker from outside, as a real process on a real disk, and at its hot path, fed from memory.
#[derive(Parser)]
#[command(name = "sori-bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Kill the broker under load, again and again, and check what it promised
    Crash(crash::Arguments),
    /// Watch the system calls: PUBACK only after a completed sync of the message
    SyncOrder(figures::SyncOrder),
    /// Measure rate, cost and latency of acknowledged messages
    DurableRate(figures::DurableRate),
    /// Count instructions of a message that needs no disk, with persistence on and off
    CleanPath(figures::CleanPath),
    /// Measure the room that a store takes when much has come and gone
    Churn(figures::Churn),
    /// Fill, kill, restart, and measure how long that takes
    Restart(figures::Restart),
    /// Count the instructions of each step of the hot path, and compare with the repository's counts
    Instructions(instructions::Arguments),
    /// Count steps of the hot path with one value of a constant and another
    Choices(choices::Arguments),
    /// Time each step of the hot path
    Steps(steps::Arguments),
    /// Two shards against one, fed from memory: rate, and processor time for each message
    Scaling(scaling::Arguments),
    /// What a message waits for while the broker does something large for others
    Trouble(trouble::Arguments),
    /// What it costs to have more of everything
    Growth(growth::Arguments),
    /// System calls for each message, by strace
    Syscalls(syscalls::Arguments),
    /// Beside other brokers: processor time, rate, latency and memory under the same load, in turn
    Compare(compare::Arguments),
    /// Draw processor time per message beside other brokers, from the JSON of a comparison run
    Plot(plot::Arguments),
    /// Do one step as often as it is counted
    #[command(hide = true)]
    Step(instructions::OneStep),
}

/// The broker under test.
#[derive(Args)]
struct BrokerArguments {
    /// Its command, with {config}, {dir} and {port}; without it the `sori` beside this program
    #[arg(long)]
    broker: Option<String>,
    /// A further line of its configuration; may be given several times
    #[arg(long = "line")]
    lines: Vec<String>,
    /// Worker threads of sori
    #[arg(long, visible_alias = "shards")]
    threads: Option<u16>,
    /// always, interval <ms> or never
    #[arg(long)]
    durability: Option<String>,
    /// Where configuration, data and logs lie; without it a directory that is removed at the end
    #[arg(long)]
    directory: Option<std::path::PathBuf>,
}

impl BrokerArguments {
    fn options(&self) -> BrokerOptions {
        let mut lines = self.lines.clone();
        lines.extend(self.threads.map(|threads| format!("threads {threads}")));
        lines.extend(self.durability.as_ref().map(|durability| format!("durability {durability}")));
        BrokerOptions { command: self.broker.clone(), lines, directory: self.directory.clone(), has_socket: false }
    }
}

pub(crate) fn run() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Crash(arguments) => crash::run(&arguments),
        Command::SyncOrder(arguments) => figures::sync_order(&arguments),
        Command::DurableRate(arguments) => figures::durable_rate(&arguments),
        Command::CleanPath(arguments) => figures::clean_path(&arguments),
        Command::Churn(arguments) => figures::churn(&arguments),
        Command::Restart(arguments) => figures::restart(&arguments),
        Command::Instructions(arguments) => instructions::run(&arguments),
        Command::Scaling(arguments) => scaling::run(&arguments),
        Command::Trouble(arguments) => trouble::run(&arguments),
        Command::Growth(arguments) => growth::run(&arguments),
        Command::Syscalls(arguments) => syscalls::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Plot(arguments) => plot::run(&arguments),
        Command::Choices(arguments) => choices::run(&arguments),
        Command::Steps(arguments) => steps::run(&arguments),
        Command::Step(arguments) => instructions::step(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sori-bench: {error}");
            ExitCode::from(2)
        }
    }
}

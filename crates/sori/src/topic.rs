//! `sori topic`: what a filter matches and why, and whether topics follow the rules of good design.

mod lint;
mod matching;

use clap::{Args, Subcommand};

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sori topic match 'kitchen/+/temperature' kitchen/oven/temperature kitchen/temperature
  sori topic lint Kitchen/Oven 'my topic' a/b/c
  sori topic lint --broker -h localhost -W 10";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Explain, level by level, whether a filter matches topics
    #[command(disable_help_flag = true)]
    Match(matching::Arguments),
    /// Apply the design rules to topics: given here, or seen on a live broker
    #[command(disable_help_flag = true)]
    Lint(Box<lint::Arguments>),
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Match(arguments) => matching::run(arguments),
        Command::Lint(arguments) => lint::run(arguments),
    }
}

//! The command line: one file per command.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}

//! `sori completions`: scripts by which a shell completes commands and options.

use std::io::Write as _;

use clap_complete::Shell;

use crate::failure::Failure;

#[derive(clap::Args)]
#[command(disable_help_flag = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

const AFTER_HELP: &str = "\
Examples:
  sori completions bash > ~/.local/share/bash-completion/completions/sori
  sori completions zsh > ~/.zfunc/_sori               with ~/.zfunc in fpath
  sori completions fish > ~/.config/fish/completions/sori.fish";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::command_line(), "sori", &mut script);
    let printed = std::io::stdout().write_all(&script);
    printed.map_err(|error| Failure::new(format!("standard output cannot be written: {error}")))
}

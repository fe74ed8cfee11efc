//! `sori man`: the manual pages, written from the tables that the program itself reads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap_mangen::Man;
use sori_server::config::roff;

use crate::failure::Failure;

#[derive(clap::Args)]
#[command(disable_help_flag = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// The directory, which is made when it is not there
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    directory: PathBuf,
}

const AFTER_HELP: &str = "\
Examples:
  sori man /usr/local/share/man                       then: man sori, man sori-pub, man sori.toml

One page for each command goes to DIR/man1, and the page of all options of the configuration to DIR/man5.";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    write(&arguments.directory).map_err(|error| {
        Failure::new(format!("the pages cannot be written to {}: {error}", arguments.directory.display()))
    })
}

fn write(directory: &Path) -> io::Result<()> {
    let (commands, formats) = (directory.join("man1"), directory.join("man5"));
    fs::create_dir_all(&commands)?;
    fs::create_dir_all(&formats)?;
    let mut command = crate::command_line().disable_help_subcommand(true);
    command.build();
    page(&command, &commands)?;
    fs::write(formats.join("sori.toml.5"), roff::page())
}

/// The page of a command, and those of the commands below it.
fn page(command: &clap::Command, directory: &Path) -> io::Result<()> {
    let page = Man::new(command.clone()).manual("sori");
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(directory.join(page.get_filename()), text)?;
    command.get_subcommands().filter(|inner| !inner.is_hide_set()).try_for_each(|inner| self::page(inner, directory))
}

//! `sori store`: what people do with what a broker keeps on disk.

mod backup;
mod compact;
mod export;
mod gathering;
mod import;
mod lines;
mod repair;
mod verify;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use sori_server::config::Remark;
use sori_server::startup::{RunError, settings_of};
use sori_server::store::mending::{Finding, Severity};
use sori_server::store::place::{self, Place};

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sori store verify /var/lib/sori                     is it whole?
  sori store backup /var/lib/sori /backup/monday      a copy, while the broker runs
  sori store export -c mosquitto.conf > store.jsonl   everything as lines of JSON
  sori store import /var/lib/new < store.jsonl        a new store of them

DIR is the store (a directory sori.store) or the directory that holds it. Instead, -c names a
configuration file; with neither, it is where plain `sori` keeps its store. A copy or a new store
gets its name when it is whole; until then it is called NAME.new.

Exit status:
  0 success, 1 error, 2 wrong usage, 3 the store is damaged";

/// The exit status for a store that is damaged.
const DAMAGED: u8 = 3;

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Check every byte; the broker may run
    #[command(disable_help_flag = true)]
    Verify(verify::Arguments),
    /// Keep what is whole of a damaged store, and tell what is not
    #[command(disable_help_flag = true)]
    Repair(repair::Arguments),
    /// Write everything as lines of JSON; the broker must not run
    #[command(disable_help_flag = true)]
    Export(export::Arguments),
    /// Make a new store of such lines
    #[command(disable_help_flag = true)]
    Import(import::Arguments),
    /// Make a store as small as it can be; the broker must not run
    #[command(disable_help_flag = true)]
    Compact(compact::Arguments),
    /// Copy a store; the broker may run
    #[command(disable_help_flag = true)]
    Backup(backup::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Verify(arguments) => verify::run(arguments),
        Command::Repair(arguments) => repair::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Compact(arguments) => compact::run(arguments),
        Command::Backup(arguments) => backup::run(arguments),
    }
}

/// Which store is meant.
#[derive(Args, Debug)]
struct Where {
    /// The store, or the directory that holds it
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The one of this configuration file
    #[arg(short = 'c', long = "config-file", value_name = "FILE", conflicts_with = "directory")]
    config: Option<PathBuf>,
}

impl Where {
    /// A store that is there.
    fn existing(&self) -> Result<PathBuf, Failure> {
        let path = self.path()?;
        place::examine(&path)?;
        Ok(path)
    }

    fn path(&self) -> Result<PathBuf, Failure> {
        match (&self.directory, &self.config) {
            (Some(directory), _) => Ok(place::store_in(directory)),
            (None, Some(file)) => configured(file),
            (None, None) => Ok(place::store_in(&place::native_location())),
        }
    }
}

/// Where the broker of a configuration file has its store.
fn configured(file: &Path) -> Result<PathBuf, Failure> {
    match settings_of(&[file.to_path_buf()]) {
        Ok(loaded) => Ok(Place::of(&loaded.config).store()),
        Err(remarks) => {
            let lines: Vec<String> = remarks.iter().map(Remark::to_string).collect();
            Err(Failure::new(lines.join("\n")))
        }
    }
}

/// A finding for scripts.
#[derive(Serialize)]
struct FoundLine<'a> {
    file: &'a str,
    offset: u64,
    severity: &'static str,
    text: &'a str,
}

impl<'a> FoundLine<'a> {
    fn of(finding: &'a Finding) -> FoundLine<'a> {
        let severity = match finding.severity {
            Severity::Note => "note",
            Severity::Newer => "newer",
            Severity::Damage => "damage",
        };
        FoundLine { file: &finding.file, offset: finding.offset, severity, text: &finding.text }
    }
}

/// Prints a value for scripts.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new(error.to_string()))?;
    println!("{text}");
    Ok(())
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        let text = error.to_string();
        let failure = Failure::new(text.strip_prefix("Error: ").unwrap_or(&text));
        if error.is_damage() { failure.with_status(DAMAGED) } else { failure }
    }
}

//! `sori config`: what a configuration comes to, and the same in the other form of file.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use sori_server::config::effective::{Effective, From, effective};
use sori_server::config::{Loaded, Remark, convert, is_toml};
use sori_server::startup::settings_of;

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sori config show -c mosquitto.conf                  every option: its value, and where it comes from
  sori config show --json                             the same of a broker without a file, for programs
  sori config convert mosquitto.conf -o sori.toml     the native form of the same settings
  sori config convert sori.toml                       and back, on standard output

Exit status:
  0 success, 1 error, 2 wrong usage, 3 the configuration has mistakes";

/// The exit status of a configuration with errors, as of a start with it.
const REFUSED: u8 = 3;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the value of every option, and where it comes from
    #[command(disable_help_flag = true)]
    Show(ShowArguments),
    /// Write a mosquitto.conf as sori.toml, or a sori.toml as mosquitto.conf
    #[command(disable_help_flag = true)]
    Convert(ConvertArguments),
}

#[derive(Args)]
struct ShowArguments {
    /// The file; several are read one after the other. Without one, what plain `sori` uses
    #[arg(short = 'c', long = "config-file", value_name = "FILE")]
    config_files: Vec<PathBuf>,
    /// Print one JSON array instead of lines
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = CONVERT_HELP)]
struct ConvertArguments {
    /// The file; it is a sori.toml when its name ends in .toml, else a mosquitto.conf
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write to this file, which must not exist yet, instead of standard output
    #[arg(short = 'o', long, value_name = "OUT")]
    output: Option<PathBuf>,
}

const CONVERT_HELP: &str = "\
What the new file means is what the old one meant: where the two forms have different defaults, the
value is written. The files of an include_dir become part of the one new file. Comments are not kept.";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Show(arguments) => show(arguments),
        Command::Convert(arguments) => convert_file(arguments),
    }
}

/// The settings, or all that is wrong with them on standard error.
fn settings(files: &[PathBuf]) -> Result<Loaded, Failure> {
    settings_of(files).map_err(|remarks| {
        tell(&remarks);
        Failure::quiet(REFUSED)
    })
}

/// Standard output is for the answer.
fn tell(remarks: &[Remark]) {
    for remark in remarks {
        eprintln!("{remark}");
    }
}

fn convert_file(arguments: &ConvertArguments) -> Result<(), Failure> {
    let loaded = settings(std::slice::from_ref(&arguments.file))?;
    tell(&loaded.remarks);
    let text = if is_toml(&arguments.file) { convert::to_conf(&loaded) } else { convert::to_toml(&loaded) };
    match &arguments.output {
        Some(output) => write_new(output, &text),
        None => print(&text),
    }
}

/// A file that somebody has written by hand is not written over.
fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let name = file.display();
    let made = OpenOptions::new().write(true).create_new(true).open(file);
    made.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(format!("{name} is there already: name a new file, or remove it")),
        _ => Failure::new(format!("{name} cannot be written: {error}")),
    })
}

fn print(text: &str) -> Result<(), Failure> {
    let printed = std::io::stdout().write_all(text.as_bytes());
    match printed.map_err(|error| error.kind()) {
        // Who reads it has seen enough.
        Ok(()) | Err(ErrorKind::BrokenPipe) => Ok(()),
        Err(kind) => Err(Failure::new(format!("standard output cannot be written: {kind}"))),
    }
}

fn show(arguments: &ShowArguments) -> Result<(), Failure> {
    let loaded = settings(&arguments.config_files)?;
    tell(&loaded.remarks);
    let all = effective(&loaded);
    if arguments.json {
        let lines: Vec<Line<'_>> = all.iter().map(Line::new).collect();
        let text = serde_json::to_string_pretty(&lines).map_err(|error| Failure::new(error.to_string()))?;
        return print(&(text + "\n"));
    }
    let is_own_form = arguments.config_files.iter().all(|file| is_toml(file)) && !arguments.config_files.is_empty();
    print(&lines(&all, is_own_form))
}

/// For people: the options of the whole broker, then those of each listener below its line.
fn lines(all: &[Effective], is_own_form: bool) -> String {
    let mut text = String::new();
    for one in all {
        let value = if one.values.is_empty() { "(not set)".to_owned() } else { one.values.join(", ") };
        if one.entry.word() == "listener" {
            let _ = writeln!(text, "\nlistener {value:<50} {}", one.from);
            continue;
        }
        let indent = if one.listener.is_some() { "  " } else { "" };
        let name = format!("{indent}{}", if is_own_form { one.entry.toml } else { one.entry.word() });
        let _ = writeln!(text, "{name:<34} {value:<24} {}", one.from);
    }
    text
}

/// One option, for programs.
#[derive(Serialize)]
struct Line<'a> {
    /// The word of mosquitto.conf.
    option: &'a str,
    /// The path of sori.toml.
    toml: &'a str,
    /// The listener that it holds for, as its line is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<&'a str>,
    /// None: it is not set. Several: all of them count.
    values: &'a [String],
    /// `default`, `file` or `environment`.
    from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<&'static str>,
}

impl<'a> Line<'a> {
    fn new(one: &'a Effective) -> Line<'a> {
        let (from, at, variable) = match &one.from {
            From::Default => ("default", None, None),
            From::Line(at) => ("file", Some(at), None),
            From::Environment(name) => ("environment", None, Some(*name)),
        };
        Line {
            option: one.entry.word(),
            toml: one.entry.toml,
            listener: one.listener.as_deref(),
            values: &one.values,
            from,
            file: at.map(|at| at.file.display().to_string()),
            line: at.map(|at| at.line),
            variable,
        }
    }
}

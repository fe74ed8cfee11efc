//! The `sori` program: one file per command, and the choice between them.
//!
//! `sori` alone is `sori serve`. The arguments of `serve` are Mosquitto's and pass through unparsed, also without the
//! word: `sori -p 1884 -v`. Called as `mosquitto`, the program is `serve` and nothing else.

mod bench;
mod certs;
mod check;
mod client;
mod completions;
mod config;
mod connection;
mod display;
mod event;
mod explain;
mod failure;
mod format;
mod inputs;
mod link;
mod man;
mod message;
mod mosquitto;
mod mosquitto_signal;
mod names;
mod passwd;
mod payload;
mod printer;
mod r#pub;
mod publishing;
mod reload;
mod requesting;
mod rr;
mod settings;
mod store;
mod sub;
mod subscribing;
mod topic;
mod trace;
mod transport;
mod tree;
mod voice;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use sori_server::command_line::switches;

/// An MQTT broker and its tools in one program.
#[derive(Parser)]
#[command(name = "sori", version, disable_help_flag = true, after_help = EXAMPLES)]
struct Arguments {
    /// Print help
    #[arg(long, global = true, action = clap::ArgAction::Help)]
    help: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the broker; this is also what `sori` without a command does
    #[command(disable_help_flag = true)]
    Serve {
        /// The arguments of `mosquitto`: -c file, -p port, -v, -q, -d, --test-config
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check a configuration before the broker starts with it
    #[command(disable_help_flag = true)]
    Check(check::Arguments),
    /// Show what a configuration comes to, or write it in the other form
    #[command(disable_help_flag = true)]
    Config(config::Arguments),
    /// Publish messages
    #[command(disable_help_flag = true)]
    Pub(Box<r#pub::Arguments>),
    /// Subscribe and print what comes
    #[command(disable_help_flag = true)]
    Sub(Box<sub::Arguments>),
    /// Have a running broker read its configuration again, as on SIGHUP, and tell what came of it
    #[command(disable_help_flag = true)]
    Reload(reload::Arguments),
    /// Say what a client may, and which line of which file decides
    #[command(disable_help_flag = true)]
    Explain(explain::Arguments),
    /// Send a request and show the response
    #[command(disable_help_flag = true)]
    Rr(Box<rr::Arguments>),
    /// Measure a broker: throughput, latency, connections, and what QoS 0, 1 and 2 keep
    #[command(disable_help_flag = true)]
    Bench(bench::Arguments),
    /// Ask about topics and filters
    #[command(disable_help_flag = true)]
    Topic(topic::Arguments),
    /// Keep the passwords of users in a file
    #[command(disable_help_flag = true)]
    Passwd(passwd::Arguments),
    /// Make certificates for TLS: an authority, servers, clients
    #[command(disable_help_flag = true)]
    Certs(certs::Arguments),
    /// Make links so that the program is also called mosquitto, mosquitto_pub, mosquitto_sub, ...
    #[command(disable_help_flag = true)]
    Link(link::Arguments),
    /// Look after what the broker keeps on disk
    #[command(disable_help_flag = true)]
    Store(store::Arguments),
    /// Write the manual pages
    #[command(disable_help_flag = true)]
    Man(man::Arguments),
    /// Print what completes commands and options in a shell
    #[command(disable_help_flag = true)]
    Completions(completions::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  sori                                   run a broker on port 1883
  sori sub -t '#' -v                     watch everything
  sori pub -t kitchen/light -m on        send a message";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if let Some(name) = names::called_as(&program) {
        return ExitCode::from((name.run)(arguments));
    }
    match Invocation::new(&arguments) {
        Invocation::Serve { skip } => ExitCode::from(sori_server::run(arguments.into_iter().skip(skip), false)),
        Invocation::Tool => run(Arguments::parse().command),
    }
}

fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Serve { arguments } => return ExitCode::from(sori_server::run(arguments.into_iter(), false)),
        Command::Check(arguments) => return check::run(&arguments).unwrap_or_else(|failure| failure.report()),
        Command::Reload(arguments) => return reload::run(&arguments).unwrap_or_else(|failure| failure.report()),
        Command::Config(arguments) => config::run(&arguments),
        Command::Pub(arguments) => r#pub::run(&arguments),
        Command::Sub(arguments) => sub::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Rr(arguments) => rr::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Topic(arguments) => topic::run(&arguments),
        Command::Passwd(arguments) => passwd::run(&arguments),
        Command::Certs(arguments) => certs::run(&arguments),
        Command::Link(arguments) => link::run(&arguments),
        Command::Store(arguments) => store::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The whole command line, for pages and completions. The options of `serve` are in a table of their own.
fn command_line() -> clap::Command {
    Arguments::command().mut_subcommand("serve", |serve| {
        let about = serve.get_about().cloned().unwrap_or_default();
        let mut whole = clap::Command::new("serve").about(about).disable_help_flag(true).disable_version_flag(true);
        for switch in switches() {
            let id = switch.long.trim_start_matches('-');
            let mut argument = clap::Arg::new(id).long(id).help(switch.help);
            if let Some(short) = switch.short.chars().nth(1) {
                argument = argument.short(short);
            }
            whole = whole.arg(match switch.value {
                "" => argument.action(clap::ArgAction::SetTrue),
                "file" => argument.value_name("FILE").value_hint(clap::ValueHint::FilePath),
                value => argument.value_name(value.to_uppercase()),
            });
        }
        whole
    })
}

/// Which half of the program is meant, decided before anything is parsed.
#[derive(Debug, PartialEq, Eq)]
enum Invocation {
    /// The broker; its arguments begin after `skip` words.
    Serve {
        skip: usize,
    },
    Tool,
}

impl Invocation {
    fn new(arguments: &[OsString]) -> Self {
        match arguments.first().map(|first| first.to_string_lossy()).as_deref() {
            Some("serve") => Self::Serve { skip: 1 },
            // The whole program's help, and not that of one command.
            Some("--help" | "--version" | "-V") => Self::Tool,
            Some(option) if !option.starts_with('-') => Self::Tool,
            _ => Self::Serve { skip: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(words: &str) -> Invocation {
        Invocation::new(&words.split(' ').skip(1).map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_broker_is_meant_unless_a_command_is_named() {
        let serve = |skip| Invocation::Serve { skip };
        assert_eq!(invocation("sori"), serve(0));
        assert_eq!(invocation("sori -p 1884 -v"), serve(0));
        assert_eq!(invocation("sori serve -p 1884"), serve(1));
        assert_eq!(invocation("/usr/sbin/sori --test-config"), serve(0));
        for tool in [
            "sori check -c a.conf",
            "sori config show",
            "sori pub -t a",
            "sori sub",
            "sori reload --dry-run",
            "sori store verify",
            "sori man pages",
            "sori completions bash",
            "sori help",
            "sori --help",
            "sori --version",
            "sori typo",
        ] {
            assert_eq!(invocation(tool), Invocation::Tool, "{tool}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        command_line().debug_assert();
    }
}

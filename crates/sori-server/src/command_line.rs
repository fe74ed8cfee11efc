//! The command line of `sori serve`, which is that of `mosquitto`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::config::manual;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments {
    /// `-c`, in their order.
    pub config_files: Vec<PathBuf>,
    /// `-p`, in their order.
    pub ports: Vec<u16>,
    /// `-v`
    pub verbose: bool,
    /// `-q`
    pub quiet: bool,
    /// `-d`
    pub daemon: bool,
    /// `--test-config`
    pub test_config: bool,
    /// `--tls-keylog`
    pub tls_key_log: Option<PathBuf>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Start the broker, or test its configuration.
    Serve(Arguments),
    /// Print how to use it.
    Help,
    /// Print the version.
    Version,
}

/// Ports that `-p` may name.
const PORTS_MAX: usize = 10;

/// One option of the command line.
#[derive(Debug)]
pub struct Switch {
    /// With its dash; empty when it has none.
    pub short: &'static str,
    /// With its dashes.
    pub long: &'static str,
    /// What its value is called; empty when it takes none.
    pub value: &'static str,
    /// What it does, as part of a sentence.
    pub help: &'static str,
    effect: Effect,
}

#[derive(Debug)]
enum Effect {
    Set(fn(&mut Arguments)),
    /// Takes a value, and says what is missing when there is none.
    Take {
        missing: &'static str,
        take: fn(&mut Arguments, &OsStr) -> Result<(), String>,
    },
    End(Command),
}

const SWITCHES: &[Switch] = &[
    Switch {
        short: "-c",
        long: "--config-file",
        value: "file",
        help: "read this mosquitto.conf or sori.toml; several are read one after the other",
        effect: Effect::Take { missing: "-c argument given, but no config file specified.", take: take_file },
    },
    Switch {
        short: "-d",
        long: "--daemon",
        value: "",
        help: "go into the background once everything listens",
        effect: Effect::Set(|arguments| arguments.daemon = true),
    },
    Switch { short: "-h", long: "--help", value: "", help: "print this help", effect: Effect::End(Command::Help) },
    Switch {
        short: "-p",
        long: "--port",
        value: "port",
        help: "listen on this port, for clients on this machine; not counted when the file has a listener; \
               up to 10 times",
        effect: Effect::Take { missing: "-p argument given, but no port specified.", take: take_port },
    },
    Switch {
        short: "-q",
        long: "--quiet",
        value: "",
        help: "log nothing; wins over -v and over the file",
        effect: Effect::Set(|arguments| arguments.quiet = true),
    },
    Switch {
        short: "-v",
        long: "--verbose",
        value: "",
        help: "log everything; wins over the file",
        effect: Effect::Set(|arguments| arguments.verbose = true),
    },
    Switch {
        short: "",
        long: "--test-config",
        value: "",
        help: "check the file and exit: 0 when it is good, 3 when it is not",
        effect: Effect::Set(|arguments| arguments.test_config = true),
    },
    Switch {
        short: "",
        long: "--version",
        value: "",
        help: "print the version",
        effect: Effect::End(Command::Version),
    },
    Switch {
        short: "",
        long: "--tls-keylog",
        value: "file",
        help: "append the secrets of TLS connections to this file, for Wireshark; whoever has it can read them all",
        effect: Effect::Take {
            missing: "--tls-keylog argument given, but no file specified.",
            take: |arguments, file| {
                arguments.tls_key_log = Some(PathBuf::from(file));
                Ok(())
            },
        },
    },
];

/// All options of the command line, for those who write about them.
pub fn switches() -> &'static [Switch] {
    SWITCHES
}

/// Reads the arguments after the program's name.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments;
    let mut asked = Arguments::default();
    while let Some(argument) = arguments.next() {
        let switch = SWITCHES
            .iter()
            .find(|switch| argument == switch.long || (!switch.short.is_empty() && argument == switch.short));
        let unknown = || format!("Unknown option '{}'.", argument.to_string_lossy());
        match &switch.ok_or_else(unknown)?.effect {
            Effect::Set(set) => set(&mut asked),
            Effect::Take { missing, take } => take(&mut asked, &arguments.next().ok_or(*missing)?)?,
            Effect::End(Command::Help) => return Ok(Command::Help),
            Effect::End(_) => return Ok(Command::Version),
        }
    }
    Ok(Command::Serve(asked))
}

fn take_file(asked: &mut Arguments, value: &OsStr) -> Result<(), String> {
    asked.config_files.push(PathBuf::from(value));
    Ok(())
}

fn take_port(asked: &mut Arguments, value: &OsStr) -> Result<(), String> {
    let text = value.to_string_lossy();
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| format!("Invalid port specified ({text})."))?;
    if asked.ports.len() == PORTS_MAX {
        return Err(format!("Only {PORTS_MAX} ports can be specified on the command line."));
    }
    asked.ports.push(port);
    Ok(())
}

/// The first line of the help, which scripts know under the name `mosquitto`.
pub fn usage(called_as_mosquitto: bool) -> String {
    let program = if called_as_mosquitto { "mosquitto" } else { "sori serve" };
    format!("Usage: {program} [-c config_file] [-d] [-h] [-p port] [-v]\n")
}

/// How to use the program, and every option of the configuration file in a line.
pub fn help(called_as_mosquitto: bool) -> String {
    let mut text = format!("{} is an MQTT v5.0/v3.1.1/v3.1 broker.\n\n", version_line());
    text.push_str(&usage(called_as_mosquitto));
    text.push('\n');
    for switch in SWITCHES {
        let names =
            if switch.short.is_empty() { switch.long.to_owned() } else { format!("{}, {}", switch.short, switch.long) };
        let names = if switch.value.is_empty() { names } else { format!("{names} <{}>", switch.value) };
        text.push_str(&format!("  {names:<26} {}\n", switch.help));
    }
    text.push_str("\nOptions of the configuration file (docs/configuration.md explains them):\n");
    text.push_str(&manual::summary());
    text
}

/// Name and version.
pub fn version_line() -> String {
    format!("sori version {}", crate::VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn all_that_mosquitto_takes() {
        let asked = Arguments {
            tls_key_log: Some("keys.log".into()),
            config_files: vec!["a.conf".into(), "b.conf".into()],
            ports: vec![1883, 1],
            verbose: true,
            quiet: true,
            daemon: true,
            test_config: true,
        };
        let short = [
            "-v",
            "-c",
            "a.conf",
            "-c",
            "b.conf",
            "-p",
            "1883",
            "-q",
            "-d",
            "-p",
            "1",
            "--test-config",
            "--tls-keylog",
            "keys.log",
        ];
        let long = [
            "--verbose",
            "--config-file",
            "a.conf",
            "--config-file",
            "b.conf",
            "--port",
            "1883",
            "--quiet",
            "--daemon",
            "--port",
            "1",
            "--test-config",
            "--tls-keylog",
            "keys.log",
        ];
        assert_eq!(parsed(&short), Ok(Command::Serve(asked.clone())));
        assert_eq!(parsed(&long), Ok(Command::Serve(asked)));
        assert_eq!(parsed(&[]), Ok(Command::Serve(Arguments::default())));
        assert_eq!(parsed(&["-v", "-h", "--unknown"]), Ok(Command::Help));
        assert_eq!(parsed(&["--version"]), Ok(Command::Version));
    }

    #[test]
    fn mistakes_are_named_in_mosquittos_words() {
        for (arguments, text) in [
            (vec!["-p"], "-p argument given, but no port specified."),
            (vec!["-c"], "-c argument given, but no config file specified."),
            (vec!["--tls-keylog"], "--tls-keylog argument given, but no file specified."),
            (vec!["-p", "0"], "Invalid port specified (0)."),
            (vec!["-p", "65536"], "Invalid port specified (65536)."),
            (vec!["-p", "-1"], "Invalid port specified (-1)."),
            (vec!["--unknown"], "Unknown option '--unknown'."),
            (vec![""], "Unknown option ''."),
            (vec!["-vd"], "Unknown option '-vd'."),
        ] {
            assert_eq!(parsed(&arguments), Err(text.to_owned()));
        }
        let eleven = ["-p", "1"].repeat(11);
        assert_eq!(parsed(&eleven), Err("Only 10 ports can be specified on the command line.".to_owned()));
        assert!(parsed(&["-p", "1"].repeat(10)).is_ok());
    }

    #[test]
    fn the_help_names_every_switch_and_the_line_that_scripts_know() {
        let text = help(true);
        assert!(text.contains("Usage: mosquitto [-c config_file] [-d] [-h] [-p port] [-v]"));
        for switch in SWITCHES {
            assert!(text.contains(switch.long), "{}", switch.long);
        }
        assert!(help(false).contains("Usage: sori serve "));
    }
}

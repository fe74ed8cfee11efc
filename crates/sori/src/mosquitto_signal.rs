//! `mosquitto_signal`: its command line, its messages and its exit statuses, because scripts know them.
//!
//! A signal that cannot be sent is told and is no failure, as there. `-a` means every process that was started under
//! the name `mosquitto`, and every broker of this program under whatever name.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use nix::libc::SIGRTMIN;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sori_server::running;

const USAGE: &str = "\
mosquitto_signal sends signals to brokers. This one is part of sori.

Usage: mosquitto_signal {-a | -p <pid>} <signal>
       mosquitto_signal --help

 -a : to all brokers of this machine that may be reached
 -p : to this process

<signal> is one of:
 config-reload - read the configuration again
 log-rotate    - close and open the log files; the configuration is read again too
 shutdown      - end
 tree-print    - write the state to the log
 xtreport      - Mosquitto writes a profile; sori closes and opens its log files

`sori reload` also tells what came of it.
";

/// What can be sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Sent {
    Signal(Signal),
    /// SIGRTMIN, whose number is the C library's to say.
    FirstRealTime,
}

const SIGNALS: [(&str, Sent); 5] = [
    ("config-reload", Sent::Signal(Signal::SIGHUP)),
    ("log-rotate", Sent::Signal(Signal::SIGHUP)),
    ("shutdown", Sent::Signal(Signal::SIGINT)),
    ("tree-print", Sent::Signal(Signal::SIGUSR2)),
    ("xtreport", Sent::FirstRealTime),
];

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Target {
    All,
    Process(i32),
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Usage,
    Said(String),
}

/// The program; the arguments are those behind its name.
pub(crate) fn run(arguments: Vec<OsString>) -> u8 {
    let arguments: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match parse(&arguments) {
        Ok((Target::Process(pid), sent)) => {
            if let Err(reason) = sent.to(pid) {
                eprintln!("Error sending signal to process {pid}: {reason}");
            }
            0
        }
        Ok((Target::All, sent)) => {
            for pid in brokers() {
                if let Err(reason) = sent.to(pid) {
                    eprintln!("Unable to signal process {pid}: {reason}");
                }
            }
            0
        }
        Err(Wrong::Usage) => {
            print!("{USAGE}");
            1
        }
        Err(Wrong::Said(text)) => {
            eprintln!("Error: {text}");
            1
        }
    }
}

fn parse(arguments: &[String]) -> Result<(Target, Sent), Wrong> {
    let wrong = |text: &str| Err(Wrong::Said(text.to_owned()));
    let (mut target, mut rest) = (None, arguments);
    while let Some((word, behind)) = rest.split_first() {
        match word.as_str() {
            "--help" => return Err(Wrong::Usage),
            "-a" => target = Some(Target::All),
            "-p" => {
                let Some((pid, behind)) = behind.split_first() else {
                    return wrong("-p argument given but process ID missing.");
                };
                // A number below 1 means many processes to the system.
                let Some(pid) = pid.parse().ok().filter(|pid| *pid > 0) else {
                    return wrong("Process ID must be >0.");
                };
                target = Some(Target::Process(pid));
                rest = behind;
                continue;
            }
            _ => break,
        }
        rest = behind;
    }
    match (target, rest.first()) {
        (None, None) if arguments.is_empty() => Err(Wrong::Usage),
        (None, _) => wrong("One of -a or -p must be used."),
        (Some(_), None) => wrong("No signal given."),
        (Some(target), Some(name)) => match SIGNALS.iter().find(|(word, _)| word == name) {
            Some((_, sent)) => Ok((target, *sent)),
            None => wrong(&format!("Unknown signal '{name}'.")),
        },
    }
}

impl Sent {
    fn to(self, pid: i32) -> Result<(), String> {
        match self {
            Sent::Signal(signal) => kill(Pid::from_raw(pid), signal).map_err(|errno| errno.desc().to_owned()),
            // nix knows no signal of real time, and without it the system call wants unsafe code.
            Sent::FirstRealTime => {
                let output = Command::new("kill").arg(format!("-{}", SIGRTMIN())).arg(pid.to_string()).output();
                let output = output.map_err(|error| format!("`kill` cannot be started: {error}"))?;
                let said = String::from_utf8_lossy(&output.stderr);
                if output.status.success() { Ok(()) } else { Err(said.trim().to_owned()) }
            }
        }
    }
}

/// The processes that `-a` means; this one is none of them.
fn brokers() -> BTreeSet<i32> {
    let ours = running::all().into_iter().filter_map(|(pid, _)| i32::try_from(pid).ok());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let named = processes.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        is_mosquitto(&fs::read(entry.path().join("cmdline")).ok()?).then_some(pid)
    });
    ours.chain(named).collect()
}

/// Whether a process with these arguments, each with a 0 behind it, was started as `mosquitto`.
fn is_mosquitto(command_line: &[u8]) -> bool {
    let program = command_line.split(|byte| *byte == 0).next().unwrap_or_default();
    Path::new(OsStr::from_bytes(program)).file_name() == Some(OsStr::new("mosquitto"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Result<(Target, Sent), Wrong> {
        let words: Vec<String> = words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn the_command_line_is_mosquitto_s() {
        let hup = Sent::Signal(Signal::SIGHUP);
        assert_eq!(of("-p 7 config-reload"), Ok((Target::Process(7), hup)));
        assert_eq!(of("-a -p 7 xtreport"), Ok((Target::Process(7), Sent::FirstRealTime)));
        assert_eq!(of("-p 7 -a log-rotate more"), Ok((Target::All, hup)));
        for (words, said) in [
            ("--invalid", "One of -a or -p must be used."),
            ("config-reload", "One of -a or -p must be used."),
            ("-p", "-p argument given but process ID missing."),
            ("-p 0 shutdown", "Process ID must be >0."),
            ("-p -1 shutdown", "Process ID must be >0."),
            ("-p x shutdown", "Process ID must be >0."),
            ("-a", "No signal given."),
            ("-p 7", "No signal given."),
            ("-p 7 invalid", "Unknown signal 'invalid'."),
        ] {
            assert_eq!(of(words), Err(Wrong::Said(said.to_owned())), "{words}");
        }
        for words in ["", "--help", "-a --help"] {
            assert_eq!(of(words), Err(Wrong::Usage), "{words}");
        }
    }

    #[test]
    fn a_process_is_known_by_the_name_it_was_started_under() {
        for yes in ["mosquitto\0-v\0", "/usr/sbin/mosquitto\0", "./mosquitto\0-c\0a b\0"] {
            assert!(is_mosquitto(yes.as_bytes()), "{yes:?}");
        }
        for no in ["", "\0", "sori\0mosquitto\0", "mosquitto_sub\0", "/mosquitto/sori\0", "vi\0/etc/mosquitto\0"] {
            assert!(!is_mosquitto(no.as_bytes()), "{no:?}");
        }
    }
}

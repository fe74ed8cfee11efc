//! The program from its first argument to its exit code.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdout};
use std::path::PathBuf;
use std::time::Duration;

use crate::check;
use crate::command_line::{self, Command};
use crate::config::{Config, Loaded, Remark, Severity};
use crate::door;
use crate::log::{Kind, Log, lines};
use crate::machine::Machine;
use crate::process::pid_file::PidFile;
use crate::process::privileges::{self, Wish};
use crate::process::{daemon, open_files, umask};
use crate::reload;
use crate::startup::{Origin, RunError, Startup, log_remarks};
use crate::store::place::Place;

/// Exit codes, which scripts know from Mosquitto.
const OK: u8 = 0;
const FAILED: u8 = 1;
const REFUSED: u8 = 3;

/// How long the last log lines may take at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Runs the broker with the arguments that follow the program's name (and `serve`), and returns the exit code.
/// Under the name `mosquitto` Mosquitto's defaults hold even without a file.
pub fn run(args: impl Iterator<Item = OsString>, called_as_mosquitto: bool) -> u8 {
    match command_line::parse(args) {
        Ok(Command::Help) => {
            print!("{}", command_line::help(called_as_mosquitto));
            OK
        }
        Ok(Command::Version) => {
            println!("{}", command_line::version_line());
            OK
        }
        Ok(Command::Serve(arguments)) => serve(Origin { arguments, called_as_mosquitto }),
        Err(text) => {
            eprintln!("Error: {text}\n{}Try -h.", command_line::usage(called_as_mosquitto));
            REFUSED
        }
    }
}

fn serve(origin: Origin) -> u8 {
    let arguments = &origin.arguments;
    if arguments.test_config && arguments.config_files.is_empty() {
        eprintln!("Error: Please provide a configuration file to test.");
        return REFUSED;
    }
    if arguments.test_config {
        return test_config(&origin);
    }
    let loaded = match origin.load() {
        Ok(loaded) => loaded,
        Err(remarks) => {
            print_remarks(&remarks);
            return REFUSED;
        }
    };
    if arguments.daemon && !daemon::is_daemon() {
        return daemon::start().unwrap_or_else(|error| {
            eprintln!("Error: Unable to go into the background: {error}.");
            FAILED
        });
    }
    match start(loaded, origin) {
        Ok(()) => OK,
        Err(code) => code,
    }
}

/// Scripts test a file while the broker that uses it runs, so that a port in use is no error here.
fn test_config(origin: &Origin) -> u8 {
    let remarks = check::check_origin(origin, Severity::Warning);
    print_remarks(&remarks);
    if remarks.iter().any(Remark::is_error) {
        return REFUSED;
    }
    eprintln!("Configuration file is OK.");
    OK
}

/// All errors at once, and how many there are.
fn print_remarks(remarks: &[Remark]) {
    for remark in remarks {
        eprintln!("{remark}");
    }
    match remarks.iter().filter(|remark| remark.severity == Severity::Error).count() {
        0 => {}
        1 => eprintln!("The configuration has one error; nothing was started."),
        errors => eprintln!("The configuration has {errors} errors; nothing was started."),
    }
}

/// What must be done before anything is opened, in this order: what only root may do, giving up root, files.
fn start(loaded: Loaded, origin: Origin) -> Result<(), u8> {
    let Loaded { config, remarks, .. } = &loaded;
    let refuse = |text: String| {
        eprintln!("Error: {text}");
        REFUSED
    };
    let is_daemon = origin.arguments.daemon;
    if is_daemon {
        daemon::leave_terminal().map_err(|error| refuse(format!("in setsid: {error}")))?;
    }
    open_files::raise_limit();
    // Before the first thread.
    door::block_reload_signal().map_err(|error| refuse(format!("in sigprocmask: {error}")))?;
    let wish = wish(config, origin.called_as_mosquitto);
    make_location(config, &wish)?;
    let warnings = privileges::give_up(&wish).map_err(refuse)?;
    if let Some(mask) = env::var_os("UMASK_SET") {
        umask::apply(&mask).map_err(refuse)?;
    }
    let log = Log::open(config.log.clone());
    let on_terminal = config.log.destinations.stderr && log.enabled(Kind::Error);
    log.information(format_args!("{}", lines::starting("sori", crate::VERSION)));
    log.information(format_args!("{}", lines::config_loaded(config.files.last().map(PathBuf::as_path))));
    log_remarks(&log, remarks);
    for privileges::Warning(text) in warnings {
        log.warning(format_args!("Warning: {text}"));
    }
    let result = start_with_pid_file(loaded, origin, log.clone(), is_daemon);
    if let Err(error) = &result {
        log.error(format_args!("{error}"));
        // Who started it must not have to look for the log to learn why it did not start.
        if !on_terminal {
            eprintln!("{error}");
        }
    }
    log.information(format_args!("{}", lines::terminating("sori", crate::VERSION)));
    log.flush(LAST_LINES);
    result.map_err(|_| FAILED)
}

/// Whoever the process becomes could not make the directory of the store in one of root's.
fn make_location(config: &Config, wish: &Wish) -> Result<(), u8> {
    if !config.persistence {
        return Ok(());
    }
    let place = Place::of(config);
    let made = place.make_location().map_err(|error| error.to_string());
    let done = made.and_then(|is_new| match is_new {
        true => privileges::hand_over(place.location(), wish).map_err(|text| format!("Error: {text}")),
        false => Ok(()),
    });
    done.map_err(|text| {
        eprintln!("{text}");
        FAILED
    })
}

fn start_with_pid_file(loaded: Loaded, origin: Origin, log: Log, daemon: bool) -> Result<(), RunError> {
    let config = &loaded.config;
    let pid_file = config.pid_file.as_deref().map(PidFile::write).transpose();
    let _pid_file = pid_file.map_err(|error| RunError::new(format!("Unable to write pid file: {error}.")))?;
    let watched = stderr().is_terminal() || stdout().is_terminal() || config.files.is_empty();
    let greeting = watched && !origin.arguments.quiet && !daemon;
    reload::run(loaded, Startup { log, machine: Machine::read(), origin, greeting, daemon })
}

/// Only a file that names a user, and the name `mosquitto`, ask for root to be given up.
fn wish(config: &Config, called_as_mosquitto: bool) -> Wish {
    let user_is_default = config.user.is_none() && called_as_mosquitto;
    let default = user_is_default.then(|| "mosquitto".to_owned());
    Wish {
        user: config.user.clone().or(default),
        // A file that says `user mosquitto` gets nobody's stand-in too, as in Mosquitto.
        user_is_default: user_is_default || config.user.as_deref() == Some("mosquitto"),
        puid: env::var_os("PUID"),
        pgid: env::var_os("PGID"),
    }
}

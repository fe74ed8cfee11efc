//! The program from its first argument to its exit code.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdout};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::check::{self, Eyes};
use crate::command_line::{self, Command};
use crate::config::{Config, Loaded, Remark, Severity, files};
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
    if arguments.daemon && !daemon::is_daemon() {
        return daemon::start().unwrap_or_else(|error| {
            eprintln!("Error: Unable to go into the background: {error}.");
            FAILED
        });
    }
    match start(origin) {
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

/// All errors at once, and how many there are; gives the exit code. As with Mosquitto, 3 is for lines that cannot be right,
/// 1 for files that cannot be used.
fn print_remarks(remarks: &[Remark]) -> u8 {
    for remark in remarks {
        eprintln!("{remark}");
    }
    match remarks.iter().filter(|remark| remark.is_error()).count() {
        0 => return OK,
        1 => eprintln!("The configuration has one error; nothing was started."),
        errors => eprintln!("The configuration has {errors} errors; nothing was started."),
    }
    if remarks.iter().any(|remark| remark.severity == Severity::Error) { REFUSED } else { FAILED }
}

/// What must be done before anything is opened, in this order: what only root may do, giving up root, files.
fn start(origin: Origin) -> Result<(), u8> {
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
    let was_root = privileges::is_root();
    let mut loaded = load(&origin, was_root)?;
    if let Some(mask) = env::var_os("UMASK_SET") {
        umask::apply(&mask).map_err(refuse)?;
    }
    let is_root = privileges::still_root().filter(|_| was_root);
    loaded.remarks.extend(is_root.map(|warning| Remark::new(Severity::Warning, warning.0)));
    let Loaded { config, remarks, .. } = &loaded;
    let log = Log::open(config.log.clone());
    let on_terminal = config.log.destinations.stderr && log.enabled(Kind::Error);
    log.information(format_args!("{}", lines::starting("sori", crate::VERSION)));
    log.information(format_args!("{}", lines::config_loaded(config.files.last().map(PathBuf::as_path))));
    log_remarks(&log, remarks);
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

/// Reads the configuration, and gives up root in the middle of it: what it names is read as whom the broker becomes, who will
/// have to read it again. All mistakes are told, whatever they are, and nothing is open then.
fn load(origin: &Origin, was_root: bool) -> Result<Loaded, u8> {
    let mut loaded = origin.read();
    let is_good = !loaded.remarks.iter().any(Remark::is_error);
    let made = if is_good { make_location(&loaded.config, &origin.wish(&loaded.config)) } else { Ok(()) };
    if was_root {
        check::become_broker(&mut loaded, origin);
    }
    loaded.read_named_files();
    let Loaded { config, settings, remarks, .. } = &mut loaded;
    check::examine_places(config, settings, Eyes::Broker { was_root }, remarks);
    // Else it is told as what it comes of.
    if let Err(text) = made
        && !remarks.iter().any(Remark::is_error)
    {
        remarks.push(files::pointed("persistence_location", settings, Remark::new(Severity::Failure, text)));
    }
    loaded.usable().map_err(|remarks| print_remarks(&remarks))
}

/// Whoever the process becomes could not make the directory of the store in one of root's.
fn make_location(config: &Config, wish: &Wish) -> Result<(), String> {
    if !config.persistence {
        return Ok(());
    }
    let place = Place::of(config);
    match place.make_location().map_err(RunError::into_text)? {
        true => privileges::hand_over(place.location(), wish),
        false => Ok(()),
    }
}

fn start_with_pid_file(loaded: Loaded, origin: Origin, log: Log, daemon: bool) -> Result<(), RunError> {
    let config = &loaded.config;
    let cannot_write =
        |path: &Path, error| RunError::new(format!("Unable to write pid file {}: {error}.", path.display()));
    let pid_file =
        config.pid_file.as_deref().map(|path| PidFile::write(path).map_err(|error| cannot_write(path, error)));
    let _pid_file = pid_file.transpose()?;
    let watched = stderr().is_terminal() || stdout().is_terminal() || config.files.is_empty();
    let greeting = watched && !origin.arguments.quiet && !daemon;
    reload::run(loaded, Startup { log, machine: Machine::read(), origin, greeting, daemon })
}

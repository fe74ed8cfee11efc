//! The broker's life between its start and its end: signals, and configurations that change.
//!
//! A reload happens as a whole or not at all. Everything is read and checked first, then what is new is opened, and only
//! when all of that has worked is anything changed. Otherwise the log has all the reasons, and the broker goes on as it
//! was.

use crate::config::{Config, Loaded, Remark};
use crate::log::lines;
use crate::overview;
use crate::server::Server;
use crate::startup::{RunError, Startup, log_remarks};
use nix::libc::SIGRTMIN;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::fs::OpenOptions;

/// Opens the listeners, starts the worker threads and runs until a signal ends the broker.
pub(crate) fn run(loaded: Loaded, startup: Startup) -> Result<(), RunError> {
    let reopen_log = SIGRTMIN();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, reopen_log])?;
    let Loaded { config, .. } = loaded;
    if !config.persistence {
        startup.log.notice(format_args!(
            "Persistence is off: a restart forgets all sessions, queued and retained messages. `persistence true` keeps them."
        ));
    }
    let server = Server::start(config.clone(), startup.log.clone(), startup.machine)?;
    startup.ready(&config)?;
    let mut broker = Broker { server, startup, config };
    for signal in signals.forever() {
        match signal {
            SIGHUP => broker.reload(),
            SIGUSR1 => broker.server.write_store_anew(),
            SIGUSR2 => broker.tell_overview(),
            other if other == reopen_log => broker.startup.log.reopen(),
            _ => break,
        }
    }
    broker.server.stop();
    Ok(())
}

/// A broker that runs, and the configuration that it has.
struct Broker {
    server: Server,
    startup: Startup,
    config: Config,
}

impl Broker {
    /// SIGHUP: log files are opened anew, and the configuration is read again. A file with a mistake changes nothing.
    fn reload(&mut self) {
        let log = &self.startup.log;
        log.information(format_args!("{}", lines::reloading()));
        log.reopen();
        match self.startup.load_again() {
            Ok(loaded) => self.switch(loaded),
            Err(remarks) => self.refuse(&remarks, Vec::new()),
        }
    }

    /// The configuration can be read; now everything that it needs is opened, and then it counts.
    fn switch(&mut self, loaded: Loaded) {
        let Loaded { config, remarks, .. } = loaded;
        if let Err(error) = log_can_be_written(&self.config, &config) {
            return self.refuse(&remarks, vec![error]);
        }
        if let Err(errors) = self.server.reload(&config) {
            return self.refuse(&remarks, errors);
        }
        let log = &self.startup.log;
        log.configure(config.log.clone());
        log_remarks(log, &remarks);
        self.config = config;
    }

    fn refuse(&self, remarks: &[Remark], errors: Vec<RunError>) {
        let log = &self.startup.log;
        log_remarks(log, remarks);
        for error in errors {
            log.error(format_args!("{error}"));
        }
        log.error(format_args!("The configuration was not changed."));
    }

    fn tell_overview(&self) {
        let figures = self.server.store().map(|store| store.gauges().figures());
        overview::log(&self.startup.log, &self.server.sessions(), figures.as_ref());
    }
}

/// A log that cannot be written would be found out too late, and by nobody.
fn log_can_be_written(old: &Config, new: &Config) -> Result<(), RunError> {
    let file = new.log.destinations.file.as_ref().filter(|file| old.log.destinations.file.as_ref() != Some(file));
    let Some(file) = file else { return Ok(()) };
    match OpenOptions::new().append(true).create(true).open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(RunError::new(format!("Unable to open log file {} for writing: {error}.", file.display()))),
    }
}

//! The broker's life between its start and its end: signals, and configurations that change.
//!
//! A reload happens as a whole or not at all. Everything is read and checked first, then what is new is opened, and only
//! when all of that has worked is anything changed. Otherwise the log has all the reasons, and the broker goes on as it
//! was. Files that the configuration names are also taken over when they change on disk; the configuration itself waits
//! until it is asked for.

use crate::config::effective::{self, Change, effective, values};
use crate::config::{Config, Loaded, Remark, files};
use crate::door::Door;
use crate::log::lines;
use crate::overview;
use crate::process::systemd;
use crate::running::Notice;
use crate::server::Server;
use crate::startup::{RunError, Startup, log_remarks, status};
use crate::watch::{Looks, Watch};
use nix::libc::SIGRTMIN;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use sori_broker::OpenAccess;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Changes that the log tells one by one.
const CHANGES_TOLD_MAX: usize = 100;

/// What may happen to a broker that runs.
enum Happening {
    Signal(i32),
    /// Files that the configuration names have changed.
    Changed(Vec<PathBuf>),
}

/// Opens the listeners, starts the worker threads and runs until a signal ends the broker.
pub(crate) fn run(loaded: Loaded, startup: Startup) -> Result<(), RunError> {
    let (happens, happenings) = channel();
    let door = Door::of_reload_signal()?;
    forward_signals(happens.clone())?;
    // Whoever changes a file while the start still reads it is heard.
    let looks = Looks::new(files::watched(&loaded.config));
    if !loaded.config.persistence {
        startup.log.notice(format_args!(
            "Persistence is off: a restart forgets all sessions, queued and retained messages. `persistence true` keeps them."
        ));
    }
    let (config, log) = (loaded.config.clone(), startup.log.clone());
    let server = Server::start_behind(door, config, log, startup.machine, Arc::new(OpenAccess))?;
    // It fails when nobody listens any more, at the end.
    let watch = Watch::start(looks, move |changed| drop(happens.send(Happening::Changed(changed))))?;
    let notice = Notice::begin(&loaded, &startup.origin.arguments.ports);
    startup.ready(&loaded.config)?;
    let mut broker = Broker { server, startup, loaded, watch, notice };
    let reopen_log = SIGRTMIN();
    let mut pulse = Pulse::new();
    loop {
        let happening = match pulse.wait(&happenings) {
            Ok(happening) => happening,
            Err(RecvTimeoutError::Timeout) => {
                // Who does not come to an end of its turn keeps the watchdog from being fed.
                broker.server.wait_for_turns();
                pulse.tell();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        match happening {
            Happening::Signal(SIGHUP) => broker.reload(),
            Happening::Signal(SIGUSR1) => broker.server.write_store_anew(),
            Happening::Signal(SIGUSR2) => broker.tell_overview(),
            Happening::Signal(other) if other == reopen_log => broker.startup.log.reopen(),
            Happening::Signal(_) => break,
            Happening::Changed(files) => broker.take_over(&files),
        }
    }
    // It stops, whether systemd hears of it or not.
    let _ = systemd::tell("STOPPING=1");
    broker.server.stop();
    Ok(())
}

/// The thread ends with the program.
fn forward_signals(happens: Sender<Happening>) -> Result<(), RunError> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN()])?;
    let forward = move || {
        for signal in signals.forever() {
            if happens.send(Happening::Signal(signal)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name(String::from("signals")).spawn(forward)?;
    Ok(())
}

/// When systemd is told next that the broker is well, if it wants to know.
struct Pulse(Option<(Duration, Instant)>);

impl Pulse {
    fn new() -> Pulse {
        Pulse(systemd::watchdog_period().map(|period| (period, Instant::now())))
    }

    /// What happens next, or that it is time.
    fn wait(&self, happenings: &Receiver<Happening>) -> Result<Happening, RecvTimeoutError> {
        match self.0 {
            None => happenings.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((_, due)) => happenings.recv_timeout(due.saturating_duration_since(Instant::now())),
        }
    }

    fn tell(&mut self) {
        if let Some((period, due)) = &mut self.0 {
            *due = Instant::now() + *period;
            // The next one may arrive; when none does, systemd acts.
            let _ = systemd::tell("WATCHDOG=1");
        }
    }
}

/// A broker that runs, and the configuration that it has.
struct Broker {
    server: Server,
    startup: Startup,
    loaded: Loaded,
    watch: Watch,
    notice: Notice,
}

impl Broker {
    /// SIGHUP: log files are opened anew, and the configuration is read again. A file with a mistake changes nothing.
    fn reload(&mut self) {
        // Who connects after the signal is under the new rules.
        let _closed = self.server.close_door();
        let log = &self.startup.log;
        log.information(format_args!("{}", lines::reloading()));
        // Whether systemd hears of it changes nothing.
        let _ = systemd::tell_reloading();
        log.reopen();
        // What changes after this look is another change.
        let looks = Looks::new(files::watched(&self.loaded.config));
        match self.startup.load_again() {
            Ok(loaded) => self.switch(loaded, looks),
            Err(remarks) => self.refuse(&remarks, Vec::new()),
        }
        let result = if self.notice.was_refused() { " The last reload was refused: see the log." } else { "" };
        let _ = systemd::tell(&format!("READY=1\nSTATUS={}{result}", status(&self.loaded.config)));
    }

    /// Files of the configuration have changed, and the configuration itself is not read again.
    fn take_over(&mut self, changed: &[PathBuf]) {
        let names: Vec<String> = changed.iter().map(|file| file.display().to_string()).collect();
        self.startup.log.information(format_args!("{} changed on disk, reading anew.", names.join(", ")));
        let looks = Looks::new(files::watched(&self.loaded.config));
        let mut loaded = self.loaded.clone();
        loaded.remarks.clear();
        loaded.read_named_files();
        match loaded.usable() {
            Ok(loaded) => self.switch(loaded, looks),
            Err(remarks) => {
                self.refuse(&remarks, Vec::new());
                // A directory may have other files by now.
                self.watch.change(looks);
            }
        }
    }

    /// The configuration can be read; now everything that it needs is opened, and then it counts.
    fn switch(&mut self, loaded: Loaded, looks: Looks) {
        if let Err(error) = log_can_be_written(&self.loaded.config, &loaded.config) {
            return self.refuse(&loaded.remarks, vec![error]);
        }
        if let Err(errors) = self.server.reload(&loaded.config) {
            return self.refuse(&loaded.remarks, errors);
        }
        let log = &self.startup.log;
        log.configure(loaded.config.log.clone());
        log_remarks(log, &loaded.remarks);
        let new = values(&effective(&loaded));
        let changes = effective::changes(self.notice.values(), &new);
        self.tell_changes(&changes);
        let said = loaded.remarks.iter().map(Remark::to_string).chain(changes.iter().map(Change::to_string));
        self.notice.note_reload(Some((&loaded.config, new)), said.collect());
        let watched = files::watched(&loaded.config);
        self.watch.change(if watched == files::watched(&self.loaded.config) { looks } else { Looks::new(watched) });
        self.loaded = loaded;
    }

    fn tell_changes(&self, changes: &[Change]) {
        let log = &self.startup.log;
        for change in changes.iter().take(CHANGES_TOLD_MAX) {
            log.information(format_args!("Changed: {change}."));
        }
        let count = changes.len();
        let what = if count == 1 { "setting has" } else { "settings have" };
        log.information(format_args!("The configuration was reloaded; {count} {what} changed."));
    }

    fn refuse(&mut self, remarks: &[Remark], errors: Vec<RunError>) {
        let log = &self.startup.log;
        log_remarks(log, remarks);
        for error in &errors {
            log.error(format_args!("{error}"));
        }
        log.error(format_args!("The configuration was not changed."));
        let said = remarks.iter().map(Remark::to_string).chain(errors.iter().map(RunError::to_string));
        self.notice.note_reload(None, said.collect());
    }

    fn tell_overview(&self) {
        let figures = self.server.store().map(|store| store.gauges().figures());
        overview::log(&self.startup.log, &self.server.sessions(), figures.as_ref());
    }
}

/// A log that cannot be written would be found out too late, and by nobody.
fn log_can_be_written(old: &Config, new: &Config) -> Result<(), RunError> {
    let file = |config: &Config| config.log.destinations.file.clone();
    match file(new).filter(|_| file(new) != file(old)) {
        None => Ok(()),
        Some(file) => can_be_written(&file),
    }
}

fn can_be_written(file: &Path) -> Result<(), RunError> {
    match OpenOptions::new().append(true).create(true).open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(RunError::new(format!("Unable to open log file {} for writing: {error}.", file.display()))),
    }
}

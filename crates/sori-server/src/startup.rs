//! From a checked configuration to the moment when everything listens: what is said, and to whom.

use std::env;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::command_line::Arguments;
use crate::config::{self, Bind, Config, Defaults, ListenerConfig, Loaded, Location, Remark, Severity, Source};
use crate::log::{Kind, Kinds, Log, lines};
use crate::machine::Machine;
use crate::process::privileges::Wish;
use crate::process::{daemon, systemd};
use crate::store::place::{LOCATION_VARIABLE, native_location, without_number};

/// What the running broker needs beside its configuration.
#[derive(Debug)]
pub struct Startup {
    /// The log, already open.
    pub log: Log,
    /// Memory and processors.
    pub machine: Machine,
    /// Where the settings came from, to read them again.
    pub(crate) origin: Origin,
    /// Somebody is watching: say where it listens and what to try.
    pub(crate) greeting: bool,
    /// This process is a daemon, and another one waits until it is ready.
    pub(crate) daemon: bool,
}

/// Where the settings came from: the command line, and the files it names.
#[derive(Debug, Clone)]
pub struct Origin {
    pub(crate) arguments: Arguments,
    pub(crate) called_as_mosquitto: bool,
}

impl Origin {
    /// Reads the files, at each reload. When this fails nothing has changed.
    pub fn load(&self) -> Result<Loaded, Vec<Remark>> {
        let mut loaded = self.read();
        loaded.read_named_files();
        loaded.usable()
    }

    /// Reads the files, and not those that they name: they say as whom those are to be read.
    pub(crate) fn read(&self) -> Loaded {
        let mut loaded = config::read(&self.source());
        self.override_log(&mut loaded.config);
        loaded.config.tls_key_log.clone_from(&self.arguments.tls_key_log);
        self.place(&mut loaded);
        loaded
    }

    /// Whom the broker becomes. Only a file that names a user, and the name `mosquitto`, ask for root to be given up.
    pub(crate) fn wish(&self, config: &Config) -> Wish {
        let user_is_default = config.user.is_none() && self.called_as_mosquitto;
        let default = user_is_default.then(|| "mosquitto".to_owned());
        Wish {
            user: config.user.clone().or(default),
            // A file that says `user mosquitto` gets nobody's stand-in too, as in Mosquitto.
            user_is_default: user_is_default || config.user.as_deref() == Some("mosquitto"),
            puid: env::var_os("PUID"),
            pgid: env::var_os("PGID"),
        }
    }

    fn source(&self) -> Source<'_> {
        let Arguments { config_files, ports, .. } = &self.arguments;
        let defaults = self.defaults();
        let persistence_location = env::var_os(LOCATION_VARIABLE).map(PathBuf::from);
        Source { files: config_files, ports, defaults, persistence_location }
    }

    /// sori's own without a file, and with files in its own form. Mosquitto's for everything that worked with Mosquitto: a
    /// `mosquitto.conf`, `-p`, its name.
    fn defaults(&self) -> Defaults {
        let Arguments { config_files, ports, .. } = &self.arguments;
        let is_own = match config_files.is_empty() {
            true => ports.is_empty(),
            false => config_files.iter().all(|file| config::is_toml(file)),
        };
        if is_own && !self.called_as_mosquitto { Defaults::Native } else { Defaults::Mosquitto }
    }

    fn place(&self, loaded: &mut Loaded) {
        if loaded.defaults == Defaults::Native && loaded.config.persistence_location.is_none() {
            loaded.config.persistence_location = Some(native_location());
        }
    }

    /// The command line wins over the file, and `-q` over `-v`.
    fn override_log(&self, config: &mut Config) {
        if self.arguments.quiet {
            config.log.kinds = Kinds::NONE;
        } else if self.arguments.verbose {
            config.log.kinds = Kinds::ALL;
        }
        if self.called_as_mosquitto {
            config.log.ident = "mosquitto";
        }
    }
}

/// What these files say, or what holds without any, as a start would read them. Files that they name are not read.
///
/// # Errors
/// All that is wrong with them.
pub fn settings_of(files: &[PathBuf]) -> Result<Loaded, Vec<Remark>> {
    let arguments = Arguments { config_files: files.to_vec(), ..Arguments::default() };
    let origin = Origin { arguments, called_as_mosquitto: false };
    let mut loaded = config::read(&origin.source());
    origin.place(&mut loaded);
    loaded.usable()
}

/// Writes what was noticed about a configuration to the log.
pub fn log_remarks(log: &Log, remarks: &[Remark]) {
    for remark in remarks {
        let kind = match remark.severity {
            Severity::Error | Severity::Failure => Kind::Error,
            Severity::Warning => Kind::Warning,
            Severity::Notice => Kind::Notice,
            Severity::Information => Kind::Information,
        };
        log.write(kind, format_args!("{remark}"));
    }
}

impl Startup {
    /// Reads the configuration again, from the same files and with the same command line.
    pub fn load_again(&self) -> Result<Loaded, Vec<Remark>> {
        self.origin.load()
    }

    /// To be called once, when every listener is open: tells people, the log, and the process that waits.
    pub fn ready(&self, config: &Config) -> Result<(), RunError> {
        self.log.information(format_args!("{}", lines::running("sori", crate::VERSION)));
        if let Err(error) = systemd::tell(&format!("READY=1\nSTATUS={}", status(config))) {
            self.log.warning(format_args!("Unable to tell systemd that the broker is ready: {error}."));
        }
        if self.greeting {
            eprint!("{}", greeting(config));
        }
        if self.daemon {
            daemon::report_ready().map_err(|error| RunError::new(format!("Error whilst daemonising: {error}")))?;
        }
        Ok(())
    }
}

/// Why the broker could not start or had to stop. The text is whole; the program prints it and exits with 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    text: String,
    is_damage: bool,
}

impl RunError {
    /// An error with this text, for people.
    pub fn new(text: impl Into<String>) -> RunError {
        RunError { text: text.into(), is_damage: false }
    }

    /// The same, for a store that is damaged.
    #[must_use]
    pub(crate) fn of_damage(self) -> RunError {
        RunError { is_damage: true, ..self }
    }

    /// Whether a store is damaged.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        self.is_damage
    }
}

impl RunError {
    /// The same, with the line of a configuration that it comes of.
    #[must_use]
    pub fn from_line(self, at: Option<&Location>) -> RunError {
        match at {
            Some(at) => RunError { text: format!("{} ({at})", self.text), ..self },
            None => self,
        }
    }

    /// Its text alone.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// Several errors as one, each on a line of its own.
    pub fn all(errors: Vec<RunError>) -> RunError {
        let texts: Vec<String> = errors.into_iter().map(|error| error.text).collect();
        RunError::new(texts.join("\nError: "))
    }
}

impl From<io::Error> for RunError {
    /// The system's words alone, as Mosquitto says them: "Permission denied", "Address already in use".
    fn from(error: io::Error) -> RunError {
        RunError::new(without_number(&error))
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error: {}", self.text)
    }
}

impl std::error::Error for RunError {}

/// One line for `systemctl status`.
pub(crate) fn status(config: &Config) -> String {
    let places: Vec<String> = config.listeners.iter().map(place).collect();
    format!("Listening on {}.", places.join(", "))
}

/// Where it listens, and two commands to try.
pub fn greeting(config: &Config) -> String {
    let places: Vec<String> = config.listeners.iter().map(place).collect();
    let only_here = if config.local_only { ", for clients on this machine only" } else { "" };
    let mut text = format!("sori {} listens on {}{only_here}.\n", crate::VERSION, places.join(", "));
    match config.listeners.iter().find(|listener| listener.allow_anonymous) {
        Some(listener) => {
            let connection = connection(listener);
            text.push_str("Try it from two other terminals:\n");
            text.push_str(&format!(
                "  sori sub{connection} -t 'home/#' -v\n  sori pub{connection} -t home/temp -m 21\n"
            ));
        }
        None if has_passwords(config) => text.push_str("Clients need a user name and its password.\n"),
        None => text.push_str(
            "No client can connect: allow_anonymous is false and there is no password_file. `sori passwd` makes one.\n",
        ),
    }
    text
}

fn has_passwords(config: &Config) -> bool {
    config.users.is_some() || config.listeners.iter().any(|listener| listener.users.is_some())
}

fn place(listener: &ListenerConfig) -> String {
    match &listener.bind {
        Bind::Tcp { host: Some(host), port } if host.contains(':') => format!("[{host}]:{port}"),
        Bind::Tcp { host: Some(host), port } => format!("{host}:{port}"),
        Bind::Tcp { host: None, port } => format!("port {port} of all addresses"),
        Bind::Unix(path) => path.display().to_string(),
    }
}

/// What the commands must be told to reach the listener; nothing for localhost and port 1883.
fn connection(listener: &ListenerConfig) -> String {
    match &listener.bind {
        Bind::Tcp { host, port } => {
            let host =
                host.as_deref().filter(|host| !["127.0.0.1", "::1", "localhost", "0.0.0.0", "::"].contains(host));
            let host = host.map(|host| format!(" -h {host}")).unwrap_or_default();
            let port = if *port == config::DEFAULT_PORT { String::new() } else { format!(" -p {port}") };
            host + &port
        }
        Bind::Unix(path) => format!(" --unix {}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn started(ports: &[u16]) -> Config {
        let source = Source { files: &[], ports, defaults: Defaults::Native, persistence_location: None };
        load(&source).expect("needs no file").config
    }

    #[test]
    fn the_greeting_can_be_copied() {
        assert_eq!(
            greeting(&started(&[])),
            format!(
                "sori {} listens on 127.0.0.1:1883, [::1]:1883, for clients on this machine only.\n\
                 Try it from two other terminals:\n  sori sub -t 'home/#' -v\n  sori pub -t home/temp -m 21\n",
                crate::VERSION
            )
        );
        assert!(greeting(&started(&[2000])).contains("  sori pub -p 2000 -t home/temp -m 21\n"));
    }

    #[test]
    fn who_needs_a_user_name_is_told() {
        let mut config = started(&[]);
        for listener in &mut config.listeners {
            listener.allow_anonymous = false;
        }
        assert!(greeting(&config).contains("\nNo client can connect: allow_anonymous is false"));
        config.users = Some(crate::passwords::Users::none(std::path::Path::new("users")).into());
        assert!(greeting(&config).ends_with("Clients need a user name and its password.\n"));
    }

    #[test]
    fn errors_use_the_systems_words() {
        let error = RunError::from(io::Error::from_raw_os_error(13));
        assert_eq!(error.to_string(), "Error: Permission denied");
    }
}

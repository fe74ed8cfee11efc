//! What `sori check` and `--test-config` look at beyond what a start reads: whether everything that the configuration
//! asks the machine for can be had, whether what it names is in order, and whether a rule in it can do nothing.
//!
//! Nothing is changed on the way: a port is opened and closed again, a file is not made.

mod permissions;
mod places;
mod ports;
#[cfg(test)]
mod tests;

use crate::command_line::Arguments;
use crate::config::{Loaded, Remark, Severity, files};
use crate::process::pid_file;
use crate::process::privileges;
use crate::running;
use crate::startup::Origin;
pub(crate) use permissions::Eyes;
pub(crate) use places::examine as examine_places;
use std::path::PathBuf;
use std::time::SystemTime;

/// Reads these files as a start would, and looks closer. The remarks hold everything there is to say; with an error among
/// them, the broker would not start.
///
/// Started by root, this process becomes the user that the broker would become, for good: what that user may not read is
/// found out by no other.
///
/// ```
/// use sori_server::config::Remark;
///
/// let remarks = sori_server::check(&["does-not-exist.conf".into()], &[]);
/// assert!(remarks.iter().any(Remark::is_error));
/// ```
pub fn check(files: &[PathBuf], ports: &[u16]) -> Vec<Remark> {
    let arguments = Arguments { config_files: files.to_vec(), ports: ports.to_vec(), ..Arguments::default() };
    check_origin(&Origin { arguments, called_as_mosquitto: false }, Severity::Error)
}

pub(crate) fn check_origin(origin: &Origin, taken: Severity) -> Vec<Remark> {
    // Root sees all of them, which the user that it becomes does not.
    let own = open_by(&origin.arguments.config_files);
    let mut loaded = origin.read();
    let eyes = become_broker(&mut loaded, origin);
    loaded.read_named_files();
    examine(&mut loaded, SystemTime::now(), eyes, Ports { taken, own });
    loaded.remarks
}

/// Where the brokers listen that run with these very files.
fn open_by(files: &[PathBuf]) -> Vec<String> {
    let absolute = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
    let files: Vec<PathBuf> = files.iter().map(absolute).collect();
    let brokers = running::all().into_iter().filter(|(_, running)| !files.is_empty() && running.files == files);
    brokers.flat_map(|(_, running)| running.open).collect()
}

/// Root becomes whom the broker becomes. That nobody has this name is an error at its line.
pub(crate) fn become_broker(loaded: &mut Loaded, origin: &Origin) -> Eyes {
    let was_root = privileges::is_root();
    let wish = origin.wish(&loaded.config);
    let found = if was_root { privileges::give_up(&wish) } else { privileges::examine(&wish) };
    let mut told: Vec<Remark> = match found {
        Ok(warnings) => warnings.into_iter().map(|warning| Remark::new(Severity::Warning, warning.0)).collect(),
        Err(text) => vec![Remark::new(Severity::Error, text)],
    };
    for remark in told.iter_mut().filter(|remark| remark.text.contains("does not exist")) {
        remark.hint = Some("make the user: `useradd --system NAME`.".to_owned());
    }
    // The numbers of the environment stand in no line.
    if loaded.config.user.is_some() && wish.puid.is_none() && wish.pgid.is_none() {
        files::point_at("user", &loaded.settings, &mut told);
    }
    loaded.remarks.append(&mut told);
    if was_root { Eyes::Broker { was_root } } else { Eyes::Stranger }
}

/// How much a port weighs that somebody has.
#[derive(Debug)]
pub(crate) struct Ports {
    /// Somebody has it whom nothing is known of.
    pub(crate) taken: Severity,
    /// The broker that the configuration is for has these: as it should be.
    pub(crate) own: Vec<String>,
}

/// Looks closer at a configuration that was read, mistakes or not.
pub(crate) fn examine(loaded: &mut Loaded, now: SystemTime, eyes: Eyes, mut ports: Ports) {
    let Loaded { config, settings, remarks, .. } = loaded;
    for kind in files::KINDS {
        let before = remarks.len();
        (kind.examine)(config, now, remarks);
        if kind.is_secret {
            for path in (kind.paths)(config) {
                permissions::examine_secret(&path, remarks);
            }
        }
        files::point_at(kind.option, settings, remarks.get_mut(before..).unwrap_or_default());
    }
    places::examine(config, settings, eyes, remarks);
    places::examine_log(config, settings, remarks);
    if config.pid_file.as_deref().is_some_and(|file| pid_file::running(file).is_some()) {
        ports.taken = Severity::Notice;
    }
    ports::examine(&config.listeners, eyes, &ports, remarks);
}

/// Looks whether a broker that listens at these places could take a configuration over.
pub(crate) fn examine_reload(loaded: &mut Loaded, own: &[String]) {
    let Loaded { config, settings, remarks, .. } = loaded;
    let ports = Ports { taken: Severity::Error, own: own.to_vec() };
    places::examine(config, settings, Eyes::Stranger, remarks);
    places::examine_log(config, settings, remarks);
    ports::examine(&config.listeners, Eyes::Stranger, &ports, remarks);
}

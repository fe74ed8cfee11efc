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
use crate::startup::Origin;
use std::path::PathBuf;
use std::time::SystemTime;

/// Reads these files as a start would, and looks closer. The remarks hold everything there is to say; with an error among
/// them, the broker would not start.
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
    match origin.load() {
        Ok(mut loaded) => {
            let mut remarks = std::mem::take(&mut loaded.remarks);
            remarks.append(&mut examine(&loaded, SystemTime::now(), taken));
            remarks
        }
        Err(remarks) => remarks,
    }
}

/// Everything there is to say about a configuration that can be read, beside what was said while it was read. `taken` is
/// how much a port weighs that somebody has already: who tests a file while its own broker runs wants no error. When
/// the `pid_file` names a broker that runs, it is a notice at most.
pub(crate) fn examine(loaded: &Loaded, now: SystemTime, taken: Severity) -> Vec<Remark> {
    let Loaded { config, settings, .. } = loaded;
    let mut remarks = Vec::new();
    for kind in files::KINDS {
        let before = remarks.len();
        (kind.examine)(config, now, &mut remarks);
        if kind.is_secret {
            for path in (kind.paths)(config) {
                permissions::examine_secret(&path, &mut remarks);
            }
        }
        files::point_at(kind.option, settings, remarks.get_mut(before..).unwrap_or_default());
    }
    places::examine(config, settings, &mut remarks);
    let is_running = config.pid_file.as_deref().is_some_and(|file| pid_file::running(file).is_some());
    ports::examine(&config.listeners, if is_running { Severity::Notice } else { taken }, &mut remarks);
    remarks
}

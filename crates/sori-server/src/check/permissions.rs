//! Who looks, and who may read what is secret.

use crate::config::{Remark, Severity};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What others than owner and group may do with a file.
const OTHERS: u32 = 0o007;

/// A warning when everybody on the machine may read a secret. Links are followed, because Kubernetes mounts its secrets
/// as such.
pub(super) fn examine_secret(path: &Path, remarks: &mut Vec<Remark>) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.mode() & OTHERS != 0 {
        let file = path.display();
        let text = format!("Everybody on this machine may read or change {file}.");
        let hint = "let only the broker's user and group have it: `chmod o= FILE`.";
        remarks.push(Remark::new(Severity::Warning, text).hint(hint));
    }
}

/// Who looks whether the broker can have something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eyes {
    /// The broker, or a process that has become whom the broker becomes.
    Broker {
        /// It was root before, who makes the directory of the store for it.
        was_root: bool,
    },
    /// Somebody who may be denied what the broker is not.
    Stranger,
}

impl Eyes {
    /// How much it weighs that something cannot be had.
    pub(super) fn weight(self, error: &io::Error) -> Severity {
        match error.kind() {
            io::ErrorKind::PermissionDenied if self == Eyes::Stranger => Severity::Warning,
            _ => Severity::Failure,
        }
    }
}

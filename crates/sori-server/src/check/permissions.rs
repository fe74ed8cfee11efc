//! Who may read what is secret.

use crate::config::{Remark, Severity};
use nix::unistd::geteuid;
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

/// How much it weighs that something cannot be had: who is not root may be denied what the broker, started by root, is
/// not.
pub(super) fn weight(error: &io::Error) -> Severity {
    match error.kind() {
        io::ErrorKind::PermissionDenied if !geteuid().is_root() => Severity::Warning,
        _ => Severity::Error,
    }
}

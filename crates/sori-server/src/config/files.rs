//! The files that options name, one entry per kind of file: how it is read, which files it is made of, and what
//! `sori check` looks at beyond that. Start, reload, the watch over changed files and `sori check` know a kind of file
//! from here and from nowhere else.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::http::Site;

use super::{Config, ListenerConfig, Remark, Setting, Severity, access_files, certificates};

/// A kind of file.
#[derive(Debug)]
pub(crate) struct FileKind {
    /// The option that names it.
    pub(crate) option: &'static str,
    /// The files of this kind that a configuration names.
    pub(crate) paths: fn(&Config) -> Vec<PathBuf>,
    /// Reads them into the configuration, or looks whether they can be read where somebody else does it. What cannot be used
    /// is an error, and leaves what allows nothing.
    pub(crate) read: fn(&mut Config, &[Setting], &mut Vec<Remark>),
    /// Nobody but the broker should be able to read it.
    pub(crate) is_secret: bool,
    /// What else there is to say about what was read, at this time.
    pub(crate) examine: fn(&Config, SystemTime, &mut Vec<Remark>),
}

/// All kinds.
pub(crate) const KINDS: &[FileKind] = &[
    FileKind {
        option: "password_file",
        paths: access_files::password_paths,
        read: |config, _, remarks| access_files::read_passwords(config, remarks),
        is_secret: true,
        examine: |_, _, _| (),
    },
    FileKind {
        option: "acl_file",
        paths: access_files::rules_paths,
        read: |config, _, remarks| access_files::read_rules(config, remarks),
        is_secret: false,
        examine: |config, _, remarks| {
            for rules in access_files::rules(config) {
                rules.examine(config, remarks);
            }
        },
    },
    FileKind {
        option: "psk_file",
        paths: access_files::psk_paths,
        read: |config, _, remarks| access_files::read_keys(config, remarks),
        is_secret: true,
        examine: |_, _, _| (),
    },
    FileKind {
        option: "certfile",
        paths: |config| config.listeners.iter().flat_map(|listener| listener.transport.files()).collect(),
        // A listener reads them itself when it is opened, and again with every configuration.
        read: |config, settings, remarks| {
            for listener in &config.listeners {
                certificates::read(listener, settings, remarks);
            }
        },
        is_secret: false,
        examine: |config, now, remarks| {
            for listener in &config.listeners {
                remarks.append(&mut certificates::examine(listener, now));
            }
        },
    },
    FileKind {
        option: "keyfile",
        paths: |config| {
            let keyfile = |listener: &ListenerConfig| listener.transport.keyfile.clone();
            config.listeners.iter().filter_map(keyfile).collect()
        },
        read: |_, _, _| (),
        is_secret: true,
        examine: |_, _, _| (),
    },
    FileKind {
        option: "http_dir",
        // Its files are looked up when they are asked for.
        paths: |_| Vec::new(),
        read: |config, _, remarks| {
            for listener in &config.listeners {
                if let Err(text) = Site::load(listener) {
                    let remark = Remark::new(Severity::Failure, text);
                    remarks.push(remark.hint("name a directory that the broker may read."));
                }
            }
        },
        is_secret: false,
        examine: |_, _, _| (),
    },
];

/// The files that are read anew when they change.
pub(crate) fn watched(config: &Config) -> Vec<PathBuf> {
    KINDS.iter().flat_map(|kind| (kind.paths)(config)).collect()
}

/// Reads all of them. Remarks that are about a file as a whole point at the line that names it.
pub(crate) fn read(config: &mut Config, settings: &[Setting], remarks: &mut Vec<Remark>) {
    for kind in KINDS {
        let before = remarks.len();
        (kind.read)(config, settings, remarks);
        point_at(kind.option, settings, remarks.get_mut(before..).unwrap_or_default());
    }
}

/// The same remark, at the line with this option if it has no place yet.
pub(crate) fn pointed(option: &str, settings: &[Setting], remark: Remark) -> Remark {
    let mut one = [remark];
    point_at(option, settings, &mut one);
    let [remark] = one;
    remark
}

/// What has no place yet gets that of the line with this option: of the only one, or of the first whose value it quotes.
pub(crate) fn point_at(option: &str, settings: &[Setting], remarks: &mut [Remark]) {
    let lines: Vec<&Setting> = settings.iter().filter(|setting| setting.entry.words.contains(&option)).collect();
    for remark in remarks.iter_mut().filter(|remark| remark.at.is_none()) {
        let line = match lines.as_slice() {
            [only] => Some(*only),
            several => several.iter().copied().find(|line| remark.text.contains(&format!("\"{}\"", line.value))),
        };
        remark.at = line.map(|line| line.place());
    }
}

//! `mosquitto_pub`, `mosquitto_sub` and `mosquitto_rr`: the command lines of Mosquitto's clients, word for word.
//!
//! Scripts call these programs, so their flags, files of options, formats and exit statuses are Mosquitto's, oddities
//! included: `--help` ends with status 1. Every flag is one entry of the table in `flags.rs`; what is done then is the same
//! code as for `sori pub`, `sub` and `rr`.

mod answer;
mod flags;
mod options;
mod options_file;
mod parse;
mod property;
mod run;
mod transport;
mod url;
mod usage;

use std::ffi::OsString;

/// One of the three programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Program {
    Pub,
    Sub,
    Rr,
}

/// The version of Mosquitto whose clients these stand for.
const MOSQUITTO_VERSION: &str = "2.1.2";

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::Pub => "mosquitto_pub",
            Self::Sub => "mosquitto_sub",
            Self::Rr => "mosquitto_rr",
        }
    }
}

/// `mosquitto_pub`; the arguments are those behind the program's name.
pub(crate) fn publish(arguments: Vec<OsString>) -> u8 {
    run::run(Program::Pub, &arguments)
}

/// `mosquitto_sub`.
pub(crate) fn subscribe(arguments: Vec<OsString>) -> u8 {
    run::run(Program::Sub, &arguments)
}

/// `mosquitto_rr`.
pub(crate) fn request(arguments: Vec<OsString>) -> u8 {
    run::run(Program::Rr, &arguments)
}

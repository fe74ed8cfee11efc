//! The names of Mosquitto's programs under which this one program may be called, and what each of them runs.
//!
//! A link of that name to `sori` is all it takes; the name decides before any argument is looked at.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::{mosquitto, mosquitto_signal, passwd};

/// One program that `sori` is when it is called by this name.
pub(crate) struct Name {
    pub(crate) name: &'static str,
    /// Takes the arguments without the program's name, and returns the exit status.
    pub(crate) run: fn(Vec<OsString>) -> u8,
}

/// Every name, in the order in which they are shown.
pub(crate) const NAMES: &[Name] = &[
    Name { name: "mosquitto", run: |arguments| sori_server::run(arguments.into_iter(), true) },
    Name { name: "mosquitto_pub", run: mosquitto::publish },
    Name { name: "mosquitto_sub", run: mosquitto::subscribe },
    Name { name: "mosquitto_rr", run: mosquitto::request },
    Name { name: "mosquitto_passwd", run: passwd::mosquitto_passwd },
    Name { name: "mosquitto_signal", run: mosquitto_signal::run },
];

/// The entry for the name under which the program was started, with whatever folder stood before it.
pub(crate) fn called_as(program: &OsStr) -> Option<&'static Name> {
    let called = Path::new(program).file_name()?;
    NAMES.iter().find(|name| called == OsStr::new(name.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_wherever_the_link_stands() {
        for program in ["mosquitto", "/usr/sbin/mosquitto", "./mosquitto"] {
            assert_eq!(called_as(OsStr::new(program)).map(|name| name.name), Some("mosquitto"), "{program}");
        }
        for program in ["sori", "/mosquitto/sori", "mosquitto_", "Mosquitto", ""] {
            assert!(called_as(OsStr::new(program)).is_none(), "{program}");
        }
    }
}

//! The system's log daemon, spoken to in the old form of RFC 3164 that all of them read.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::SystemTime;

use jiff::tz::TimeZone;

use super::{Facility, Kind, timestamp};

/// A socket to the daemon, opened when it is needed.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    facility: Facility,
    ident: &'static str,
    zone: TimeZone,
}

impl Syslog {
    pub(super) fn new(path: PathBuf, facility: Facility, ident: &'static str, zone: TimeZone) -> Syslog {
        Syslog { path, socket: None, facility, ident, zone }
    }

    /// Sends one line. A daemon that was restarted has a new socket, so a failure is tried once more.
    pub(super) fn write(&mut self, kind: Kind, at: SystemTime, line: &str) -> io::Result<()> {
        let message = self.message(kind, at, line);
        self.send(message.as_bytes()).or_else(|_| {
            self.socket = None;
            self.send(message.as_bytes())
        })
    }

    fn message(&self, kind: Kind, at: SystemTime, line: &str) -> String {
        let facility = match self.facility {
            Facility::Daemon => 3,
            Facility::Local(number) => 16 + number.min(7),
        };
        let priority = facility * 8 + kind.syslog_severity();
        let time = timestamp::syslog(&self.zone, at);
        format!("<{priority}>{time} {}[{}]: {line}", self.ident, std::process::id())
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        if self.socket.is_none() {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            socket.connect(&self.path)?;
            self.socket = Some(socket);
        }
        let Some(socket) = &self.socket else { return Ok(()) };
        socket.send(message).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_facility_severity_and_name() {
        let syslog = Syslog::new("/dev/log".into(), Facility::Local(7), "sori", TimeZone::UTC);
        let message = syslog.message(Kind::Error, SystemTime::UNIX_EPOCH, "12: text");
        assert_eq!(message, format!("<{}>Jan  1 00:00:00 sori[{}]: 12: text", 23 * 8 + 3, std::process::id()));
    }

    #[test]
    fn a_daemon_that_was_restarted_is_found_again() {
        let path = std::env::temp_dir().join(format!("sori-syslog-{}", std::process::id()));
        let first = UnixDatagram::bind(&path).expect("binds");
        let mut syslog = Syslog::new(path.clone(), Facility::Daemon, "sori", TimeZone::UTC);
        syslog.write(Kind::Notice, SystemTime::UNIX_EPOCH, "one").expect("is sent");
        drop(first);
        std::fs::remove_file(&path).expect("is there");
        assert!(syslog.write(Kind::Notice, SystemTime::UNIX_EPOCH, "lost").is_err());
        let second = UnixDatagram::bind(&path).expect("binds");
        syslog.write(Kind::Notice, SystemTime::UNIX_EPOCH, "two").expect("is sent");
        let mut buffer = [0; 100];
        let length = second.recv(&mut buffer).expect("arrives");
        std::fs::remove_file(&path).expect("is there");
        assert!(buffer[..length].starts_with(b"<29>Jan  1") && buffer[..length].ends_with(b": two"));
    }
}

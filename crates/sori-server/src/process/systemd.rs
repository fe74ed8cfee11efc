//! What systemd and the broker tell each other: sockets that are open already (sd_listen_fds(3)), and how far the broker
//! is (sd_notify(3)).

use crate::opening::{Listening, SocketPlace, listening};
use listenfd::ListenFd;
use nix::time::{ClockId, clock_gettime};
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The sockets that systemd has opened for this process, and where they listen. They are given away once.
pub(crate) fn sockets() -> Vec<(SocketPlace, Listening)> {
    // Without it nothing is looked at and nothing is changed in the environment.
    if env::var_os("LISTEN_FDS").is_none() {
        return Vec::new();
    }
    let mut given = ListenFd::from_env();
    (0..given.len()).filter_map(|number| take(&mut given, number).ok().flatten()).collect()
}

fn take(given: &mut ListenFd, number: usize) -> io::Result<Option<(SocketPlace, Listening)>> {
    if let Ok(Some(listener)) = given.take_tcp_listener(number) {
        let place = SocketPlace::Tcp(listener.local_addr()?, None);
        return Ok(Some((place, Listening::Tcp(listening(listener)?))));
    }
    let Some(listener) = given.take_unix_listener(number)? else { return Ok(None) };
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let Some(path) = address.as_pathname() else { return Ok(None) };
    let place = SocketPlace::Unix(path.to_owned());
    Ok(Some((place, Listening::Unix(mio::net::UnixListener::from_std(listener)))))
}

/// Tell systemd, if it wants to know. It is no error when it does not.
pub(crate) fn tell(state: &str) -> io::Result<()> {
    match env::var_os("NOTIFY_SOCKET") {
        Some(socket) => tell_at(&socket, state),
        None => Ok(()),
    }
}

/// Tells that the configuration is being read again, and since when, as `Type=notify-reload` wants it. `READY=1` ends it.
pub(crate) fn tell_reloading() -> io::Result<()> {
    let since = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from)?;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", since.as_micros()))
}

/// How often systemd is to be told that the broker is well: half of the time after which it would take it for hung. `None`: it
/// does not want to know.
pub(crate) fn watchdog_period() -> Option<Duration> {
    let variable = |name: &str| env::var(name).ok();
    period_of(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), std::process::id())
}

fn period_of(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let micros = micros?.parse::<u64>().ok().filter(|micros| *micros > 0)?;
    let is_meant = pid.is_none_or(|pid| pid.parse() == Ok(own));
    is_meant.then(|| Duration::from_micros(micros) / 2)
}

fn tell_at(socket: &OsStr, state: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    match socket.as_bytes() {
        [b'@', name @ ..] => sender.send_to_addr(state.as_bytes(), &abstract_address(name)?)?,
        _ => sender.send_to(state.as_bytes(), socket)?,
    };
    Ok(())
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_twice_as_often_as_it_bites() {
        let period = |micros, pid| period_of(Some(micros), pid, 7);
        assert_eq!(period("180000000", None), Some(Duration::from_secs(90)));
        assert_eq!(period("1000", Some("7")), Some(Duration::from_micros(500)));
        assert_eq!((period("1000", Some("8")), period("0", None), period("x", None)), (None, None, None));
        assert_eq!(period_of(None, None, 7), None);
    }

    #[test]
    fn states_arrive_at_paths_and_at_abstract_names() {
        let path = env::temp_dir().join(format!("sori-notify-{}", std::process::id()));
        let by_path = UnixDatagram::bind(&path).expect("is free");
        tell_at(path.as_os_str(), "READY=1").expect("somebody listens");
        let mut buffer = [0; 100];
        let count = by_path.recv(&mut buffer).expect("a message");
        assert_eq!(&buffer[..count], b"READY=1");
        std::fs::remove_file(&path).expect("is there");
        assert!(tell_at(path.as_os_str(), "READY=1").is_err());

        let name = format!("sori-notify-{}", std::process::id());
        let address = abstract_address(name.as_bytes()).expect("a name");
        let by_name = UnixDatagram::bind_addr(&address).expect("is free");
        tell_at(format!("@{name}").as_ref(), "STOPPING=1").expect("somebody listens");
        let count = by_name.recv(&mut buffer).expect("a message");
        assert_eq!(&buffer[..count], b"STOPPING=1");
    }
}

//! Whether all listeners can be opened, together.

use super::Ports;
use super::permissions::Eyes;
use crate::config::{Bind, ListenerConfig, Location, Remark, Severity};
use crate::opening;
use socket2::Socket;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A port that is held until all have been tried.
struct Held {
    address: SocketAddr,
    interface: Option<String>,
    at: Option<Location>,
    /// Closed at the end.
    _socket: Socket,
}

/// Takes all addresses, without listening, and gives them back. Listeners whose own lines are wrong already are passed over.
pub(super) fn examine(listeners: &[ListenerConfig], eyes: Eyes, ports: &Ports, remarks: &mut Vec<Remark>) {
    let mut held = Vec::new();
    let is_refused = |listener: &&ListenerConfig| {
        let is_there = |at: &Location| listener.declared_at.as_ref().is_some_and(|own| own.is_line_of(at));
        remarks.iter().any(|remark| remark.is_error() && remark.at.as_ref().is_some_and(is_there))
    };
    let good: Vec<&ListenerConfig> = listeners.iter().filter(|listener| !is_refused(listener)).collect();
    for listener in good {
        let mut say = |remark: Remark| remarks.push(remark.at(listener.declared_at.clone()));
        match &listener.bind {
            Bind::Unix(path) => {
                if let Some(remark) = unix(path, eyes, ports) {
                    say(remark);
                }
            }
            Bind::Tcp { host, port } => match opening::addresses(host.as_deref(), *port, listener.socket_domain) {
                Ok(addresses) if addresses.is_empty() => say(nowhere(host.as_deref(), *port)),
                Ok(addresses) => {
                    for address in addresses {
                        if let Some(remark) = tcp(listener, address, (eyes, ports), &mut held) {
                            say(remark);
                        }
                    }
                }
                Err(error) => say(unknown_host(&error.to_string())),
            },
        }
    }
}

fn tcp(
    listener: &ListenerConfig,
    address: SocketAddr,
    (eyes, ports): (Eyes, &Ports),
    held: &mut Vec<Held>,
) -> Option<Remark> {
    let interface = &listener.transport.bind_interface;
    let is_same =
        |held: &&Held| opening::overlap(held.address, address) && !opening::are_apart(&held.interface, interface);
    if let Some(earlier) = held.iter().find(is_same) {
        return Some(doubled(address, earlier.at.as_ref()));
    }
    let error = match opening::bind_tcp(address, interface.as_deref()) {
        Ok(socket) => {
            held.push(Held {
                address,
                interface: interface.clone(),
                at: listener.declared_at.clone(),
                _socket: socket,
            });
            return None;
        }
        Err(error) => error,
    };
    if error.kind() == ErrorKind::AddrInUse {
        let is_own = |own: &String| own.parse().is_ok_and(|own| opening::overlap(own, address));
        return if ports.own.iter().any(is_own) { None } else { Some(in_use(&address.to_string(), ports.taken)) };
    }
    if opening::may_lack(listener, address, &error) {
        return None;
    }
    let text = format!("Nothing can listen on {address}: {error}.");
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "ports below 1024 are for root; choose another.",
        ErrorKind::AddrNotAvailable => "no network interface of this machine has this address.",
        _ => "choose another port or address.",
    };
    Some(Remark::new(eyes.weight(&error), text).hint(hint))
}

fn doubled(address: SocketAddr, earlier: Option<&Location>) -> Remark {
    let where_it_is = earlier.map(|at| format!(" ({at})")).unwrap_or_default();
    let text = format!("Another listener of this configuration{where_it_is} has {address} already.");
    Remark::new(Severity::Error, text).hint("give each listener a port or an address of its own.")
}

fn in_use(place: &str, taken: Severity) -> Remark {
    let text = format!("Somebody listens on {place} already.");
    Remark::new(taken, text).hint("if that is not this very broker, stop it or choose another port.")
}

fn nowhere(host: Option<&str>, port: u16) -> Remark {
    let host = host.unwrap_or("this machine");
    let text = format!("{host} has no address of this socket_domain for port {port}.");
    Remark::new(Severity::Error, text).hint("remove socket_domain, or name another address.")
}

fn unknown_host(text: &str) -> Remark {
    let text = text.strip_prefix("Error: ").unwrap_or(text);
    Remark::new(Severity::Error, text).hint("name an address of this machine, or none for all of them.")
}

fn unix(path: &Path, eyes: Eyes, ports: &Ports) -> Option<Remark> {
    let place = path.display();
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            let place = place.to_string();
            let is_taken = !ports.own.contains(&place) && UnixStream::connect(path).is_ok();
            is_taken.then(|| in_use(&place, ports.taken))
        }
        Ok(_) => {
            let text = format!("{place} is there and is no socket.");
            Some(Remark::new(Severity::Error, text).hint("remove the file or choose another path."))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let error = super::places::writable_directory(directory).err()?;
            let text = format!("The directory of {place} cannot be used: {error}.");
            Some(Remark::new(eyes.weight(&error), text).hint("make the directory."))
        }
        Err(error) => Some(cannot_be_used(path, eyes, &error)),
    }
}

fn cannot_be_used(path: &Path, eyes: Eyes, error: &io::Error) -> Remark {
    let text = format!("{} cannot be used: {error}.", path.display());
    Remark::new(eyes.weight(error), text).hint("choose a path that the broker may use.")
}

//! Opening the sockets that listeners need: where, how, and what is said when it fails.

use crate::config::{Bind, ListenerConfig, SocketDomain};
use crate::log::{Log, lines};
use crate::patience::until_free;
use crate::startup::RunError;
use mio::{Interest, Registry, Token, unix::SourceFd};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::fmt;
use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Where one socket listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum SocketPlace {
    /// An address, and the network interface by which connections come in, if it matters.
    Tcp(SocketAddr, Option<String>),
    Unix(PathBuf),
}

impl fmt::Display for SocketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketPlace::Tcp(address, _) => write!(f, "{address}"),
            SocketPlace::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl SocketPlace {
    /// Two sockets cannot be there and at `other`.
    pub(crate) fn is_in_the_way_of(&self, other: &SocketPlace) -> bool {
        match (self, other) {
            (SocketPlace::Tcp(a, on), SocketPlace::Tcp(b, other)) => overlap(*a, *b) && !are_apart(on, other),
            _ => self == other,
        }
    }
}

/// Two listeners take the connections of two interfaces.
pub(crate) fn are_apart(on: &Option<String>, other: &Option<String>) -> bool {
    on.is_some() && other.is_some() && on != other
}

/// Two sockets cannot listen at these addresses.
pub(crate) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port()
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

/// A socket that listens, until the last who knows it lets it go.
#[derive(Debug)]
pub(crate) struct OpenSocket {
    pub(crate) place: SocketPlace,
    pub(crate) listening: Listening,
    /// Under which it reports that somebody waits.
    pub(crate) token: Token,
    /// It was opened by systemd, which looks after its file.
    pub(crate) is_inherited: bool,
}

#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

impl OpenSocket {
    /// Let `registry` report who waits.
    pub(crate) fn register(&self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.descriptor()), self.token, Interest::READABLE)
    }

    /// It listens on all IPv6 addresses and takes IPv4 as well, so that nothing is missing at `place`. Only sockets of
    /// systemd are like that.
    pub(crate) fn covers(&self, place: &SocketPlace) -> bool {
        match (&self.place, place, &self.listening) {
            (SocketPlace::Tcp(own, None), SocketPlace::Tcp(other, None), Listening::Tcp(socket)) => {
                own.is_ipv6()
                    && own.ip().is_unspecified()
                    && other.is_ipv4()
                    && own.port() == other.port()
                    && SockRef::from(socket).only_v6().is_ok_and(|only| !only)
            }
            _ => false,
        }
    }

    fn descriptor(&self) -> RawFd {
        match &self.listening {
            Listening::Tcp(socket) => socket.as_raw_fd(),
            Listening::Unix(socket) => socket.as_raw_fd(),
        }
    }

    /// Whether another socket of this process may listen on an address that overlaps with this one's, which it may while
    /// one takes the other's place.
    pub(crate) fn share_port(&self, may: bool) -> io::Result<()> {
        match &self.listening {
            Listening::Tcp(socket) => SockRef::from(socket).set_reuse_port(may),
            Listening::Unix(_) => Ok(()),
        }
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        if let (SocketPlace::Unix(path), false) = (&self.place, self.is_inherited) {
            // What is left behind is replaced by the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Where the sockets of a listener belong.
pub(crate) fn places(listener: &ListenerConfig) -> Result<Vec<SocketPlace>, RunError> {
    match &listener.bind {
        Bind::Unix(path) => Ok(vec![SocketPlace::Unix(path.clone())]),
        Bind::Tcp { host, port } => {
            let addresses = addresses(host.as_deref(), *port, listener.socket_domain)?;
            let interface = &listener.transport.bind_interface;
            Ok(addresses.into_iter().map(|address| SocketPlace::Tcp(address, interface.clone())).collect())
        }
    }
}

/// The addresses that a listener opens, each once.
pub(crate) fn addresses(host: Option<&str>, port: u16, domain: SocketDomain) -> Result<Vec<SocketAddr>, RunError> {
    let found: Vec<SocketAddr> = match host {
        None => [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect(),
        Some(host) => (host, port)
            .to_socket_addrs()
            .map_err(|error| RunError::new(format!("Unable to find the address of {host}: {error}.")))?
            .collect(),
    };
    let mut wanted: Vec<SocketAddr> = found
        .into_iter()
        .filter(|address| match domain {
            SocketDomain::Both => true,
            SocketDomain::Ipv4 => address.is_ipv4(),
            SocketDomain::Ipv6 => address.is_ipv6(),
        })
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    Ok(wanted)
}

/// Opens one of a listener's sockets. `None`: this machine has no such address, and that is no mistake. `shares`: sockets
/// of this process that it will replace may be in its way.
pub(crate) fn open(
    listener: &ListenerConfig,
    place: &SocketPlace,
    shares: bool,
    log: &Log,
) -> Result<Option<Listening>, RunError> {
    match place {
        SocketPlace::Unix(path) => {
            log.information(format_args!("{}", lines::opening_unix(path)));
            let socket = open_unix(path)
                .map_err(|error| RunError::new(format!("Unable to listen on {}: {error}.", path.display())))?;
            Ok(Some(Listening::Unix(socket)))
        }
        SocketPlace::Tcp(address, interface) => {
            log.information(format_args!("{}", lines::opening_tcp(address.is_ipv6(), address.port())));
            let is_in_use = |error: &io::Error| error.kind() == ErrorKind::AddrInUse;
            match until_free(|| open_tcp(*address, interface.as_deref(), shares), is_in_use) {
                Ok(socket) => Ok(Some(Listening::Tcp(socket))),
                Err(error) if !is_in_use(&error) && may_lack(listener, *address, &error) => Ok(None),
                Err(error) => Err(match interface {
                    Some(interface) if !is_in_use(&error) => {
                        RunError::new(format!("Unable to listen on {address}, interface {interface}: {error}."))
                    }
                    _ => taken(*address, &error, listener.declared_at.is_none()),
                }),
            }
        }
    }
}

/// A machine may have no IPv6; then IPv4 is all there is.
pub(crate) fn may_lack(listener: &ListenerConfig, address: SocketAddr, error: &io::Error) -> bool {
    let is_any = matches!(listener.bind, Bind::Tcp { host: None, .. });
    !listener.required || is_any && address.is_ipv6() && is_no_ipv6(error)
}

fn is_no_ipv6(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
}

/// Begins with the system's words, as Mosquitto's line does. `by_argument`: no line of a file asks for the address.
fn taken(address: SocketAddr, error: &io::Error, by_argument: bool) -> RunError {
    let how = if by_argument { " with -p" } else { "" };
    RunError::new(match error.kind() {
        ErrorKind::AddrInUse => {
            format!("Address already in use: {address}. Is another broker running? Choose another port{how}.")
        }
        ErrorKind::PermissionDenied => {
            format!("Permission denied: {address}. Ports below 1024 are for root; choose another{how}.")
        }
        ErrorKind::AddrNotAvailable => {
            format!("Cannot assign requested address: {address}. No network interface of this machine has it.")
        }
        _ => format!("Unable to listen on {address}: {error}."),
    })
}

fn open_tcp(address: SocketAddr, interface: Option<&str>, shares: bool) -> io::Result<mio::net::TcpListener> {
    let socket = tcp_socket(address)?;
    bind_to(&socket, interface)?;
    socket.set_reuse_port(shares)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    listening(socket.into())
}

/// A socket that listens, however it was opened, as accepting from it needs it.
pub(crate) fn listening(socket: std::net::TcpListener) -> io::Result<mio::net::TcpListener> {
    socket.set_nonblocking(true)?;
    if IS_NO_DELAY_INHERITED {
        SockRef::from(&socket).set_tcp_nodelay(true)?;
    }
    Ok(mio::net::TcpListener::from_std(socket))
}

/// The connections that come by a socket begin with its TCP_NODELAY, which saves a system call for each. Elsewhere it is
/// not told in any manual, so that each connection is set by itself.
pub(crate) const IS_NO_DELAY_INHERITED: bool = cfg!(target_os = "linux");

/// A socket that has the address and does not listen.
pub(crate) fn bind_tcp(address: SocketAddr, interface: Option<&str>) -> io::Result<Socket> {
    let socket = tcp_socket(address)?;
    bind_to(&socket, interface)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn bind_to(socket: &Socket, interface: Option<&str>) -> io::Result<()> {
    interface.map_or(Ok(()), |interface| socket.bind_device(Some(interface.as_bytes())))
}

#[cfg(not(target_os = "linux"))]
fn bind_to(_: &Socket, interface: Option<&str>) -> io::Result<()> {
    // To listen everywhere instead would be more than was asked for.
    interface.map_or(Ok(()), |_| Err(ErrorKind::Unsupported.into()))
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    // A restart need not wait for old connections to be forgotten. Two brokers still cannot share the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket file that a broker left behind is replaced; any other file is not.
fn open_unix(path: &Path) -> io::Result<mio::net::UnixListener> {
    let is_left_over = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path).is_err();
    if is_left_over {
        std::fs::remove_file(path)?;
    }
    let listener = mio::net::UnixListener::bind(path)?;
    // Whoever is in the broker's group may connect, as with Mosquitto, whatever the umask is.
    std::fs::set_permissions(path, Permissions::from_mode(0o770))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[track_caller]
    fn accepts_without_delay(socket: &mio::net::TcpListener) {
        let address = socket.local_addr().expect("it is bound");
        let _client = TcpStream::connect(address).expect("it listens");
        let (stream, _) = loop {
            match socket.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                accepted => break accepted.expect("a connection"),
            }
        };
        assert_eq!(stream.nodelay().expect("an option"), IS_NO_DELAY_INHERITED);
    }

    #[test]
    fn connections_send_small_packets_at_once_whoever_opened_the_socket() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        accepts_without_delay(&open_tcp(address, None, false).expect("a free port"));
        let given = TcpListener::bind(address).expect("a free port");
        accepts_without_delay(&listening(given).expect("options that there are"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_socket_of_one_interface_is_bound_to_it() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let socket = open_tcp(address, Some("lo"), false).expect("every machine has it");
        assert_eq!(SockRef::from(&socket).device().expect("an option").as_deref(), Some(&b"lo"[..]));
    }
}

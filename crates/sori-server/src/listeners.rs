//! Opening the listening sockets, and letting connections in.

use crate::admission::{Places, Refusal};
use crate::config::{Bind, Config, ListenerConfig, SocketDomain};
use crate::inbox::{Inbox, Letter};
use crate::log::{Log, lines};
use crate::patience::until_free;
use crate::socket::{Admittance, Stream};
use crate::startup::RunError;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use sori_broker::{ListenerSettings, VersionSet};
use sori_mqtt::{QoS, Version};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How long nothing is accepted after the machine had no room for another connection.
const PAUSE: Duration = Duration::from_millis(200);
/// Connections accepted from one listener before the others have their turn.
const ACCEPTS_MAX: usize = 256;

enum Listening {
    Tcp(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

struct Listener {
    socket: Listening,
    /// The number of its `ListenerConfig`.
    number: usize,
    place: (Bind, SocketDomain),
    settings: Arc<ListenerSettings>,
    is_ready: bool,
}

/// All listening sockets, and whom they hand new connections to: the workers, in turn.
pub(crate) struct Listeners {
    listeners: Vec<Listener>,
    inboxes: Vec<Arc<Inbox>>,
    places: Arc<Places>,
    log: Log,
    connection_messages: bool,
    next_worker: usize,
    paused_until: Option<Instant>,
    /// Connections wait, and the log says so.
    is_short: bool,
}

impl Listeners {
    pub(crate) fn open(
        config: &Config,
        inboxes: Vec<Arc<Inbox>>,
        places: Arc<Places>,
        log: Log,
    ) -> Result<Listeners, RunError> {
        let mut listeners = Vec::new();
        for (number, listener) in config.listeners.iter().enumerate() {
            let settings = Arc::new(listener_settings(listener));
            for socket in open_sockets(listener, &log)? {
                let (place, settings) = (listener.place(), Arc::clone(&settings));
                listeners.push(Listener { socket, number, place, settings, is_ready: true });
            }
        }
        Ok(Listeners {
            listeners,
            inboxes,
            places,
            log,
            connection_messages: config.connection_messages,
            next_worker: 0,
            paused_until: None,
            is_short: false,
        })
    }

    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            match &mut listener.socket {
                Listening::Tcp(socket) => registry.register(socket, Token(number), Interest::READABLE)?,
                Listening::Unix(socket) => registry.register(socket, Token(number), Interest::READABLE)?,
            }
        }
        Ok(())
    }

    /// New connections get the new settings of their listener. A listener that is not among them keeps its own, and
    /// nothing is opened or closed.
    pub(crate) fn reconfigure(&mut self, config: &Config) {
        self.connection_messages = config.connection_messages;
        for listener in &mut self.listeners {
            if let Some(new) = config.listeners.iter().find(|new| new.place() == listener.place) {
                listener.settings = Arc::new(listener_settings(new));
            }
        }
    }

    pub(crate) fn note_ready(&mut self, token: Token) {
        if let Some(listener) = self.listeners.get_mut(token.0) {
            listener.is_ready = true;
        }
    }

    /// How long until connections that wait may be accepted; `None` when none is known to wait.
    pub(crate) fn patience(&self) -> Option<Duration> {
        if !self.listeners.iter().any(|listener| listener.is_ready) {
            return None;
        }
        Some(self.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now())))
    }

    /// Accept what waits.
    pub(crate) fn accept_ready(&mut self) {
        let now = Instant::now();
        if self.paused_until.is_some_and(|until| until > now) {
            return;
        }
        self.paused_until = None;
        for number in 0..self.listeners.len() {
            for _ in 0..ACCEPTS_MAX {
                if !self.listeners[number].is_ready || !self.accept_one(number, now) {
                    break;
                }
            }
        }
    }

    /// Accept one connection; gives whether there may be more.
    fn accept_one(&mut self, number: usize, now: Instant) -> bool {
        let listener = &mut self.listeners[number];
        let accepted = match &listener.socket {
            Listening::Tcp(socket) => socket.accept().map(|(stream, from)| {
                // Small packets leave at once. It can only fail on a connection that is gone already.
                let _ = stream.set_nodelay(true);
                let address = from.ip().to_canonical();
                (Stream::Tcp(stream), Some(address), SocketAddr::new(address, from.port()).to_string())
            }),
            Listening::Unix(socket) => {
                socket.accept().map(|(stream, _)| (Stream::Unix(stream), None, String::from("unix socket")))
            }
        };
        match accepted {
            Ok((stream, address, peer)) => self.let_in(number, now, stream, address, peer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                listener.is_ready = false;
                self.is_short = false;
                return false;
            }
            // The peer gave up while it waited.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                // No file descriptor or no memory is left: others may close some. It is told once until all that
                // waited have come in.
                if !std::mem::replace(&mut self.is_short, true) {
                    self.log.error(format_args!("Unable to accept new connection: {error}."));
                }
                self.paused_until = Some(now + PAUSE);
                return false;
            }
        }
        true
    }

    fn let_in(&mut self, number: usize, now: Instant, stream: Stream, address: Option<IpAddr>, peer: String) {
        let listener = &self.listeners[number];
        match self.places.enter(listener.number, address, now) {
            Ok(()) => {}
            Err(refusal) => {
                let who = address.map_or_else(|| peer.clone(), |address| address.to_string());
                match refusal {
                    Refusal::TooMany => self.log.notice(format_args!("{}", lines::too_many_connections(&who))),
                    Refusal::TooFast => self.log.notice(format_args!("{}", lines::connection_rate_exceeded(&who))),
                }
                return;
            }
        }
        if self.connection_messages {
            self.log.notice(format_args!("{}", lines::new_connection(&peer, listener.settings.port)));
        }
        let number = u32::try_from(listener.number).expect("a configuration has few listeners");
        let admittance = Admittance { places: Arc::clone(&self.places), listener: number, address };
        let letter = Letter::Accepted(stream, Arc::clone(&listener.settings), peer.into(), Some(admittance));
        self.inboxes[self.next_worker].post(letter);
        self.next_worker = (self.next_worker + 1) % self.inboxes.len();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let (Listening::Unix(_), (Bind::Unix(path), _)) = (&self.socket, &self.place) {
            // What is left behind is replaced by the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What the broker wants to know of a listener.
pub(crate) fn listener_settings(listener: &ListenerConfig) -> ListenerSettings {
    let mut versions = VersionSet::NONE;
    for (taken, version) in [
        (listener.versions.v31, Version::V31),
        (listener.versions.v311, Version::V311),
        (listener.versions.v5, Version::V5),
    ] {
        if taken {
            versions = versions.with(version);
        }
    }
    ListenerSettings {
        port: match listener.bind {
            Bind::Tcp { port, .. } => port,
            Bind::Unix(_) => 0,
        },
        allow_anonymous: listener.allow_anonymous,
        allow_zero_length_client_id: listener.allow_zero_length_clientid,
        versions,
        qos_max: QoS::from_u8(listener.max_qos).unwrap_or(QoS::ExactlyOnce),
        topic_alias_max: listener.max_topic_alias,
        topic_alias_max_broker: listener.max_topic_alias_broker,
        auto_id_prefix: listener.auto_id_prefix.clone(),
        mount_point: listener.mount_point.as_deref().map(Arc::from),
        use_username_as_client_id: listener.use_username_as_clientid,
        identity: None,
    }
}

fn open_sockets(listener: &ListenerConfig, log: &Log) -> Result<Vec<Listening>, RunError> {
    match &listener.bind {
        Bind::Unix(path) => {
            log.information(format_args!("{}", lines::opening_unix(path)));
            let socket = open_unix(path)
                .map_err(|error| RunError::new(format!("Unable to listen on {}: {error}.", path.display())))?;
            Ok(vec![Listening::Unix(socket)])
        }
        Bind::Tcp { host, port } => {
            let mut sockets = Vec::new();
            let mut failure = None;
            for address in addresses(host.as_deref(), *port, listener.socket_domain)? {
                log.information(format_args!("{}", lines::opening_tcp(address.is_ipv6(), *port)));
                match until_free(|| open_tcp(address), |error| error.kind() == ErrorKind::AddrInUse) {
                    Ok(socket) => sockets.push(Listening::Tcp(socket)),
                    // A machine may have no IPv6; then IPv4 is all there is.
                    Err(error) if host.is_none() && address.is_ipv6() && is_no_ipv6(&error) => {}
                    Err(error) => failure = Some((address, error)),
                }
            }
            match failure {
                Some((address, error)) if listener.required || error.kind() == ErrorKind::AddrInUse => {
                    Err(taken(address, &error))
                }
                None if sockets.is_empty() => {
                    Err(RunError::new(format!("Unable to listen on port {port}: the machine has no such address.")))
                }
                _ => Ok(sockets),
            }
        }
    }
}

fn is_no_ipv6(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
}

/// Begins with the system's words, as Mosquitto's line does.
fn taken(address: SocketAddr, error: &io::Error) -> RunError {
    RunError::new(match error.kind() {
        ErrorKind::AddrInUse => {
            format!("Address already in use: {address}. Is another broker running? Choose another port with -p.")
        }
        ErrorKind::PermissionDenied => {
            format!("Permission denied: {address}. Ports below 1024 are for root; choose another with -p.")
        }
        ErrorKind::AddrNotAvailable => {
            format!("Cannot assign requested address: {address}. No network interface of this machine has it.")
        }
        _ => format!("Unable to listen on {address}: {error}."),
    })
}

fn addresses(host: Option<&str>, port: u16, domain: SocketDomain) -> Result<Vec<SocketAddr>, RunError> {
    let found: Vec<SocketAddr> = match host {
        None => [IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)]
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

fn open_tcp(address: SocketAddr) -> io::Result<mio::net::TcpListener> {
    let domain = if address.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        socket.set_only_v6(true)?;
    }
    // A restart need not wait for old connections to be forgotten. Two brokers still cannot share the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(mio::net::TcpListener::from_std(socket.into()))
}

/// A socket file that a broker left behind is replaced; any other file is not.
fn open_unix(path: &Path) -> io::Result<mio::net::UnixListener> {
    let is_left_over = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path).is_err();
    if is_left_over {
        std::fs::remove_file(path)?;
    }
    mio::net::UnixListener::bind(path)
}

//! The byte stream to a broker: TCP or a Unix socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::failure::{Cause, Failure};
use crate::settings::Endpoint;

/// How long to wait for a connection, and for the broker's answers.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// An ordered byte stream that loses nothing. [MQTT-4.2.0-1] [MQTT311-7.1.2-1]
pub(crate) enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream, String),
}

impl Stream {
    /// Connects to the first address of the host that answers.
    pub(crate) fn open(endpoint: &Endpoint, bind: Option<&str>, no_delay: bool) -> Result<Self, Failure> {
        match endpoint {
            Endpoint::Tcp { host, port } => Self::open_tcp(host, *port, bind, no_delay),
            Endpoint::Unix(path) => Self::open_unix(path),
        }
    }

    fn open_tcp(host: &str, port: u16, bind: Option<&str>, no_delay: bool) -> Result<Self, Failure> {
        let addresses = addresses(host, port)?;
        let local = bind.map(addresses_of_this_machine).transpose()?;
        let mut failure = Failure::new(format!("the host \"{host}\" has no address")).with_cause(Cause::HostUnknown);
        for address in addresses {
            match connect(address, local.as_deref()) {
                Ok(stream) => {
                    // Without it the last packet of a burst waits for an acknowledgement of the one before.
                    stream.set_nodelay(no_delay).map_err(|error| Failure::new(error.to_string()))?;
                    return Ok(Self::Tcp(stream, address));
                }
                Err(error) => failure = cannot_connect(address, &error),
            }
        }
        Err(failure)
    }

    fn open_unix(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let stream = UnixStream::connect(path).map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::NotFound => ": there is no such socket; is the broker running, and is this its path?",
                io::ErrorKind::ConnectionRefused => ": nobody listens there; is the broker running?",
                io::ErrorKind::PermissionDenied => ": ask who owns the socket for the right to write to it",
                _ => "",
            };
            Failure::new(format!("cannot connect to the Unix socket {name}: {error}{advice}"))
                .with_cause(Cause::CannotConnect)
        })?;
        Ok(Self::Unix(stream, name))
    }

    /// The broker's address, for messages.
    pub(crate) fn peer(&self) -> String {
        match self {
            Self::Tcp(_, address) => address.to_string(),
            Self::Unix(_, path) => path.clone(),
        }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream, address) => Self::Tcp(stream.try_clone()?, *address),
            Self::Unix(stream, path) => Self::Unix(stream.try_clone()?, path.clone()),
        })
    }

    /// Both directions, also for a thread that is reading.
    pub(crate) fn close(&self) {
        // It may be closed already.
        let _ = match self {
            Self::Tcp(stream, _) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream, _) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream, _) => stream.read(buffer),
            Self::Unix(stream, _) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream, _) => stream.write(buffer),
            Self::Unix(stream, _) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.flush(),
            Self::Unix(stream, _) => stream.flush(),
        }
    }
}

fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let found = (host, port).to_socket_addrs();
    found.map(Iterator::collect).map_err(|error| {
        Failure::new(format!("cannot find the host \"{host}\": {error}")).with_cause(Cause::HostUnknown)
    })
}

fn addresses_of_this_machine(name: &str) -> Result<Vec<SocketAddr>, Failure> {
    addresses(name, 0).map_err(|failure| Failure::new(format!("{}, which is to be connected from", failure.message)))
}

fn connect(address: SocketAddr, local: Option<&[SocketAddr]>) -> io::Result<TcpStream> {
    let Some(local) = local else { return TcpStream::connect_timeout(&address, RESPONSE_TIMEOUT) };
    let own = local.iter().find(|own| own.is_ipv4() == address.is_ipv4()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, "the address to connect from is of another family")
    })?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SockAddr::from(*own))?;
    socket.connect_timeout(&SockAddr::from(address), RESPONSE_TIMEOUT)?;
    Ok(socket.into())
}

fn cannot_connect(address: SocketAddr, error: &io::Error) -> Failure {
    let message = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("connection refused by {address}: is a broker running there? start one with `sori`")
        }
        io::ErrorKind::TimedOut => format!(
            "no answer from {address} within {} s: is the address right, and does a firewall let port {} through?",
            RESPONSE_TIMEOUT.as_secs(),
            address.port()
        ),
        _ => format!("cannot connect to {address}: {error}"),
    };
    Failure::new(message).with_cause(Cause::CannotConnect)
}

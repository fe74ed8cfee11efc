//! Opening a connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};

use crate::endpoint::{Endpoint, Place, Server};
use crate::error::Error;
#[cfg(feature = "srv")]
use crate::srv::{Srv, Target};
#[cfg(feature = "transport")]
use crate::way::Way;

use super::ByteStream;
#[cfg(feature = "transport")]
use super::transported::HandshakeError;

/// An address that does not answer delays the next one by so much, if there is a next one.
const ADDRESS_TIME: Duration = Duration::from_secs(3);

/// Opens a connection to where the driver wants one.
pub(super) async fn open(endpoint: &Endpoint) -> Result<Box<dyn ByteStream>, Error> {
    match endpoint {
        #[cfg(feature = "srv")]
        Endpoint::Socket(server) => match (&server.srv, &server.place) {
            (Some(srv), Place::Tcp { name, .. }) => open_domain(srv, name, server).await,
            _ => open_server(server).await,
        },
        #[cfg(not(feature = "srv"))]
        Endpoint::Socket(server) => open_server(server).await,
        Endpoint::Own(connect) => {
            connect.connect().await.map_err(|error| Error::Unreachable(connect.name(), Arc::new(error)))
        }
    }
}

/// The first server of a domain that answers, handshakes included.
#[cfg(feature = "srv")]
async fn open_domain(srv: &Srv, domain: &str, server: &Server) -> Result<Box<dyn ByteStream>, Error> {
    #[cfg(feature = "tls")]
    let is_secure = server.way.is_secure();
    #[cfg(not(feature = "tls"))]
    let is_secure = false;
    let mut targets = srv.targets(domain, is_secure).await?;
    // The last one may take as long as any server.
    let last = targets.pop().map(|target| server_at(&target, domain, server));
    for target in &targets {
        let server = server_at(target, domain, server);
        if let Ok(Ok(stream)) = tokio::time::timeout(ADDRESS_TIME, open_server(&server)).await {
            return Ok(stream);
        }
    }
    open_server(last.as_ref().unwrap_or(server)).await
}

#[cfg(feature = "srv")]
fn server_at(target: &Target, domain: &str, server: &Server) -> Server {
    #[cfg(not(feature = "tls"))]
    let _ = domain;
    Server {
        place: Place::Tcp { name: target.name.clone(), port: target.port },
        srv: None,
        #[cfg(feature = "tls")]
        certified_name: Some(crate::srv::certified_name(domain, &target.name).to_owned()),
        ..server.clone()
    }
}

async fn open_server(server: &Server) -> Result<Box<dyn ByteStream>, Error> {
    #[cfg(feature = "transport")]
    if let Some(transport) =
        server.way.transport(server).map_err(|error| Way::failed(&error, server.place.to_string()))?
    {
        let socket = open_socket(&server.way.first_stop(server), server).await?;
        let stream = super::transported::Transported::open(socket, transport).await;
        return match stream {
            Ok(stream) => Ok(Box::new(stream)),
            Err(HandshakeError::Transport(error)) => Err(Way::failed(&error, server.place.to_string())),
            Err(HandshakeError::Socket(error)) => Err(Error::Unreachable(server.place.to_string(), Arc::new(error))),
        };
    }
    open_socket(&server.place, server).await
}

async fn open_socket(place: &Place, server: &Server) -> Result<Box<dyn ByteStream>, Error> {
    let unreachable = |error| Error::Unreachable(place.to_string(), Arc::new(error));
    let (name, port) = match place {
        Place::Tcp { name, port } => (name, *port),
        Place::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await.map_err(unreachable)?)),
    };
    let local = match &server.local {
        Some(name) => addresses(name, 0).await?,
        None => Vec::new(),
    };
    let stream = open_first(&addresses(name, port).await?, &local).await.map_err(unreachable)?;
    // With it small packets do not wait for the acknowledgement of those before.
    stream.set_nodelay(server.no_delay).map_err(unreachable)?;
    Ok(Box::new(stream))
}

async fn addresses(name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let resolve = |error| Error::Resolve(name.to_owned(), Arc::new(error));
    Ok(lookup_host((name, port)).await.map_err(resolve)?.collect())
}

/// The first address that answers, in the order in which the system prefers them.
async fn open_first(addresses: &[SocketAddr], local: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        let is_last = index + 1 == addresses.len();
        let opened = if is_last {
            open_address(*address, local).await
        } else {
            let silent = || io::Error::new(io::ErrorKind::TimedOut, "no answer");
            tokio::time::timeout(ADDRESS_TIME, open_address(*address, local)).await.unwrap_or_else(|_| Err(silent()))
        };
        match opened {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Connects from one of these addresses of this machine; from any if there are none.
async fn open_address(address: SocketAddr, local: &[SocketAddr]) -> io::Result<TcpStream> {
    if local.is_empty() {
        return TcpStream::connect(address).await;
    }
    let local = local.iter().find(|local| local.is_ipv4() == address.is_ipv4()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, "the address to connect from is of another family")
    })?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(*local)?;
    socket.connect(address).await
}

macro_rules! byte_streams {
    ($($type:ty),*) => {$(
        impl ByteStream for $type {
            fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                let mut buffer = ReadBuf::new(buffer);
                match AsyncRead::poll_read(Pin::new(self), cx, &mut buffer) {
                    Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().len())),
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Pending => Poll::Pending,
                }
            }

            fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                AsyncWrite::poll_write(Pin::new(self), cx, bytes)
            }

            fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                AsyncWrite::poll_shutdown(Pin::new(self), cx)
            }
        }
    )*};
}

byte_streams!(TcpStream, UnixStream);

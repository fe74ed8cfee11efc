//! Opening a connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};

use crate::endpoint::{Endpoint, Host};
use crate::error::Error;
#[cfg(feature = "transport")]
use crate::way::Way;

use super::ByteStream;
#[cfg(feature = "transport")]
use super::transported::HandshakeError;

/// An address that does not answer delays the next one by so much, if there is a next one.
const ADDRESS_TIME: Duration = Duration::from_secs(3);

/// Opens a connection to where the driver wants one.
pub(super) async fn open(endpoint: &Endpoint) -> Result<Box<dyn ByteStream>, Error> {
    let unreachable = |error| Error::Unreachable(endpoint.to_string(), Arc::new(error));
    match endpoint {
        Endpoint::Tcp(host) => open_tcp(host).await,
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(unreachable)?;
            Ok(Box::new(stream))
        }
        Endpoint::Own(connect) => connect.connect().await.map_err(unreachable),
    }
}

async fn open_tcp(host: &Host) -> Result<Box<dyn ByteStream>, Error> {
    #[cfg(feature = "transport")]
    if let Some(transport) = host.way.transport(host).map_err(|error| Way::failed(error, host))? {
        let (name, port) = host.way.first_stop(host);
        let socket = open_socket(name, port).await?;
        let stream = super::transported::Transported::open(socket, transport).await;
        return match stream {
            Ok(stream) => Ok(Box::new(stream)),
            Err(HandshakeError::Transport(error)) => Err(Way::failed(error, host)),
            Err(HandshakeError::Socket(error)) => Err(Error::Unreachable(host.to_string(), Arc::new(error))),
        };
    }
    Ok(Box::new(open_socket(&host.name, host.port).await?))
}

async fn open_socket(name: &str, port: u16) -> Result<TcpStream, Error> {
    let unreachable = |error| Error::Unreachable(format!("{name}:{port}"), Arc::new(error));
    let resolve = |error| Error::Resolve(name.to_owned(), Arc::new(error));
    let addresses: Vec<SocketAddr> = lookup_host((name, port)).await.map_err(resolve)?.collect();
    let stream = open_first(&addresses).await.map_err(unreachable)?;
    // Without it small packets would wait for the acknowledgement of those before.
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(stream)
}

/// The first address that answers, in the order in which the system prefers them.
async fn open_first(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        let is_last = index + 1 == addresses.len();
        let opened = if is_last {
            TcpStream::connect(address).await
        } else {
            let silent = || io::Error::new(io::ErrorKind::TimedOut, "no answer");
            tokio::time::timeout(ADDRESS_TIME, TcpStream::connect(address)).await.unwrap_or_else(|_| Err(silent()))
        };
        match opened {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
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

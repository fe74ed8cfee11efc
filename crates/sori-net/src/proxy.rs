//! Proxies that a client goes through: HTTP CONNECT (RFC 9110 section 9.3.6) and SOCKS5 (RFC 1928, RFC 1929).

mod http_connect;
mod socks5;

use crate::error::{Error, ErrorKind};
use core::fmt;

/// A proxy between a client and its server. The caller opens the connection to the proxy; the transport asks it for the
/// way on.
#[derive(Clone, Eq, PartialEq, Debug)]
pub enum Proxy {
    /// CONNECT of HTTP/1.1.
    Http {
        /// What the proxy wants to know, if it does.
        credentials: Option<Credentials>,
    },
    /// SOCKS version 5.
    Socks5 {
        /// What the proxy wants to know, if it does.
        credentials: Option<Credentials>,
    },
}

/// User name and password for a proxy.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    /// The user name.
    pub user_name: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    /// The password is not written into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user_name", &self.user_name).finish_non_exhaustive()
    }
}

/// The conversation with a proxy.
pub(crate) enum ProxyClient {
    Http(http_connect::Connect),
    Socks5(socks5::Socks5),
}

impl ProxyClient {
    pub(crate) fn begin(proxy: &Proxy, host: &str, port: u16, output: &mut Vec<u8>) -> Result<ProxyClient, Error> {
        Ok(match proxy {
            Proxy::Http { credentials } => {
                ProxyClient::Http(http_connect::Connect::begin(credentials.as_ref(), host, port, output)?)
            }
            Proxy::Socks5 { credentials } => {
                ProxyClient::Socks5(socks5::Socks5::begin(credentials.as_ref(), host, port, output)?)
            }
        })
    }

    /// Gives how many bytes of the piece were the proxy's, once the way is free.
    pub(crate) fn receive(&mut self, piece: &[u8], output: &mut Vec<u8>) -> Result<Option<usize>, Error> {
        match self {
            ProxyClient::Http(connect) => connect.receive(piece),
            ProxyClient::Socks5(socks5) => socks5.receive(piece, output),
        }
    }
}

fn refused(what: impl Into<Box<str>>) -> Error {
    Error::new(ErrorKind::Proxy, what)
}

fn unusable(what: impl Into<Box<str>>) -> Error {
    Error::new(ErrorKind::Local, what)
}

//! What stands between MQTT and the socket: TLS, a WebSocket, a proxy, as options.

#[cfg(feature = "proxy")]
mod proxy;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;

use sori_net::{ErrorKind, Transport};

use crate::endpoint::{Place, Server};
use crate::error::{CertificateFault, Error};

#[cfg(feature = "proxy")]
pub use proxy::Proxy;
#[cfg(feature = "tls")]
pub use tls::Tls;

/// The way to a server, as it was chosen.
#[derive(Clone, Default)]
pub(crate) struct Way {
    /// What was chosen for TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    /// The same with all files read.
    #[cfg(feature = "tls")]
    loaded: Option<sori_net::TlsClient>,
    #[cfg(feature = "websocket")]
    pub(crate) headers: Vec<(String, String)>,
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<Proxy>,
}

impl Way {
    /// Reads the files that the way to this server needs.
    pub(crate) fn load(&mut self, server: &Server) -> Result<(), Error> {
        #[cfg(feature = "proxy")]
        if let (Some(_), Place::Unix(path)) = (&self.proxy, &server.place) {
            let url = format!("unix:{}", path.display());
            return Err(Error::Url(url, "a Unix socket is on this machine, and no proxy leads there: leave it out"));
        }
        #[cfg(feature = "tls")]
        match (&self.tls, server.is_secure) {
            (Some(_), Some(false)) => {
                let url = server.place.to_string();
                return Err(Error::Url(url, "there are options for TLS: write mqtts:// or wss://"));
            }
            (Some(tls), _) => self.loaded = Some(tls.load()?),
            (None, Some(true)) => self.loaded = Some(Tls::default().load()?),
            (None, _) => {}
        }
        let _ = server;
        Ok(())
    }

    /// Is TLS spoken?
    #[cfg(all(feature = "srv", feature = "tls"))]
    pub(crate) const fn is_secure(&self) -> bool {
        self.loaded.is_some()
    }

    /// Where the socket goes to: the proxy, if there is one.
    pub(crate) fn first_stop(&self, server: &Server) -> Place {
        #[cfg(feature = "proxy")]
        if let Some(proxy) = &self.proxy {
            return proxy.place.clone();
        }
        server.place.clone()
    }

    /// What a failure on this way is for the caller.
    pub(crate) fn failed(error: &sori_net::Error, address: String) -> Error {
        let text = error.to_string();
        match (error.kind(), error.certificate_fault()) {
            (ErrorKind::Certificate, Some(fault)) => Error::Certificate(address, fault.into(), text),
            (ErrorKind::Certificate, None) => Error::Certificate(address, CertificateFault::Other, text),
            (ErrorKind::Truncated, _) => Error::ClosedEarly(address),
            (ErrorKind::WebSocket, _) => Error::WebSocket(address, text),
            (ErrorKind::Proxy, _) => Error::Proxy(address, text),
            _ => Error::Handshake(address, text),
        }
    }

    /// The transport to this server; none if the socket is all.
    pub(crate) fn transport(&self, server: &Server) -> Result<Option<Transport>, sori_net::Error> {
        let mut transport = Transport::plain();
        let mut is_plain = true;
        #[cfg(feature = "proxy")]
        if let (Some(proxy), Place::Tcp { name, port }) = (&self.proxy, &server.place) {
            transport = transport.through(&proxy.kind, name, *port)?;
            is_plain = false;
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.loaded {
            transport = transport.tls_client(tls, server.name())?;
            is_plain = false;
        }
        #[cfg(feature = "websocket")]
        if let Some(path) = &server.websocket {
            let mut client = sori_net::WebSocketClient::new(&server.host(), path);
            client.headers.clone_from(&self.headers);
            transport = transport.websocket_client(&client)?;
            is_plain = false;
        }
        Ok((!is_plain).then_some(transport))
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut way = f.debug_struct("Way");
        #[cfg(feature = "tls")]
        way.field("tls", &self.tls);
        #[cfg(feature = "proxy")]
        way.field("proxy", &self.proxy);
        way.finish_non_exhaustive()
    }
}

impl From<sori_net::CertificateFault> for CertificateFault {
    fn from(fault: sori_net::CertificateFault) -> Self {
        match fault {
            sori_net::CertificateFault::Expired => Self::Expired,
            sori_net::CertificateFault::NotYetValid => Self::NotYetValid,
            sori_net::CertificateFault::OtherName => Self::OtherName,
            sori_net::CertificateFault::NotTrusted => Self::NotTrusted,
            sori_net::CertificateFault::Revoked => Self::Revoked,
            sori_net::CertificateFault::Refused => Self::Refused,
            _ => Self::Other,
        }
    }
}

//! What stands between MQTT and the socket: TLS, a WebSocket, a proxy, as options.

#[cfg(feature = "tls")]
mod tls;

use std::fmt;

use sori_net::{ErrorKind, Transport};

use crate::endpoint::Host;
#[cfg(feature = "proxy")]
use crate::endpoint::{Authority, without_credentials};
use crate::error::{CertificateFault, Error};

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
    pub(crate) proxy: Option<ProxyServer>,
}

/// Where a proxy is, and what it speaks.
#[derive(Clone)]
#[cfg(feature = "proxy")]
pub(crate) struct ProxyServer {
    pub(crate) host: String,
    pub(crate) port: u16,
    kind: sori_net::Proxy,
}

#[cfg(feature = "proxy")]
impl ProxyServer {
    /// Reads `socks5://user:password@host:port` or `http://host:port`.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Url(without_credentials(url), why);
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = Authority::parse(rest.trim_end_matches('/')).map_err(wrong)?;
        let credentials = authority.user_name.map(|user_name| sori_net::proxy::Credentials {
            user_name,
            password: authority.password.unwrap_or_default(),
        });
        let (kind, port) = match scheme {
            "socks5" | "socks5h" => (sori_net::Proxy::Socks5 { credentials }, 1080),
            "http" => (sori_net::Proxy::Http { credentials }, 8080),
            _ => return Err(wrong("a proxy's URL begins with socks5:// or http://")),
        };
        Ok(Self { host: authority.host, port: authority.port.unwrap_or(port), kind })
    }
}

impl Way {
    /// Reads the files that the way to this server needs.
    pub(crate) fn load(&mut self, host: &Host) -> Result<(), Error> {
        #[cfg(feature = "tls")]
        match (&self.tls, host.is_secure) {
            (Some(_), false) => {
                return Err(Error::Url(host.to_string(), "there are options for TLS: write mqtts:// or wss://"));
            }
            (None, true) => self.loaded = Some(Tls::default().load()?),
            (Some(tls), true) => self.loaded = Some(tls.load()?),
            (None, false) => {}
        }
        let _ = host;
        Ok(())
    }

    /// Where the socket goes to: the proxy, if there is one.
    pub(crate) fn first_stop<'a>(&'a self, host: &'a Host) -> (&'a str, u16) {
        #[cfg(feature = "proxy")]
        if let Some(proxy) = &self.proxy {
            return (&proxy.host, proxy.port);
        }
        (&host.name, host.port)
    }

    /// What a failure on this way is for the caller.
    pub(crate) fn failed(error: sori_net::Error, host: &Host) -> Error {
        let address = host.to_string();
        let text = error.to_string();
        match (error.kind(), error.certificate_fault()) {
            (ErrorKind::Certificate, Some(fault)) => Error::Certificate(address, fault.into(), text),
            (ErrorKind::Certificate, None) => Error::Certificate(address, CertificateFault::Other, text),
            (ErrorKind::Truncated, _) => Error::ClosedEarly(address),
            (ErrorKind::Proxy, _) => Error::Proxy(address, text),
            _ => Error::Handshake(address, text),
        }
    }

    /// The transport to this server; none if the socket is all.
    pub(crate) fn transport(&self, host: &Host) -> Result<Option<Transport>, sori_net::Error> {
        let mut transport = Transport::plain();
        let mut is_plain = true;
        #[cfg(feature = "proxy")]
        if let Some(proxy) = &self.proxy {
            transport = transport.through(&proxy.kind, &host.name, host.port)?;
            is_plain = false;
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.loaded {
            transport = transport.tls_client(tls, &host.name)?;
            is_plain = false;
        }
        #[cfg(feature = "websocket")]
        if let Some(path) = &host.websocket {
            let mut client = sori_net::WebSocketClient::new(&host.to_string(), path);
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
        way.field("proxy", &self.proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host, proxy.port)));
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

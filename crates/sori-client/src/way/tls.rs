//! Whom a client trusts, and how it proves who it is.

use std::path::PathBuf;

use sori_net::tls::{ServerRoots, TlsVersion};
use sori_net::{TlsClient, TlsClientOptions};

use crate::error::Error;

/// TLS for `mqtts://` and `wss://`. Unless something else is chosen, servers are trusted whose certificate has the host's name
/// and comes from an authority that this machine trusts.
///
/// ```
/// use sori_client::{Options, Tls};
///
/// let tls = Tls::new().ca_file("/etc/ssl/our-ca.pem").client_certificate("device-7.pem", "device-7.key");
/// let options = Options::new("mqtts://broker.example")?.tls(tls);
/// # Ok::<(), sori_client::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tls {
    options: TlsClientOptions,
}

impl Tls {
    /// The authorities that this machine trusts, TLS 1.2 and 1.3.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only servers with a certificate from the authorities in this file (PEM) are trusted; a server's own certificate may
    /// stand there, too.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        let capath = match self.options.roots {
            ServerRoots::Files { capath, .. } => capath,
            _ => None,
        };
        self.options.roots = ServerRoots::Files { cafile: Some(path.into()), capath };
        self
    }

    /// The same for all files of a directory.
    #[must_use]
    pub fn ca_directory(mut self, path: impl Into<PathBuf>) -> Self {
        let cafile = match self.options.roots {
            ServerRoots::Files { cafile, .. } => cafile,
            _ => None,
        };
        self.options.roots = ServerRoots::Files { cafile, capath: Some(path.into()) };
        self
    }

    /// The certificate (with those between it and its authority) and the key that this client shows, as files in PEM.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.options.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// A protocol that is offered to the server (ALPN), for those that serve several at one port. The first is preferred.
    #[must_use]
    pub fn alpn(mut self, protocol: impl Into<Vec<u8>>) -> Self {
        self.options.alpn.push(protocol.into());
        self
    }

    /// TLS 1.3 and nothing older.
    #[must_use]
    pub fn only_tls_1_3(mut self) -> Self {
        self.options.version_min = TlsVersion::V13;
        self
    }

    /// **Dangerous**: the server's certificate need not have the host's name, so whoever has any certificate of a trusted
    /// authority can read and change everything, passwords included.
    #[must_use]
    pub fn insecure_any_host_name(mut self) -> Self {
        self.options.any_host_name = true;
        self
    }

    /// **Dangerous**: every certificate is taken, so whoever is on the way can read and change everything, passwords
    /// included. For tests; the safe way to a server with a certificate of its own is [`ca_file`](Self::ca_file).
    #[must_use]
    pub fn insecure_any_server(mut self) -> Self {
        self.options.roots = ServerRoots::Anybody;
        self
    }

    pub(super) fn load(&self) -> Result<TlsClient, Error> {
        TlsClient::load(&self.options).map_err(|error| Error::TlsFiles(error.to_string()))
    }
}

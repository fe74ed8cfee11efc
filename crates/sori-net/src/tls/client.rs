//! What a client speaks TLS with.

use crate::tls::TlsVersion;
use crate::tls::files::{self, LoadError};
use crate::tls::key_log::KeyLogFile;
use crate::tls::listener::{certified_key, provider, versions};
use crate::tls::verifier::ServerRules;
use core::fmt;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;

/// The files and rules of a client's TLS.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct TlsClientOptions {
    /// Whose certificates a server may have.
    pub roots: ServerRoots,
    /// The client's own certificate (with those between it and the CA) and its key, PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The server's certificate need not have the host's name. The connection is then open to whoever has any certificate of
    /// the CAs.
    pub any_host_name: bool,
    /// The protocols that ALPN offers.
    pub alpn: Vec<Vec<u8>>,
    /// The lowest version that is spoken.
    pub version_min: TlsVersion,
    /// The suites of TLS 1.2, as an OpenSSL list.
    pub ciphers: Option<String>,
    /// The suites of TLS 1.3, by name.
    pub ciphers_tls13: Option<String>,
    /// Secrets are written there, for Wireshark.
    pub key_log: Option<PathBuf>,
}

/// Whose certificates a client trusts.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub enum ServerRoots {
    /// The CAs that the machine trusts.
    #[default]
    System,
    /// These CAs, PEM. A server's own certificate may stand here, too.
    Files {
        /// A file of certificates.
        cafile: Option<PathBuf>,
        /// A directory of such files.
        capath: Option<PathBuf>,
    },
    /// Every certificate is taken: the connection is encrypted, but nobody knows with whom.
    Anybody,
}

/// A client's TLS, for any number of connections; sessions are resumed among them.
#[derive(Clone)]
pub struct TlsClient {
    by: By,
}

/// By what both sides know each other.
#[derive(Clone)]
pub(crate) enum By {
    Certificate(Arc<ClientConfig>),
    #[cfg(feature = "psk")]
    Key(Arc<sori_dtls::PskClient>),
}

impl TlsClient {
    /// Read all files and check that they belong together.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used, and why.
    pub fn load(options: &TlsClientOptions) -> Result<TlsClient, LoadError> {
        let provider =
            Arc::new(provider(options.ciphers.as_deref(), options.ciphers_tls13.as_deref(), options.version_min)?);
        let failed = |error: rustls::Error| LoadError::general(error.to_string());
        let (roots, pinned) = roots(&options.roots)?;
        let inner = roots.map(|roots| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| LoadError::general(format!("the CAs cannot be used: {error}")))
        });
        let certificate = options.certificate.as_ref();
        let key = certificate.map(|(certfile, keyfile)| certified_key(certfile, keyfile, &pinned, &provider));
        let key = key.transpose()?;
        let rules = ServerRules {
            inner: inner.transpose()?,
            pinned,
            any_name: options.any_host_name,
            schemes: provider.signature_verification_algorithms,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(options.version_min))
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(rules));
        let mut config = match key {
            None => builder.with_no_client_auth(),
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        };
        config.alpn_protocols.clone_from(&options.alpn);
        if let Some(path) = &options.key_log {
            config.key_log = Arc::new(KeyLogFile::open(path)?);
        }
        Ok(TlsClient::of(By::Certificate(Arc::new(config))))
    }

    /// A configuration of rustls as it is, for callers with rules of their own.
    pub fn from_rustls(config: Arc<ClientConfig>) -> TlsClient {
        TlsClient::of(By::Certificate(config))
    }

    pub(crate) fn of(by: By) -> TlsClient {
        TlsClient { by }
    }

    pub(crate) fn by(&self) -> By {
        self.by.clone()
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

type Roots = (Option<RootCertStore>, Vec<CertificateDer<'static>>);

fn roots(wanted: &ServerRoots) -> Result<Roots, LoadError> {
    match wanted {
        ServerRoots::Anybody => Ok((None, Vec::new())),
        ServerRoots::Files { cafile, capath } => {
            let authorities = files::authorities(cafile.as_deref(), capath.as_deref())?;
            Ok((Some(authorities.store), authorities.certificates))
        }
        ServerRoots::System => {
            let mut store = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                let why = found.errors.first().map(ToString::to_string).unwrap_or_default();
                return Err(LoadError::general(format!(
                    "this machine has no list of trusted CAs ({why}); install ca-certificates, or name a file of CAs"
                )));
            }
            Ok((Some(store), Vec::new()))
        }
    }
}

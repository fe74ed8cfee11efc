//! What a listener speaks TLS with, exchanged as one while it runs.

use crate::tls::TlsVersion;
use crate::tls::ciphers;
use crate::tls::files::{self, LoadError};
use crate::tls::key_log::KeyLogFile;
use crate::tls::names::{issuer_and_subject, public_key_of_version_1};
use crate::tls::verifier::AnyDate;
use core::fmt;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// The files and rules of a listener's TLS.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct TlsServerOptions {
    /// The server's certificate and those between it and the CA, PEM.
    pub certfile: PathBuf,
    /// The certificate's private key, PEM, without a pass phrase.
    pub keyfile: PathBuf,
    /// CAs, PEM: those of client certificates, and those that complete the chain of a `certfile` with one certificate only.
    pub cafile: Option<PathBuf>,
    /// A directory of such files.
    pub capath: Option<PathBuf>,
    /// Are clients to show a certificate?
    pub client_certificates: ClientCertificates,
    /// The lowest version that is spoken.
    pub version_min: TlsVersion,
    /// The suites of TLS 1.2, as an OpenSSL list.
    pub ciphers: Option<String>,
    /// The suites of TLS 1.3, by name.
    pub ciphers_tls13: Option<String>,
    /// Secrets are written there, for Wireshark.
    pub key_log: Option<PathBuf>,
}

/// What is wanted of clients.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub enum ClientCertificates {
    /// Nothing.
    #[default]
    None,
    /// A certificate of one of the CAs, or the handshake fails.
    Required {
        /// What the CAs have revoked, PEM.
        crlfile: Option<PathBuf>,
        /// Certificates whose time is over or has not come are fine, too.
        any_date: bool,
    },
}

/// A listener's TLS: one value that every new connection begins with, exchanged by [`swap`](ListenerTls::swap). Connections that
/// exist go on with what they began with.
pub struct ListenerTls {
    current: RwLock<By>,
}

/// By what clients know the server, and perhaps the server them.
#[derive(Clone)]
pub(crate) enum By {
    Certificate(Arc<ServerConfig>),
    #[cfg(feature = "psk")]
    Keys(Arc<sori_dtls::PskServer>),
}

impl ListenerTls {
    /// Read all files and check that they belong together.
    ///
    /// # Errors
    ///
    /// The first file that cannot be used, and why.
    pub fn load(options: &TlsServerOptions) -> Result<ListenerTls, LoadError> {
        Ok(ListenerTls::by(By::Certificate(Arc::new(build(options)?))))
    }

    /// Everything that is wrong, where [`load`](Self::load) tells the first thing: each file is looked at by itself, and
    /// whether they go together when each of them is good.
    ///
    /// ```
    /// use sori_net::{ListenerTls, TlsServerOptions};
    ///
    /// let (certfile, keyfile) = ("gone.crt".into(), "gone.key".into());
    /// let options = TlsServerOptions { certfile, keyfile, ..TlsServerOptions::default() };
    /// assert_eq!(ListenerTls::faults(&options).len(), 2);
    /// ```
    #[must_use]
    pub fn faults(options: &TlsServerOptions) -> Vec<LoadError> {
        let crlfile = match &options.client_certificates {
            ClientCertificates::Required { crlfile, .. } => crlfile.as_deref(),
            ClientCertificates::None => None,
        };
        let of_files = [
            files::certificates(&options.certfile).err(),
            files::private_key(&options.keyfile).err(),
            files::authorities(options.cafile.as_deref(), None).err(),
            files::authorities(None, options.capath.as_deref()).err(),
            crlfile.and_then(|file| files::revocation_lists(file).err()),
        ];
        let faults: Vec<LoadError> = of_files.into_iter().flatten().collect();
        if faults.is_empty() { build(options).err().into_iter().collect() } else { faults }
    }

    pub(crate) fn by(by: By) -> ListenerTls {
        ListenerTls { current: RwLock::new(by) }
    }

    /// New connections begin with what `other` was loaded with. Sessions of before cannot be resumed: clients that the
    /// new rules let in make a whole handshake.
    pub fn swap(&self, other: ListenerTls) {
        let new = other.current.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    pub(crate) fn current(&self) -> By {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerTls").finish_non_exhaustive()
    }
}

fn build(options: &TlsServerOptions) -> Result<ServerConfig, LoadError> {
    let provider =
        Arc::new(provider(options.ciphers.as_deref(), options.ciphers_tls13.as_deref(), options.version_min)?);
    let failed = |error: rustls::Error| LoadError::general(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions(options.version_min))
        .map_err(failed)?;
    let authorities = files::authorities(options.cafile.as_deref(), options.capath.as_deref())?;
    let key = certified_key(&options.certfile, &options.keyfile, &authorities.certificates, &provider)?;
    let builder = match &options.client_certificates {
        ClientCertificates::None => builder.with_no_client_auth(),
        ClientCertificates::Required { .. } => {
            builder.with_client_cert_verifier(client_verifier(options, authorities.store, &provider)?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    // Sessions are resumed with tickets, which cost no memory here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new().map_err(failed)?;
    if let Some(path) = &options.key_log {
        config.key_log = Arc::new(KeyLogFile::open(path)?);
    }
    Ok(config)
}

pub(crate) fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match least {
        TlsVersion::V12 => &BOTH,
        TlsVersion::V13 => &BOTH[..1],
    }
}

/// ring, with the suites that are wanted.
pub(crate) fn provider(
    ciphers_tls12: Option<&str>,
    ciphers_tls13: Option<&str>,
    version_min: TlsVersion,
) -> Result<CryptoProvider, LoadError> {
    let mut provider = ring::default_provider();
    if let Some(list) = ciphers_tls12 {
        let wanted = ciphers::tls12(list);
        if wanted.is_empty() && version_min == TlsVersion::V12 {
            return Err(LoadError::general(format!(
                "ciphers {list}: none of them is spoken; with TLS 1.2 those are ECDHE-*-AES*-GCM-* and ECDHE-*-CHACHA20-POLY1305"
            )));
        }
        provider.cipher_suites.retain(|suite| suite.tls13().is_some() || wanted.contains(suite));
    }
    if let Some(list) = ciphers_tls13 {
        let wanted = ciphers::tls13(list);
        if wanted.is_empty() {
            return Err(LoadError::general(format!(
                "ciphers_tls1.3 {list}: none of them is spoken; choose of TLS_AES_256_GCM_SHA384, \
                 TLS_AES_128_GCM_SHA256 and TLS_CHACHA20_POLY1305_SHA256"
            )));
        }
        provider.cipher_suites.retain(|suite| suite.tls13().is_none() || wanted.contains(suite));
    }
    Ok(provider)
}

/// A certificate with its key, which must belong together. As OpenSSL does it, a chain of one certificate is made longer
/// with these CAs: many a configuration has those between it and the root in its `cafile`.
pub(crate) fn certified_key(
    certfile: &Path,
    keyfile: &Path,
    authorities: &[CertificateDer<'static>],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, LoadError> {
    let mut chain = files::certificates(certfile)?;
    if chain.len() == 1 {
        complete(&mut chain, authorities);
    }
    let unusable = |path, error: rustls::Error| LoadError::of(path, format!("cannot be used: {error}"));
    let key = provider.key_provider.load_private_key(files::private_key(keyfile)?);
    let certified = CertifiedKey::new(chain, key.map_err(|error| unusable(keyfile, error))?);
    match keys_match(&certified) {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let reason = format!("is not the key of the first certificate in {}", certfile.display());
            Err(LoadError::of(keyfile, reason))
        }
        Err(error) => Err(unusable(certfile, error)),
    }
}

/// Also for a certificate of version 1, which rustls cannot look into: `openssl x509 -req` makes them when it is told of no
/// extensions, and clients take them.
fn keys_match(certified: &CertifiedKey) -> Result<(), rustls::Error> {
    let old = public_key_of_version_1(certified.end_entity_cert()?);
    match (old, certified.key.public_key()) {
        (Some(old), Some(key)) if *old == *key => Ok(()),
        (Some(_), Some(_)) => Err(InconsistentKeys::KeyMismatch.into()),
        _ => certified.keys_match(),
    }
}

/// Append who has signed the last one, until that is a root or nobody is known. The root itself is the clients' own.
fn complete(chain: &mut Vec<CertificateDer<'static>>, authorities: &[CertificateDer<'static>]) {
    // Certificates that have signed each other in a circle end it, too.
    for _ in 0..authorities.len() {
        let Some((issuer, _)) = chain.last().and_then(|last| issuer_and_subject(last)) else { return };
        let signs = |authority: &&CertificateDer<'static>| {
            issuer_and_subject(authority).is_some_and(|(above, subject)| subject == issuer && above != subject)
        };
        match authorities.iter().find(signs) {
            Some(signer) if !chain.contains(signer) => chain.push(signer.clone()),
            _ => return,
        }
    }
}

fn client_verifier(
    options: &TlsServerOptions,
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, LoadError> {
    let ClientCertificates::Required { crlfile, any_date } = &options.client_certificates else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    // Clients with several certificates choose by themselves, as they do with Mosquitto, which names no CAs either.
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).clear_root_hint_subjects();
    if let Some(crlfile) = crlfile {
        builder = builder
            .with_crls(files::revocation_lists(crlfile)?)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
    }
    let blamed = crlfile.as_ref().or(options.cafile.as_ref()).or(options.capath.as_ref());
    let verifier = builder.build().map_err(|error| LoadError {
        path: blamed.cloned(),
        reason: format!("cannot be used to verify clients: {error}"),
    })?;
    Ok(if *any_date { Arc::new(AnyDate::new(verifier)) } else { verifier })
}

//! Rules for certificates beside those of the standard, where a configuration wants them.

use crate::tls::names::names_of;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;

/// A chain has so many dates to pass at most.
const DATES_MAX: usize = 16;

/// Clients may show certificates of any date: where one is not valid now, it is asked whether all is well at the nearest
/// time when it is.
#[derive(Debug)]
pub(crate) struct AnyDate {
    inner: Arc<dyn ClientCertVerifier>,
}

impl AnyDate {
    pub(crate) fn new(inner: Arc<dyn ClientCertVerifier>) -> AnyDate {
        AnyDate { inner }
    }
}

impl ClientCertVerifier for AnyDate {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut at = now;
        let mut outcome = self.inner.verify_client_cert(end_entity, intermediates, at);
        for _ in 0..DATES_MAX {
            at = match &outcome {
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => *not_after,
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => *not_before,
                _ => break,
            };
            outcome = self.inner.verify_client_cert(end_entity, intermediates, at);
        }
        outcome
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// How a client looks at a server's certificate.
#[derive(Debug)]
pub(crate) struct ServerRules {
    /// The rules of the standard; `None` when everything is taken.
    pub(crate) inner: Option<Arc<WebPkiServerVerifier>>,
    /// Servers with exactly one of these certificates are trusted, as OpenSSL does it when a server's own certificate stands in the
    /// file of CAs.
    pub(crate) pinned: Vec<CertificateDer<'static>>,
    /// The host name is not looked at.
    pub(crate) any_name: bool,
    pub(crate) schemes: rustls::crypto::WebPkiSupportedAlgorithms,
}

impl ServerRules {
    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The chain is good, only the name is not.
            Err(Error::InvalidCertificate(CertificateError::NotValidForName))
            | Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))
                if self.any_name =>
            {
                Ok(ServerCertVerified::assertion())
            }
            // A certificate without any alternative name, as recipes of old make them, counts by its Common Name.
            Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }))
                if presented.is_empty() && is_common_name(end_entity, name) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            outcome => outcome,
        }
    }
}

/// Is the host's name the certificate's Common Name?
fn is_common_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let common_name = names_of(certificate).and_then(|names| names.common_name);
    common_name.is_some_and(|common_name| common_name.eq_ignore_ascii_case(&name.to_str()))
}

impl ServerCertVerifier for ServerRules {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let outcome = self.verify_chain(end_entity, intermediates, server_name, ocsp_response, now);
        let is_unknown = matches!(
            outcome,
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
        );
        if is_unknown && self.pinned.iter().any(|pinned| pinned == end_entity) {
            let named = verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name);
            if !self.any_name && !is_common_name(end_entity, server_name) {
                named?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        outcome
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.supported_schemes()
    }
}

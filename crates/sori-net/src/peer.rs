//! What a transport learns of the other side.

use std::net::{IpAddr, SocketAddr};

/// What is known of the other side, besides where its packets come from. It is complete when the transport is
/// [open](crate::Transport::is_open).
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct Peer {
    /// The client's address, as a header of the PROXY protocol says it.
    pub address: Option<ProxiedAddress>,
    /// The client's address, as a trusted proxy says it in `X-Forwarded-For`.
    pub forwarded_for: Option<IpAddr>,
    /// The connection is encrypted, here or as far as the proxy in front.
    pub tls: Option<TlsFacts>,
}

/// Where a client comes from, as a proxy says it.
#[derive(Clone, Eq, PartialEq, Debug)]
pub enum ProxiedAddress {
    /// TCP.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(Box<str>),
}

/// What is known of an encrypted connection.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct TlsFacts {
    /// The version as OpenSSL names it: `TLSv1.3`.
    pub version: Box<str>,
    /// The cipher suite, by its name of the standard.
    pub cipher: Box<str>,
    /// The other side showed a certificate, and it was verified.
    pub certificate: Option<CertificateNames>,
    /// The other side has proven that it has the key of this identity.
    pub psk_identity: Option<Box<str>>,
}

/// Names in a certificate that was verified.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct CertificateNames {
    /// The first Common Name of the subject.
    pub common_name: Option<Box<str>>,
    /// The subject in the text form of RFC 2253; `None` when only a proxy has seen the certificate.
    pub subject: Option<Box<str>>,
}

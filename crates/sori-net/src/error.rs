//! Why a transport cannot go on.

use core::fmt;

/// A transport has ended. What [`Transport::output`](crate::Transport::output) still holds are its last words to the
/// peer (a TLS alert, an HTTP answer, a Close frame): send them, then close the connection.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Error {
    kind: ErrorKind,
    fault: Option<CertificateFault>,
    text: Box<str>,
}

/// Which part of a transport has failed.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The other side broke the TLS protocol, or both sides have nothing in common.
    Tls,
    /// A certificate was not accepted, by us or by the other side.
    Certificate,
    /// The WebSocket handshake or a frame was not legal, or was refused.
    WebSocket,
    /// The header of the PROXY protocol is missing or not legal.
    ProxyProtocol,
    /// What the header of the PROXY protocol says of the client is not enough to let it in.
    ProxyRefused,
    /// The proxy between us and the server refused, or answered with something else.
    Proxy,
    /// The other side has closed the connection before it said so, as its protocol wants it.
    Truncated,
    /// The machine failed, or the caller gave a value that cannot be used, such as a server name that is none.
    Local,
}

/// What is wrong with a certificate.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Its time is over.
    Expired,
    /// Its time has not begun; or this machine's clock is wrong.
    NotYetValid,
    /// It is for another name.
    OtherName,
    /// It comes from nobody who is trusted.
    NotTrusted,
    /// It was revoked.
    Revoked,
    /// The other side did not accept ours, or wants one.
    Refused,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<Box<str>>) -> Error {
        Error { kind, fault: None, text: text.into() }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn with_fault(self, fault: Option<CertificateFault>) -> Error {
        Error { fault, ..self }
    }

    /// What is wrong with a certificate, where [`ErrorKind::Certificate`] has one of the usual causes.
    pub fn certificate_fault(&self) -> Option<CertificateFault> {
        self.fault
    }

    /// Which part has failed.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl core::error::Error for Error {}

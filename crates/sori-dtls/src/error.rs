//! Why a connection cannot go on.

use core::fmt;
use openssl::error::ErrorStack;
use openssl::ssl::{self, SslRef};

/// Reasons of OpenSSL, by their names in `openssl/sslerr.h`.
mod reason {
    pub(super) const DIGEST_CHECK_FAILED: i32 = 149;
    pub(super) const NO_SHARED_CIPHER: i32 = 193;
    pub(super) const PSK_IDENTITY_NOT_FOUND: i32 = 223;
    pub(super) const UNSUPPORTED_PROTOCOL: i32 = 258;
    pub(super) const DECRYPTION_FAILED_OR_BAD_RECORD_MAC: i32 = 281;
    /// An alert of the other side has this and its number in RFC 5246 section 7.2.
    pub(super) const ALERT: i32 = 1000;
    pub(super) const ALERT_BAD_RECORD_MAC: i32 = ALERT + 20;
    pub(super) const ALERT_HANDSHAKE_FAILURE: i32 = ALERT + 40;
    pub(super) const ALERT_DECRYPT_ERROR: i32 = ALERT + 51;
    pub(super) const ALERT_PROTOCOL_VERSION: i32 = ALERT + 70;
    /// RFC 4279 section 2
    pub(super) const ALERT_UNKNOWN_PSK_IDENTITY: i32 = ALERT + 115;
}

/// What has ended a connection, or kept one from being set up.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Error {
    text: Box<str>,
    is_local: bool,
}

impl Error {
    pub(crate) fn peer(text: impl Into<Box<str>>) -> Error {
        Error { text: text.into(), is_local: false }
    }

    pub(crate) fn local(text: impl Into<Box<str>>) -> Error {
        Error { text: text.into(), is_local: true }
    }

    /// The machine failed, or the caller gave a value that cannot be used; the other side has no part in it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// What OpenSSL says of a connection.
    pub(crate) fn of(error: &ssl::Error, ssl: &SslRef) -> Error {
        let first = error.ssl_error().and_then(|stack| stack.errors().first());
        let Some(first) = first else { return Error::peer(error.to_string()) };
        let about_keys = !ssl.is_init_finished();
        match (first.reason_code(), ssl.is_server()) {
            (reason::PSK_IDENTITY_NOT_FOUND, true) => {
                Error::peer(format!("there is no key for the identity {}", told(ssl)))
            }
            (reason::DECRYPTION_FAILED_OR_BAD_RECORD_MAC | reason::DIGEST_CHECK_FAILED, true) if about_keys => {
                Error::peer(format!("the client has another key than the one of the identity {}", told(ssl)))
            }
            (reason::NO_SHARED_CIPHER, true) => Error::peer(
                "the client offers no cipher suite with a pre-shared key that is spoken here: it has to be given \
                 identity and key, and TLS 1.2",
            ),
            (reason::UNSUPPORTED_PROTOCOL, true) => {
                Error::peer("the client does not speak TLS 1.2, which pre-shared keys need")
            }
            (reason::ALERT_UNKNOWN_PSK_IDENTITY, false) => {
                Error::peer("the server has no key for this identity (unknown_psk_identity)")
            }
            (reason::ALERT_BAD_RECORD_MAC | reason::ALERT_DECRYPT_ERROR, false) if about_keys => {
                Error::peer("the server has another key for this identity (bad_record_mac)")
            }
            (reason::ALERT_HANDSHAKE_FAILURE | reason::ALERT_PROTOCOL_VERSION, false) if about_keys => Error::peer(
                "the server takes no pre-shared key here, or none of these cipher suites (handshake_failure)",
            ),
            _ => Error::peer(first.reason().map_or_else(|| first.to_string(), str::to_owned)),
        }
    }
}

/// The identity that a client has shown, in quotes and with nothing in it that would harm a log.
fn told(ssl: &SslRef) -> String {
    format!("\"{}\"", String::from_utf8_lossy(ssl.psk_identity().unwrap_or_default()).escape_debug())
}

impl From<ErrorStack> for Error {
    fn from(error: ErrorStack) -> Error {
        Error::local(format!("OpenSSL: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl core::error::Error for Error {}

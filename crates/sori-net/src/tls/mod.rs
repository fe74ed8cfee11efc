//! TLS 1.2 and 1.3, both sides, by rustls; with the feature `psk` also TLS 1.2 with pre-shared keys, by OpenSSL.
//!
//! [`ListenerTls`] is what a listener keeps: certificate, key, CAs, CRL and rules, loaded from files as one and exchanged as one
//! while it runs. [`TlsClient`] is the same for clients. rustls's cryptography is `ring`'s.

mod ciphers;
mod client;
mod files;
mod key_log;
mod listener;
mod names;
#[cfg(feature = "psk")]
mod psk;
mod rustls_stage;
mod stage;
mod validity;
mod verifier;

pub use ciphers::unknown_ciphers;
pub use client::{ServerRoots, TlsClient, TlsClientOptions};
pub use files::LoadError;
pub use listener::{ClientCertificates, ListenerTls, TlsServerOptions};
pub use names::names_of;
#[cfg(feature = "psk")]
pub use psk::{PskClientOptions, PskServerOptions};
#[cfg(feature = "psk")]
pub use sori_dtls::{
    IDENTITY_BYTES_MAX as PSK_IDENTITY_BYTES_MAX, KEY_BYTES_MAX as PSK_KEY_BYTES_MAX, Keys as PskKeys,
};
pub(crate) use stage::TlsStage;
pub use validity::{Validity, validities};

/// The lowest version of TLS that is spoken.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    V12,
    /// TLS 1.3 only.
    V13,
}

//! The side that has many keys.

use crate::connection::PskConnection;
use crate::context::{self, KeyLog};
use crate::error::Error;
use crate::hint;
use core::fmt;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslRef};
use std::sync::Arc;

/// A fresh secret for each connection first, so that a key which is found out later does not open what was recorded before (RFC 5489);
/// then what small devices speak.
const CIPHERS: &str = "kECDHEPSK:kPSK";

/// Whose key is which.
pub trait Keys: Send + Sync {
    /// The key of an identity, of [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX) bytes at most; `None`: it may not come in.
    fn key(&self, identity: &[u8]) -> Option<&[u8]>;
}

/// The rules of a server.
pub struct PskServerOptions<'a> {
    /// It is told to each client before it names itself.
    pub hint: &'a str,
    /// Who may come in.
    pub keys: Arc<dyn Keys>,
    /// The suites, as an OpenSSL list. Those without a key are left out of it.
    pub ciphers: Option<&'a str>,
    /// Gets the secrets of all connections.
    pub key_log: Option<KeyLog>,
}

/// A server, for any number of connections.
pub struct PskServer {
    context: SslContext,
}

impl PskServer {
    /// # Errors
    ///
    /// The hint is too long, or `ciphers` names no suite with a key.
    pub fn new(options: PskServerOptions<'_>) -> Result<PskServer, Error> {
        let PskServerOptions { hint, keys, ciphers, key_log } = options;
        let mut builder = context::builder(SslMethod::tls_server(), ciphers.unwrap_or(CIPHERS), key_log)?;
        hint::set(&mut builder, hint)?;
        builder.set_psk_server_callback(move |_: &mut SslRef, identity: Option<&[u8]>, room: &mut [u8]| {
            // A length of 0 is how OpenSSL is told that there is no key.
            Ok::<usize, ErrorStack>(identity.and_then(|identity| hand_over(keys.key(identity)?, room)).unwrap_or(0))
        });
        Ok(PskServer { context: builder.build() })
    }

    /// A connection that a client has opened.
    ///
    /// # Errors
    ///
    /// The machine failed.
    pub fn accept(&self) -> Result<PskConnection, Error> {
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_accept_state();
        PskConnection::new(ssl)
    }
}

impl fmt::Debug for PskServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskServer").finish_non_exhaustive()
    }
}

/// Copy a key to where OpenSSL wants it; gives its length.
pub(crate) fn hand_over(key: &[u8], room: &mut [u8]) -> Option<usize> {
    room.get_mut(..key.len())?.copy_from_slice(key);
    Some(key.len())
}

//! The side that has one key.

use crate::connection::PskConnection;
use crate::context::{self, KeyLog};
use crate::error::Error;
use crate::server::hand_over;
use crate::{IDENTITY_BYTES_MAX, KEY_BYTES_MAX};
use core::fmt;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslRef};

/// The server chooses.
const CIPHERS: &str = "PSK";

/// The rules of a client.
#[derive(Default)]
pub struct PskClientOptions<'a> {
    /// Who it is.
    pub identity: &'a str,
    /// Its key.
    pub key: &'a [u8],
    /// The suites, as an OpenSSL list. Those without a key are left out of it.
    pub ciphers: Option<&'a str>,
    /// The protocols that ALPN offers.
    pub alpn: &'a [Vec<u8>],
    /// Gets the secrets of all connections.
    pub key_log: Option<KeyLog>,
}

/// A client, for any number of connections.
pub struct PskClient {
    context: SslContext,
}

impl PskClient {
    /// # Errors
    ///
    /// Identity, key or a protocol's name is empty or too long, or `ciphers` names no suite with a key.
    pub fn new(options: PskClientOptions<'_>) -> Result<PskClient, Error> {
        let PskClientOptions { identity, key, ciphers, alpn, key_log } = options;
        if identity.is_empty() || identity.len() > IDENTITY_BYTES_MAX || identity.contains('\0') {
            let text = format!("an identity has 1 to {IDENTITY_BYTES_MAX} bytes, and none of them is 0");
            return Err(Error::local(text));
        }
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(Error::local(format!("a key has 1 to {KEY_BYTES_MAX} bytes")));
        }
        let mut builder = context::builder(SslMethod::tls_client(), ciphers.unwrap_or(CIPHERS), key_log)?;
        if !alpn.is_empty() {
            builder.set_alpn_protos(&protocols(alpn)?)?;
        }
        let (identity, key) = (identity.to_owned(), key.to_owned());
        // Whatever the server's hint is: there is one key.
        builder.set_psk_client_callback(move |_: &mut SslRef, _: Option<&[u8]>, name: &mut [u8], room: &mut [u8]| {
            // OpenSSL's string ends with a zero, and it keeps one more behind what it lets us see.
            name.fill(0);
            let handed = hand_over(identity.as_bytes(), name).and_then(|_| hand_over(&key, room));
            Ok::<usize, ErrorStack>(handed.unwrap_or(0))
        });
        Ok(PskClient { context: builder.build() })
    }

    /// A connection that was opened to this host, whose name is told to it, if there is one. RFC 6066 section 3
    ///
    /// # Errors
    ///
    /// It is no name of a host.
    pub fn connect(&self, host: Option<&str>) -> Result<PskConnection, Error> {
        let mut ssl = Ssl::new(&self.context)?;
        if let Some(host) = host {
            if host.contains('\0') {
                return Err(Error::local("a host's name has no byte that is 0"));
            }
            ssl.set_hostname(host)?;
        }
        ssl.set_connect_state();
        PskConnection::new(ssl)
    }
}

impl fmt::Debug for PskClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskClient").finish_non_exhaustive()
    }
}

/// Each name with its length before it. RFC 7301 section 3.1
fn protocols(names: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let mut list = Vec::new();
    for name in names {
        let length = u8::try_from(name.len()).ok().filter(|length| *length > 0);
        list.push(length.ok_or_else(|| Error::local("a protocol of ALPN has 1 to 255 bytes"))?);
        list.extend_from_slice(name);
    }
    Ok(list)
}

//! What server and client have in common before the first connection.

use crate::error::Error;
use core::fmt;
use openssl::ssl::{SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef, SslSessionCacheMode, SslVersion};
use std::sync::Arc;

/// Lines with the secrets of connections, in the format that Wireshark reads.
#[derive(Clone)]
pub struct KeyLog(pub Arc<dyn Fn(&str) + Send + Sync>);

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLog")
    }
}

/// Whatever a list names: suites without a key (RSA-PSK has one and wants a certificate as well) and suites without encryption are never
/// spoken. So each handshake that succeeds has proven a key.
const ONLY_KEYS: &str = "!aRSA:!aECDSA:!aDSS:!aSRP:!aNULL:!eNULL";

/// `ciphers` is a list of OpenSSL.
pub(crate) fn builder(method: SslMethod, ciphers: &str, key_log: Option<KeyLog>) -> Result<SslContextBuilder, Error> {
    let mut builder = SslContextBuilder::new(method)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    // A session that is taken up again would ask for no key, also when the key is gone.
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_options(
        SslOptions::NO_TICKET
            | SslOptions::NO_COMPRESSION
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    // An idle connection keeps no buffers.
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    if ciphers.contains('\0') || builder.set_cipher_list(&format!("{ciphers}:{ONLY_KEYS}")).is_err() {
        return Err(Error::local(format!(
            "ciphers {ciphers}: none of them has a pre-shared key; the usual ones are ECDHE-PSK-CHACHA20-POLY1305, \
             PSK-AES128-GCM-SHA256 and, for all, PSK"
        )));
    }
    if let Some(KeyLog(log)) = key_log {
        builder.set_keylog_callback(move |_: &SslRef, line: &str| log(line));
    }
    Ok(builder)
}

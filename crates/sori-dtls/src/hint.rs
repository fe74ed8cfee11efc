//! The server's hint (RFC 4279 section 5.2): a name by which a client with several keys may choose one. The `openssl` crate has no call
//! for it.

use crate::IDENTITY_BYTES_MAX;
use crate::error::Error;
use openssl::ssl::SslContextBuilder;
use std::ffi::{CString, c_char, c_int, c_void};

unsafe extern "C" {
    /// OpenSSL, `SSL_CTX_use_psk_identity_hint(3)`.
    fn SSL_CTX_use_psk_identity_hint(context: *mut c_void, hint: *const c_char) -> c_int;
}

/// Connections of `builder` tell this hint.
pub(crate) fn set(builder: &mut SslContextBuilder, hint: &str) -> Result<(), Error> {
    let unusable = || Error::local(format!("a hint has at most {IDENTITY_BYTES_MAX} bytes, and none of them is 0"));
    let hint = CString::new(hint).map_err(|_| unusable())?;
    // SAFETY: OpenSSL declares `int SSL_CTX_use_psk_identity_hint(SSL_CTX *ctx, const char *hint)`, as above but for the name of the first
    // type. `as_ptr` gives the SSL_CTX that `builder` owns, alive and, as `builder` is borrowed mutably, used by nobody else. `hint` ends
    // with a zero and lives until the call returns, which has copied it.
    let outcome = unsafe { SSL_CTX_use_psk_identity_hint(builder.as_ptr().cast(), hint.as_ptr()) };
    if outcome == 1 { Ok(()) } else { Err(unusable()) }
}

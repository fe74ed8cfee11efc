//! TLS with pre-shared keys (RFC 4279, RFC 5489), both sides, without I/O.
//!
//! Whoever has a key needs no certificate. rustls, which speaks TLS everywhere else in sori, has no such cipher suites, so OpenSSL does this
//! part: TLS 1.2, and of its suites only those in which the key alone says who is there. TLS 1.3 has keys of another kind (RFC 8446 section
//! 4.2.11), which neither Mosquitto's broker nor its clients speak.
//!
//! A [`PskConnection`] is a plain value. It opens no socket: bytes of the network go in, plain bytes come out, and the other way round.
//!
//! ```
//! use sori_dtls::{Keys, PskClient, PskClientOptions, PskServer, PskServerOptions};
//! use std::sync::Arc;
//!
//! /// One key for all.
//! struct OneKey;
//!
//! impl Keys for OneKey {
//!     fn key(&self, identity: &[u8]) -> Option<&[u8]> {
//!         (identity == b"sensor").then_some(b"0123456789abcdef")
//!     }
//! }
//!
//! let server = PskServer::new(PskServerOptions { hint: "hall 3", keys: Arc::new(OneKey), ciphers: None, key_log: None })?;
//! let client = PskClient::new(PskClientOptions {
//!     identity: "sensor",
//!     key: b"0123456789abcdef",
//!     ..PskClientOptions::default()
//! })?;
//! let (mut server, mut client) = (server.accept()?, client.connect(None)?);
//!
//! // What one side puts out, the other one takes in, until both are open.
//! let (mut to_server, mut to_client, mut plain) = (Vec::new(), Vec::new(), Vec::new());
//! client.begin(&mut to_server)?;
//! while server.is_handshaking() || client.is_handshaking() {
//!     server.receive(&std::mem::take(&mut to_server), &mut plain, &mut to_client)?;
//!     client.receive(&std::mem::take(&mut to_client), &mut plain, &mut to_server)?;
//! }
//! assert_eq!(server.identity(), Some("sensor"));
//!
//! client.send(b"a packet", &mut to_server)?;
//! server.receive(&to_server, &mut plain, &mut to_client)?;
//! assert_eq!(plain, b"a packet");
//! # Ok::<(), sori_dtls::Error>(())
//! ```
//!
//! # Errors
//!
//! An [`Error`] ends its connection. What stands in the output then is an alert, which says why to the other side. No error holds a key.
//!
//! # Unsafe
//!
//! This is the one crate of sori where it is allowed; it stands in `hint.rs`, with its argument.

mod client;
mod connection;
mod context;
mod error;
#[allow(unsafe_code, reason = "a call of OpenSSL that the `openssl` crate does not have")]
mod hint;
mod server;
mod wire;

pub use client::{PskClient, PskClientOptions};
pub use connection::PskConnection;
pub use context::KeyLog;
pub use error::Error;
pub use server::{Keys, PskServer, PskServerOptions};

/// Bytes that an identity or a hint may have; OpenSSL takes no more. RFC 4279 section 5.3 wants 128 at least.
pub const IDENTITY_BYTES_MAX: usize = 256;
/// Bytes that a key may have; OpenSSL takes no more. RFC 4279 section 5.3 wants 64 at least.
pub const KEY_BYTES_MAX: usize = 512;

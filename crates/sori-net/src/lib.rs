//! Transports: bytes between an MQTT connection and the network, without the network.
//!
//! A [`Transport`] is a plain value: bytes that came from a socket go in, bytes of MQTT come out, and the other way round. It
//! opens no socket, reads no clock and starts no thread, so the same value is driven by the broker's readiness loop, by
//! an asynchronous client and by a blocking one, and a test can cut its input at every byte. Stages are put together from
//! the network inwards:
//!
//! ```text
//!  server:   network ── PROXY v1, v2 ────────── TLS ── WebSocket ── MQTT
//!  client:   network ── HTTP CONNECT, SOCKS5 ── TLS ── WebSocket ── MQTT
//! ```
//!
//! How a caller drives it is written at [`Transport`]. Here both ends of a WebSocket meet:
//!
//! ```
//! # #[cfg(feature = "websocket")] {
//! use sori_net::{Transport, WebSocketClient, WebSocketServer};
//! use std::sync::Arc;
//!
//! let mut client = Transport::plain().websocket_client(&WebSocketClient::new("localhost", "/mqtt"))?;
//! let mut server = Transport::plain().websocket_server(Arc::new(WebSocketServer::default()), None);
//!
//! // What one side puts out, the other one takes in, until both are open.
//! let mut plain = Vec::new();
//! let mut carry = |from: &mut Transport, to: &mut Transport| {
//!     let mut wire = from.output().to_vec();
//!     from.sent(wire.len());
//!     to.receive(&mut wire, &mut plain)?;
//!     Ok::<_, sori_net::Error>(std::mem::take(&mut plain))
//! };
//! carry(&mut client, &mut server)?;
//! carry(&mut server, &mut client)?;
//! assert!(client.is_open() && server.is_open());
//!
//! assert_eq!(client.send(b"a packet"), 8);
//! assert_eq!(carry(&mut client, &mut server)?, b"a packet");
//! # }
//! # Ok::<(), sori_net::Error>(())
//! ```
//!
//! # Standards
//!
//! TLS 1.2 and 1.3 by rustls, TLS 1.2 with pre-shared keys (RFC 4279) by OpenSSL ([`tls`]); RFC 6455 and MQTT 5.0 section 6 ([`websocket`]); RFC 9112 for heads of HTTP ([`http`]); the PROXY protocol, versions 1 and
//! 2 ([`proxy_protocol`]); RFC 9110 section 9.3.6 and RFC 1928 with RFC 1929 ([`proxy`]).
//!
//! # Errors
//!
//! An [`Error`] ends its transport. What its output holds then are last words for the other side.

mod error;
pub mod http;
mod output;
mod peer;
pub mod proxy;
pub mod proxy_protocol;
#[cfg(feature = "tls")]
pub mod tls;
mod transport;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use error::{CertificateFault, Error, ErrorKind};
pub use peer::{CertificateNames, Peer, ProxiedAddress, TlsFacts};
pub use proxy::Proxy;
pub use proxy_protocol::ProxyProtocol;
#[cfg(feature = "tls")]
pub use tls::{ListenerTls, LoadError, TlsClient, TlsClientOptions, TlsServerOptions};
pub use transport::Transport;
#[cfg(feature = "websocket")]
pub use websocket::{WebSocketClient, WebSocketServer};

//! A client for MQTT 3.1.1 and 5.0, asynchronous ([`Client`]) and blocking ([`blocking::Client`]), with the same methods.
//!
//! ```no_run
//! use sori_client::{Client, Publish};
//!
//! # async fn run() -> Result<(), sori_client::Error> {
//! let client = Client::connect("mqtt://localhost").await?;
//! let mut readings = client.subscribe("sensors/+/temperature").await?;
//! client.publish(Publish::new("sensors/kitchen/temperature", "21.5")).await?;
//! while let Some(message) = readings.next().await {
//!     println!("{}: {}", message.topic(), message.text().unwrap_or("not text"));
//! }
//! client.close().await
//! # }
//! ```
//!
//! # What it promises
//!
//! - **No loop keeps it going.** A task in the background (a thread, where there is no tokio) reads, writes, keeps the
//!   connection alive and makes it anew.
//! - **A publish has a receipt**, with the server's reason code. Nothing that was accepted is lost with a connection: it is
//!   sent again, or sent anew when the server has lost the session.
//! - **Subscriptions are made again** when the server has forgotten them.
//! - **Everything has a bound**, and what happens there is chosen: [`WhenFull`] on the way out, [`Overflow`] on the way in.
//! - **It never stands still.** Handlers may publish, wait for receipts and drop what they like: no queue that is full keeps
//!   the answers away for which somebody waits.
//! - **What a server sends cannot make it panic**, nor make it keep more than its bounds.
//! - **Errors say what to do**, and [`Error::is_retryable`] whether waiting helps.
//!
//! For tools that decide each packet themselves there is a [`Session`]: the same connection, told event by event.
//!
//! # Features
//!
//! | feature | brings | dependencies |
//! |---|---|---|
//! | `tls` | `mqtts://` and `wss://` | rustls |
//! | `psk` | a key that client and server share, instead of certificates | OpenSSL |
//! | `websocket` | `ws://` and `wss://` | |
//! | `proxy` | SOCKS5 and HTTP proxies | |
//! | `srv` | servers that the DNS names (SRV records) | simple-dns, resolv-conf |
//! | `store` | messages that outlive the program | the store of sori |
//! | `test-broker` | a broker in memory, for tests in virtual time | the core of sori's broker |
//! | `router` | messages to functions by patterns of topics, JSON | serde |
//!
//! None is on by default.
//!
//! # Inside
//!
//! Everything is decided by a value without I/O, the `Driver` around a [`ClientSession`](sori_mqtt::ClientSession): bytes and
//! time in, bytes and answers out. Handles lock it for moments, and one task moves bytes between it and a
//! [`ByteStream`].

mod authenticator;
pub mod blocking;
mod client;
mod driver;
mod endpoint;
mod error;
mod io;
mod message;
mod options;
mod publish;
mod reconnect;
#[cfg(feature = "router")]
pub mod router;
mod session;
mod shared;
#[cfg(feature = "srv")]
mod srv;
mod state;
#[cfg(feature = "store")]
mod store;
mod subscribe;
#[cfg(feature = "test-broker")]
pub mod test_broker;
#[cfg(feature = "transport")]
mod way;

pub use authenticator::Authenticator;
pub use client::{Client, States, Subscription};
pub use error::{CertificateFault, Error};
pub use io::{ByteStream, Connect, Connecting};
pub use message::{Ack, Message};
pub use options::{Options, WhenFull};
pub use publish::{Payload, Publish, Receipt};
pub use reconnect::Reconnect;
pub use session::{Event, Interrupter, Session};
pub use shared::Delivery;
pub use state::State;
#[cfg(feature = "store")]
pub use store::Store;
pub use subscribe::{Overflow, Subscribe};
#[cfg(feature = "proxy")]
pub use way::Proxy;
#[cfg(feature = "tls")]
pub use way::Tls;

// The words of the standard that options and errors are made of.
pub use sori_mqtt::client_session::{Farewell, OptionError, RequestError, Token, Violation};
pub use sori_mqtt::{
    Properties, Property, PropertyBuffer, QoS, ReasonCode, RetainHandling, SubscribeOptions, TopicError, Version,
};

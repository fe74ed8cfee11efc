//! Both ends of every transport, with the network between them cut at every byte.

mod any_bytes;
mod certificates;
mod pair;
mod preambles;
mod psk;
mod tls;
mod tls_files;
mod websocket;

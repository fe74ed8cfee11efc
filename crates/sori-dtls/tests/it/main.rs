//! TLS with pre-shared keys: two ends in memory.

mod any_bytes;
mod handshake;
mod pair;
mod setup;

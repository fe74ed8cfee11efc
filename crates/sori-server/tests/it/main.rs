//! Tests of the whole program and of its manual.

mod acl;
mod before;
mod broker;
#[path = "../../../sori-net/tests/it/certificates.rs"]
mod certificates;
mod client;
mod debug_lines;
mod durability;
mod endurance;
mod extremes;
mod http_api;
mod keep_alive;
mod limits;
mod local;
mod manual;
mod moving;
mod passwords;
mod program;
mod proxy_protocol;
#[cfg(feature = "psk")]
mod psk;
mod reload;
mod scram;
mod sharing;
mod signals;
mod sockets;
mod store_faults;
mod storm;
mod tls;
mod topics;
mod unix_socket;
mod websockets;
mod wild;

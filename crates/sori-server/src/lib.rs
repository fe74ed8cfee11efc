//! The running broker: configuration, command line, log, `$SYS`, listeners and worker threads.
//!
//! [`run`] is the whole program `sori serve`, and the whole program `mosquitto`. On the way to [`server`] it reads
//! the command line ([`command_line`]), the configuration ([`config`]) through its one table of options, becomes what
//! it is to be for the operating system ([`process`]) and opens the [`log`]. What can be refused is refused before
//! anything is opened: a mistake in the configuration ends with exit code 3 and every mistake named, a failure of the
//! machine with 1.
//!
//! ```
//! use sori_server::config::{Defaults, Source, load};
//!
//! let source = Source { files: &[], ports: &[1884], defaults: Defaults::Mosquitto, persistence_location: None };
//! let loaded = load(&source).expect("a port needs no file");
//! assert!(loaded.config.local_only);
//! ```

mod access;
pub mod acl;
mod admission;
mod board;
mod carried;
mod carrier;
mod check;
pub mod command_line;
mod companion;
pub mod config;
mod door;
pub mod explain;
mod figures;
mod heap;
mod http;
pub mod import;
mod inbox;
mod knock;
mod link;
#[cfg(test)]
mod link_tests;
mod listeners;
pub mod local_client;
pub mod log;
pub mod machine;
mod numbers;
mod opening;
mod overview;
pub mod passwords;
mod patience;
pub mod process;
pub mod progress;
pub mod psk;
mod publisher;
mod reload;
mod report;
mod roster;
mod run;
pub mod running;
pub mod scram;
mod server;
mod socket;
mod space;
#[cfg(test)]
mod space_tests;
pub mod startup;
pub mod store;
mod sync;
pub mod sys;
mod tap;
mod text_file;
mod wait;
mod watch;
mod way_in;
mod worker;

pub use check::check;
pub use link::ClientEnd;
pub use local_client::LocalClient;
pub use run::run;
pub use server::Server;
pub use way_in::WayIn;

/// The version of sori.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

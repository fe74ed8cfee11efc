//! The broker under a seed: clients, a faulty network and several shards in one thread, and an onlooker who knows the
//! standard.
//!
//! Two things are here, on one foundation:
//!
//! - [`World`], for tests that say what a client sends and what it must get: several shards, virtual time, sockets
//!   that are byte buffers, a store on a [`SimDisk`], no fault but those asked for.
//! - [`run`], one run of the simulation. The seed decides everything: the settings, the clients and what they say, where
//!   the network cuts, delays and stalls, which shard takes its turn and which mail waits. After each round of
//!   trouble the broker comes to rest, and the rules in `src/check`, one per file, say what is broken.
//!
//! ```
//! use sori_sim::{Weather, run};
//!
//! let report = run(7, Weather::Crashes, false);
//! assert!(report.findings.is_empty(), "{report:?}");
//! assert_eq!(report.digest, run(7, Weather::Crashes, false).digest);
//! ```
//!
//! It is not here: threads and locks (what shards share between threads is model-checked where it is written), TLS and the
//! rest of the server. `docs/simulator.md` tells how to read a trace and how to add a rule.
#![allow(
    clippy::arc_with_non_send_sync,
    reason = "the broker takes what its shards share as an Arc; here all of them live in one thread"
)]

mod check;
mod device;
mod disk;
mod facts;
mod host;
mod network;
mod places;
mod random;
mod sabotage;
mod seen;
mod simulation;
mod space;
mod storage;
mod wires;
mod workload;
mod world;

use std::sync::Arc;

use sori_broker::{Access, OpenAccess, Totals};

pub use disk::{DiskFigures, Fault, SimDisk};
pub use sabotage::Sabotage;
pub use simulation::{Report, Weather, run, run_broken};
pub use world::{Peer, START, World};

/// The rules of a place where everybody may do everything.
fn everybody() -> Arc<dyn Access> {
    Arc::new(OpenAccess)
}

/// The counters of all shards together.
fn totals(host: &host::Host) -> Totals {
    let mut sum = Totals::default();
    for shard in 0..host.shards() {
        sum += &host.shard(shard).totals();
    }
    sum
}

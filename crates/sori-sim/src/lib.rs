//! The broker on a simulated network, under one seed, with an onlooker who knows the standard.
//!
//! In the making.

mod check;
mod device;
mod facts;
mod host;
mod network;
mod random;
mod seen;
mod simulation;
mod wires;
mod workload;
pub mod world;

use std::sync::Arc;

use sori_broker::{Access, OpenAccess, Totals};

pub use simulation::{Report, run};
pub use world::{Peer, World};

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

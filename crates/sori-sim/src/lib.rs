//! In the making.
mod host;
pub mod world;
use std::sync::Arc;
use sori_broker::{Access, OpenAccess, Totals};
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

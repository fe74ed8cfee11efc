//! Tools that look at a broker from outside, as real processes on a real disk, and at its hot path, fed from memory.
//!
//! [`crash`] kills a broker under load and checks what it promised; [`measure`] measures one. [`feed`] puts clients in
//! memory around the shards of the broker, with the very locks and inboxes of `sori-server`; [`steps`] are the steps of the
//! hot path there, whose instructions [`instructions`] counts. It is a library so that tests can do the same in a few
//! seconds. It is not a simulation: [`sori-sim`](../sori_sim/index.html) is.

mod acl;
pub mod broker;
pub mod choices;
pub mod crash;
pub mod feed;
#[path = "../../sori-server/src/inbox.rs"]
#[expect(dead_code, reason = "the server uses what no measurement does")]
mod inbox;
pub mod instructions;
mod knock;
pub mod measure;
mod numbers;
pub mod plot;
mod random;
mod socket;
#[path = "../../sori-server/src/space.rs"]
#[expect(dead_code, reason = "nothing lies on disk here")]
mod space;
pub mod steps;
mod sync;

//! Tools that look at a broker from outside, as real processes on a real disk.
//!
//! [`crash`] kills it under load and checks what it promised. It is a library so that the tests of the `sori` program
//! can do the same in a few seconds. It is not a simulation: [`sori-sim`](../sori_sim/index.html) is.

pub mod broker;
pub mod crash;
pub mod measure;
mod random;

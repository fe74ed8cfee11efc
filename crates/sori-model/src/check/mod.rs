//! The scenarios, by what must hold in them. Each runs its threads in every order and panics when something else comes
//! out than must.

// The name of a scenario says what must hold in it.
#![allow(missing_docs)]
// A panic is how a scenario says that something else came out.
#![allow(clippy::panic)]

pub mod durable;
pub mod generation;
pub mod inbox;
pub mod order;
pub mod pipe;
pub mod registry;
pub mod retained;

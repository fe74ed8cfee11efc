//! Shards that are fed from memory have no sockets: the letters of `sori-server` that carry one are never sent here.

/// There is none.
pub(crate) enum Stream {}

/// Nobody takes a place.
pub(crate) enum Admittance {}

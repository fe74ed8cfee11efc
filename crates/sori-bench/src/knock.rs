//! Nobody is accepted here, so nobody knocks.

pub(crate) struct Knock;

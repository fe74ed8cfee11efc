//! The rules of the house, checked by reading the repository.
//!
//! Each module holds one rule and gives a list of complaints, one line each, that say which file breaks it and how to mend
//! it; `tests/it` expects every list to be empty. Nothing here is linked into sori itself.
//!
//! | module | rule |
//! |---|---|
//! | [`manifests`] | crates use only what stands below them; every outside crate has its line in `docs/dependencies.md` |
//! | [`conformance`] | every numbered requirement of the MQTT standards stands beside code and has a test |
//! | [`sources`] | every source file says what it is; none holds unfinished work |
//!
//! That the two lowest levels need no `std` is shown by the compiler: `no-std-check` beside this crate.

pub mod conformance;
pub mod files;
pub mod manifests;
pub mod sources;

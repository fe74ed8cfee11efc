//! `password_file`: who the users are, and the check of a password off the message path.
//!
//! ```text
//!   CONNECT ── must it wait? ─ yes ─► refused           a shard's thread
//!                   │ no
//!                   ▼
//!               the pool ── is the password right? ─► the shard's inbox ─► CONNACK
//! ```
//!
//! [`Users::read`] makes [`Users`] from a file of lines `user:hash`, and [`Hashed`] is what stands behind the colon. A check costs
//! milliseconds on purpose, so a [`Pool`](pool::Pool) of a few threads does it, while the client's shard goes on and knows
//! the login as one that is answered later. Who fails again and again has to wait ([`Backoff`](backoff::Backoff)). What
//! users may do is not decided here: see [`acl`](crate::acl).

pub(crate) mod backoff;
pub(crate) mod checking;
mod file;
mod hashed;
pub(crate) mod pool;
mod recent;
#[cfg(test)]
mod tests;
mod users;

pub use hashed::{HashError, Hashed, Scheme};
pub use users::{User, Users};

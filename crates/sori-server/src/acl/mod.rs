//! `acl_file`: who may publish what, and who is sent what.
//!
//! ```text
//!   topic [read|write|readwrite|deny] <filter>     above every `user`: for clients without a user name
//!   user <name>                                    the `topic` lines below are for this user
//!   pattern [read|write|readwrite|deny] <filter>   for everybody; a level %c is the client identifier, %u the user name
//! ```
//!
//! It means what it means in Mosquitto. `write` is to publish, `read` is to be sent; without a word it is both. A client
//! is asked for twice at most, and the first answer counts:
//!
//! 1. The `topic` lines of its user, or of clients without one: a matching `deny`, wherever it stands, then a line that
//!    grants what is wanted.
//! 2. The `pattern` lines, likewise. A client whose name holds a wildcard is denied here without a look at them.
//!
//! What nothing grants is denied, so an empty file allows nothing. Everybody may subscribe and unsubscribe, and is then
//! sent only what `read` allows. What begins with `$` is matched only by a filter that does; who may publish below
//! `$SYS` the broker has decided before it asks. Topics are those of the broker: a mount point is part of them.
//!
//! [`Rules::read`] makes [`Rules`] from a file, and [`Rules::decide`] says which line decides. Who somebody is, is not looked
//! into here.

mod examine;
mod filter;
mod outline;
mod parse;
mod rules;
#[cfg(test)]
mod tests;
mod told;

pub use rules::{Client, Decision, Rules};
pub(crate) use told::{News, Told};

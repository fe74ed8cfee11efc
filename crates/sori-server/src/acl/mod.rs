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
//! [`Rules::read`] makes [`Rules`] from a file, [`Rules::decide`] says which line decides, and [`AclAccess`] puts them in
//! front of other rules. Who somebody is, is not looked into here.

mod examine;
mod filter;
mod outline;
mod parse;
mod rules;
#[cfg(test)]
mod tests;

pub use rules::{Client, Decision, Rules};

use crate::log::{Kind, Log};
use sori_broker::{Access, Action, Exchange, Identity, Login, Verdict};
use std::sync::Arc;

/// The rules of a file in front of others: what both allow is allowed.
pub struct AclAccess {
    rules: Arc<Rules>,
    inner: Arc<dyn Access + Send + Sync>,
    log: Log,
}

impl AclAccess {
    /// `inner` decides who comes in. What is denied by `rules` is told to the log as a debug line.
    #[must_use]
    pub fn new(rules: Arc<Rules>, inner: Arc<dyn Access + Send + Sync>, log: Log) -> AclAccess {
        AclAccess { rules, inner, log }
    }

    #[cold]
    fn tell(&self, client_id: &str, action: Action, topic: &str, decision: Decision) {
        if !self.log.enabled(Kind::Debug) {
            return;
        }
        let what = if action == Action::Publish { "publish" } else { "be sent" };
        let reason = self.rules.reason(decision);
        self.log.write(Kind::Debug, format_args!("Client {client_id} may not {what} '{topic}': {reason}."));
    }
}

impl Access for AclAccess {
    fn login(&self, login: &Login<'_>) -> Verdict {
        self.inner.login(login)
    }

    fn exchange(&self, method: &str, login: &Login<'_>) -> Option<Box<dyn Exchange>> {
        self.inner.exchange(method, login)
    }

    fn may(&self, identity: &Identity, client_id: &str, action: Action, topic: &str) -> bool {
        if identity.is_internal {
            return true;
        }
        let client = Client { client_id, user_name: identity.user_name.as_deref() };
        let decision = self.rules.decide(client, action, topic);
        if !decision.is_allowed() {
            self.tell(client_id, action, topic, decision);
            return false;
        }
        self.inner.may(identity, client_id, action, topic)
    }
}

//! Who may come in and who may do what: asked here, answered by whoever runs the broker.

use crate::ids::{ConnectionId, ShardId};
use crate::settings::ListenerSettings;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{ReasonCode, Version};

/// Who a client is, once it has been let in.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct Identity {
    /// The user name; `None` for an anonymous client.
    pub user_name: Option<Box<str>>,
    /// A part of the broker's own program, which may do everything, `$SYS` included.
    pub is_internal: bool,
    /// Which rules it is under, where not all listeners have the same; 0: those of the whole broker. It is kept with the
    /// session and with retained messages.
    pub realm: u32,
    /// What let it in, as a number that only [`Access`] understands, for [`Access::still_admits`]; 0: nothing that could
    /// be taken back.
    pub credential: u64,
}

/// What a client says of itself in CONNECT.
#[derive(Copy, Clone, Debug)]
pub struct Login<'a> {
    /// The client identifier, an assigned one included.
    pub client_id: &'a str,
    /// The user name, if there is one.
    pub user_name: Option<&'a str>,
    /// The password, if there is one.
    pub password: Option<&'a [u8]>,
    /// The listener has proven the user name, by a certificate say: there is no password to ask for.
    pub is_proven: bool,
    /// May a client come in by this listener without a user name?
    pub allow_anonymous: bool,
    /// The protocol version.
    pub version: Version,
    /// Where it comes from.
    pub address: &'a str,
    /// [`ListenerSettings::place`] of the listener by which it comes.
    pub place: u32,
    /// Where an answer that comes [later](Verdict::Later) is to go: [`Shard::resolve`](crate::Shard::resolve) of this
    /// shard, for this connection.
    pub answer_to: (ShardId, ConnectionId),
}

/// The answer to a login.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Let in.
    Accept(Arc<Identity>),
    /// Not let in, for this reason.
    Refuse(ReasonCode),
    /// Not known yet: [`Shard::resolve`](crate::Shard::resolve) brings the answer.
    Later,
}

/// What a client wants to do with a topic.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Action {
    /// Publish to a topic name.
    Publish,
    /// Be sent a message of a topic name.
    Receive,
    /// Subscribe to a topic filter.
    Subscribe,
    /// Unsubscribe from a topic filter.
    Unsubscribe,
}

/// One step of an AUTH exchange. MQTT 5.0 section 4.12.
#[derive(Clone, Debug)]
pub enum Step {
    /// Send this Authentication Data and wait for the client's.
    Continue(Vec<u8>),
    /// The client is who it says; this data goes with the last packet.
    Done(Arc<Identity>, Option<Vec<u8>>),
    /// It is not.
    Refuse(ReasonCode),
}

/// An exchange of one authentication method with one client.
pub trait Exchange {
    /// The client sent this Authentication Data (`None`: the property was absent).
    fn step(&mut self, data: Option<&[u8]>) -> Step;
}

/// The rules of a broker.
pub trait Access {
    /// May this client come in?
    fn login(&self, login: &Login<'_>) -> Verdict;

    /// Begin an exchange of this authentication method; `None` when the method is not known.
    fn exchange(&self, method: &str, login: &Login<'_>) -> Option<Box<dyn Exchange>>;

    /// May this client do this? Whoever says no tells people so.
    fn may(&self, identity: &Identity, client_id: &str, action: Action, topic: &str) -> bool;

    /// The rules are new, and this client was let in under the old ones by a listener with these settings: is what let it in
    /// still there?
    fn still_admits(&self, identity: &Identity, listener: &ListenerSettings) -> bool {
        let _ = (identity, listener);
        true
    }

    /// True when `may` never says no, so that it need not be asked for each message.
    fn is_unrestricted(&self) -> bool {
        false
    }

    /// True when `may` gives the same answer to the same question for as long as these rules are in force
    /// ([`Shard::reconfigure`](crate::Shard::reconfigure) brings others), so that an answer may be remembered.
    fn is_steady(&self) -> bool {
        false
    }
}

/// Everybody may do everything; only the listener's `allow_anonymous` is asked. No password is known here, so that a name
/// proves nothing: without `allow_anonymous` nobody comes in, whatever the name.
#[derive(Copy, Clone, Debug, Default)]
pub struct OpenAccess;

impl Access for OpenAccess {
    fn login(&self, login: &Login<'_>) -> Verdict {
        if !login.allow_anonymous && !login.is_proven {
            return Verdict::Refuse(ReasonCode::NotAuthorized);
        }
        let user_name = login.user_name.map(Box::from);
        Verdict::Accept(Arc::new(Identity { user_name, ..Identity::default() }))
    }

    fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        None
    }

    fn may(&self, _: &Identity, _: &str, _: Action, _: &str) -> bool {
        true
    }

    fn still_admits(&self, _: &Identity, listener: &ListenerSettings) -> bool {
        listener.allow_anonymous
    }

    fn is_unrestricted(&self) -> bool {
        true
    }

    fn is_steady(&self) -> bool {
        true
    }
}

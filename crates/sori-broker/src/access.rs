//! Who may come in and who may do what: asked here, answered by whoever runs the broker.

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
    /// May a client come in by this listener without a user name?
    pub allow_anonymous: bool,
    /// The protocol version.
    pub version: Version,
    /// Where it comes from.
    pub address: &'a str,
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

    /// May this client do this?
    fn may(&self, identity: &Identity, client_id: &str, action: Action, topic: &str) -> bool;

    /// True when `may` never says no, so that it need not be asked for each message.
    fn is_unrestricted(&self) -> bool {
        false
    }
}

/// Everybody may do everything; only the listener's `allow_anonymous` is asked.
#[derive(Copy, Clone, Debug, Default)]
pub struct OpenAccess;

impl Access for OpenAccess {
    fn login(&self, login: &Login<'_>) -> Verdict {
        if login.user_name.is_none() && !login.allow_anonymous {
            return Verdict::Refuse(ReasonCode::NotAuthorized);
        }
        Verdict::Accept(Arc::new(Identity { user_name: login.user_name.map(Box::from), is_internal: false }))
    }

    fn exchange(&self, _: &str, _: &Login<'_>) -> Option<Box<dyn Exchange>> {
        None
    }

    fn may(&self, _: &Identity, _: &str, _: Action, _: &str) -> bool {
        true
    }

    fn is_unrestricted(&self) -> bool {
        true
    }
}

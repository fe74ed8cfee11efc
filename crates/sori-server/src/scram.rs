//! SCRAM-SHA-256 for MQTT 5.0: a client proves that it knows a password without sending it, and the broker proves that
//! it knows the client. RFC 5802, RFC 7677, MQTT 5.0 section 4.12.
//!
//! ```text
//!   client                                                              broker
//!     │ ── CONNECT  method SCRAM-SHA-256   n,,n=user,r=<nonce> ──────────► │  looks the user up
//!     │ ◄─ AUTH 0x18                       r=<both nonces>,s=<salt>,i=.. ─ │
//!     │ ── AUTH 0x18                       c=biws,r=<both>,p=<proof> ────► │  checks the proof
//!     │ ◄─ CONNACK                         v=<signature> ───────────────── │  or 0x87
//! ```
//!
//! Authenticating again goes the same way, with AUTH 0x19 in the place of CONNECT and AUTH 0 in that of CONNACK, and
//! must be of the same user.
//!
//! [`ScramAccess`] puts this in front of other rules: it answers for the method, and leaves everything else to them.
//! What it knows of users are [`Credentials`], from which no password can be read. There is no channel binding (`p=` is
//! refused), no acting for another user, and no normalisation of names: names are compared byte by byte, and whoever
//! makes a credential from a password with other letters than those of ASCII applies SASLprep before.
//!
//! A user that does not exist is answered like one that does, with a salt that is always the same for the same name, and
//! fails where a wrong password fails. Every refusal is "not authorized" (0x87) and says no more.
//!
//! No option of the configuration leads here yet; a program that embeds the broker passes the rules to
//! [`Server::start_with`](crate::Server::start_with).
//!
//! ```
//! use sori_broker::OpenAccess;
//! use sori_server::scram::{Credential, Credentials, ScramAccess};
//! use std::sync::Arc;
//!
//! let mut credentials = Credentials::new(4096).expect("the system has random numbers");
//! let credential = Credential::of_password("pencil", *b"sixteen bytes...", credentials.iterations());
//! credentials.insert("user", credential);
//! let access = ScramAccess::new(Arc::new(credentials), Arc::new(OpenAccess));
//! ```

mod credentials;
mod messages;
#[cfg(test)]
mod tests;

pub use credentials::{Credential, Credentials, SALT_BYTES};

use base64ct::{Base64, Encoding};
use credentials::hmac;
use ctutils::CtEq;
use messages::{ClientFinal, ClientFirst};
use sha2::{Digest, Sha256};
use sori_broker::{Access, Action, Exchange, Identity, ListenerSettings, Login, Step, Verdict};
use sori_mqtt::ReasonCode;
use std::sync::Arc;

/// The name of the method.
pub const METHOD: &str = "SCRAM-SHA-256";

/// Random bytes in the broker's part of the nonce.
const NONCE_BYTES: usize = 18;

/// SCRAM-SHA-256 in front of other rules.
pub struct ScramAccess {
    credentials: Arc<Credentials>,
    inner: Arc<dyn Access + Send + Sync>,
}

impl ScramAccess {
    /// Clients that name the method are asked for a proof; `inner` decides about all others, and about what anybody may
    /// do. It may refuse a login without the method, to make the method the only way in.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>, inner: Arc<dyn Access + Send + Sync>) -> ScramAccess {
        ScramAccess { credentials, inner }
    }
}

impl Access for ScramAccess {
    fn login(&self, login: &Login<'_>) -> Verdict {
        self.inner.login(login)
    }

    fn exchange(&self, method: &str, login: &Login<'_>) -> Option<Box<dyn Exchange>> {
        if method != METHOD {
            return self.inner.exchange(method, login);
        }
        let mut random = [0; NONCE_BYTES];
        // Without random numbers nobody comes in: the first step finds no nonce.
        let nonce = getrandom::fill(&mut random).ok().map(|()| Base64::encode_string(&random));
        Some(Box::new(Conversation::new(Arc::clone(&self.credentials), login.user_name, nonce)))
    }

    fn may(&self, identity: &Identity, client_id: &str, action: Action, topic: &str) -> bool {
        self.inner.may(identity, client_id, action, topic)
    }

    fn still_admits(&self, identity: &Identity, listener: &ListenerSettings) -> bool {
        identity.user_name.as_deref().is_some_and(|name| self.credentials.has(name))
            || self.inner.still_admits(identity, listener)
    }

    fn is_unrestricted(&self) -> bool {
        self.inner.is_unrestricted()
    }

    fn is_steady(&self) -> bool {
        self.inner.is_steady()
    }
}

/// One exchange with one client. RFC 5802 section 5.
struct Conversation {
    credentials: Arc<Credentials>,
    /// CONNECT named this user, or it is who is connected: nobody else can be authenticated.
    required_user: Option<Box<str>>,
    nonce: Option<String>,
    state: State,
}

enum State {
    /// client-first-message is to come.
    First,
    /// client-final-message is to come.
    Final(Box<Challenged>),
    /// It is over, one way or the other.
    Over,
}

/// What the last message is checked with.
struct Challenged {
    user_name: Box<str>,
    credential: Credential,
    /// There is such a user.
    is_known: bool,
    /// Base64 of the GS2 header, which the client repeats.
    binding: String,
    /// The client's nonce and the broker's.
    nonce: String,
    /// AuthMessage without its last part: client-first-message-bare, server-first-message and two commas.
    auth_message: String,
}

/// The only answer to whatever is wrong.
const REFUSED: Step = Step::Refuse(ReasonCode::NotAuthorized);

impl Exchange for Conversation {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        let message = data.and_then(|data| std::str::from_utf8(data).ok()).unwrap_or_default();
        match std::mem::replace(&mut self.state, State::Over) {
            State::First => self.challenge(message).unwrap_or(REFUSED),
            State::Final(challenged) => challenged.verify(message).unwrap_or(REFUSED),
            State::Over => REFUSED,
        }
    }
}

impl Conversation {
    fn new(credentials: Arc<Credentials>, required_user: Option<&str>, nonce: Option<String>) -> Conversation {
        Conversation { credentials, required_user: required_user.map(Box::from), nonce, state: State::First }
    }

    /// client-first-message is answered with server-first-message.
    fn challenge(&mut self, message: &str) -> Option<Step> {
        let first = ClientFirst::parse(message)?;
        if self.required_user.as_ref().is_some_and(|required| **required != first.user_name) {
            return None;
        }
        let (credential, is_known) = self.credentials.find(&first.user_name);
        let nonce = format!("{}{}", first.nonce, self.nonce.take()?);
        let salt = Base64::encode_string(&credential.salt);
        let answer = format!("r={nonce},s={salt},i={}", self.credentials.iterations());
        self.state = State::Final(Box::new(Challenged {
            user_name: first.user_name.into(),
            credential,
            is_known,
            binding: Base64::encode_string(first.gs2_header.as_bytes()),
            nonce,
            auth_message: format!("{},{answer},", first.bare),
        }));
        Some(Step::Continue(answer.into_bytes()))
    }
}

impl Challenged {
    /// client-final-message is answered with server-final-message, if the proof is right. RFC 5802 section 3.
    fn verify(mut self, message: &str) -> Option<Step> {
        let last = ClientFinal::parse(message)?;
        if last.binding != self.binding || last.nonce != self.nonce {
            return None;
        }
        self.auth_message.push_str(last.without_proof);
        let signature = hmac(&self.credential.stored_key, self.auth_message.as_bytes());
        let client_key: [u8; 32] = std::array::from_fn(|at| last.proof[at] ^ signature[at]);
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        // Both are looked at in any case, and neither tells by its time where the difference is.
        let is_right = stored_key.ct_eq(&self.credential.stored_key).to_bool();
        if !(is_right & self.is_known) {
            return None;
        }
        let signature = hmac(&self.credential.server_key, self.auth_message.as_bytes());
        let identity = Identity { user_name: Some(self.user_name), ..Identity::default() };
        let answer = format!("v={}", Base64::encode_string(&signature));
        Some(Step::Done(Arc::new(identity), Some(answer.into_bytes())))
    }
}

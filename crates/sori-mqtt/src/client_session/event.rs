//! What a session tells its caller.

use crate::{Properties, Publish, ReasonCode};

use super::error::RequestError;

/// Names one publish, subscribe or unsubscribe until its end. Never used twice by one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(super) u64);

/// One thing that happened. It borrows from the bytes received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The server accepted the connection.
    Connected {
        /// The session goes on; otherwise subscriptions have to be made again.
        session_present: bool,
        /// The properties of the CONNACK.
        properties: Properties<'a>,
    },
    /// A message came in. Its acknowledgement stands in the output already (write the output after the message was
    /// dealt with, and the message is lost with neither of them), or is the caller's to give
    /// ([`acknowledge`](super::ClientSession::acknowledge)). A topic alias is resolved.
    Message(Publish<'a>),
    /// A publish has come to its end.
    Published {
        /// What [`publish`](super::ClientSession::publish) returned.
        token: Token,
        /// How it ended.
        outcome: Outcome,
        /// The properties of the last acknowledgement.
        properties: Properties<'a>,
    },
    /// SUBACK.
    Subscribed {
        /// What [`subscribe`](super::ClientSession::subscribe) returned.
        token: Token,
        /// One for each filter, in their order.
        reason_codes: ReasonCodes<'a>,
        /// The properties of the SUBACK.
        properties: Properties<'a>,
    },
    /// UNSUBACK.
    Unsubscribed {
        /// What [`unsubscribe`](super::ClientSession::unsubscribe) returned.
        token: Token,
        /// One for each filter, in their order; none before MQTT 5.0.
        reason_codes: ReasonCodes<'a>,
        /// The properties of the UNSUBACK.
        properties: Properties<'a>,
    },
    /// The connection ended before the subscribe or unsubscribe was answered.
    RequestLost {
        /// What the request returned.
        token: Token,
    },
    /// The server wants more authentication data: answer with
    /// [`authenticate`](super::ClientSession::authenticate).
    Challenge {
        /// What the method sends.
        data: Option<&'a [u8]>,
        /// The properties of the AUTH.
        properties: Properties<'a>,
    },
    /// A re-authentication succeeded.
    Authenticated {
        /// The properties of the AUTH.
        properties: Properties<'a>,
    },
}

/// How a publish ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// QoS 0: it stands in the output.
    Sent,
    /// QoS 1 and 2: the server's answer. Codes of 0x80 or more are refusals.
    Acknowledged(ReasonCode),
    /// The session ended first: the server may have the message or not.
    SessionLost,
    /// It was given up to make room ([`drop_oldest`](super::ClientSession::drop_oldest)).
    Dropped,
    /// It waited for a connection whose server does not take it.
    NotSent(RequestError),
}

/// The reason codes of a SUBACK or UNSUBACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonCodes<'a>(pub(super) &'a [u8]);

impl<'a> ReasonCodes<'a> {
    /// Each reason code, in the order of the filters.
    pub fn iter(self) -> impl Iterator<Item = ReasonCode> + 'a {
        // Decoding has checked every byte.
        self.0.iter().map(|byte| ReasonCode::from_u8(*byte).unwrap_or(ReasonCode::UnspecifiedError))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// An event that comes from here and not from a packet.
#[derive(Debug, Clone, Copy)]
pub(super) enum LocalEvent {
    Published(Token, Outcome),
    RequestLost(Token),
}

impl From<LocalEvent> for Event<'_> {
    fn from(event: LocalEvent) -> Self {
        match event {
            LocalEvent::Published(token, outcome) => Self::Published { token, outcome, properties: Properties::EMPTY },
            LocalEvent::RequestLost(token) => Self::RequestLost { token },
        }
    }
}

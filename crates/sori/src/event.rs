//! What a client tells of its session, borrowing nothing.

use std::collections::HashMap;
use std::io;

use sori_mqtt::ReasonCode;
use sori_mqtt::client_session::{self, Outcome, Token};

use crate::failure::Failure;
use crate::message::Message;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The broker accepted the connection, the first or a later one.
    Connected,
    /// It is acknowledged when the next event is asked for.
    Message(Message),
    /// A publish is at its end.
    Published {
        number: u16,
        refusal: Option<Refusal>,
    },
    /// SUBACK, with one reason code for each filter.
    Subscribed {
        number: u16,
        reason_codes: Vec<ReasonCode>,
        reason_string: Option<String>,
    },
    Unsubscribed,
    /// The connection is gone, and a new one is being made.
    Lost(Failure),
    /// One line of standard input; none at its end.
    Line(Option<io::Result<Vec<u8>>>),
    Interrupted,
    TimedOut,
}

/// Why the broker did not take a message.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) reason_string: Option<String>,
}

/// The session's event without what it borrows; `None` for what no command asks for.
pub(crate) fn owned(event: client_session::Event<'_>, numbers: &mut HashMap<Token, u16>) -> Option<Event> {
    let mut number = |token| numbers.remove(&token).unwrap_or_default();
    Some(match event {
        client_session::Event::Connected { .. } => Event::Connected,
        client_session::Event::Message(publish) => Event::Message(Message::from(&publish)),
        client_session::Event::Published { token, outcome, properties } => {
            let reason = match outcome {
                Outcome::Acknowledged(reason_code) if reason_code.is_error() => Some(reason_code.text().to_owned()),
                Outcome::NotSent(error) => Some(error.to_string()),
                Outcome::Dropped => Some("it was given up to make room".to_owned()),
                Outcome::SessionLost => Some("the session ended before it was acknowledged".to_owned()),
                Outcome::Sent | Outcome::Acknowledged(_) => None,
            };
            let reason_string = properties.reason_string().map(str::to_owned);
            let refusal = reason.map(|reason| Refusal { reason, reason_string });
            Event::Published { number: number(token), refusal }
        }
        client_session::Event::Subscribed { token, reason_codes, properties } => Event::Subscribed {
            number: number(token),
            reason_codes: reason_codes.iter().collect(),
            reason_string: properties.reason_string().map(str::to_owned),
        },
        client_session::Event::Unsubscribed { token, .. } => {
            number(token);
            Event::Unsubscribed
        }
        client_session::Event::RequestLost { token } => {
            number(token);
            return None;
        }
        client_session::Event::Challenge { .. } | client_session::Event::Authenticated { .. } => return None,
    })
}

//! What a client tells its command.

use std::io;

use sori_client::{Error, ReasonCode};

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
    /// By this signal.
    Interrupted(i32),
    TimedOut,
}

/// Why the broker did not take a message.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) reason_string: Option<String>,
}

impl Refusal {
    pub(crate) fn of(error: &Error) -> Self {
        let (reason, reason_string) = match error {
            Error::PublishRefused(reason_code, reason_string) => (reason_code.text().to_owned(), reason_string.clone()),
            Error::Dropped => ("it was given up to make room".to_owned(), None),
            Error::SessionLost => ("the session ended before it was acknowledged".to_owned(), None),
            error => (error.to_string(), None),
        };
        Self { reason, reason_string }
    }
}

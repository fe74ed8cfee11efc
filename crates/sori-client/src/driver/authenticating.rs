//! Enhanced authentication: what the authenticator is asked, and what follows from its answers.
//!
//! It is somebody's own code, so it is asked while nothing is locked: the shell takes a [`Question`] and brings the answer.
//! Until then no event of the session is looked at, so that a server which has not proved who it is gets nothing.

use std::time::Duration;

use sori_mqtt::client_session::RequestError;
use sori_mqtt::{Disconnect, Properties, ReasonCode};

use crate::authenticator::{Answer, Asked, Question};
use crate::error::Error;

use super::{Driver, Stage};

/// How far the exchange is.
#[derive(Debug, Default)]
pub(super) struct Authentication {
    question: Option<Question>,
    /// What was asked last has no answer yet.
    is_asking: bool,
    /// What the server has accepted: with a connection, whether it has the session.
    accepted: Option<bool>,
    again: Again,
}

/// Authenticating again on a connection.
#[derive(Debug, Default)]
enum Again {
    #[default]
    Never,
    GoesOn,
    Ended(Result<(), Error>),
}

impl Authentication {
    fn ask(&mut self, question: Question) {
        self.question = Some(question);
        self.is_asking = true;
    }

    /// Whether everything else waits for an answer.
    pub(super) fn is_asking(&self) -> bool {
        self.is_asking
    }
}

impl Driver {
    /// The authenticator and what it is to be asked, if there is something. The answer goes to
    /// [`answered`](Self::answered).
    pub(crate) fn take_question(&mut self) -> Option<(Asked, Question)> {
        let authenticator = self.options.authenticator.clone()?;
        Some((authenticator, self.authentication.question.take()?))
    }

    /// Another connection, another exchange.
    pub(super) fn ask_to_start(&mut self) {
        if self.options.authenticator.is_some() {
            self.authentication.ask(Question::Start);
        }
    }

    pub(super) fn challenged(&mut self, data: Option<Vec<u8>>) {
        self.authentication.ask(Question::Challenge(data));
    }

    /// The server has accepted the connection, which is good when the authenticator says so.
    pub(super) fn let_in(&mut self, session_present: bool, data: Option<Vec<u8>>) {
        if self.options.authenticator.is_some() {
            self.authentication.accepted = Some(session_present);
            self.authentication.ask(Question::Finish(data));
        } else {
            self.connected(session_present);
        }
    }

    /// The server has accepted that this client authenticates again.
    pub(super) fn let_in_again(&mut self, data: Option<Vec<u8>>) {
        self.authentication.ask(Question::Finish(data));
    }

    /// The authenticator has answered.
    pub(crate) fn answered(&mut self, now: Duration, question: &Question, answer: Answer) {
        self.now = now;
        self.authentication.is_asking = false;
        let followed = match (question, answer) {
            (_, Err(text)) => Err(Error::Authentication(text)),
            (Question::Start, Ok(data)) if self.stage == Stage::Open => {
                self.session.reauthenticate(data.as_deref()).map_err(Error::Request)
            }
            (Question::Start, Ok(data)) => self.session.set_authentication_data(data).map_err(Error::Options),
            (Question::Challenge(_), Ok(data)) => self.session.authenticate(data.as_deref()).map_err(Error::Request),
            (Question::Finish(_), Ok(_)) => {
                match self.authentication.accepted.take() {
                    Some(session_present) => self.connected(session_present),
                    None => self.end_authenticating_again(Ok(())),
                }
                Ok(())
            }
        };
        if let Err(error) = followed {
            self.authentication_failed(error);
        }
        self.drain();
        self.wake_io();
    }

    /// What cannot be answered ends the connection: the server waits for it, or is not the right one. [MQTT-4.12.1-2]
    fn authentication_failed(&mut self, error: Error) {
        match self.stage {
            Stage::Open => {
                // What waits to be said is not for this server.
                self.session.take_output(&mut Vec::new());
                let farewell = Disconnect { reason_code: ReasonCode::UnspecifiedError, properties: Properties::EMPTY };
                // Without room for a good-bye the connection just ends.
                let _ = self.session.disconnect(&farewell);
                self.end_authenticating_again(Err(error.clone()));
                self.cause.get_or_insert(error);
                self.begin_closing_connection(false);
            }
            _ => self.open_failed(self.now, error),
        }
    }

    /// Authenticates once more on this connection; who asks while that goes on waits for the same.
    pub(crate) fn reauthenticate(&mut self) -> Result<(), Error> {
        if let Some(error) = self.closed_error() {
            return Err(error);
        }
        if self.options.authenticator.is_none() {
            return Err(Error::Request(RequestError::NotAuthenticating));
        }
        if !self.session.is_connected() || self.authentication.accepted.is_some() {
            return Err(Error::Request(RequestError::NotConnected));
        }
        if !matches!(self.authentication.again, Again::GoesOn) {
            self.authentication.again = Again::GoesOn;
            self.authentication.ask(Question::Start);
            self.wake_io();
        }
        Ok(())
    }

    /// How authenticating again went, once that is known.
    pub(crate) fn reauthenticated(&self) -> Option<Result<(), Error>> {
        match &self.authentication.again {
            Again::GoesOn => None,
            Again::Ended(result) => Some(result.clone()),
            Again::Never => Some(Err(Error::Request(RequestError::NotAuthenticating))),
        }
    }

    /// The connection is gone, and with it what was asked.
    pub(super) fn ask_no_more(&mut self) {
        self.end_authenticating_again(Err(Error::Lost(None)));
        self.authentication.question = None;
        self.authentication.is_asking = false;
        self.authentication.accepted = None;
    }

    /// It has come to its end, if it goes on.
    pub(super) fn end_authenticating_again(&mut self, result: Result<(), Error>) {
        if matches!(self.authentication.again, Again::GoesOn) {
            self.authentication.again = Again::Ended(result);
            self.changes.wake_all(&mut self.wakes);
        }
    }
}

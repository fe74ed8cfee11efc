//! Connections come and go; what follows from that.
//!
//! ```text
//!   Waiting --time--> Opening --opened--> Open --error, good-bye--> Closing --closed--> Waiting, Ended
//!      ^                 |                  |
//!      +--- failed, lost-+------------------+
//! ```

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sori_mqtt::client_session::ConnectionError;
use sori_mqtt::{Disconnect, Property, PropertyBuffer, ReasonCode, Version};

use crate::error::Error;
use crate::session::Event;
use crate::state::State;

use super::{Driver, Stage};

impl Driver {
    pub(super) fn begin_attempt(&mut self) {
        self.stage = Stage::Opening { since: self.now };
        self.connected_at = None;
        self.cause = None;
        self.ask_to_start();
        let attempts = self.backoff.attempts();
        self.watchers.tell(State::Connecting { attempts }, &mut self.wakes);
    }

    /// The connection that [`Step::Open`](super::Step::Open) wanted is there: CONNECT is in the output.
    pub(crate) fn opened(&mut self, now: Duration) {
        if !matches!(self.stage, Stage::Opening { .. }) {
            return;
        }
        self.now = now;
        self.stage = Stage::Open;
        // There is no other connection, and the options were checked when they were given.
        if self.session.connect(now).is_err() {
            self.stage = Stage::Closing { since: now, is_last: false };
        }
        self.drain();
    }

    /// It could not be opened.
    pub(crate) fn open_failed(&mut self, now: Duration, error: Error) {
        if matches!(self.stage, Stage::Opening { .. }) {
            self.now = now;
            self.failed(error);
        }
    }

    pub(super) fn open_timed_out(&mut self) {
        let error = Error::TimedOut(self.address(), self.options.connect_timeout, "connection");
        self.failed(error);
    }

    /// The connection is closed, by whomever, or was lost with this error.
    pub(crate) fn closed(&mut self, now: Duration, error: Option<io::Error>) {
        self.now = now;
        let (Stage::Open | Stage::Closing { .. }) = self.stage else { return };
        let is_last = matches!(self.stage, Stage::Closing { is_last: true, .. });
        self.stage = Stage::Waiting { at: now };
        self.session.connection_lost();
        self.session.hold_messages(true);
        self.ask_no_more();
        self.connection_gone();
        self.drain();
        if self.stage == Stage::Ended {
            return;
        }
        if is_last {
            return self.end(None);
        }
        let cause = self.cause.take().unwrap_or_else(|| match self.connected_at {
            Some(_) => Error::Lost(error.map(Arc::new)),
            None => self.refused_on_the_way(error.as_ref()).unwrap_or_else(|| Error::ClosedEarly(self.address())),
        });
        if let Some(since) = self.connected_at.take() {
            self.backoff.connection_lasted(now.saturating_sub(since));
        }
        self.failed(cause);
    }

    /// In TLS 1.3 a server looks at the client's certificate when the client's handshake is over, and a refusal comes where
    /// CONNACK is expected. RFC 8446 section 4.4.2
    #[cfg(feature = "transport")]
    fn refused_on_the_way(&self, error: Option<&io::Error>) -> Option<Error> {
        let error = error?.get_ref()?.downcast_ref::<sori_net::Error>()?;
        Some(crate::way::Way::failed(error, self.address()))
    }

    #[cfg(not(feature = "transport"))]
    fn refused_on_the_way(&self, _: Option<&io::Error>) -> Option<Error> {
        None
    }

    /// The session says that the connection is over.
    #[cold]
    pub(super) fn connection_failed(&mut self, error: ConnectionError) {
        let error = match error {
            ConnectionError::Violation(violation) if self.connected_at.is_none() => {
                Error::NotMqtt(self.address(), violation)
            }
            error => Error::of_connection(error, &self.address(), self.options.connect_timeout),
        };
        self.end_authenticating_again(Err(error.clone()));
        self.cause.get_or_insert(error);
        self.begin_closing_connection(false);
    }

    pub(super) fn begin_closing_connection(&mut self, is_last: bool) {
        if self.stage == Stage::Open {
            self.stage = Stage::Closing { since: self.now, is_last };
        }
        self.wake_io();
    }

    /// What the session has noticed while nobody looked.
    pub(super) fn check_connection(&mut self) {
        if self.stage == Stage::Open && !self.session.is_open() {
            self.begin_closing_connection(false);
        }
    }

    pub(super) fn connected(&mut self, session_present: bool) {
        self.was_connected = true;
        self.connected_at = Some(self.now);
        if self.session.version().is_v5() {
            // The session is this client's own from now on.
            self.session.set_clean_start(false);
        }
        let version = self.session.version();
        self.tell(|| Event::Connected { session_present, version });
        let state = State::Connected { session_present, version };
        self.watchers.tell(state, &mut self.wakes);
        self.changes.wake_all(&mut self.wakes);
        self.subscribe_again(session_present);
        self.session.hold_messages(false);
        self.room.wake_all(&mut self.wakes);
    }

    /// A connection has failed: what now?
    fn failed(&mut self, error: Error) {
        if self.fall_back(&error) {
            self.stage = Stage::Waiting { at: self.now };
            self.wake_io();
            return;
        }
        if self.first_must_succeed && !self.was_connected {
            return self.end(Some(error));
        }
        if self.closing.is_some() && self.session.unfinished() == 0 {
            return self.end(None);
        }
        let Some(wait) = self.backoff.next(&error) else { return self.end(Some(error)) };
        self.stage = Stage::Waiting { at: self.now.saturating_add(wait) };
        let error = Arc::new(error);
        self.tell(|| Event::Lost { error: Arc::clone(&error), retry_in: wait });
        let state = State::Disconnected { error, retry_in: wait };
        self.watchers.tell(state, &mut self.wakes);
        self.wake_io();
    }

    /// A server that does not know MQTT 5.0 says so, or something that makes no sense in it, or nothing: then 3.1.1 is
    /// tried, once before each next attempt with 5.0.
    fn fall_back(&mut self, error: &Error) -> bool {
        if self.options.version.is_some() || self.was_connected {
            return false;
        }
        if !self.session.version().is_v5() {
            // The options were legal in 5.0 before.
            self.speak(Version::V5);
            return false;
        }
        let is_misunderstood = match error {
            Error::Refused(_, farewell) => farewell.reason_code == ReasonCode::UnsupportedProtocolVersion,
            Error::NotMqtt(..) | Error::ClosedEarly(_) => true,
            _ => false,
        };
        is_misunderstood && self.speak(Version::V311)
    }

    /// Speaks this version from the next connection on, if the options are legal in it.
    fn speak(&mut self, version: Version) -> bool {
        let is_legal = self.session.set_version(version).is_ok();
        if is_legal {
            self.session.set_in_flight_max(self.options.in_flight_max_for(version));
        }
        is_legal
    }

    /// Delivers what was published, then says good-bye.
    pub(crate) fn begin_close(&mut self, now: Duration) {
        self.now = now;
        if self.end.is_none() && self.closing.is_none() {
            self.closing = Some(now.saturating_add(self.options.close_timeout));
            self.drain();
            self.wake_io();
        }
    }

    pub(super) fn finish_closing(&mut self) {
        if self.closing.is_some() && self.session.unfinished() == 0 {
            self.close_now();
        }
    }

    pub(super) fn close_now(&mut self) {
        match self.stage {
            Stage::Ended | Stage::Closing { is_last: true, .. } => {}
            // Its own good-bye is on its way, and then there is none of ours.
            Stage::Closing { .. } if self.session.unfinished() == 0 => self.end(None),
            Stage::Open => {
                self.undelivered = self.session.unfinished();
                let mut properties = PropertyBuffer::new();
                if self.options.session.clean_start && self.session.version().is_v5() {
                    // Nobody comes back for it.
                    properties.push(Property::SessionExpiryInterval(0));
                }
                let properties = properties.as_properties();
                // Without room for a good-bye the connection just ends.
                let _ = self.session.disconnect(&Disconnect { reason_code: ReasonCode::Success, properties });
                self.begin_closing_connection(true);
            }
            _ => {
                self.undelivered = self.session.unfinished();
                self.end(None);
            }
        }
    }

    /// All is over, because of this error or because it was wanted.
    pub(crate) fn end(&mut self, error: Option<Error>) {
        if self.end.is_some() {
            return;
        }
        self.stage = Stage::Ended;
        let error = error.map(Arc::new);
        self.end = Some(error.clone());
        self.session.connection_lost();
        self.end_authenticating_again(Err(Error::Closed(self.end.clone().flatten())));
        self.end_receipts();
        #[cfg(feature = "store")]
        self.kept.close();
        self.end_requests();
        self.streams.end(&mut self.wakes);
        self.tell(|| Event::Ended { error: error.clone() });
        self.watchers.tell(State::Closed { error }, &mut self.wakes);
        self.changes.wake_all(&mut self.wakes);
        self.room.wake_all(&mut self.wakes);
        self.wake_io();
    }

    /// How the first attempts went, once that is known.
    pub(crate) fn connect_result(&self) -> Option<Result<(), Error>> {
        match &self.end {
            Some(Some(error)) if !self.was_connected => Some(Err(Error::clone(error))),
            Some(_) => self.closed_error().map(Err),
            None if self.connected_at.is_some() => Some(Ok(())),
            None => None,
        }
    }

    /// How closing went, once it is over.
    pub(crate) fn close_result(&self) -> Option<Result<(), Error>> {
        match &self.end {
            None => None,
            Some(_) if self.undelivered > 0 => Some(Err(Error::Undelivered(self.undelivered))),
            Some(None) => Some(Ok(())),
            Some(cause) => Some(Err(Error::Closed(cause.clone()))),
        }
    }

    pub(super) fn address(&self) -> String {
        self.options.endpoint.to_string()
    }
}

//! The beginning and the end of a connection, and what becomes of the session.
//!
//! ```text
//!   Idle --connect--> Connecting --CONNACK 0--> Connected
//!     ^                   |                         |  DISCONNECT either way, a violation, a time-out
//!     |                   v                         v
//!     +-connection_lost- Closing <------------------+
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::{ConnAck, Direction, Disconnect, PacketType, Properties, Property, PropertyBuffer, ReasonCode, Version};

use super::authentication::Exchange;
use super::error::{ConnectionError, Farewell, RequestError, Violation};
use super::event::{Event, LocalEvent, Outcome};
use super::options::OptionError;
use super::outgoing::{Outgoing, StoredPublish};
use super::progress::Progress;
use super::server_limits::ServerLimits;
use super::topic_alias::{IncomingAliases, OutgoingAliases};
use super::{Core, Stage, properties};

impl Core {
    pub(super) fn connect(&mut self, now: Duration) -> Result<(), RequestError> {
        if self.is_open() {
            return Err(RequestError::AlreadyConnected);
        }
        // [MQTT-3.1.2-4] [MQTT311-3.1.2-6]
        if self.options.clean_start {
            self.discard_session();
        }
        self.wire.output.clear();
        self.wire.now = now;
        // Nothing is known of the server yet, and nothing of an earlier connection holds any more.
        self.wire.limits = ServerLimits::new(Properties::EMPTY);
        self.wire.aliases = OutgoingAliases::default();
        self.aliases = IncomingAliases::new(self.options.topic_alias_maximum);
        self.exchange = Exchange::at_connect(&self.options);
        // Before MQTT 5.0 a server knows no such limit.
        let receive_maximum = if self.options.version.is_v5() { self.options.receive_maximum } else { u16::MAX };
        self.incoming.resume(receive_maximum);
        self.acknowledgements.begin_connection();
        let properties = self.options.connect_properties();
        let connect = self.options.connect(&properties);
        self.wire.keep_alive.stop();
        self.wire.send(connect.encoded_len(), |output| connect.encode(output))?;
        self.wire.keep_alive.wait_for_answer(now);
        self.stage = Stage::Connecting;
        Ok(())
    }

    pub(super) fn set_version(&mut self, version: Version) -> Result<(), OptionError> {
        self.end_connection(None);
        let before = core::mem::replace(&mut self.options.version, version);
        if let Err(error) = self.options.check() {
            self.options.version = before;
            return Err(error);
        }
        self.wire.version = version;
        Ok(())
    }

    pub(super) fn handle_connack<'a>(&mut self, connack: ConnAck<'a>) -> Result<Event<'a>, ConnectionError> {
        let properties = connack.properties;
        // MQTT 3.x has return codes above 0, MQTT 5.0 reason codes of 0x80 and more.
        if connack.reason_code != ReasonCode::Success {
            return Err(ConnectionError::Refused(Farewell::new(connack.reason_code, properties)));
        }
        self.check_authenticated(properties)?;
        // MQTT 3.1 does not tell: who did not ask for a new session has the old one.
        let mqtt31 = self.options.version == Version::V31;
        let session_present = if mqtt31 { !self.options.clean_start } else { connack.session_present };
        if session_present && !mqtt31 && (self.options.clean_start || !self.has_session) {
            // [MQTT-3.2.2-4]
            return Err(Violation::SessionPresent.into());
        }
        if !session_present {
            // [MQTT-3.2.2-5]
            self.discard_session();
        }
        self.accept(properties)?;
        Ok(Event::Connected { session_present, properties })
    }

    fn accept(&mut self, connack: Properties<'_>) -> Result<(), ConnectionError> {
        let limits = ServerLimits::new(connack);
        if let Some(client_id) = connack.assigned_client_identifier()
            && self.options.client_id.is_empty()
        {
            self.options.client_id = String::from(client_id);
        }
        self.wire.limits = limits;
        self.wire.aliases = OutgoingAliases::new(limits.topic_alias_maximum.min(self.options.topic_alias_outgoing_max));
        // [MQTT-3.1.2-21] [MQTT-3.2.2-21]
        self.wire.keep_alive.start(limits.server_keep_alive.unwrap_or(self.options.keep_alive));
        self.stage = Stage::Connected;
        self.has_session = true;
        self.resume_sending(limits.receive_maximum.min(self.options.in_flight_max))
    }

    pub(super) fn disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), RequestError> {
        if !self.is_open() {
            return Err(RequestError::NotConnected);
        }
        let expiry = self.check_disconnect(disconnect)?;
        let version = self.options.version;
        if self.wire.send(disconnect.encoded_len(version), |output| disconnect.encode(version, output)).is_err() {
            // [MQTT-3.14.2-3] [MQTT-3.14.2-4]
            let mut needed = PropertyBuffer::new();
            if let Some(expiry) = expiry {
                needed.push(Property::SessionExpiryInterval(expiry));
            }
            let short = Disconnect { reason_code: disconnect.reason_code, properties: needed.as_properties() };
            self.wire.send(short.encoded_len(version), |output| short.encode(version, output))?;
        }
        self.end_connection(expiry);
        Ok(())
    }

    fn check_disconnect(&self, disconnect: &Disconnect<'_>) -> Result<Option<u32>, RequestError> {
        if !self.options.version.is_v5() {
            if disconnect.reason_code != ReasonCode::Success || !disconnect.properties.is_empty() {
                return Err(RequestError::Version5Only("a reason code or a property in DISCONNECT"));
            }
            return Ok(None);
        }
        // [MQTT-3.14.2-1]
        if !disconnect.reason_code.allowed_from(PacketType::Disconnect, Direction::ToServer) {
            return Err(RequestError::ReasonCode(disconnect.reason_code));
        }
        properties::check(disconnect.properties, PacketType::Disconnect).map_err(RequestError::Property)?;
        let expiry = disconnect.properties.session_expiry_interval();
        if expiry.is_some_and(|expiry| expiry > 0) && self.options.session_expiry_interval == 0 {
            return Err(RequestError::SessionExpiry);
        }
        Ok(expiry)
    }

    /// Ends the connection because of an error, and tells a server that can understand it why.
    #[cold]
    pub(super) fn fail(&mut self, error: ConnectionError) -> ConnectionError {
        let reason_code = match &error {
            // [MQTT-4.13.1-1] [MQTT311-4.8.0-1] [MQTT311-4.8.0-2]
            ConnectionError::Violation(violation) => Some(violation.reason_code()),
            _ => None,
        };
        if let Some(reason_code) = reason_code
            && self.options.version.is_v5()
            && self.stage == Stage::Connected
        {
            let sayable = reason_code.allowed_from(PacketType::Disconnect, Direction::ToServer);
            let reason_code = if sayable { reason_code } else { ReasonCode::ProtocolError };
            let disconnect = Disconnect { reason_code, properties: Properties::EMPTY };
            let version = self.options.version;
            // A server that takes nothing of this size is left without a word.
            let _ = self.wire.send(disconnect.encoded_len(version), |output| disconnect.encode(version, output));
        }
        self.end_connection(None);
        error
    }

    /// The connection is over. `expiry` is what DISCONNECT said last about the session.
    pub(super) fn end_connection(&mut self, expiry: Option<u32>) {
        if !self.is_open() {
            return;
        }
        let was_connected = self.stage == Stage::Connected;
        self.stage = Stage::Closing;
        self.wire.keep_alive.stop();
        while let Some((_, request)) = self.outgoing.take_request() {
            if let Outgoing::Subscribe { token, .. } | Outgoing::Unsubscribe { token, .. } = request {
                self.local_events.push_back(LocalEvent::RequestLost(token));
            }
        }
        // While it was connected, nothing of the session was given up [MQTT-4.1.0-1] [MQTT311-4.1.0-1].
        if was_connected && !self.session_outlives_connection(expiry) {
            self.discard_session();
        }
    }

    /// [MQTT-3.1.2-23] [MQTT311-3.1.2-4] [MQTT311-4.1.0-2]
    fn session_outlives_connection(&self, expiry: Option<u32>) -> bool {
        if !self.options.version.is_v5() {
            return !self.options.clean_start;
        }
        let agreed = self.wire.limits.session_expiry_interval.unwrap_or(self.options.session_expiry_interval);
        expiry.unwrap_or(agreed) > 0 && !self.options.client_id.is_empty()
    }

    /// Forgets what was in flight. Messages that were never sent are no part of the session and stay.
    pub(super) fn discard_session(&mut self) {
        self.has_session = false;
        self.incoming.clear();
        self.acknowledgements.clear();
        let released = core::mem::take(&mut self.released).into_values().map(|released| released.message);
        let unacknowledged = self.outgoing.drain().filter_map(|kept| match kept {
            Outgoing::Publish(message) => Some(message),
            _ => None,
        });
        let mut messages: Vec<StoredPublish> = unacknowledged.chain(released).collect();
        if messages.is_empty() {
            return;
        }
        // Messages are sent in the order of their tokens.
        messages.sort_unstable_by_key(|message| message.token);
        self.note(Progress::Forgotten);
        if self.options.send_anew {
            // Before what was never sent, in the old order. A server may have published what it has released, or may
            // have lost it with the session: nobody can tell, and lost is worse than doubled.
            for message in messages.into_iter().rev() {
                self.queue.push_front(message);
            }
        } else {
            messages.iter().for_each(|message| self.finish_stored(message, Outcome::SessionLost));
        }
    }
}

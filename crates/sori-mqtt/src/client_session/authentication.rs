//! Enhanced authentication of MQTT 5.0. What the data mean is the caller's business.

use alloc::vec::Vec;

use crate::{Auth, PacketType, Properties, Property, PropertyBuffer, ReasonCode};

use super::error::{ConnectionError, RequestError, Violation};
use super::event::Event;
use super::options::{ConnectOptions, OptionError};
use super::{Core, Stage};

/// How far the exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// None goes on.
    None,
    /// The server is to move: AUTH, or CONNACK at the start of a connection.
    ServersTurn,
    /// The caller is to answer.
    CallersTurn,
}

impl Exchange {
    pub(super) const fn at_connect(options: &ConnectOptions) -> Self {
        if options.authentication.is_some() { Self::ServersTurn } else { Self::None }
    }
}

impl Core {
    pub(super) fn handle_auth<'a>(&mut self, auth: Auth<'a>) -> Result<Event<'a>, ConnectionError> {
        // A server must not send it to a client that named no method, nor out of turn.
        if self.exchange != Exchange::ServersTurn {
            return Err(Violation::Unexpected(PacketType::Auth).into());
        }
        self.check_method(auth.properties)?;
        match (auth.reason_code, self.stage) {
            (ReasonCode::ContinueAuthentication, _) => {
                self.exchange = Exchange::CallersTurn;
                if self.stage == Stage::Connecting {
                    self.wire.keep_alive.wait_for_answer(self.wire.now);
                }
                Ok(Event::Challenge { data: auth.properties.authentication_data(), properties: auth.properties })
            }
            (ReasonCode::Success, Stage::Connected) => {
                self.exchange = Exchange::None;
                Ok(Event::Authenticated { properties: auth.properties })
            }
            // The first exchange ends with CONNACK.
            _ => Err(Violation::Unexpected(PacketType::Auth).into()),
        }
    }

    pub(super) fn set_authentication_data(&mut self, data: Option<Vec<u8>>) -> Result<(), OptionError> {
        let before = self.options.authentication.clone();
        if let Some(authentication) = &mut self.options.authentication {
            authentication.data = data;
        }
        self.options.check().inspect_err(|_| self.options.authentication = before)
    }

    /// A CONNACK that accepts names the method of the CONNECT, or none where there was none.
    pub(super) fn check_authenticated(&mut self, connack: Properties<'_>) -> Result<(), ConnectionError> {
        self.check_method(connack)?;
        self.exchange = Exchange::None;
        Ok(())
    }

    /// [MQTT-4.12.0-5]; a re-authentication that fails here ends the connection with DISCONNECT [MQTT-4.12.1-2].
    fn check_method(&self, properties: Properties<'_>) -> Result<(), ConnectionError> {
        if properties.authentication_method() == self.options.authentication_method() {
            return Ok(());
        }
        Err(Violation::AuthenticationMethod.into())
    }

    pub(super) fn authenticate(&mut self, data: Option<&[u8]>) -> Result<(), RequestError> {
        // Without a method there is no challenge, and so no AUTH [MQTT-4.12.0-7].
        if !self.is_open() || self.exchange != Exchange::CallersTurn {
            return Err(RequestError::NotAuthenticating);
        }
        // [MQTT-4.12.0-3]
        self.send_auth(ReasonCode::ContinueAuthentication, data)
    }

    pub(super) fn reauthenticate(&mut self, data: Option<&[u8]>) -> Result<(), RequestError> {
        if self.stage != Stage::Connected {
            return Err(RequestError::NotConnected);
        }
        if self.exchange != Exchange::None {
            return Err(RequestError::NotAuthenticating);
        }
        self.send_auth(ReasonCode::ReAuthenticate, data)
    }

    /// Every AUTH names the method of the CONNECT [MQTT-4.12.0-5] [MQTT-4.12.1-1]. It carries no Reason String and no
    /// User Property, so that it is never larger than it must be [MQTT-3.15.2-2] [MQTT-3.15.2-3].
    fn send_auth(&mut self, reason_code: ReasonCode, data: Option<&[u8]>) -> Result<(), RequestError> {
        let Some(method) = self.options.authentication_method() else { return Err(RequestError::NotAuthenticating) };
        if data.is_some_and(|data| data.len() > usize::from(u16::MAX)) {
            return Err(RequestError::TooLarge);
        }
        let mut properties = PropertyBuffer::new();
        properties.push(Property::AuthenticationMethod(method));
        if let Some(data) = data {
            properties.push(Property::AuthenticationData(data));
        }
        let auth = Auth { reason_code, properties: properties.as_properties() };
        let version = self.options.version;
        self.wire.send(auth.encoded_len(version), |output| auth.encode(version, output))?;
        self.exchange = Exchange::ServersTurn;
        Ok(())
    }
}

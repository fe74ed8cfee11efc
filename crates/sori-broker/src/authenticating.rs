//! AUTH packets: the exchange before CONNACK, and authenticating again later. MQTT 5.0 sections 3.15 and 4.12.

use crate::access::{Login, Step};
use crate::connection::Phase;
use crate::event::Cause;
use crate::ids::ConnectionId;
use crate::shard::Shard;
use alloc::boxed::Box;
use alloc::sync::Arc;
use sori_mqtt::{Auth, Property, PropertyBuffer, ReasonCode, Version};

impl Shard {
    pub(crate) fn handle_auth(&mut self, id: ConnectionId, auth: &Auth<'_>) {
        let Some(c) = self.connection(id) else { return };
        if c.version != Version::V5 {
            return self.violated(id, ReasonCode::ProtocolError, "an AUTH packet");
        }
        let method = auth.properties.authentication_method();
        let data = auth.properties.authentication_data();
        match &mut c.phase {
            Phase::Waiting(waiting) => match &mut waiting.exchange {
                // [MQTT-4.12.0-3] [MQTT-4.12.0-5]
                Some((agreed, exchange))
                    if method == Some(agreed) && auth.reason_code == ReasonCode::ContinueAuthentication =>
                {
                    let step = exchange.step(data);
                    self.take_step(id, step);
                }
                _ => self.violated(id, ReasonCode::ProtocolError, "an AUTH packet that does not fit the exchange"),
            },
            Phase::Open => self.authenticate_again(id, auth.reason_code, method, data),
            // [MQTT-4.12.0-7]
            _ => self.violated(id, ReasonCode::ProtocolError, "an AUTH packet before CONNECT"),
        }
    }

    /// [MQTT-4.12.1-1]
    fn authenticate_again(&mut self, id: ConnectionId, code: ReasonCode, method: Option<&str>, data: Option<&[u8]>) {
        let Some(c) = self.connections.get(id.slot, id.generation) else { return };
        let fits = c.authentication.as_ref().is_some_and(|a| method == Some(&*a.method));
        if !fits {
            // [MQTT-4.12.0-6] [MQTT-4.12.0-7]
            return self.violated(id, ReasonCode::ProtocolError, "an AUTH packet of another method than CONNECT's");
        }
        if code == ReasonCode::ReAuthenticate {
            let Some(session) = self.sessions.get(c.session.slot, c.session.generation) else { return };
            let login = Login {
                client_id: &session.client_id,
                user_name: session.identity.user_name.as_deref(),
                password: None,
                is_proven: false,
                allow_anonymous: c.listener.allow_anonymous,
                version: c.version,
                address: &c.address,
                place: c.listener.place,
                answer_to: (self.id, id),
            };
            let exchange = self.access.exchange(method.unwrap_or_default(), &login);
            if let Some(a) = self.connection(id).and_then(|c| c.authentication.as_mut()) {
                a.exchange = exchange;
            }
        }
        let Some(a) = self.connection(id).and_then(|c| c.authentication.as_mut()) else { return };
        let Some(exchange) = &mut a.exchange else {
            return self.violated(id, ReasonCode::ProtocolError, "an AUTH packet without an exchange");
        };
        let step = exchange.step(data);
        self.take_step_again(id, step);
    }

    fn take_step_again(&mut self, id: ConnectionId, step: Step) {
        let Some(c) = self.connection(id) else { return };
        let key = c.session;
        let Some(authentication) = &mut c.authentication else { return };
        let method = authentication.method.clone();
        match step {
            Step::Continue(data) => self.send_auth(id, ReasonCode::ContinueAuthentication, &method, Some(&data)),
            Step::Done(identity, data) => {
                authentication.exchange = None;
                // It was permitted to somebody else.
                c.last_topic = None;
                if let Some(session) = self.session(key) {
                    session.identity = Arc::clone(&identity);
                }
                self.send_auth(id, ReasonCode::Success, &method, data.as_deref());
            }
            // [MQTT-4.12.1-2]
            Step::Refuse(code) => {
                let cause = Cause::Protocol(code, Box::from("authenticating again failed"));
                self.end_connection(id, Some(code), cause);
            }
        }
    }

    /// [MQTT-4.12.0-2] [MQTT-3.15.2-1]
    pub(crate) fn send_auth(&mut self, id: ConnectionId, reason_code: ReasonCode, method: &str, data: Option<&[u8]>) {
        let mut properties = PropertyBuffer::new();
        properties.push(Property::AuthenticationMethod(method));
        if let Some(data) = data {
            properties.push(Property::AuthenticationData(data));
        }
        let auth = Auth { reason_code, properties: properties.as_properties() };
        self.send(id, |version, out| auth.encode(version, out));
    }
}

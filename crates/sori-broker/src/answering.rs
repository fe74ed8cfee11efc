//! CONNACK: what a client is told that may come in, and one that may not. MQTT 5.0 section 3.2.

use crate::connection::Phase;
use crate::event::Event;
use crate::explaining::Teller;
use crate::handoff::Admission;
use crate::ids::ConnectionId;
use crate::shard::Shard;
use alloc::boxed::Box;
use alloc::sync::Arc;
use sori_mqtt::{ConnAck, Connect, DecodeError, Properties, Property, PropertyBuffer, QoS, ReasonCode, Version};

impl Shard {
    /// What a client that may come in has to know.
    pub(crate) fn connack_properties(
        &self,
        id: ConnectionId,
        connect: &Connect<'_>,
        admission: &Admission,
    ) -> PropertyBuffer {
        let mut properties = PropertyBuffer::new();
        let Some(c) = self.connections.get(id.slot, id.generation) else { return properties };
        if connect.version != Version::V5 {
            return properties;
        }
        let listener = Arc::clone(&c.listener);
        // In Mosquitto's order, which its tests compare.
        let keep_alive = self.agreed_keep_alive(&listener, connect);
        if keep_alive != connect.keep_alive {
            properties.push(Property::ServerKeepAlive(keep_alive));
        }
        if listener.topic_alias_max > 0 {
            properties.push(Property::TopicAliasMaximum(listener.topic_alias_max));
        }
        if admission.assigned {
            // [MQTT-3.1.3-7] [MQTT-3.2.2-16]: also when it is the user name. Who brought one is not told that it has another.
            properties.push(Property::AssignedClientIdentifier(&admission.client_id));
        }
        if let Some((method, data)) = &admission.authentication {
            // [MQTT-4.12.0-5]
            properties.push(Property::AuthenticationMethod(method));
            if let Some(data) = data {
                properties.push(Property::AuthenticationData(data));
            }
        }
        let wants_information = connect.properties.request_response_information().unwrap_or(false);
        if let (true, Some(information)) = (wants_information, &self.settings.response_information) {
            // [MQTT-3.1.2-28]
            properties.push(Property::ResponseInformation(information));
        }
        if !self.settings.retain_available {
            properties.push(Property::RetainAvailable(false));
        }
        if self.settings.packet_size_max > 0 {
            properties.push(Property::MaximumPacketSize(self.settings.packet_size_max));
        }
        if self.inflight_max() < u16::MAX {
            properties.push(Property::ReceiveMaximum(self.inflight_max()));
        }
        if listener.qos_max < QoS::ExactlyOnce {
            // [MQTT-3.2.2-9]
            properties.push(Property::MaximumQoS(listener.qos_max));
        }
        let asked = connect.properties.session_expiry_interval().unwrap_or(0);
        let granted = self.granted_expiry(asked);
        if granted != asked {
            // MQTT 5.0 section 3.2.2.3.2. Mosquitto limits it as well, and does not tell.
            properties.push(Property::SessionExpiryInterval(granted));
        }
        properties
    }

    /// Not let in: CONNACK with the reason, then the end.
    /// [MQTT-3.1.4-6] [MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT311-3.1.4-5] [MQTT311-3.2.2-4] [MQTT311-3.2.2-5]
    pub(crate) fn refuse(&mut self, id: ConnectionId, reason_code: ReasonCode, text: &str) {
        let Some(c) = self.connection(id) else { return };
        // [MQTT311-3.2.2-6]: a reason that has no return code in MQTT 3 is told by closing.
        if c.version == Version::V5 || reason_code.connect_return_code().is_some() {
            let mut connack = ConnAck { session_present: false, reason_code, properties: Properties::EMPTY };
            let why = self.explanation(id, Teller::Connection, text, connack.encoded_len(Version::V5));
            connack.properties = why.as_properties();
            self.send(id, |version, out| connack.encode(version, out));
        }
        self.refuse_silently(id, reason_code, text);
    }

    /// Not let in, and not worth an answer.
    pub(crate) fn refuse_silently(&mut self, id: ConnectionId, reason_code: ReasonCode, text: &str) {
        let Some(c) = self.connection(id) else { return };
        let client_id = match &c.phase {
            Phase::Waiting(waiting) => Some(Box::from(&*waiting.client_id)),
            _ => None,
        };
        let address = c.address.clone();
        self.event(Event::Refused { address, client_id, reason_code, text: Box::from(text) });
        self.close(id);
    }

    /// What should have been CONNECT is not valid.
    pub(crate) fn refuse_malformed(&mut self, id: ConnectionId, error: &DecodeError, text: &str) {
        let Some(c) = self.connection(id) else { return };
        c.version = error.version().unwrap_or(Version::V5);
        if error.reason_code() == ReasonCode::PacketTooLarge {
            // Its version has not been read: it could not understand an answer in that of another.
            return self.refuse_silently(id, ReasonCode::PacketTooLarge, ReasonCode::PacketTooLarge.text());
        }
        // [MQTT-3.1.2-1] [MQTT311-3.1.2-1] [MQTT311-3.1.4-1]
        if error.closes_silently() {
            self.refuse_silently(id, error.reason_code(), text);
        } else {
            self.refuse(id, error.reason_code(), text);
        }
    }
}

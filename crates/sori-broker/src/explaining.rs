//! Reason Strings and Response Information: what a server may say beside its reason codes.

use crate::ids::ConnectionId;
use crate::shard::Shard;
use sori_mqtt::{Property, PropertyBuffer, ReasonCode, Version};

/// A Reason String is cut after this many bytes: it is for people.
const TEXT_BYTES_MAX: usize = 250;

/// Which packets may carry a Reason String to a client that wants no problem information.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Teller {
    /// CONNACK and DISCONNECT always may.
    Connection,
    /// All others may only if the client has not asked to be spared. [MQTT-3.1.2-29]
    Acknowledgement,
}

impl Shard {
    /// The properties of a refusal: a Reason String, if the settings want one, the client may be sent one and the packet
    /// stays within its Maximum Packet Size; User Properties are never sent. `length` is the length of the packet without
    /// properties. [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3]
    /// [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4]
    pub(crate) fn explanation(&self, id: ConnectionId, teller: Teller, text: &str, length: usize) -> PropertyBuffer {
        let mut properties = PropertyBuffer::new();
        let Some(c) = self.connections.get(id.slot, id.generation) else { return properties };
        let is_wanted = teller == Teller::Connection || c.wants_problem_information;
        if !self.settings.reason_strings || c.version != Version::V5 || !is_wanted {
            return properties;
        }
        let end = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        properties.push(Property::ReasonString(&text[..end]));
        // The lengths of packet and properties grow by at most three bytes each, the reason code may become needed.
        if !c.takes(length + properties.as_properties().len() + 7) {
            properties.clear();
        }
        properties
    }
}

/// What a publisher can do about a refused message.
pub(crate) fn advice(reason_code: ReasonCode) -> &'static str {
    match reason_code {
        ReasonCode::NotAuthorized => "this client may not publish to this topic",
        ReasonCode::PacketTooLarge => "the payload is above message_size_limit",
        ReasonCode::QuotaExceeded => "memory_limit has no room for this message; try again later",
        other => other.text(),
    }
}

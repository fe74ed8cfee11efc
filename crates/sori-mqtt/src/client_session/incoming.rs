//! Messages from the server. Each is acknowledged as its QoS demands [MQTT-3.3.4-1] [MQTT311-3.3.4-1].

use crate::{Ack, Incoming, PacketId, PacketType, Publish, QoS, ReasonCode};

use super::Core;
use super::error::{ConnectionError, Violation};
use super::event::Event;

impl Core {
    /// Acknowledged at once unless the caller does it, so in the order in which the messages came, wanted or not. [MQTT-4.5.0-2] [MQTT-4.6.0-2]
    /// [MQTT-4.6.0-3] [MQTT311-4.5.0-2] [MQTT311-4.6.0-2] [MQTT311-4.6.0-3]
    pub(super) fn handle_publish<'a>(&mut self, publish: Publish<'a>) -> Result<Option<Event<'a>>, ConnectionError> {
        // An alias counts even if the message is a repetition: the next message may use it.
        if let Some(alias) = publish.properties.topic_alias() {
            self.aliases.receive(alias, publish.topic)?;
        }
        let is_new = match (publish.qos, publish.packet_id) {
            (QoS::AtLeastOnce, Some(packet_id)) if !self.options.acknowledge_at_once => {
                self.hold_qos1(packet_id)?;
                true
            }
            (QoS::AtLeastOnce, Some(packet_id)) => {
                // With this event the caller owns the message [MQTT-4.3.2-4]. Each one is new [MQTT-4.3.2-5] [MQTT311-4.3.2-2].
                self.wire.acknowledge(PacketType::PubAck, packet_id, ReasonCode::Success)?;
                true
            }
            (QoS::ExactlyOnce, Some(packet_id)) => self.receive_qos2(packet_id)?,
            _ => true,
        };
        Ok(is_new.then_some(Event::Message(publish)))
    }

    /// [MQTT-4.3.3-8] [MQTT-4.3.3-10] [MQTT311-4.3.3-2]
    fn receive_qos2(&mut self, packet_id: PacketId) -> Result<bool, ConnectionError> {
        let incoming = self.incoming.publish_qos2(packet_id);
        if self.incoming.is_exceeded() {
            return Err(Violation::ReceiveMaximumExceeded.into());
        }
        if !self.options.acknowledge_at_once {
            return self.hold_qos2(packet_id, incoming);
        }
        self.wire.acknowledge(PacketType::PubRec, packet_id, ReasonCode::Success)?;
        Ok(incoming == Incoming::New)
    }

    /// [MQTT-4.3.3-11] [MQTT311-4.3.3-2]
    pub(super) fn handle_pubrel(&mut self, ack: Ack<'_>) -> Result<(), ConnectionError> {
        let known = self.incoming.release(ack.packet_id);
        self.acknowledgements.released(ack.packet_id);
        let reason_code = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
        self.wire.acknowledge(PacketType::PubComp, ack.packet_id, reason_code)
    }
}

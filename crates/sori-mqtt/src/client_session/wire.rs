//! The way out: every packet of a client passes here, and none that the server would not take.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{
    Ack, PACKET_SIZE_MAX, PacketType, Properties, Property, PropertyBuffer, Publish, QoS, ReasonCode, Version,
};

use super::error::{ConnectionError, RequestError};
use super::keep_alive::KeepAlive;
use super::server_limits::ServerLimits;
use super::topic_alias::{Alias, OutgoingAliases};

/// The output of one connection.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) version: Version,
    pub(super) output: Vec<u8>,
    pub(super) limits: ServerLimits,
    pub(super) aliases: OutgoingAliases,
    pub(super) keep_alive: KeepAlive,
    /// The time of the input that is being handled.
    pub(super) now: Duration,
    /// Reused, so that a publish with a topic alias allocates nothing.
    scratch: PropertyBuffer,
}

impl Wire {
    pub(super) fn new(version: Version, response_timeout: Duration) -> Self {
        Self {
            version,
            output: Vec::new(),
            limits: ServerLimits::new(Properties::EMPTY),
            aliases: OutgoingAliases::default(),
            keep_alive: KeepAlive::new(response_timeout),
            now: Duration::ZERO,
            scratch: PropertyBuffer::new(),
        }
    }

    /// Appends a packet of `size` bytes unless the server would not take it [MQTT-3.2.2-15].
    pub(super) fn send(&mut self, size: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), RequestError> {
        if size > self.limits.maximum_packet_size {
            return Err(RequestError::TooLarge);
        }
        encode(&mut self.output);
        self.keep_alive.sent(self.now);
        Ok(())
    }

    /// Sends an acknowledgement. It carries no Reason String and no User Property, so that it is never larger than it
    /// must be [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3]
    /// [MQTT-3.7.2-2] [MQTT-3.7.2-3].
    pub(super) fn acknowledge(
        &mut self,
        packet: PacketType,
        packet_id: crate::PacketId,
        reason_code: ReasonCode,
    ) -> Result<(), ConnectionError> {
        // [MQTT-2.2.1-5] [MQTT311-2.3.1-6]
        let ack = Ack { packet_id, reason_code, properties: Properties::EMPTY };
        let version = self.version;
        self.send(ack.encoded_len(version), |output| ack.encode(packet, version, output))
            .map_err(|_| ConnectionError::AnswerTooLarge(packet))
    }

    /// Whether the server takes this message.
    pub(super) fn check_publish(&self, publish: &Publish<'_>) -> Result<(), RequestError> {
        self.check_size(publish)?;
        // [MQTT-3.2.2-11]
        if publish.qos > self.limits.maximum_qos {
            return Err(RequestError::NotSupported(ReasonCode::QoSNotSupported));
        }
        // [MQTT-3.2.2-14]
        if publish.retain && !self.limits.retain_available {
            return Err(RequestError::NotSupported(ReasonCode::RetainNotSupported));
        }
        if publish_size(publish, self.version) > self.limits.maximum_packet_size {
            return Err(RequestError::TooLarge);
        }
        Ok(())
    }

    /// Sends a PUBLISH, with a topic alias where there is one and it fits.
    pub(super) fn publish(&mut self, publish: &Publish<'_>) -> Result<(), RequestError> {
        self.check_publish(publish)?;
        let alias = self.aliases.find(publish.topic);
        let (number, topic) = match alias {
            Alias::None => return self.publish_as_it_is(publish),
            Alias::New(number) => (number, publish.topic),
            Alias::Known(number) => (number, ""),
        };
        let mut properties = core::mem::take(&mut self.scratch);
        properties.clear();
        properties.extend(publish.properties).push(Property::TopicAlias(number));
        let with_alias = Publish { topic, properties: properties.as_properties(), ..*publish };
        let sent = self.publish_as_it_is(&with_alias);
        self.scratch = properties;
        match (sent, alias) {
            (Err(_), _) => self.publish_as_it_is(publish),
            (Ok(()), Alias::New(number)) => {
                self.aliases.made(publish.topic, number);
                Ok(())
            }
            (Ok(()), _) => Ok(()),
        }
    }

    fn publish_as_it_is(&mut self, publish: &Publish<'_>) -> Result<(), RequestError> {
        let version = self.version;
        self.send(publish.encoded_len(version), |output| publish.encode(version, output))
    }

    /// Whether a message can be a packet of this version at all.
    pub(super) fn check_size(&self, publish: &Publish<'_>) -> Result<(), RequestError> {
        if !self.version.is_v5() && !publish.properties.is_empty() {
            return Err(RequestError::Version5Only("a property in PUBLISH"));
        }
        if publish_size(publish, self.version) > PACKET_SIZE_MAX { Err(RequestError::TooLarge) } else { Ok(()) }
    }
}

/// The size with a packet identifier, which a message that waits does not have yet.
fn publish_size(publish: &Publish<'_>, version: Version) -> usize {
    let identifier = if publish.qos != QoS::AtMostOnce && publish.packet_id.is_none() { 2 } else { 0 };
    publish.encoded_len(version).saturating_add(identifier)
}

//! A message as it was received.

use sori_mqtt::{PropertyBuffer, Publish, QoS};

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// 0 for QoS 0.
    pub(crate) packet_id: u16,
    pub(crate) properties: PropertyBuffer,
}

impl From<&Publish<'_>> for Message {
    fn from(publish: &Publish<'_>) -> Self {
        let mut properties = PropertyBuffer::new();
        properties.extend(publish.properties);
        Self {
            topic: publish.topic.to_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos,
            retain: publish.retain,
            packet_id: publish.packet_id.map_or(0, |packet_id| packet_id.value()),
            properties,
        }
    }
}

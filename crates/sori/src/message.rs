//! A message as it was received.

use sori_mqtt::{PropertyBuffer, QoS};

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

impl Message {
    pub(crate) fn new(message: &sori_client::Message, packet_id: Option<u16>) -> Self {
        let mut properties = PropertyBuffer::new();
        properties.extend(message.properties());
        Self {
            topic: message.topic().to_owned(),
            payload: message.payload().to_vec(),
            qos: message.qos(),
            retain: message.retain(),
            packet_id: packet_id.unwrap_or_default(),
            properties,
        }
    }
}

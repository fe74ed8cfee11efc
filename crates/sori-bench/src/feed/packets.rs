//! What clients say, as bytes: of MQTT 3.1.1, where no version is asked for.

use sori_mqtt::{
    Connect, DISCONNECT, PacketId, Properties, Publish, QoS, Subscribe, SubscribeOptions, TopicFilter, Unsubscribe,
    Version,
};

const VERSION: Version = Version::V311;

/// CONNECT of a session that begins and ends with its connection.
#[must_use]
pub fn connect(client_id: &str) -> Vec<u8> {
    connect_in(VERSION, client_id, true)
}

/// CONNECT of a session that is kept.
#[must_use]
pub fn connect_again(client_id: &str) -> Vec<u8> {
    connect_in(VERSION, client_id, false)
}

/// CONNECT of a version.
#[must_use]
pub fn connect_in(version: Version, client_id: &str, clean_start: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    Connect {
        version,
        bridge: false,
        clean_start,
        keep_alive: 0,
        client_id,
        will: None,
        user_name: None,
        password: None,
        properties: Properties::EMPTY,
    }
    .encode(&mut bytes);
    bytes
}

/// DISCONNECT.
#[must_use]
pub fn disconnect() -> Vec<u8> {
    DISCONNECT.to_vec()
}

/// SUBSCRIBE to some filters.
///
/// # Panics
/// If one is not a filter.
#[must_use]
pub fn subscribe<F: AsRef<str>>(filters: &[F], qos: QoS) -> Vec<u8> {
    subscribe_in(VERSION, filters, qos)
}

/// The same in a version.
///
/// # Panics
/// If one is not a filter.
#[must_use]
pub fn subscribe_in<F: AsRef<str>>(version: Version, filters: &[F], qos: QoS) -> Vec<u8> {
    let options = SubscribeOptions { qos, ..SubscribeOptions::default() };
    let filters: Vec<_> = filters.iter().map(|filter| (valid(filter.as_ref()), options)).collect();
    let mut bytes = Vec::new();
    Subscribe::new(PacketId::FIRST, Properties::EMPTY, &filters).encode(version, &mut bytes);
    bytes
}

/// UNSUBSCRIBE from some filters.
///
/// # Panics
/// If one is not a filter.
#[must_use]
pub fn unsubscribe<F: AsRef<str>>(filters: &[F]) -> Vec<u8> {
    let filters: Vec<_> = filters.iter().map(|filter| valid(filter.as_ref())).collect();
    let mut bytes = Vec::new();
    Unsubscribe::new(PacketId::FIRST, Properties::EMPTY, &filters).encode(VERSION, &mut bytes);
    bytes
}

fn valid(filter: &str) -> TopicFilter<'_> {
    TopicFilter::new(filter).expect("a filter of ours is valid")
}

/// What is published.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The topic name.
    pub topic: &'a str,
    /// How it is acknowledged.
    pub qos: QoS,
    /// To be kept for new subscriptions.
    pub retain: bool,
    /// Bytes of the payload.
    pub size: usize,
}

/// One PUBLISH; the packet identifier only counts above QoS 0.
#[must_use]
pub fn publish(message: Message<'_>, packet_id: PacketId) -> Vec<u8> {
    publish_in(VERSION, message, packet_id)
}

/// The same in a version, without properties.
#[must_use]
pub fn publish_in(version: Version, message: Message<'_>, packet_id: PacketId) -> Vec<u8> {
    let mut bytes = Vec::new();
    Publish {
        dup: false,
        qos: message.qos,
        retain: message.retain,
        topic: message.topic,
        packet_id: (message.qos != QoS::AtMostOnce).then_some(packet_id),
        properties: Properties::EMPTY,
        payload: &vec![b'.'; message.size],
    }
    .encode(version, &mut bytes);
    bytes
}

/// So many PUBLISH packets in a row, each with an identifier of its own.
#[must_use]
pub fn publishes(message: Message<'_>, count: u16) -> Vec<u8> {
    (1..=count).filter_map(PacketId::new).flat_map(|packet_id| publish(message, packet_id)).collect()
}

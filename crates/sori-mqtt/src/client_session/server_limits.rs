//! What the server allows, as its CONNACK says.

use crate::{PACKET_SIZE_MAX, Properties, QoS};

/// The server's side of the agreement; the defaults are those of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// QoS 1 and 2 messages in flight.
    pub receive_maximum: u16,
    /// The highest QoS to publish with.
    pub maximum_qos: QoS,
    /// Whether RETAIN may be set.
    pub retain_available: bool,
    /// The largest packet in bytes.
    pub maximum_packet_size: usize,
    /// The highest topic alias.
    pub topic_alias_maximum: u16,
    /// Whether filters may hold wildcards.
    pub wildcard_subscription_available: bool,
    /// Whether a SUBSCRIBE may carry a Subscription Identifier.
    pub subscription_identifiers_available: bool,
    /// Whether shared subscriptions exist.
    pub shared_subscription_available: bool,
    /// The keep alive that replaces the client's.
    pub server_keep_alive: Option<u16>,
    /// The session expiry that replaces the client's.
    pub session_expiry_interval: Option<u32>,
}

impl ServerLimits {
    pub(super) fn new(connack: Properties<'_>) -> Self {
        Self {
            receive_maximum: connack.receive_maximum().unwrap_or(u16::MAX),
            maximum_qos: connack.maximum_qos().unwrap_or(QoS::ExactlyOnce),
            retain_available: connack.retain_available().unwrap_or(true),
            maximum_packet_size: connack
                .maximum_packet_size()
                .and_then(|size| usize::try_from(size).ok())
                .map_or(PACKET_SIZE_MAX, |size| size.min(PACKET_SIZE_MAX)),
            topic_alias_maximum: connack.topic_alias_maximum().unwrap_or(0),
            wildcard_subscription_available: connack.wildcard_subscription_available().unwrap_or(true),
            subscription_identifiers_available: connack.subscription_identifiers_available().unwrap_or(true),
            shared_subscription_available: connack.shared_subscription_available().unwrap_or(true),
            server_keep_alive: connack.server_keep_alive(),
            session_expiry_interval: connack.session_expiry_interval(),
        }
    }
}

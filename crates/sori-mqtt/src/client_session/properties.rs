//! Which properties a caller may put into the packets of a client.

use crate::{PacketType, Properties, PropertyIdentifier};

/// Checks that every property belongs into this packet when a client sends it, and stands there once.
pub(super) fn check(properties: Properties<'_>, packet: PacketType) -> Result<(), PropertyIdentifier> {
    check_each(properties, |identifier| identifier.allowed_in(packet) && !is_for_servers(identifier, packet))
}

/// The same for the properties of a will.
pub(super) fn check_will(properties: Properties<'_>) -> Result<(), PropertyIdentifier> {
    check_each(properties, PropertyIdentifier::allowed_in_will)
}

fn check_each(
    properties: Properties<'_>,
    allowed: impl Fn(PropertyIdentifier) -> bool,
) -> Result<(), PropertyIdentifier> {
    let (mut seen, mut checked) = (0_u64, 0);
    for property in properties.iter() {
        let identifier = property.identifier();
        let bit = 1 << identifier as u8;
        let repeated = seen & bit != 0 && identifier != PropertyIdentifier::UserProperty;
        if !allowed(identifier) || repeated {
            return Err(identifier);
        }
        seen |= bit;
        checked += property.encoded_len();
    }
    // Reading stops at a value that no packet may hold, such as a Response Topic with wildcards [MQTT-3.3.2-13]
    // [MQTT-3.3.2-14] or U+0000 in a string [MQTT-1.5.4-2] [MQTT-1.5.7-1] [MQTT-3.3.2-19].
    match properties.bytes().get(checked) {
        Some(byte) => Err(PropertyIdentifier::from_u8(*byte).unwrap_or(PropertyIdentifier::UserProperty)),
        None => Ok(()),
    }
}

/// A client's PUBLISH has no Subscription Identifier [MQTT-3.3.4-6], and its aliases are the session's own business.
fn is_for_servers(identifier: PropertyIdentifier, packet: PacketType) -> bool {
    packet == PacketType::Publish
        && matches!(identifier, PropertyIdentifier::SubscriptionIdentifier | PropertyIdentifier::TopicAlias)
}

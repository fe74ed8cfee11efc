//! Which properties a caller may put into the packets of a client.

use crate::{PacketType, Properties, Property, PropertyIdentifier, TopicName};

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
    let mut seen = 0_u64;
    for property in properties.iter() {
        let identifier = property.identifier();
        let bit = 1 << identifier as u8;
        let repeated = seen & bit != 0 && identifier != PropertyIdentifier::UserProperty;
        if !allowed(identifier) || repeated || !has_legal_value(property) {
            return Err(identifier);
        }
        seen |= bit;
    }
    Ok(())
}

/// A client's PUBLISH has no Subscription Identifier [MQTT-3.3.4-6], and its aliases are the session's own business.
fn is_for_servers(identifier: PropertyIdentifier, packet: PacketType) -> bool {
    packet == PacketType::Publish
        && matches!(identifier, PropertyIdentifier::SubscriptionIdentifier | PropertyIdentifier::TopicAlias)
}

fn has_legal_value(property: Property<'_>) -> bool {
    match property {
        // [MQTT-3.3.2-13] [MQTT-3.3.2-14]
        Property::ResponseTopic(topic) => TopicName::new(topic).is_ok(),
        Property::SubscriptionIdentifier(value) => (1..=268_435_455).contains(&value),
        // [MQTT-1.5.4-2] [MQTT-1.5.7-1]
        Property::ContentType(text) | Property::ReasonString(text) => !text.contains('\0'),
        Property::UserProperty(name, value) => !name.contains('\0') && !value.contains('\0'),
        _ => true,
    }
}

//! The properties of a message, checked by the codec that checks them on the wire.

use sori_mqtt::{
    Direction, Frame, Properties, Property, PropertyBuffer, Version, decode_publish, encode_variable_byte_integer,
};

/// The properties of one PUBLISH, as far as a session keeps them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Kept {
    /// What travels unchanged. Mosquitto keeps the expiry of a message beside its properties.
    pub(super) unchanged: PropertyBuffer,
    /// The Subscription Identifiers.
    pub(super) identifiers: Vec<u32>,
}

/// Reads a property length and properties, which are all of `encoded`. Nothing at all stands for no properties.
pub(super) fn decoded(encoded: &[u8]) -> Result<Kept, String> {
    if encoded.is_empty() {
        return Ok(Kept::default());
    }
    // The shortest PUBLISH around them: a topic of one character, and no payload.
    let body = [&[0, 1, b't'], encoded].concat();
    let frame = Frame { first: 0x30, size: body.len(), body: &body };
    let publish = decode_publish(frame, Version::V5, Direction::ToClient).map_err(|error| error.to_string())?;
    if publish.payload.is_empty() { Ok(kept(publish.properties)) } else { Err("property length is too small".into()) }
}

/// Checks properties that were put together from another form.
pub(super) fn checked(properties: &PropertyBuffer) -> Result<Kept, String> {
    let bytes = properties.as_properties().bytes();
    let mut encoded = Vec::with_capacity(bytes.len() + 4);
    encode_variable_byte_integer(u32::try_from(bytes.len()).unwrap_or(u32::MAX), &mut encoded);
    encoded.extend_from_slice(bytes);
    decoded(&encoded)
}

fn kept(properties: Properties<'_>) -> Kept {
    let mut kept = Kept::default();
    for property in properties.iter() {
        match property {
            Property::SubscriptionIdentifier(identifier) => kept.identifiers.push(identifier),
            Property::MessageExpiryInterval(_) | Property::TopicAlias(_) => {}
            _ => {
                kept.unchanged.push(property);
            }
        }
    }
    kept
}

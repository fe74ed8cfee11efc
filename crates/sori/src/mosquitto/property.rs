//! `-D command property value`: a property of MQTT 5 in one of the packets that are sent.

use std::ffi::OsString;

use sori_mqtt::client_session::Authentication;
use sori_mqtt::{PacketType, Property, PropertyIdentifier, TopicName, Version};

use super::answer::{Answer, Value, wrong};
use super::options::Options;

/// The packets by the names that `-D` has for them. Only some are sent with properties of one's own.
const COMMANDS: &[(&str, Place)] = &[
    ("connect", Place::Packet(PacketType::Connect)),
    ("connack", Place::Packet(PacketType::ConnAck)),
    ("publish", Place::Packet(PacketType::Publish)),
    ("puback", Place::Packet(PacketType::PubAck)),
    ("pubrec", Place::Packet(PacketType::PubRec)),
    ("pubrel", Place::Packet(PacketType::PubRel)),
    ("pubcomp", Place::Packet(PacketType::PubComp)),
    ("subscribe", Place::Packet(PacketType::Subscribe)),
    ("suback", Place::Packet(PacketType::SubAck)),
    ("unsubscribe", Place::Packet(PacketType::Unsubscribe)),
    ("unsuback", Place::Packet(PacketType::UnsubAck)),
    ("disconnect", Place::Packet(PacketType::Disconnect)),
    ("auth", Place::Packet(PacketType::Auth)),
    ("will", Place::Will),
];

#[derive(Clone, Copy)]
enum Place {
    Packet(PacketType),
    Will,
}

impl Place {
    const fn allows(self, identifier: PropertyIdentifier) -> bool {
        match self {
            Self::Packet(packet) => identifier.allowed_in(packet),
            Self::Will => identifier.allowed_in_will(),
        }
    }
}

/// Reads what stands behind `-D`, and returns how many words that were.
pub(super) fn apply(options: &mut Options, words: &[OsString]) -> Result<usize, Answer> {
    let [command, property, rest @ ..] = words else { return missing() };
    let [value, ..] = rest else { return missing() };
    let (command, name) = (Value(command).shown(), Value(property).shown());
    let place = COMMANDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&command)).map(|(_, place)| *place);
    let Some(place) = place else {
        return wrong(format!("Invalid command {command} given in --property argument."));
    };
    let Some(identifier) = identifier(&name) else {
        return wrong(format!("Invalid property name {name} given in --property argument."));
    };
    if !place.allows(identifier) {
        return wrong(format!("{name} property not allowed for {command} in --property argument."));
    }
    let given = Given { command: &command, name: &name, value: Value(value) };
    if identifier == PropertyIdentifier::UserProperty {
        let [user_name, user_value, ..] = rest else { return missing() };
        let (user_name, user_value) = (Value(user_name).text("--property")?, Value(user_value).text("--property")?);
        push(options, place, Property::UserProperty(user_name, user_value), &given)?;
        options.version = Version::V5;
        return Ok(4);
    }
    push(options, place, given.property(identifier)?, &given)?;
    options.version = Version::V5;
    Ok(3)
}

fn missing<T>() -> Result<T, Answer> {
    wrong("--property argument given but not enough arguments specified.")
}

/// `content-type` for the content type.
fn name_of(identifier: PropertyIdentifier) -> String {
    identifier.text().to_ascii_lowercase().replace(' ', "-")
}

fn identifier(name: &str) -> Option<PropertyIdentifier> {
    PropertyIdentifier::ALL.iter().copied().find(|identifier| name_of(*identifier).eq_ignore_ascii_case(name))
}

/// The words of one `-D`.
struct Given<'a> {
    command: &'a str,
    name: &'a str,
    value: Value<'a>,
}

impl<'a> Given<'a> {
    fn property(&self, identifier: PropertyIdentifier) -> Result<Property<'a>, Answer> {
        use PropertyIdentifier as Id;
        Ok(match identifier {
            Id::PayloadFormatIndicator => Property::PayloadFormatIndicator(self.flag()?),
            Id::RequestProblemInformation => Property::RequestProblemInformation(self.flag()?),
            Id::RequestResponseInformation => Property::RequestResponseInformation(self.flag()?),
            Id::ReceiveMaximum => Property::ReceiveMaximum(self.number(1, u16::MAX)?),
            Id::TopicAliasMaximum => Property::TopicAliasMaximum(self.number(0, u16::MAX)?),
            Id::TopicAlias => Property::TopicAlias(self.number(1, u16::MAX)?),
            Id::MessageExpiryInterval => Property::MessageExpiryInterval(self.number(0, u32::MAX)?),
            Id::SessionExpiryInterval => Property::SessionExpiryInterval(self.number(0, u32::MAX)?),
            Id::WillDelayInterval => Property::WillDelayInterval(self.number(0, u32::MAX)?),
            Id::MaximumPacketSize => Property::MaximumPacketSize(self.number(1, u32::MAX)?),
            // The largest that a variable byte integer holds.
            Id::SubscriptionIdentifier => Property::SubscriptionIdentifier(self.number(1, 268_435_455)?),
            Id::ContentType => Property::ContentType(self.text()?),
            Id::ResponseTopic => Property::ResponseTopic(self.topic_name()?),
            Id::AuthenticationMethod => Property::AuthenticationMethod(self.text()?),
            Id::ReasonString => Property::ReasonString(self.text()?),
            Id::CorrelationData => Property::CorrelationData(self.binary()?),
            Id::AuthenticationData => Property::AuthenticationData(self.binary()?),
            _ => return self.not_supported(),
        })
    }

    fn not_supported<T>(&self) -> Result<T, Answer> {
        wrong(format!("{} property not supported for {} in --property argument.", self.name, self.command))
    }

    fn out_of_range<T>(&self) -> Result<T, Answer> {
        wrong(format!("Property value ({}) out of range for property {}.", self.value.shown(), self.name))
    }

    fn flag(&self) -> Result<bool, Answer> {
        self.number(0_u8, 1).map(|value| value == 1)
    }

    fn number<T: TryFrom<i64> + PartialOrd>(&self, least: T, most: T) -> Result<T, Answer> {
        match self.value.number() {
            Some(value) if value >= least && value <= most => Ok(value),
            _ => self.out_of_range(),
        }
    }

    fn text(&self) -> Result<&'a str, Answer> {
        let text = self.value.text("--property")?;
        self.fits(text.len())?;
        Ok(text)
    }

    /// [MQTT-3.3.2-14]
    fn topic_name(&self) -> Result<&'a str, Answer> {
        let text = self.text()?;
        match TopicName::new(text) {
            Ok(_) => Ok(text),
            Err(_) => wrong(format!("Invalid {} '{text}', does it contain '+' or '#'?", self.name)),
        }
    }

    fn binary(&self) -> Result<&'a [u8], Answer> {
        self.fits(self.value.bytes().len())?;
        Ok(self.value.bytes())
    }

    /// MQTT 5.0 section 1.5.4: a string and binary data have two bytes for their length.
    fn fits(&self, length: usize) -> Result<(), Answer> {
        if length > usize::from(u16::MAX) {
            return wrong(format!("Property value too long for property {}.", self.name));
        }
        Ok(())
    }
}

/// Puts it where it belongs; what the connection has a field of its own for goes there.
fn push(options: &mut Options, place: Place, property: Property<'_>, given: &Given<'_>) -> Result<(), Answer> {
    let connection = &mut options.connection;
    let buffer = match place {
        Place::Will => &mut options.will.properties,
        Place::Packet(PacketType::Connect) => {
            match property {
                Property::SessionExpiryInterval(seconds) => options.session_expiry_interval = Some(seconds),
                Property::ReceiveMaximum(count) => connection.receive_maximum = Some(count),
                Property::MaximumPacketSize(bytes) => connection.maximum_packet_size = Some(bytes),
                Property::TopicAliasMaximum(count) => connection.topic_alias_maximum = count,
                Property::AuthenticationMethod(method) => authentication(connection).method = method.to_owned(),
                Property::AuthenticationData(data) => authentication(connection).data = Some(data.to_vec()),
                other => {
                    connection.properties.push(other);
                }
            }
            return Ok(());
        }
        Place::Packet(PacketType::Publish) => match property {
            // The session chooses the alias, and sends the topic only once.
            Property::TopicAlias(_) => {
                connection.topic_alias_outgoing_max = 1;
                return Ok(());
            }
            Property::SubscriptionIdentifier(_) => return given.not_supported(),
            _ => &mut options.publish_properties,
        },
        Place::Packet(PacketType::Subscribe) => &mut options.subscribe_properties,
        Place::Packet(PacketType::Unsubscribe) => &mut options.unsubscribe_properties,
        Place::Packet(PacketType::Disconnect) => &mut connection.disconnect_properties,
        Place::Packet(_) => return given.not_supported(),
    };
    buffer.push(property);
    Ok(())
}

fn authentication(connection: &mut crate::settings::Connection) -> &mut Authentication {
    connection.authentication.get_or_insert_with(|| Authentication { method: String::new(), data: None })
}

//! From lines of JSON back to what a store holds; whatever is wrong with a line is named, and nothing of it is taken.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use sori_mqtt::{
    Direction, Packet, PacketId, Property, PropertyBuffer, Publish, QoS, TopicFilter, TopicName, Version, decode,
};
use sori_server::import::{
    Imported, ImportedDelivery, ImportedIncoming, ImportedInflight, ImportedMessage, ImportedOwner, ImportedSession,
    ImportedSubscription, ImportedWill, InflightState,
};

use super::lines::{FORMAT, Line, Message, Owner, Session, State, Subscription, Will};

/// The longest that a string of the protocol may be.
const STRING_BYTES_MAX: usize = 65_535;

/// Takes lines, in their order, and what they add up to.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    imported: Imported,
    sessions: HashMap<String, usize>,
    topics: HashSet<String>,
    messages: HashMap<u64, Vec<Arc<ImportedMessage>>>,
    hasher: RandomState,
    is_begun: bool,
}

impl Gathering {
    /// Takes one more line, or says what is wrong with it.
    pub(crate) fn take(&mut self, line: &str) -> Result<(), String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        match line {
            Line::Store { format: FORMAT, .. } => {
                self.is_begun = true;
                Ok(())
            }
            Line::Store { format, .. } => Err(format!("format {format} is not known to this version of sori")),
            _ if !self.is_begun => Err("the first line must have the type \"store\"".to_owned()),
            Line::Session(session) => self.take_session(session),
            Line::Queued { client_id, qos, retain, group, identifiers, message } => {
                let delivery = self.delivery((qos, retain, group), identifiers, message)?;
                self.session(&client_id)?.queued.push(delivery);
                Ok(())
            }
            Line::InFlight { client_id, packet_id, state, qos, retain, group, identifiers, message } => {
                let message = match (message, state) {
                    (Some(message), _) => message,
                    // Nobody will ask for it.
                    (None, State::PubRel) => Message::released(),
                    (None, State::Publish) => return Err("a message that is to be sent again is missing".to_owned()),
                };
                let delivery = self.delivery((qos, retain, group), identifiers, message)?;
                if delivery.qos == QoS::AtMostOnce {
                    return Err("a message in flight cannot have QoS 0".to_owned());
                }
                let packet_id = packet(packet_id)?;
                let inflight = &mut self.session(&client_id)?.inflight;
                if inflight.iter().any(|other| other.packet_id == packet_id) {
                    return Err(format!("packet identifier {} is in flight twice", packet_id.value()));
                }
                let state = match state {
                    State::Publish => InflightState::Publish,
                    State::PubRel => InflightState::PubRel,
                };
                inflight.push(ImportedInflight { packet_id, state, dup: true, delivery });
                Ok(())
            }
            Line::Incoming { client_id, packet_id, message } => {
                let (packet_id, message) = (packet(packet_id)?, self.message(message)?);
                let incoming = &mut self.session(&client_id)?.incoming;
                if incoming.iter().any(|other| other.packet_id == packet_id) {
                    return Err(format!("packet identifier {} comes in twice", packet_id.value()));
                }
                incoming.push(ImportedIncoming { packet_id, message });
                Ok(())
            }
            Line::Retained { message, owner } => {
                if !self.topics.insert(message.topic.clone()) {
                    return Err(format!("topic {:?} has two retained messages", message.topic));
                }
                if let Some(owner) = owner {
                    self.imported.owners.insert(message.topic.clone(), owner.checked()?);
                }
                let message = self.message(message)?;
                self.imported.retained.push(message);
                Ok(())
            }
        }
    }

    /// All of it, or what is missing.
    pub(crate) fn finish(self) -> Result<Imported, String> {
        if self.is_begun { Ok(self.imported) } else { Err("there is no line".to_owned()) }
    }

    fn session(&mut self, client_id: &str) -> Result<&mut ImportedSession, String> {
        let at = self.sessions.get(client_id).ok_or_else(|| format!("no line before has the session {client_id:?}"))?;
        Ok(&mut self.imported.sessions[*at])
    }

    fn take_session(&mut self, session: Session) -> Result<(), String> {
        let Session { client_id, user_name, realm, expiry_seconds, ends_at, last_packet_id, will, subscriptions } =
            session;
        string(&client_id)?;
        user_name.as_deref().map_or(Ok(()), string)?;
        if client_id.is_empty() {
            return Err("a client identifier is empty".to_owned());
        }
        if self.sessions.insert(client_id.clone(), self.imported.sessions.len()).is_some() {
            return Err(format!("the session {client_id:?} is there twice"));
        }
        let will = match will {
            None => None,
            Some(Will { delay_seconds, expiry_seconds, due_at, message }) => {
                let message = self.message(message)?;
                Some(ImportedWill { message, delay_seconds, expiry_seconds, due_at_unix_millis: due_at })
            }
        };
        let mut filters = HashSet::new();
        let subscriptions = subscriptions.into_iter().map(|subscription| {
            if !filters.insert(subscription.filter.clone()) {
                return Err(format!("filter {:?} is subscribed twice", subscription.filter));
            }
            subscription.checked()
        });
        let subscriptions = subscriptions.collect::<Result<Vec<_>, _>>()?;
        self.imported.sessions.push(ImportedSession {
            client_id,
            user_name,
            realm,
            expiry_seconds,
            disconnected_at_unix_millis: None,
            ends_at_unix_millis: ends_at,
            will,
            last_packet_id: last_packet_id.map(packet).transpose()?,
            subscriptions,
            inflight: Vec::new(),
            queued: Vec::new(),
            incoming: Vec::new(),
        });
        Ok(())
    }

    fn delivery(
        &mut self,
        (qos_number, retain, group): (u8, bool, Option<NonZeroU32>),
        identifiers: Vec<u32>,
        message: Message,
    ) -> Result<ImportedDelivery, String> {
        identifiers.iter().try_for_each(|number| identifier(*number))?;
        Ok(ImportedDelivery { message: self.message(message)?, qos: qos(qos_number)?, retain, group, identifiers })
    }

    /// The message, as the one that was there before if it is the same.
    fn message(&mut self, message: Message) -> Result<Arc<ImportedMessage>, String> {
        let message = message.checked()?;
        let hash = self.hasher.hash_one((&message.topic, &message.payload, message.expires_unix_millis));
        let alike = self.messages.entry(hash).or_default();
        if let Some(same) = alike.iter().find(|other| ***other == message) {
            return Ok(Arc::clone(same));
        }
        let message = Arc::new(message);
        alike.push(Arc::clone(&message));
        Ok(message)
    }
}

impl Owner {
    fn checked(self) -> Result<ImportedOwner, String> {
        let Owner { client_id, user_name, internal, realm } = self;
        string(&client_id)?;
        user_name.as_deref().map_or(Ok(()), string)?;
        Ok(ImportedOwner { client_id, user_name, is_internal: internal, realm })
    }
}

impl Subscription {
    fn checked(self) -> Result<ImportedSubscription, String> {
        let Subscription { filter, qos: number, no_local, retain_as_published, identifier: own } = self;
        TopicFilter::new(&filter).map_err(|error| format!("filter {filter:?}: {error}"))?;
        own.map_or(Ok(()), identifier)?;
        Ok(ImportedSubscription { filter, qos: qos(number)?, no_local, retain_as_published, identifier: own })
    }
}

impl Message {
    /// Stands for a message that the client has.
    fn released() -> Message {
        Message {
            topic: "released".to_owned(),
            qos: 2,
            retain: false,
            payload: String::new(),
            expires_at: None,
            payload_is_text: None,
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        }
    }

    fn checked(self) -> Result<ImportedMessage, String> {
        let payload = Base64::decode_vec(&self.payload).map_err(|error| format!("payload: {error}"))?;
        let correlation_data = self.correlation_data.as_deref().map(Base64::decode_vec).transpose();
        let correlation_data = correlation_data.map_err(|error| format!("correlation_data: {error}"))?;
        let properties = [
            self.payload_is_text.map(Property::PayloadFormatIndicator),
            self.content_type.as_deref().map(Property::ContentType),
            self.response_topic.as_deref().map(Property::ResponseTopic),
            correlation_data.as_deref().map(Property::CorrelationData),
        ];
        let user_properties = self.user_properties.iter().map(|(name, value)| Property::UserProperty(name, value));
        let mut buffer = PropertyBuffer::new();
        for property in properties.into_iter().flatten().chain(user_properties) {
            check_lengths(&property)?;
            buffer.push(property);
        }
        let message = ImportedMessage {
            topic: self.topic,
            payload,
            properties: buffer,
            qos: qos(self.qos)?,
            retain: self.retain,
            expires_unix_millis: self.expires_at,
        };
        check_as_packet(&message)?;
        Ok(message)
    }
}

/// A message is legal if it could have come in a packet.
fn check_as_packet(message: &ImportedMessage) -> Result<(), String> {
    let topic = TopicName::new(&message.topic).map_err(|error| format!("topic {:?}: {error}", message.topic))?;
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: message.retain,
        topic: topic.as_str(),
        packet_id: None,
        properties: message.properties.as_properties(),
        payload: &[],
    };
    let mut packet = Vec::new();
    publish.encode(Version::V5, &mut packet);
    match sori_mqtt::split(&packet, sori_mqtt::PACKET_SIZE_MAX) {
        Ok(sori_mqtt::Split::Frame(frame)) => match decode(frame, Version::V5, Direction::ToServer) {
            Ok(Packet::Publish(_)) => Ok(()),
            Ok(_) => Err("a message is no message".to_owned()),
            Err(error) => Err(format!("the message to {:?} is not legal: {error}", message.topic)),
        },
        _ => Err(format!("the message to {:?} is too large", message.topic)),
    }
}

fn check_lengths(property: &Property<'_>) -> Result<(), String> {
    let longest = match property {
        Property::ContentType(text) | Property::ResponseTopic(text) => text.len(),
        Property::CorrelationData(bytes) => bytes.len(),
        Property::UserProperty(name, value) => name.len().max(value.len()),
        _ => 0,
    };
    if longest <= STRING_BYTES_MAX { Ok(()) } else { Err(format!("a property has {longest} bytes")) }
}

fn string(text: &str) -> Result<(), String> {
    match text.len() <= STRING_BYTES_MAX && !text.contains('\0') {
        true => Ok(()),
        false => Err(format!("{text:?} is no legal string")),
    }
}

fn qos(number: u8) -> Result<QoS, String> {
    QoS::from_u8(number).ok_or_else(|| format!("there is no QoS {number}"))
}

fn packet(number: u16) -> Result<PacketId, String> {
    PacketId::new(number).ok_or_else(|| "a packet identifier is 0".to_owned())
}

fn identifier(number: u32) -> Result<(), String> {
    match number {
        1..=268_435_455 => Ok(()),
        _ => Err(format!("{number} is no subscription identifier")),
    }
}

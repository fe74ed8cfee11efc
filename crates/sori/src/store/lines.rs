//! What a store holds as lines of JSON, one thing per line: sessions, the messages that wait for them, retained messages.
//!
//! The first line tells the format. Times are milliseconds of Unix time, payloads Base64. A message that waits for several
//! sessions stands on several lines; when they are read again, equal ones become one.

use std::num::NonZeroU32;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use sori_mqtt::PacketId;
use sori_server::import::{ImportedMessage, ImportedOwner, ImportedSession, ImportedSubscription, InflightState};

/// The format that is written; only this one is read.
pub(super) const FORMAT: u32 = 1;

/// One line.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Line {
    /// The first one.
    Store { format: u32, version: String },
    /// A session, before the messages that wait for it.
    Session(Session),
    /// A message that is still to be sent.
    Queued {
        client_id: String,
        qos: u8,
        retain: bool,
        /// The number of the group that the client was chosen from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<NonZeroU32>,
        identifiers: Vec<u32>,
        message: Message,
    },
    /// A message that was sent and is not finished.
    InFlight {
        client_id: String,
        packet_id: u16,
        state: State,
        qos: u8,
        retain: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<NonZeroU32>,
        identifiers: Vec<u32>,
        /// None when the client has it and only the release is to come.
        message: Option<Message>,
    },
    /// A QoS 2 message from the client that it has not released.
    Incoming { client_id: String, packet_id: u16, message: Message },
    /// A retained message.
    Retained {
        message: Message,
        /// Who answers for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
}

/// Who answers for a retained message.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owner {
    pub(super) client_id: String,
    pub(super) user_name: Option<String>,
    /// A part of the broker's own program.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) internal: bool,
    /// Rules of a listener of its own that it is under.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) realm: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub(super) client_id: String,
    pub(super) user_name: Option<String>,
    /// Rules of a listener of its own that it is under.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) realm: u32,
    pub(super) expiry_seconds: u32,
    pub(super) ends_at: Option<u64>,
    pub(super) last_packet_id: Option<u16>,
    pub(super) will: Option<Will>,
    pub(super) subscriptions: Vec<Subscription>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Will {
    pub(super) delay_seconds: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expiry_seconds: Option<u32>,
    pub(super) due_at: Option<u64>,
    pub(super) message: Message,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscription {
    pub(super) filter: String,
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) identifier: Option<u32>,
}

/// What the broker waits for.
#[derive(Debug, Copy, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// PUBACK or PUBREC.
    Publish,
    /// PUBCOMP.
    PubRel,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    pub(super) topic: String,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) payload: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) payload_is_text: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) response_topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) correlation_data: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) user_properties: Vec<(String, String)>,
}

impl Line {
    /// The first line.
    pub(crate) fn first() -> Line {
        Line::Store { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// The lines of a session.
    pub(crate) fn of_session(session: &ImportedSession) -> Vec<Line> {
        let client_id = || session.client_id.clone();
        let mut lines = vec![Line::Session(Session {
            client_id: client_id(),
            user_name: session.user_name.clone(),
            realm: session.realm,
            expiry_seconds: session.expiry_seconds,
            ends_at: session.ends_at_unix_millis,
            last_packet_id: session.last_packet_id.map(PacketId::value),
            will: session.will.as_ref().map(|will| Will {
                delay_seconds: will.delay_seconds,
                expiry_seconds: will.expiry_seconds,
                due_at: will.due_at_unix_millis,
                message: Message::of(&will.message),
            }),
            subscriptions: session.subscriptions.iter().map(Subscription::of).collect(),
        })];
        lines.extend(session.inflight.iter().map(|inflight| Line::InFlight {
            client_id: client_id(),
            packet_id: inflight.packet_id.value(),
            state: match inflight.state {
                InflightState::Publish => State::Publish,
                InflightState::PubRel => State::PubRel,
            },
            qos: inflight.delivery.qos as u8,
            retain: inflight.delivery.retain,
            group: inflight.delivery.group,
            identifiers: inflight.delivery.identifiers.clone(),
            message: (inflight.state == InflightState::Publish).then(|| Message::of(&inflight.delivery.message)),
        }));
        lines.extend(session.queued.iter().map(|delivery| Line::Queued {
            client_id: client_id(),
            qos: delivery.qos as u8,
            retain: delivery.retain,
            group: delivery.group,
            identifiers: delivery.identifiers.clone(),
            message: Message::of(&delivery.message),
        }));
        lines.extend(session.incoming.iter().map(|incoming| Line::Incoming {
            client_id: client_id(),
            packet_id: incoming.packet_id.value(),
            message: Message::of(&incoming.message),
        }));
        lines
    }

    /// The line of a retained message.
    pub(crate) fn of_retained(message: &ImportedMessage, owner: Option<&ImportedOwner>) -> Line {
        Line::Retained { message: Message::of(message), owner: owner.map(Owner::of) }
    }
}

impl Owner {
    fn of(owner: &ImportedOwner) -> Owner {
        let ImportedOwner { client_id, user_name, is_internal, realm } = owner.clone();
        Owner { client_id, user_name, internal: is_internal, realm }
    }
}

impl Subscription {
    fn of(subscription: &ImportedSubscription) -> Subscription {
        Subscription {
            filter: subscription.filter.clone(),
            qos: subscription.qos as u8,
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            identifier: subscription.identifier,
        }
    }
}

impl Message {
    fn of(message: &ImportedMessage) -> Message {
        let properties = message.properties.as_properties();
        Message {
            topic: message.topic.clone(),
            qos: message.qos as u8,
            retain: message.retain,
            payload: Base64::encode_string(&message.payload),
            expires_at: message.expires_unix_millis,
            payload_is_text: properties.payload_format_indicator(),
            content_type: properties.content_type().map(str::to_owned),
            response_topic: properties.response_topic().map(str::to_owned),
            correlation_data: properties.correlation_data().map(Base64::encode_string),
            user_properties: properties
                .user_properties()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// Only what is out of the ordinary is written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it like that")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A realm that is the whole broker's is not written either.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it like that")]
fn is_zero(realm: &u32) -> bool {
    *realm == 0
}

#[cfg(test)]
mod tests;

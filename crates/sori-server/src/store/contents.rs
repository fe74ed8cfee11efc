//! What a store holds, as plain values for programs that write it down elsewhere.

use crate::import::{
    ImportedDelivery, ImportedIncoming, ImportedInflight, ImportedMessage, ImportedOwner, ImportedSession,
    ImportedSubscription, ImportedWill, InflightState,
};
use crate::startup::RunError;
use crate::store::opening::{self, ToRead};
use sori_broker::{Clocks, MemoryUse, Owner, PlainDelivery, PlainMessage, PlainSession, PlainWill, Recovered, Time};
use sori_mqtt::{Properties, PropertyBuffer};
use sori_store::Reader;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The Session Expiry Interval of a session that does not end.
const NEVER_EXPIRES: u32 = u32::MAX;

/// One thing that a store holds.
#[derive(Debug)]
pub enum Thing {
    /// A session with all that waits for it.
    Session(Box<ImportedSession>),
    /// A retained message, and who answers for it.
    Retained(ImportedMessage, Option<ImportedOwner>),
}

/// An open store, to be read.
pub struct Contents {
    reader: Reader,
    recovered: Recovered,
}

impl Contents {
    /// Opens the store at `path`. Nobody else may change it meanwhile, and nothing in it is changed.
    ///
    /// # Errors
    /// It is in use, or cannot be read.
    pub fn open(path: &Path) -> Result<Contents, RunError> {
        let opened = opening::open_to_read(path);
        let ToRead { reader, mut recovered } = opened.map_err(|error| opening::refused_beside(path, &error))?;
        recovered.finish(&MemoryUse::default(), &mut |place| reader.read(place).ok());
        Ok(Contents { reader, recovered })
    }

    /// Gives everything, one thing after the other, and then how many messages could not be read.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn read<E>(mut self, mut take: impl FnMut(Thing) -> Result<(), E>) -> Result<u64, E> {
        let clocks = self.recovered.clocks().clone();
        let mut reading = Reading { reader: self.reader, clocks, lost: 0 };
        for session in self.recovered.plain_sessions() {
            take(Thing::Session(Box::new(reading.session(session))))?;
        }
        for message in self.recovered.take_retained() {
            let owner = message.owner.as_deref().map(imported_owner);
            take(Thing::Retained(imported_message(PlainMessage::of(&message.message.view())), owner))?;
        }
        Ok(reading.lost + self.recovered.lost().len() as u64)
    }
}

struct Reading {
    reader: Reader,
    clocks: Clocks,
    lost: u64,
}

impl Reading {
    fn session(&mut self, session: PlainSession) -> ImportedSession {
        // A message may wait more than once for one client.
        let mut known = HashMap::new();
        let (ends_at, will_at) = session.disconnected.unwrap_or((Time::NEVER, Time::NEVER));
        let in_flight = session.in_flight.into_iter().filter_map(|(packet_id, delivery)| {
            let state = if delivery.is_some() { InflightState::Publish } else { InflightState::PubRel };
            let delivery = match delivery {
                Some(delivery) => self.delivery(delivery, &mut known)?,
                None => released(),
            };
            Some(ImportedInflight { packet_id, state, dup: true, delivery })
        });
        let inflight = in_flight.collect();
        let queued = session.queued.into_iter().filter_map(|delivery| self.delivery(delivery, &mut known)).collect();
        let incoming = session.unreleased.into_iter().filter_map(|(packet_id, place)| {
            Some(ImportedIncoming { packet_id, message: self.message(place, &mut known)? })
        });
        let incoming = incoming.collect();
        ImportedSession {
            client_id: session.client_id,
            user_name: session.user_name,
            realm: session.realm,
            // DISCONNECT may have changed the interval: what was agreed with it is when the session ends.
            expiry_seconds: match session.disconnected {
                Some((Time::NEVER, _)) => NEVER_EXPIRES,
                _ => session.expiry_seconds,
            },
            disconnected_at_unix_millis: None,
            ends_at_unix_millis: moment(ends_at),
            will: session.will.map(|PlainWill { message, delay_seconds, expiry_seconds }| ImportedWill {
                message: Arc::new(imported_message(message)),
                delay_seconds,
                expiry_seconds,
                due_at_unix_millis: moment(will_at),
            }),
            last_packet_id: session.last_packet_id,
            subscriptions: session
                .subscriptions
                .into_iter()
                .map(|(filter, options, identifier)| ImportedSubscription {
                    filter,
                    qos: options.qos,
                    no_local: options.no_local,
                    retain_as_published: options.retain_as_published,
                    identifier: Some(identifier).filter(|identifier| *identifier > 0),
                })
                .collect(),
            inflight,
            queued,
            incoming,
        }
    }

    fn delivery(&mut self, delivery: PlainDelivery, known: &mut Known) -> Option<ImportedDelivery> {
        let PlainDelivery { message, qos, retain, group, identifiers } = delivery;
        Some(ImportedDelivery { message: self.message(message, known)?, qos, retain, group, identifiers })
    }

    fn message(&mut self, place: u64, known: &mut Known) -> Option<Arc<ImportedMessage>> {
        if let Some(message) = known.get(&place) {
            return Some(Arc::clone(message));
        }
        let bytes = self.reader.read(place).ok();
        let Some(message) = bytes.and_then(|bytes| PlainMessage::decode_by(&self.clocks, &bytes)) else {
            self.lost += 1;
            return None;
        };
        let message = Arc::new(imported_message(message));
        known.insert(place, Arc::clone(&message));
        Some(message)
    }
}

/// The messages of one session, by their places.
type Known = HashMap<u64, Arc<ImportedMessage>>;

/// Of a message that the client has, only the packet identifier is kept.
fn released() -> ImportedDelivery {
    let message = ImportedMessage {
        topic: "released".to_owned(),
        payload: Vec::new(),
        properties: PropertyBuffer::new(),
        qos: sori_mqtt::QoS::ExactlyOnce,
        retain: false,
        expires_unix_millis: None,
    };
    let qos = sori_mqtt::QoS::ExactlyOnce;
    ImportedDelivery { message: Arc::new(message), qos, retain: false, group: None, identifiers: Vec::new() }
}

fn imported_message(message: PlainMessage) -> ImportedMessage {
    let mut properties = PropertyBuffer::new();
    properties.extend(Properties::from_checked(&message.properties));
    ImportedMessage {
        topic: message.topic,
        payload: message.payload,
        properties,
        qos: message.qos,
        retain: message.retain,
        expires_unix_millis: moment(message.expires),
    }
}

fn imported_owner(owner: &Owner) -> ImportedOwner {
    ImportedOwner {
        client_id: owner.client_id.to_string(),
        user_name: owner.identity.user_name.as_deref().map(str::to_owned),
        is_internal: owner.identity.is_internal,
        realm: owner.identity.realm,
    }
}

fn moment(time: Time) -> Option<u64> {
    (time != Time::NEVER).then_some(time.0)
}

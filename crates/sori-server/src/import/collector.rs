//! Puts the entries of a file together, in whichever format they came, and finds out what does not fit.

use super::remarks::{Reason, Remarks};
use super::{
    ImportFault, Imported, ImportedDelivery, ImportedIncoming, ImportedInflight, ImportedMessage, ImportedSession,
    ImportedSubscription, ImportedWill, InflightState, Place,
};
use sori_mqtt::{PacketId, PropertyBuffer, QoS, TopicFilter, TopicName};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What a delivery or a subscription does to the client of which the file holds no session.
#[derive(Copy, Clone, Eq, PartialEq)]
pub(super) enum UnknownClient {
    /// Gets one that never expires, as when Mosquitto reads its `mosquitto.db`.
    GetsSession,
    /// Stays unknown, as when Mosquitto reads the database of its plugin.
    LeftOut,
}

/// A client, as a file tells it.
#[derive(Default)]
pub(super) struct SessionEntry<'a> {
    pub(super) client_id: &'a [u8],
    pub(super) user_name: Option<&'a [u8]>,
    pub(super) expiry_seconds: u32,
    pub(super) disconnected_at_seconds: Option<u64>,
    pub(super) ends_at_seconds: Option<u64>,
    pub(super) last_packet_id: u16,
}

/// A message.
pub(super) struct MessageEntry<'a> {
    pub(super) store_id: u64,
    pub(super) topic: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) properties: PropertyBuffer,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) expires_seconds: Option<u64>,
}

/// A message on its way from or to one client.
pub(super) struct DeliveryEntry<'a> {
    pub(super) client_id: &'a [u8],
    pub(super) store_id: u64,
    pub(super) packet_id: u16,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) direction: u8,
    pub(super) state: u8,
    pub(super) identifiers: Vec<u32>,
}

/// A subscription.
pub(super) struct SubscriptionEntry<'a> {
    pub(super) client_id: &'a [u8],
    pub(super) filter: &'a [u8],
    /// QoS and options, as in SUBSCRIBE.
    pub(super) options: u8,
    pub(super) identifier: u32,
}

/// The will of a client.
pub(super) struct WillEntry<'a> {
    pub(super) client_id: &'a [u8],
    pub(super) message: MessageEntry<'a>,
    pub(super) delay_seconds: u32,
    pub(super) due_at_seconds: Option<u64>,
}

pub(super) struct Collector {
    unknown_client: UnknownClient,
    sessions: Vec<ImportedSession>,
    positions: HashMap<String, usize>,
    messages: HashMap<u64, Arc<ImportedMessage>>,
    retained: Vec<Arc<ImportedMessage>>,
    wills: Vec<Arc<ImportedMessage>>,
    packet_ids: HashSet<(usize, Direction, PacketId)>,
    remarks: Remarks,
}

#[derive(Copy, Clone, Eq, Hash, PartialEq)]
enum Direction {
    Incoming,
    Outgoing,
}

impl Collector {
    pub(super) fn new(unknown_client: UnknownClient) -> Self {
        Self {
            unknown_client,
            sessions: Vec::new(),
            positions: HashMap::new(),
            messages: HashMap::new(),
            retained: Vec::new(),
            wills: Vec::new(),
            packet_ids: HashSet::new(),
            remarks: Remarks::default(),
        }
    }

    pub(super) fn remark(&mut self, reason: Reason, place: Place) {
        self.remarks.add(reason, place);
    }

    pub(super) fn add_session(&mut self, entry: &SessionEntry<'_>, place: Place) {
        let Some(client_id) = legal_client_id(entry.client_id) else {
            return self.remark(Reason::ClientIdInvalid, place);
        };
        let index = self.session_of(client_id);
        let session = &mut self.sessions[index];
        let user_name = entry.user_name.map(legal_text);
        session.user_name = user_name.flatten().map(Into::into);
        session.expiry_seconds = entry.expiry_seconds;
        session.disconnected_at_unix_millis = entry.disconnected_at_seconds.map(millis);
        session.ends_at_unix_millis = entry.ends_at_seconds.map(millis);
        session.last_packet_id = PacketId::new(entry.last_packet_id).or(session.last_packet_id);
        if user_name == Some(None) {
            self.remark(Reason::UserNameInvalid, place);
        }
    }

    pub(super) fn add_message(&mut self, entry: MessageEntry<'_>, place: Place) -> Result<(), ImportFault> {
        let store_id = entry.store_id;
        match message(entry, place)? {
            Some(message) => _ = self.messages.insert(store_id, Arc::new(message)),
            None => self.remark(Reason::TopicInvalid, place),
        }
        Ok(())
    }

    pub(super) fn add_retained(&mut self, store_id: u64, place: Place) {
        match self.messages.get(&store_id) {
            Some(message) => self.retained.push(Arc::clone(message)),
            None => self.remark(Reason::MessageMissing, place),
        }
    }

    pub(super) fn add_subscription(&mut self, entry: &SubscriptionEntry<'_>, place: Place) -> Result<(), ImportFault> {
        let qos = qos(entry.options & 0x03, place)?;
        let Some(index) = self.session_of_entry(entry.client_id, place) else { return Ok(()) };
        let Some(filter) = str::from_utf8(entry.filter).ok().filter(|filter| TopicFilter::new(filter).is_ok()) else {
            self.remark(Reason::FilterInvalid, place);
            return Ok(());
        };
        self.sessions[index].subscriptions.push(ImportedSubscription {
            filter: filter.into(),
            qos,
            no_local: entry.options & 0x04 != 0,
            retain_as_published: entry.options & 0x08 != 0,
            identifier: Some(entry.identifier).filter(|identifier| *identifier != 0),
        });
        Ok(())
    }

    pub(super) fn add_delivery(&mut self, entry: DeliveryEntry<'_>, place: Place) -> Result<(), ImportFault> {
        let qos = qos(entry.qos, place)?;
        let waits_for = waits_for(entry.state, qos, place)?;
        let direction = match entry.direction {
            0 => Direction::Incoming,
            1 => Direction::Outgoing,
            other => return Err(ImportFault::damaged(place, format!("a message goes in the direction {other}"))),
        };
        let Some(index) = self.session_of_entry(entry.client_id, place) else { return Ok(()) };
        let Some(message) = self.messages.get(&entry.store_id).map(Arc::clone) else {
            self.remark(Reason::MessageMissing, place);
            return Ok(());
        };
        let packet_id = PacketId::new(entry.packet_id);
        match direction {
            Direction::Incoming => self.add_incoming(index, packet_id, message, place),
            Direction::Outgoing => {
                let delivery = ImportedDelivery {
                    message,
                    qos,
                    retain: entry.retain,
                    group: None,
                    identifiers: entry.identifiers,
                };
                self.add_outgoing(index, packet_id.zip(waits_for), entry.dup, delivery, place);
            }
        }
        Ok(())
    }

    fn add_incoming(&mut self, index: usize, id: Option<PacketId>, message: Arc<ImportedMessage>, place: Place) {
        match id {
            None => self.remark(Reason::PacketIdMissing, place),
            Some(packet_id) => {
                // The client sends the same identifier only for the same message.
                if self.packet_ids.insert((index, Direction::Incoming, packet_id)) {
                    self.sessions[index].incoming.push(ImportedIncoming { packet_id, message });
                }
            }
        }
    }

    fn add_outgoing(
        &mut self,
        index: usize,
        in_flight: Option<(PacketId, InflightState)>,
        dup: bool,
        delivery: ImportedDelivery,
        place: Place,
    ) {
        let Some((packet_id, state)) = in_flight else { return self.sessions[index].queued.push(delivery) };
        if self.packet_ids.insert((index, Direction::Outgoing, packet_id)) {
            self.sessions[index].inflight.push(ImportedInflight { packet_id, state, dup, delivery });
        } else {
            self.remark(Reason::PacketIdTwice, place);
            self.sessions[index].queued.push(delivery);
        }
    }

    pub(super) fn add_will(&mut self, entry: WillEntry<'_>, place: Place) -> Result<(), ImportFault> {
        let Some(message) = message(entry.message, place)?.map(Arc::new) else {
            self.remark(Reason::WillInvalid, place);
            return Ok(());
        };
        let session = str::from_utf8(entry.client_id).ok().and_then(|client_id| self.positions.get(client_id));
        match session {
            Some(index) => {
                self.sessions[*index].will = Some(ImportedWill {
                    message,
                    delay_seconds: entry.delay_seconds,
                    expiry_seconds: None,
                    due_at_unix_millis: entry.due_at_seconds.map(millis),
                });
            }
            None => self.wills.push(message),
        }
        Ok(())
    }

    /// The packet identifier of the last delivery, where the format does not keep the last one that was used.
    pub(super) fn note_last_packet_id(&mut self, client_id: &[u8], packet_id: u16) {
        let index = str::from_utf8(client_id).ok().and_then(|client_id| self.positions.get(client_id));
        if let Some((index, packet_id)) = index.zip(PacketId::new(packet_id)) {
            self.sessions[*index].last_packet_id = Some(packet_id);
        }
    }

    pub(super) fn finish(mut self) -> Imported {
        for session in &mut self.sessions {
            keep_last_of(&mut session.subscriptions, |subscription| &subscription.filter);
        }
        keep_last_of(&mut self.retained, |message| &message.topic);
        Imported {
            sessions: self.sessions,
            retained: self.retained,
            owners: BTreeMap::new(),
            wills: self.wills,
            remarks: self.remarks.into_sentences(),
        }
    }

    /// The session that an entry belongs to, if it is to be taken at all.
    fn session_of_entry(&mut self, client_id: &[u8], place: Place) -> Option<usize> {
        let Some(client_id) = legal_client_id(client_id) else {
            self.remark(Reason::ClientIdInvalid, place);
            return None;
        };
        if let Some(index) = self.positions.get(client_id) {
            return Some(*index);
        }
        match self.unknown_client {
            UnknownClient::GetsSession => {
                self.remark(Reason::SessionMade, place);
                Some(self.session_of(client_id))
            }
            UnknownClient::LeftOut => {
                self.remark(Reason::ClientUnknown, place);
                None
            }
        }
    }

    /// The position of the session of this client, which is made if there is none.
    fn session_of(&mut self, client_id: &str) -> usize {
        if let Some(index) = self.positions.get(client_id) {
            return *index;
        }
        let index = self.sessions.len();
        self.positions.insert(client_id.into(), index);
        self.sessions.push(ImportedSession {
            client_id: client_id.into(),
            user_name: None,
            realm: 0,
            expiry_seconds: u32::MAX,
            disconnected_at_unix_millis: None,
            ends_at_unix_millis: None,
            will: None,
            last_packet_id: None,
            subscriptions: Vec::new(),
            inflight: Vec::new(),
            queued: Vec::new(),
            incoming: Vec::new(),
        });
        index
    }
}

/// `None` if its topic is not one of MQTT.
fn message(entry: MessageEntry<'_>, place: Place) -> Result<Option<ImportedMessage>, ImportFault> {
    let qos = qos(entry.qos, place)?;
    let Some(topic) = str::from_utf8(entry.topic).ok().filter(|topic| TopicName::new(topic).is_ok()) else {
        return Ok(None);
    };
    Ok(Some(ImportedMessage {
        topic: topic.into(),
        payload: entry.payload.into(),
        properties: entry.properties,
        qos,
        retain: entry.retain,
        expires_unix_millis: entry.expires_seconds.map(millis),
    }))
}

/// The states of Mosquitto's deliveries: 1, 2, 4 to be sent; 3, 5 sent; 6, 9 PUBREL to be sent or sent; 7, 8, 10 of
/// incoming messages; 11 queued. `None` is queued.
///
/// The plugin changes the state of an incoming and an outgoing delivery of one message together, when a client sends to
/// itself. A state of the other direction is therefore no damage; an outgoing message is then sent again.
fn waits_for(state: u8, qos: QoS, place: Place) -> Result<Option<InflightState>, ImportFault> {
    match (state, qos) {
        (0 | 12.., _) => Err(ImportFault::damaged(place, format!("a delivery is in the state {state}"))),
        (11, _) | (_, QoS::AtMostOnce) => Ok(None),
        (6 | 9, QoS::ExactlyOnce) => Ok(Some(InflightState::PubRel)),
        _ => Ok(Some(InflightState::Publish)),
    }
}

fn qos(value: u8, place: Place) -> Result<QoS, ImportFault> {
    QoS::from_u8(value).ok_or_else(|| ImportFault::damaged(place, format!("QoS {value} does not exist")))
}

fn legal_client_id(bytes: &[u8]) -> Option<&str> {
    legal_text(bytes).filter(|client_id| !client_id.is_empty())
}

/// A UTF-8 encoded string of MQTT.
fn legal_text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok().filter(|text| text.len() <= 65_535 && !text.contains('\0'))
}

const fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}

/// Of several with one key the last one stays, as when they are set one after the other.
fn keep_last_of<T>(items: &mut Vec<T>, key: impl Fn(&T) -> &String) {
    let mut last = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        last.insert(key(item).clone(), index);
    }
    if last.len() < items.len() {
        let mut index = 0..;
        items.retain(|item| last.get(key(item)).copied() == index.next());
    }
}

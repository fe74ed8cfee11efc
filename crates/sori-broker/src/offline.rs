//! Sessions and messages as plain values: for programs that read what a store keeps, or make a store, while no broker
//! runs.

use crate::clocks::Clocks;
use crate::ids::{SessionRef, ShardId};
use crate::message::{MessageRef, Owner, Recorded, Wire};
use crate::record::read::message_body;
use crate::record::write as w;
use crate::record::{Kind, Records};
use crate::recovered::{Owed, Recovered, RecoveredSession};
use crate::shared::GroupNumber;
use crate::time::Time;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use sori_mqtt::{PacketId, QoS, SubscribeOptions};

/// An application message.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct PlainMessage {
    /// The topic name.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The MQTT 5 properties that travel unchanged, encoded.
    pub properties: Vec<u8>,
    /// The QoS at which it was published.
    pub qos: QoS,
    /// The RETAIN flag with which it was published.
    pub retain: bool,
    /// When it expires.
    pub expires: Time,
}

impl PlainMessage {
    /// A message from its bytes in the store; `None` when they are not those of a message.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<PlainMessage> {
        PlainMessage::decode_by(&Clocks::default(), bytes)
    }

    /// The same, with its time as one of the run that `clocks` are for.
    #[must_use]
    pub fn decode_by(clocks: &Clocks, bytes: &[u8]) -> Option<PlainMessage> {
        let message = message_body(bytes).ok()?;
        let expires = clocks.moved(message.recorded.number, message.expires);
        Some(PlainMessage { expires, ..PlainMessage::of(&message) })
    }

    /// A copy.
    #[must_use]
    pub fn of(message: &MessageRef<'_>) -> PlainMessage {
        PlainMessage {
            topic: String::from(message.topic),
            payload: Vec::from(message.payload),
            properties: Vec::from(message.properties),
            qos: message.qos,
            retain: message.retain,
            expires: message.expires,
        }
    }

    fn view(&self, number: u64) -> MessageRef<'_> {
        MessageRef {
            topic: &self.topic,
            payload: &self.payload,
            properties: &self.properties,
            qos: self.qos,
            retain: self.retain,
            expires: self.expires,
            publisher: SessionRef::NOBODY,
            retained_version: 0,
            recorded: Recorded { number, ..Recorded::default() },
            wire: Wire::default(),
        }
    }
}

/// A message that waits for a client, or is in flight to it.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct PlainDelivery {
    /// Which message: its place, in what was read; what [`RecordsWriter::message`] gave, in what is written.
    pub message: u64,
    /// 1 or 2.
    pub qos: QoS,
    /// The RETAIN flag of the delivery.
    pub retain: bool,
    /// The number of the group that the session was chosen from; see the store's format.
    pub group: Option<NonZeroU32>,
    /// Its Subscription Identifiers.
    pub identifiers: Vec<u32>,
}

/// A will.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct PlainWill {
    /// The message.
    pub message: PlainMessage,
    /// Will Delay Interval.
    pub delay_seconds: u32,
    /// Message Expiry Interval, from when it is published.
    pub expiry_seconds: Option<u32>,
}

/// All that is kept of one client.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct PlainSession {
    /// The client identifier.
    pub client_id: String,
    /// Seconds that the session outlives its connection; `u32::MAX` is for ever.
    pub expiry_seconds: u32,
    /// That is what `persistent_client_expiration` says, and changes with it.
    pub expires_by_setting: bool,
    /// The client's user name.
    pub user_name: Option<String>,
    /// Which rules it is under; see [`Identity::realm`](crate::Identity::realm).
    pub realm: u32,
    /// Its will, as long as that may be published.
    pub will: Option<PlainWill>,
    /// When the session ends and when its will is due; `None` while it is connected.
    pub disconnected: Option<(Time, Time)>,
    /// Filter, options and Subscription Identifier (0 for none).
    pub subscriptions: Vec<(String, SubscribeOptions, u32)>,
    /// What waits, oldest first.
    pub queued: Vec<PlainDelivery>,
    /// What has been sent, in that order; `None` when PUBREC has come.
    pub in_flight: Vec<(PacketId, Option<PlainDelivery>)>,
    /// QoS 2 messages of the client that were answered with PUBREC and not released: as in [`PlainDelivery::message`].
    pub unreleased: Vec<(PacketId, u64)>,
    /// The packet identifier that was used last.
    pub last_packet_id: Option<PacketId>,
}

impl Recovered {
    /// A copy of all sessions, after [`Recovered::finish`]; messages are named by their places.
    pub fn plain_sessions(&self) -> impl Iterator<Item = PlainSession> + '_ {
        self.iter().map(|(client_id, session)| plain_session(client_id, session))
    }
}

fn plain_delivery(owed: &Owed) -> PlainDelivery {
    let identifiers = Vec::from(owed.identifiers());
    let Owed { place: message, qos, retain, group, .. } = *owed;
    PlainDelivery { message, qos, retain, group: group.map(|group| group.0), identifiers }
}

fn plain_session(client_id: &str, session: &RecoveredSession) -> PlainSession {
    let will = session.will.as_ref().and_then(|will| {
        let message = PlainMessage::decode(&will.body)?;
        Some(PlainWill { message, delay_seconds: will.delay_seconds, expiry_seconds: will.expiry_seconds })
    });
    let subscriptions = session.subscriptions.iter();
    PlainSession {
        client_id: String::from(client_id),
        expiry_seconds: session.expiry_seconds,
        expires_by_setting: session.expires_by_setting,
        user_name: session.user_name.as_deref().map(String::from),
        realm: session.realm,
        will,
        disconnected: session.disconnected,
        subscriptions: subscriptions
            .map(|(f, (options, identifier))| (String::from(&**f), *options, *identifier))
            .collect(),
        queued: session.waiting().map(plain_delivery).collect(),
        in_flight: session
            .in_flight()
            .map(|(packet_id, owed)| (*packet_id, owed.as_ref().map(plain_delivery)))
            .collect(),
        unreleased: session.unreleased().collect(),
        // After the last one comes the first, as for a session that has used none.
        last_packet_id: session.last_packet_id.filter(|last| *last != PacketId::LAST),
    }
}

/// Writes records of sessions and retained messages that come from elsewhere. What it gives out is submitted to a store
/// that is new; a broker that is started on it goes on from there.
///
/// ```
/// use sori_broker::{PlainMessage, PlainSession, Recovered, RecordsWriter, Time};
/// use sori_mqtt::QoS;
///
/// let mut writer = RecordsWriter::new();
/// let (topic, payload) = (String::from("a/b"), b"21.5".to_vec());
/// let message = PlainMessage { topic, payload, properties: vec![], qos: QoS::AtLeastOnce, retain: true, expires: Time::NEVER };
/// let number = writer.message(&message);
/// writer.retained(number, "a/b", None);
/// writer.session(&PlainSession { client_id: String::from("c"), expiry_seconds: 60, ..PlainSession::default() });
/// let records = writer.take();
/// let mut recovered = Recovered::new();
/// recovered.apply(1, &records.bytes).expect("it has been written just now");
/// assert_eq!(recovered.sessions(), 1);
/// ```
#[derive(Debug)]
pub struct RecordsWriter {
    records: Records,
    numbers: u64,
    sessions: u32,
    versions: u64,
}

/// The shard under whose name everything is written.
const WRITER: u64 = 1 << 48;

impl Default for RecordsWriter {
    fn default() -> RecordsWriter {
        RecordsWriter::new()
    }
}

impl RecordsWriter {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> RecordsWriter {
        let mut records = Records::default();
        records.bytes.push(Kind::Run as u8);
        RecordsWriter { records, numbers: WRITER, sessions: 0, versions: 0 }
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A message, to be named by what this gives back: one that waits for many clients is written once.
    pub fn message(&mut self, message: &PlainMessage) -> u64 {
        let number = self.next_number();
        let at = w::message(&mut self.records.bytes, &message.view(number));
        self.records.blobs.push(at as u32);
        number
    }

    /// A message is the retained one of its topic, and who answers for it, if that is known.
    pub fn retained(&mut self, message: u64, topic: &str, owner: Option<&Owner>) {
        self.versions += 1;
        let out = &mut self.records.bytes;
        out.push(Kind::Retained as u8);
        w::number(out, self.versions);
        w::number(out, message);
        w::number(out, 0);
        w::text(out, topic);
        w::owner(out, owner);
    }

    /// A session with all that it has.
    pub fn session(&mut self, session: &PlainSession) {
        let me = SessionRef { shard: ShardId(0), slot: self.sessions, generation: 0 };
        self.sessions += 1;
        let out = &mut self.records.bytes;
        w::kind(out, Kind::Session, me);
        write_head(out, session);
        let (ends_at, will_at) = session.disconnected.unwrap_or((Time::NEVER, Time::NEVER));
        out.push(u8::from(session.disconnected.is_some()));
        w::time(out, ends_at);
        w::time(out, will_at);
        w::packet_id(out, session.last_packet_id.unwrap_or(PacketId::LAST));
        w::varint(out, 0);
        for (filter, options, identifier) in &session.subscriptions {
            w::subscription(out, me, filter, *options, *identifier);
        }
        for (packet_id, message) in &session.unreleased {
            w::kind(out, Kind::Unreleased, me);
            w::packet_id(out, *packet_id);
            w::number(out, *message);
            w::number(out, 0);
        }
        for (packet_id, delivery) in &session.in_flight {
            let key = self.next_number();
            let out = &mut self.records.bytes;
            w::kind(out, Kind::InFlight, me);
            w::packet_id(out, *packet_id);
            out.push(u8::from(delivery.is_some()));
            if let Some(delivery) = delivery {
                write_delivery(out, key, delivery);
            }
        }
        for delivery in &session.queued {
            let key = self.next_number();
            let out = &mut self.records.bytes;
            w::kind(out, Kind::Waiting, me);
            write_delivery(out, key, delivery);
        }
    }

    /// Bytes of records that wait to be taken: a piece should stay below some MiB.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.bytes.len()
    }

    /// Is there nothing to be taken?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.bytes.is_empty()
    }

    /// The records so far, as one piece.
    pub fn take(&mut self) -> Records {
        core::mem::take(&mut self.records)
    }
}

fn write_head(out: &mut Vec<u8>, session: &PlainSession) {
    w::text(out, &session.client_id);
    out.extend_from_slice(&session.expiry_seconds.to_le_bytes());
    w::user(out, session.user_name.as_deref(), session.realm);
    out.push(w::head_flags(session.will.is_some(), session.expires_by_setting));
    if let Some(PlainWill { message, delay_seconds, expiry_seconds }) = &session.will {
        w::will(out, &message.view(0), *delay_seconds, *expiry_seconds);
    }
}

fn write_delivery(out: &mut Vec<u8>, key: u64, delivery: &PlainDelivery) {
    w::number(out, key);
    w::number(out, delivery.message);
    w::number(out, 0);
    w::varint(out, 0);
    w::delivery(out, delivery.qos, delivery.retain, delivery.group.map(GroupNumber), &delivery.identifiers);
}

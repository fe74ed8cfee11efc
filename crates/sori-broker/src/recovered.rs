//! From records back to sessions.

use crate::access::Identity;
use crate::clocks::{Clocks, Run, move_by};
use crate::delivery::{Copied, Extra};
use crate::ids::SessionRef;
use crate::memory::MemoryUse;
use crate::message::{Message, MessageRef, Owner};
use crate::record::Kind;
use crate::record::read::{Reader, RecordError, message_body, qos};
use crate::record::write::{HEAD_EXPIRES_BY_SETTING, HEAD_HAS_WILL, RETAIN};
use crate::recorder::{count_of, shard_of};
use crate::retained::RetainedMessage;
use crate::row::{Keyed, Row};
use crate::shared::GroupNumber;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::{HashMap, HashSet};
use sori_mqtt::{PacketId, QoS, RetainHandling, SubscribeOptions};

mod rewriting;

pub use rewriting::Rewriter;

/// What records add up to: give all pieces to [`Recovered::apply`], in their order, then call [`Recovered::finish`].
#[derive(Debug, Default)]
pub struct Recovered {
    sessions: HashMap<Arc<str>, RecoveredSession>,
    names: HashMap<SessionRef, Arc<str>>,
    /// What sessions are owed that are not known yet: they are written down later in the same checkpoint.
    early: HashMap<SessionRef, Vec<Owed>>,
    /// Where the messages of this replay stand.
    messages: HashMap<u64, (u64, u32)>,
    retained: HashMap<Box<str>, RecoveredRetained>,
    retained_messages: Vec<RetainedMessage>,
    retained_version: u64,
    counter: u64,
    clocks: Clocks,
    /// By how much the times of sessions, recorded in this run, are behind the wall clock.
    ahead: i64,
    /// What the wall clock said when that was last written down.
    clock_said: Time,
    lost: Vec<u64>,
}

#[derive(Debug, Default)]
struct RecoveredRetained {
    version: u64,
    /// Number and place; `None` when the topic has none any more.
    message: Option<(u64, u64)>,
    owner: Option<Arc<Owner>>,
}

/// One session.
#[derive(Debug, Default)]
pub struct RecoveredSession {
    pub(crate) expiry_seconds: u32,
    pub(crate) expires_by_setting: bool,
    pub(crate) user_name: Option<Box<str>>,
    pub(crate) realm: u32,
    pub(crate) will: Option<RecoveredWill>,
    /// When the session ends and when its will is due; `None` while it was connected.
    pub(crate) disconnected: Option<(Time, Time)>,
    pub(crate) subscriptions: BTreeMap<Box<str>, (SubscribeOptions, u32)>,
    /// What waited when the session was written down.
    written: Row<Owed>,
    /// What it is owed since.
    owed: Row<Owed>,
    /// What was in flight when the session was written down, in the order of sending; `None` when PUBREC has come.
    written_in_flight: Row<(PacketId, Option<Owed>)>,
    /// The same of what has been sent since.
    in_flight: Row<(PacketId, Option<Owed>)>,
    /// What was to be released when the session was written down.
    written_unreleased: Row<(PacketId, u64, u64)>,
    /// What has been received since.
    unreleased: Row<(PacketId, u64, u64)>,
    pub(crate) last_packet_id: Option<PacketId>,
    /// It had a connection when the broker ended.
    was_stopped: bool,
    /// It is being written down once more, which tells nothing new.
    is_written_again: bool,
}

/// A will as it is kept.
#[derive(Debug)]
pub(crate) struct RecoveredWill {
    pub(crate) body: Box<[u8]>,
    pub(crate) delay_seconds: u32,
    pub(crate) expiry_seconds: Option<u32>,
}

/// A message that a session is owed.
#[derive(Clone, Debug)]
pub(crate) struct Owed {
    pub(crate) key: u64,
    number: u64,
    pub(crate) place: u64,
    pub(crate) length: u32,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// The group it was chosen from.
    pub(crate) group: Option<GroupNumber>,
    /// A shard that is not the session's home has recorded it.
    is_from_elsewhere: bool,
    identifiers: Option<Box<[u32]>>,
}

impl Owed {
    pub(crate) fn extra(&self) -> Option<Box<Extra>> {
        Extra::new(self.identifiers(), self.group)
    }

    pub(crate) fn identifiers(&self) -> &[u32] {
        self.identifiers.as_deref().unwrap_or_default()
    }

    fn copied(&self) -> Copied<'_> {
        let Owed { key, qos, retain, group, .. } = *self;
        Copied { key, qos, retain, group, identifiers: self.identifiers() }
    }
}

impl Keyed for Owed {
    fn key(&self) -> u64 {
        self.key
    }
}

impl Keyed for (PacketId, Option<Owed>) {
    fn key(&self) -> u64 {
        number(self.0)
    }
}

impl Keyed for (PacketId, u64, u64) {
    fn key(&self) -> u64 {
        number(self.0)
    }
}

fn number(packet_id: PacketId) -> u64 {
    packet_id.value().into()
}

/// Reads a message from the store, by its place.
pub type ReadMessage<'a> = &'a mut dyn FnMut(u64) -> Option<Vec<u8>>;

impl Recovered {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Recovered {
        Recovered::default()
    }

    /// More records: whole pieces, which stand at `place` in the store.
    ///
    /// # Errors
    /// The bytes are not records, or those of a newer version.
    pub fn apply(&mut self, place: u64, bytes: &[u8]) -> Result<(), RecordError> {
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.kind()? {
                Kind::Run => {
                    self.settle_times();
                    self.clocks.begin_run(self.counter);
                    self.names.clear();
                    self.early.clear();
                }
                Kind::Message => self.apply_message(place, &mut reader)?,
                Kind::Published => self.apply_published(&mut reader)?,
                Kind::Retained => {
                    let (version, number, place) = (reader.number()?, reader.number()?, reader.number()?);
                    let topic = reader.text()?;
                    let owner = match reader.byte()? {
                        0 => None,
                        kind => Some(read_owner(&mut reader, kind == 2)?),
                    };
                    self.counter = self.counter.max(count_of(number));
                    self.note_retained(topic, version, Some((number, place)), owner);
                }
                Kind::RetainedGone => {
                    let (version, topic) = (reader.number()?, reader.text()?);
                    self.note_retained(topic, version, None, None);
                }
                Kind::Counters => {
                    self.counter = self.counter.max(reader.number()?);
                    self.retained_version = self.retained_version.max(reader.number()?);
                }
                Kind::Clock => self.apply_clock(&mut reader)?,
                kind => self.apply_to_session(kind, &mut reader)?,
            }
        }
        Ok(())
    }

    fn apply_clock(&mut self, reader: &mut Reader<'_>) -> Result<(), RecordError> {
        let (after, ahead, now) = (reader.number()?, reader.number()?.cast_signed(), reader.time()?);
        self.clocks.set(Run { after, ahead });
        let is_of_this_run = self.clocks.runs().last().is_some_and(|run| run.after == after);
        if is_of_this_run {
            self.ahead = ahead;
            self.clock_said = move_by(now, ahead);
        }
        Ok(())
    }

    /// A run is over: when its sessions end is told by the wall clock from now on.
    fn settle_times(&mut self) {
        let ahead = core::mem::take(&mut self.ahead);
        if ahead == 0 {
            return;
        }
        for session in self.sessions.values_mut() {
            session.disconnected = session.disconnected.map(|(a, b)| (move_by(a, ahead), move_by(b, ahead)));
        }
    }

    fn note_retained(&mut self, topic: &str, version: u64, message: Option<(u64, u64)>, owner: Option<Arc<Owner>>) {
        self.retained_version = self.retained_version.max(version);
        let entry = self.retained.entry(Box::from(topic)).or_default();
        if version >= entry.version {
            *entry = RecoveredRetained { version, message, owner };
        }
    }

    fn apply_message(&mut self, place: u64, reader: &mut Reader<'_>) -> Result<(), RecordError> {
        let (at, message) = reader.message()?;
        let number = message.recorded.number;
        self.counter = self.counter.max(count_of(number));
        self.messages.insert(number, (place + at as u64, message.payload.len() as u32));
        Ok(())
    }

    fn apply_published(&mut self, reader: &mut Reader<'_>) -> Result<(), RecordError> {
        let (key, number, place) = (reader.number()?, reader.number()?, reader.number()?);
        let length = reader.varint32()?;
        self.counter = self.counter.max(count_of(key)).max(count_of(number));
        let known = self.messages.get(&number).copied();
        let (place, length) = known.unwrap_or((place, length));
        let author = shard_of(key);
        loop {
            let shard = reader.varint()?;
            if shard == 0 {
                return Ok(());
            }
            let Some(shard) = u16::try_from(shard - 1).ok() else { return reader.wrong("a shard that cannot be") };
            let shard = crate::ids::ShardId(shard);
            let session = SessionRef { shard, slot: reader.varint32()?, generation: reader.varint32()? };
            let (flags, group) = reader.delivery()?;
            let identifiers = reader.identifiers()?;
            let owed = Owed {
                key,
                number,
                place,
                length,
                qos: qos(flags),
                retain: flags & RETAIN != 0,
                group,
                is_from_elsewhere: author != Some(shard),
                identifiers: (!identifiers.is_empty()).then(|| Box::from(identifiers)),
            };
            match self.session_mut(session) {
                Some(session) => session.owed.push(owed),
                None => self.early.entry(session).or_default().push(owed),
            }
        }
    }

    fn session_mut(&mut self, name: SessionRef) -> Option<&mut RecoveredSession> {
        self.sessions.get_mut(self.names.get(&name)?)
    }

    fn apply_to_session(&mut self, kind: Kind, reader: &mut Reader<'_>) -> Result<(), RecordError> {
        let name = reader.session()?;
        match kind {
            Kind::Connected => {
                let is_new = reader.byte()? != 0;
                let (client_id, head) = read_head(reader)?;
                if is_new {
                    let owed = self.early.remove(&name).into_iter().flatten().collect();
                    self.names.insert(name, Arc::clone(&client_id));
                    self.sessions.insert(client_id, RecoveredSession { owed, ..RecoveredSession::default() });
                }
                if let Some(session) = self.session_mut(name) {
                    session.take_head(head);
                    session.disconnected = None;
                }
            }
            Kind::Named => {
                let client_id: Arc<str> = Arc::from(reader.text()?);
                self.names.insert(name, client_id);
            }
            Kind::Ended => {
                if let Some(client_id) = self.names.remove(&name) {
                    self.sessions.remove(&client_id);
                }
            }
            Kind::Session => self.apply_whole(name, reader)?,
            kind => {
                // A session that is not known is written down later, or has ended.
                let mut unknown = RecoveredSession::default();
                let messages = core::mem::take(&mut self.messages);
                let session = self.session_mut(name).unwrap_or(&mut unknown);
                let applied = session.apply(kind, reader, &messages);
                self.messages = messages;
                self.counter = self.counter.max(applied?);
            }
        }
        Ok(())
    }

    /// A session is written down. If it is known, that goes on: this checkpoint may not have come to its end. If not, its
    /// records are read from here on; what other shards have recorded for it and it has not seen yet comes after what is
    /// written down now.
    fn apply_whole(&mut self, name: SessionRef, reader: &mut Reader<'_>) -> Result<(), RecordError> {
        let (client_id, head) = read_head(reader)?;
        let is_disconnected = reader.byte()? != 0;
        let (ends_at, will_at) = (reader.time()?, reader.time()?);
        let last_packet_id = Some(reader.packet_id()?);
        let mut seen = Vec::new();
        for _ in 0..reader.length()? {
            seen.push(reader.number()?);
        }
        let is_unseen = |owed: &Owed| {
            let last = shard_of(owed.key).and_then(|shard| seen.get(usize::from(shard.0)));
            owed.is_from_elsewhere && last.is_none_or(|last| owed.key > *last)
        };
        let early = self.early.remove(&name).into_iter().flatten();
        let owed = early.filter(is_unseen).collect();
        if let Some(session) = self.session_mut(name) {
            session.is_written_again = true;
            return Ok(());
        }
        self.names.insert(name, Arc::clone(&client_id));
        let mut session = RecoveredSession {
            disconnected: is_disconnected.then_some((ends_at, will_at)),
            owed,
            last_packet_id,
            ..RecoveredSession::default()
        };
        session.take_head(head);
        self.sessions.insert(client_id, session);
        Ok(())
    }

    /// All records have been given: where each message stands is known. `read` reads those that are needed now; one
    /// that it cannot read is lost, and [`Recovered::lost`] says how many those are.
    pub fn finish(&mut self, memory: &MemoryUse, read: ReadMessage<'_>) {
        self.settle_times();
        self.clocks.begin_run(self.counter);
        let messages = core::mem::take(&mut self.messages);
        for (_, RecoveredRetained { version, message, owner }) in core::mem::take(&mut self.retained) {
            let Some((number, place)) = message else { continue };
            let place = messages.get(&number).map_or(place, |(place, _)| *place);
            let loaded = read(place).and_then(|bytes| load(&bytes, place, SessionRef::NOBODY, memory, &self.clocks));
            match loaded {
                Some(message) => self.retained_messages.push(RetainedMessage { message, version, owner }),
                None => self.lost.push(place),
            }
        }
        self.retained_messages.sort_by_key(|retained| retained.version);
        self.settle(&messages);
        self.early.clear();
        self.names.clear();
    }

    /// Each message that a session has is known by where it stands.
    fn settle(&mut self, messages: &HashMap<u64, (u64, u32)>) {
        for session in self.sessions.values_mut() {
            let owed = session.written.iter_mut().chain(session.owed.iter_mut());
            let in_flight = session.written_in_flight.iter_mut().chain(session.in_flight.iter_mut());
            for owed in owed.chain(in_flight.filter_map(|(_, owed)| owed.as_mut())) {
                owed.settle(messages);
            }
            for (_, number, place) in session.written_unreleased.iter_mut().chain(session.unreleased.iter_mut()) {
                *place = messages.get(number).map_or(*place, |(place, _)| *place);
            }
        }
    }

    /// Places of messages that could not be read.
    #[must_use]
    pub fn lost(&self) -> &[u64] {
        &self.lost
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &RecoveredSession)> {
        self.sessions.iter()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The sessions that there are, in no order.
    pub fn take_sessions(&mut self) -> impl Iterator<Item = (Arc<str>, RecoveredSession)> + use<> {
        core::mem::take(&mut self.sessions).into_iter()
    }

    /// The version of the last change of a retained message; what comes after the restart goes on from there, so that
    /// the records of both tell which is newer.
    #[must_use]
    pub fn retained_version(&self) -> u64 {
        self.retained_version
    }

    /// Bytes of the messages in these records that somebody is owed still, has to release, or that are retained. To be asked before
    /// [`Recovered::finish`].
    #[must_use]
    pub fn message_bytes(&self) -> u64 {
        let (mut numbers, mut places) = (HashSet::new(), HashSet::new());
        let mut note = |number: u64, place: u64| match number {
            // It is known by its place only.
            0 => places.insert(place),
            number => numbers.insert(number),
        };
        for session in self.sessions.values() {
            let in_flight = session.in_flight().filter_map(|(_, owed)| owed.as_ref());
            for owed in session.written.iter().chain(session.owed.iter()).chain(in_flight) {
                note(owed.number, owed.place);
            }
            session.all_unreleased().for_each(|(_, number, place)| _ = note(*number, *place));
        }
        self.retained
            .values()
            .filter_map(|retained| retained.message)
            .for_each(|(number, place)| _ = note(number, place));
        let is_needed =
            |(number, (place, _)): &(&u64, &(u64, u32))| numbers.contains(*number) || places.contains(place);
        self.messages.iter().filter(is_needed).map(|(_, (_, length))| u64::from(*length)).sum()
    }

    /// The count that the last message or publication had; see [`Shard::begin_run`](crate::Shard::begin_run).
    #[must_use]
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// For [`Shard::keep_time`](crate::Shard::keep_time), after [`Recovered::finish`].
    #[must_use]
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// It cannot be earlier than this: the wall clock has said so. Nothing is known of a clock that was always right.
    #[must_use]
    pub fn clock_said(&self) -> Time {
        self.clock_said
    }

    /// The retained messages that there are, in the order in which they were stored.
    #[must_use]
    pub fn take_retained(&mut self) -> Vec<RetainedMessage> {
        core::mem::take(&mut self.retained_messages)
    }
}

impl Owed {
    fn settle(&mut self, messages: &HashMap<u64, (u64, u32)>) {
        if let Some((place, length)) = messages.get(&self.number) {
            (self.place, self.length) = (*place, *length);
        }
    }

    /// The higher count of its two numbers.
    fn count(&self) -> u64 {
        count_of(self.key).max(count_of(self.number))
    }

    fn read(reader: &mut Reader<'_>, key: u64) -> Result<Owed, RecordError> {
        let (number, place) = (reader.number()?, reader.number()?);
        let length = reader.varint32()?;
        let (flags, group) = reader.delivery()?;
        let identifiers = reader.identifiers()?;
        Ok(Owed {
            key,
            number,
            place,
            length,
            qos: qos(flags),
            retain: flags & RETAIN != 0,
            group,
            is_from_elsewhere: false,
            identifiers: (!identifiers.is_empty()).then(|| Box::from(identifiers)),
        })
    }
}

fn read_owner(reader: &mut Reader<'_>, is_internal: bool) -> Result<Arc<Owner>, RecordError> {
    let client_id = Arc::from(reader.text()?);
    let (user_name, realm) = reader.user()?;
    let identity = Identity { user_name, is_internal, realm, credential: 0 };
    Ok(Arc::new(Owner { identity: Arc::new(identity), client_id }))
}

/// What a session is beside what waits for it.
struct Head {
    expiry_seconds: u32,
    expires_by_setting: bool,
    user: (Option<Box<str>>, u32),
    will: Option<RecoveredWill>,
}

fn read_head(reader: &mut Reader<'_>) -> Result<(Arc<str>, Head), RecordError> {
    let client_id = Arc::from(reader.text()?);
    let expiry = reader.take(4)?;
    let expiry_seconds = u32::from_le_bytes([expiry[0], expiry[1], expiry[2], expiry[3]]);
    let user = reader.user()?;
    let flags = reader.byte()?;
    if flags & !(HEAD_HAS_WILL | HEAD_EXPIRES_BY_SETTING) != 0 {
        return reader.newer("unknown flags of a session");
    }
    let will = if flags & HEAD_HAS_WILL == 0 { None } else { Some(read_will(reader)?) };
    let expires_by_setting = flags & HEAD_EXPIRES_BY_SETTING != 0;
    Ok((client_id, Head { expiry_seconds, expires_by_setting, user, will }))
}

fn read_will(reader: &mut Reader<'_>) -> Result<RecoveredWill, RecordError> {
    let delay = reader.take(4)?;
    let delay_seconds = u32::from_le_bytes([delay[0], delay[1], delay[2], delay[3]]);
    let expiry_seconds = u32::try_from(reader.number()?).ok();
    let length = reader.length()?;
    let body = reader.take(length)?;
    message_body(body)?;
    Ok(RecoveredWill { body: Box::from(body), delay_seconds, expiry_seconds })
}

/// A message from its bytes, with its name and its times in the new run.
pub(crate) fn load(
    bytes: &[u8],
    place: u64,
    publisher: SessionRef,
    memory: &MemoryUse,
    clocks: &Clocks,
) -> Option<Message> {
    let message = message_body(bytes).ok()?;
    let expires = clocks.moved(message.recorded.number, message.expires);
    let message = MessageRef { publisher, expires, ..message }.to_shared(memory);
    message.set_place(place);
    Some(message)
}

impl RecoveredSession {
    fn take_head(&mut self, head: Head) {
        let Head { expiry_seconds, expires_by_setting, user, will } = head;
        (self.expiry_seconds, self.expires_by_setting) = (expiry_seconds, expires_by_setting);
        (self.user_name, self.realm) = user;
        self.will = will;
    }

    /// Gives the highest count of the numbers that are used in the record, or 0.
    fn apply(
        &mut self,
        kind: Kind,
        reader: &mut Reader<'_>,
        messages: &HashMap<u64, (u64, u32)>,
    ) -> Result<u64, RecordError> {
        match kind {
            Kind::Disconnected | Kind::Stopped => {
                self.disconnected = Some((reader.time()?, reader.time()?));
                self.was_stopped = kind == Kind::Stopped;
            }
            Kind::WillGone => self.will = None,
            Kind::Subscribed => self.apply_subscribed(reader)?,
            Kind::Unsubscribed => {
                self.subscriptions.remove(reader.text()?);
            }
            Kind::Queued | Kind::Waiting => {
                let key = reader.number()?;
                let mut owed = Owed::read(reader, key)?;
                let count = owed.count();
                owed.settle(messages);
                match kind {
                    Kind::Waiting if self.is_written_again => {}
                    Kind::Waiting => self.written.push(owed),
                    _ => self.owed.push(owed),
                }
                return Ok(count);
            }
            Kind::Sent => {
                let owed = self.take_owed(reader)?;
                let packet_id = reader.packet_id()?;
                if let Some(owed) = owed {
                    self.last_packet_id = Some(packet_id);
                    // Of a session that lasts no longer nothing else is recorded: what went by this identifier is finished.
                    self.forget_in_flight(packet_id);
                    self.in_flight.push((packet_id, Some(owed)));
                }
            }
            Kind::Dropped => {
                self.take_owed(reader)?;
            }
            Kind::Released => {
                let packet_id = reader.packet_id()?;
                for in_flight in [&mut self.written_in_flight, &mut self.in_flight] {
                    if let Some((_, owed)) = in_flight.find_mut(number(packet_id), |_| true) {
                        *owed = None;
                    }
                }
            }
            Kind::Finished => {
                let packet_id = reader.packet_id()?;
                self.forget_in_flight(packet_id);
            }
            Kind::InFlight => {
                let packet_id = reader.packet_id()?;
                let owed = if reader.byte()? == 0 {
                    None
                } else {
                    let key = reader.number()?;
                    Some(Owed::read(reader, key)?)
                };
                let count = owed.as_ref().map_or(0, Owed::count);
                // The identifier may have been used again before it is written down: then the session has it from Sent.
                let is_known = self.in_flight.find_mut(number(packet_id), |_| true).is_some();
                if !self.is_written_again && !is_known {
                    self.written_in_flight.push((packet_id, owed));
                }
                return Ok(count);
            }
            Kind::Received => {
                let received = (reader.packet_id()?, reader.number()?, reader.number()?);
                let key = number(received.0);
                let written = self.written_unreleased.find_mut(key, |_| true);
                match written.or_else(|| self.unreleased.find_mut(key, |_| true)) {
                    Some(old) => *old = received,
                    None => self.unreleased.push(received),
                }
                return Ok(count_of(received.1));
            }
            Kind::Unreleased => {
                let received = (reader.packet_id()?, reader.number()?, reader.number()?);
                if !self.is_written_again {
                    // It may have taken the place of another one before it is written down.
                    self.unreleased.take(number(received.0), |_| true);
                    self.written_unreleased.push(received);
                }
                return Ok(count_of(received.1));
            }
            Kind::Forwarded => {
                let packet_id = reader.packet_id()?;
                for unreleased in [&mut self.written_unreleased, &mut self.unreleased] {
                    while unreleased.take(number(packet_id), |_| true).is_some() {}
                }
            }
            _ => return reader.wrong("a record that belongs to no session"),
        }
        Ok(0)
    }

    fn apply_subscribed(&mut self, reader: &mut Reader<'_>) -> Result<(), RecordError> {
        let (filter, flags, identifier) = (reader.text()?, reader.byte()?, reader.varint32()?);
        let options = SubscribeOptions {
            qos: qos(flags),
            no_local: flags & 0b100 != 0,
            retain_as_published: flags & 0b1000 != 0,
            retain_handling: RetainHandling::SendAlways,
        };
        self.subscriptions.insert(Box::from(filter), (options, identifier));
        Ok(())
    }

    /// The delivery that a record names.
    fn take_owed(&mut self, reader: &mut Reader<'_>) -> Result<Option<Owed>, RecordError> {
        let (key, (flags, group), identifiers) = (reader.number()?, reader.delivery()?, reader.identifiers()?);
        let (qos, retain) = (qos(flags), flags & RETAIN != 0);
        let copied = Copied { key, qos, retain, group, identifiers: &identifiers };
        let is_it = |owed: &Owed| owed.copied() == copied;
        Ok(self.written.take(key, is_it).or_else(|| self.owed.take(key, is_it)))
    }

    fn forget_in_flight(&mut self, packet_id: PacketId) {
        for in_flight in [&mut self.written_in_flight, &mut self.in_flight] {
            while in_flight.take(number(packet_id), |_| true).is_some() {}
        }
    }

    /// What waits for the client, oldest first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Owed> {
        self.written.iter().chain(self.owed.iter())
    }

    /// The same, taken out.
    pub(crate) fn take_waiting(&mut self) -> impl Iterator<Item = Owed> + use<> {
        core::mem::take(&mut self.written).into_iter().chain(core::mem::take(&mut self.owed))
    }

    /// The packet identifier after which the next run goes on; `None`: with the first.
    ///
    /// With nothing in flight every identifier is free again [MQTT-2.2.1-4] [MQTT311-2.3.1-4], and they begin anew. Only
    /// a session that had a connection until the broker ended keeps away from those that its client has just seen.
    pub(crate) fn goes_on_after(&self) -> Option<PacketId> {
        let was_connected = self.disconnected.is_none() || self.was_stopped;
        self.last_packet_id.filter(|_| was_connected || self.in_flight().next().is_some())
    }

    /// QoS 2 messages that wait for their release: packet identifier and place.
    pub(crate) fn unreleased(&self) -> impl Iterator<Item = (PacketId, u64)> + '_ {
        self.all_unreleased().map(|(packet_id, _, place)| (*packet_id, *place))
    }

    fn all_unreleased(&self) -> impl Iterator<Item = &(PacketId, u64, u64)> {
        self.written_unreleased.iter().chain(self.unreleased.iter())
    }

    /// What is in flight, in the order of sending; without a message when PUBREC has come.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &(PacketId, Option<Owed>)> {
        self.written_in_flight.iter().chain(self.in_flight.iter())
    }
}

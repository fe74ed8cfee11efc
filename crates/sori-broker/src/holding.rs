//! What must not leave before its record is durable is held back here, in order, without holding up anything else.
//!
//! Acknowledgements of a connection leave in their order, so one that needs no record still waits behind one that does.
//! A PUBLISH does not overtake a PUBLISH that is held back, nor the SUBACK that it may be a consequence of, and nothing
//! overtakes a CONNACK.

use crate::connection::{Connection, Outbox};
use crate::ending::Ending;
use crate::event::{Cause, Effect, Event};
use crate::ids::ConnectionId;
use crate::recorder::Mark;
use crate::sending::seconds_left;
use crate::session::SessionKey;
use crate::shard::Shard;
use crate::space::StoreState;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{
    Ack, ConnAck, Direction, Packet, PacketType, Properties, Property, PropertyBuffer, Publish, ReasonCode, Split,
    Version, decode, split,
};

/// Packets of a connection that wait for their records.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    released: usize,
    packets: u32,
    /// PUBLISH packets among them.
    publishes: u32,
    /// SUBACK packets among them.
    subacks: u32,
    /// PUBACK packets among them: what they answer is still in flight.
    pubacks: u32,
    has_connack: bool,
}

/// What waits for a piece of records.
#[derive(Debug)]
struct Hold {
    /// The piece.
    number: u64,
    connection: ConnectionId,
    what: What,
    /// It waits for nothing but its turn: it came behind what does.
    follows: bool,
}

#[derive(Copy, Clone, Debug)]
enum What {
    /// As many bytes of a packet of this type.
    Packet(PacketType, u32),
    /// As many bytes of a PUBLISH whose message expires, at the next of the times in `expiring`.
    Expiring(u32),
    /// The connection is to be closed.
    Close,
}

/// Buffers that are kept for the next connection that has to wait.
const SPARE_MAX: usize = 64;
const SPARE_BYTES_MAX: usize = 16 * 1024;

/// All that waits in a shard, in the order of the pieces.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    waiting: VecDeque<Hold>,
    /// When the messages expire that wait and do so.
    expiring: VecDeque<Time>,
    /// Boxed, because a connection has the box.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Held>>,
    /// Clients whose session ended with a piece, until that is durable.
    ends: VecDeque<(u64, Arc<str>)>,
    /// The store has failed: what waits will never leave.
    is_void: bool,
}

impl Holds {
    /// Send what `write` encodes, one packet, once piece `number` is durable; if that is 0, behind what waits already.
    pub(crate) fn hold(&mut self, c: &mut Connection, number: u64, kind: PacketType, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_void {
            return;
        }
        let length = self.add(c, kind, write);
        self.push(number, c.id, What::Packet(kind, length));
    }

    /// The same for a PUBLISH of a message that `expires`.
    pub(crate) fn hold_expiring(
        &mut self,
        c: &mut Connection,
        number: u64,
        expires: Time,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.is_void {
            return;
        }
        let length = self.add(c, PacketType::Publish, write);
        self.expiring.push_back(expires);
        self.push(number, c.id, What::Expiring(length));
    }

    fn add(&mut self, c: &mut Connection, kind: PacketType, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        let mut held = c.held.take().or_else(|| self.spare.pop()).unwrap_or_default();
        let before = held.bytes.len();
        write(&mut held.bytes);
        held.count(kind, 1);
        let length = (held.bytes.len() - before) as u32;
        c.held = Some(held);
        length
    }

    /// Will what is held back now never leave?
    pub(crate) fn is_void(&self) -> bool {
        self.is_void
    }

    /// A client's session ends with this piece.
    pub(crate) fn note_end(&mut self, number: u64, client_id: Arc<str>) {
        self.ends.push_back((number, client_id));
    }

    fn push(&mut self, number: u64, connection: ConnectionId, what: What) {
        // What joins those that wait already waits at least as long.
        let follows = number == 0;
        let number = self.waiting.back().map_or(number, |last| last.number.max(number));
        self.waiting.push_back(Hold { number, connection, what, follows });
    }

    fn keep_spare(&mut self, mut held: Box<Held>) {
        if self.spare.len() < SPARE_MAX && held.bytes.capacity() <= SPARE_BYTES_MAX {
            held.bytes.clear();
            held.released = 0;
            self.spare.push(held);
        }
    }

    /// Move a packet that is durable to the output.
    fn release(&mut self, outbox: &mut Outbox, c: &mut Connection, kind: PacketType, length: u32) {
        self.take_out(c, kind, length, |c, packet| outbox.buffer(c).extend_from_slice(packet));
    }

    /// Do something with a packet that is no longer held.
    fn take_out<T>(
        &mut self,
        c: &mut Connection,
        kind: PacketType,
        length: u32,
        then: impl FnOnce(&mut Connection, &[u8]) -> T,
    ) -> Option<T> {
        let mut held = c.held.take()?;
        let packet = held.take(kind, length);
        let result = then(c, &held.bytes[packet]);
        if held.packets > 0 {
            c.held = Some(held);
        } else {
            self.keep_spare(held);
        }
        Some(result)
    }
}

impl Held {
    fn count(&mut self, kind: PacketType, by: i32) {
        let add = |counter: &mut u32, does: bool| *counter = counter.wrapping_add_signed(if does { by } else { 0 });
        add(&mut self.packets, true);
        add(&mut self.publishes, kind == PacketType::Publish);
        add(&mut self.subacks, kind == PacketType::SubAck);
        add(&mut self.pubacks, kind == PacketType::PubAck);
        if kind == PacketType::ConnAck {
            self.has_connack = by > 0;
        }
    }

    /// The first packet is no longer held: gives where it stands.
    fn take(&mut self, kind: PacketType, length: u32) -> core::ops::Range<usize> {
        let begin = self.released;
        self.released += length as usize;
        self.count(kind, -1);
        begin..self.released
    }
}

impl Connection {
    /// Bytes that the client has still to take, held back or not.
    #[inline]
    pub(crate) fn owed(&self) -> usize {
        self.output.len() + self.held.as_ref().map_or(0, |held| held.bytes.len() - held.released)
    }

    /// Does an acknowledgement have to wait behind others?
    #[inline]
    pub(crate) fn holds_answers(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.packets > held.publishes)
    }

    /// Does a PUBLISH have to wait behind others?
    #[inline]
    pub(crate) fn holds_publishes(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.publishes > 0 || held.subacks > 0 || held.has_connack)
    }

    #[inline]
    pub(crate) fn holds_connack(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.has_connack)
    }

    /// PUBLISH packets of the client whose PUBACK is held back.
    #[inline]
    pub(crate) fn held_pubacks(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.pubacks as usize)
    }
}

impl Shard {
    /// Answer a packet: at once, or when everything that was recorded since `mark` is durable.
    #[inline]
    pub(crate) fn send_after(
        &mut self,
        id: ConnectionId,
        mark: Mark,
        kind: PacketType,
        write: impl FnOnce(Version, &mut Vec<u8>),
    ) {
        let has_recorded = self.recorder.mark() != mark;
        let number = if has_recorded { Some(self.recorder.wait()) } else { None };
        self.send_when(id, number, kind, write);
    }

    /// The same for what is said of a session whose earlier records may not be durable yet.
    pub(crate) fn send_after_all(
        &mut self,
        id: ConnectionId,
        key: SessionKey,
        kind: PacketType,
        write: impl FnOnce(Version, &mut Vec<u8>),
    ) {
        let waits = self.recorder.is_on()
            && !self.recorder.is_settled()
            && self.sessions.get(key.slot, key.generation).is_some_and(|session| session.is_recorded);
        let number = if waits { Some(self.recorder.wait()) } else { None };
        self.send_when(id, number, kind, write);
    }

    /// Answer when this piece is durable.
    #[inline]
    pub(crate) fn send_when(
        &mut self,
        id: ConnectionId,
        number: Option<u64>,
        kind: PacketType,
        write: impl FnOnce(Version, &mut Vec<u8>),
    ) {
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        let number = number.or_else(|| c.holds_answers().then_some(0));
        let Some(number) = number else { return self.send(id, write) };
        let version = c.version;
        self.holds.hold(c, number, kind, |out| write(version, out));
        self.totals.packets_sent += 1;
    }

    /// The connection is closed once what has been recorded is durable.
    pub(crate) fn close_after(&mut self, id: ConnectionId, mark: Mark) {
        if self.recorder.mark() == mark {
            return;
        }
        let number = self.recorder.wait();
        let is_this = |effect: &Effect| matches!(effect, Effect::Close(closed) if *closed == id);
        if let Some(at) = self.effects.iter().rposition(is_this) {
            self.effects.remove(at);
            self.holds.push(number, id, What::Close);
        }
    }

    /// Everything up to this piece of records is durable: what waited for it leaves.
    pub(crate) fn release_held(&mut self, upto: u64) {
        while self.holds.ends.front().is_some_and(|(number, _)| *number <= upto) {
            let Some((_, client_id)) = self.holds.ends.pop_front() else { break };
            self.space.registry(&mut |registry| registry.settle_end(&client_id));
        }
        while self.holds.waiting.front().is_some_and(|hold| hold.number <= upto) {
            let Some(hold) = self.holds.waiting.pop_front() else { break };
            let ConnectionId { slot, generation } = hold.connection;
            let expires = if matches!(hold.what, What::Expiring(_)) { self.holds.expiring.pop_front() } else { None };
            let Some(c) = self.connections.get_mut(slot, generation) else { continue };
            match hold.what {
                What::Close => self.effects.push_back(Effect::Close(hold.connection)),
                What::Packet(kind, length) => self.holds.release(&mut self.outbox, c, kind, length),
                What::Expiring(length) => {
                    self.release_publish(hold.connection, length, expires.unwrap_or(Time::NEVER));
                }
            }
        }
    }

    /// A PUBLISH that has waited says how much of its time is left now, and does not set out when none is, unless the client may
    /// have it already. A store without room may hold it back for long. [MQTT-3.3.2-5] [MQTT-3.3.2-6] [MQTT-4.3.3-7]
    fn release_publish(&mut self, id: ConnectionId, length: u32, expires: Time) {
        let (now, outbox) = (self.now, &mut self.outbox);
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        let key = c.session;
        // What set the alias may never leave.
        let aliases = c.aliases_out.take();
        let topics = aliases.as_ref().filter(|_| self.holds.is_void);
        let expired = self.holds.take_out(c, PacketType::Publish, length, |c, packet| {
            let mut publish = published(packet, c.version)?;
            if expires <= now && !publish.dup {
                return Some((publish.packet_id, publish.qos, publish.payload.len()));
            }
            let mut properties = PropertyBuffer::new();
            for property in publish.properties.iter() {
                let property = match (property, topics) {
                    (Property::TopicAlias(alias), Some(topics)) => {
                        publish.topic = topics.topic(alias)?;
                        continue;
                    }
                    (Property::MessageExpiryInterval(_), _) => {
                        Property::MessageExpiryInterval(seconds_left(expires, now))
                    }
                    (other, _) => other,
                };
                properties.push(property);
            }
            let publish = Publish { properties: properties.as_properties(), ..publish };
            publish.encode(c.version, outbox.buffer(c));
            None
        });
        c.aliases_out = aliases;
        let Some(Some((packet_id, qos, length))) = expired else { return };
        self.totals.packets_sent -= 1;
        self.totals.publish_sent -= 1;
        self.totals.publish_bytes_sent -= length as u64;
        self.totals.dropped_expired += 1;
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        session.dropped += 1;
        if let Some(packet_id) = packet_id {
            session.give_up(packet_id, qos);
            self.recorder.note_finished(me, session, packet_id);
            self.pump(key);
        }
    }

    /// The store changes its state. One that has failed will never make anything durable: what waits is refused.
    pub(crate) fn take_store_state(&mut self, state: StoreState) {
        if self.store == StoreState::Failed {
            return;
        }
        self.store = state;
        match state {
            StoreState::Ok | StoreState::Full => {}
            StoreState::Stuck => self.end_recorded(),
            StoreState::Failed => {
                self.holds.is_void = true;
                self.recorder.give_up();
                self.void_held();
            }
        }
    }

    /// What waits will never leave; what only stood behind it leaves, and keeps its place before what comes later. [MQTT-4.6.0-6]
    fn void_held(&mut self) {
        let waiting = core::mem::take(&mut self.holds.waiting);
        for hold in &waiting {
            let is_expiring = matches!(hold.what, What::Expiring(_));
            let expires = if is_expiring { self.holds.expiring.pop_front() } else { None };
            match hold.what {
                What::Expiring(length) | What::Packet(PacketType::Publish, length) if hold.follows => {
                    self.release_publish(hold.connection, length, expires.unwrap_or(Time::NEVER));
                }
                _ => self.refuse_held(hold),
            }
        }
        // What a client has not been sent it does not know.
        for hold in &waiting {
            if let Some(c) = self.connection(hold.connection) {
                c.aliases_out = None;
            }
        }
    }

    /// [MQTT-4.13.1-1] leaves open what to do about a failure of the server: MQTT 5 has reason codes, MQTT 3 gets no
    /// acknowledgement.
    fn refuse_held(&mut self, hold: &Hold) {
        let id = hold.connection;
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        let (kind, length) = match hold.what {
            What::Packet(kind, length) => (kind, length),
            What::Expiring(length) => (PacketType::Publish, length),
            What::Close => return self.effects.push_back(Effect::Close(id)),
        };
        let (version, key) = (c.version, c.session);
        let Some(held) = c.held.as_mut() else { return };
        let packet = held.take(kind, length);
        let packet = Vec::from(&held.bytes[packet]);
        if held.packets == 0 {
            c.held = None;
        }
        match kind {
            PacketType::PubAck | PacketType::PubRec => {
                let Some(packet_id) = acknowledged(&packet, version) else { return };
                // What the disk has of a message of QoS 2 nobody knows. A refusal would free its identifier for another message,
                // which a broker that finds this one after a restart would take for its repetition, and lose. [MQTT-4.3.3-10]
                let is_kept = self.session(key).is_some_and(|session| session.unreleased.get(packet_id).is_some());
                if kind == PacketType::PubRec && is_kept {
                    return self.end_for(id, Ending::NoRoom("the store has failed"));
                }
                if version == Version::V5 {
                    let reason_code = ReasonCode::QuotaExceeded;
                    let ack = Ack { packet_id, reason_code, properties: Properties::EMPTY };
                    self.send(id, |version, out| ack.encode(kind, version, out));
                }
            }
            PacketType::ConnAck => self.refuse_after_all(id, key),
            PacketType::SubAck | PacketType::UnsubAck => {
                self.end_for(id, Ending::NoRoom("the store has failed"));
            }
            _ => {}
        }
    }

    /// The client was about to be let in: it is told that it is not, and nothing comes of its will.
    fn refuse_after_all(&mut self, id: ConnectionId, key: SessionKey) {
        let text = "the store has failed";
        self.discard_will(key);
        let Some(c) = self.connection(id) else { return };
        c.held = None;
        let is_v5 = c.version == Version::V5;
        let reason_code = if is_v5 { ReasonCode::QuotaExceeded } else { ReasonCode::ServerUnavailable };
        let connack = ConnAck { session_present: false, reason_code, properties: Properties::EMPTY };
        self.send(id, |version, out| connack.encode(version, out));
        self.end_connection(id, None, Cause::Protocol(reason_code, Box::from(text)));
    }

    /// Is nothing taken over now that must be kept?
    #[inline]
    pub(crate) fn refuses_to_keep(&self) -> bool {
        self.store != StoreState::Ok && self.settings.keeps_records
    }

    /// The store has failed, and nobody knows what it has of this session: nothing can be confirmed that it may not have.
    pub(crate) fn is_forgetful(&self, key: SessionKey) -> bool {
        self.holds.is_void
            && !self.recorder.is_settled()
            && self.sessions.get(key.slot, key.generation).is_some_and(|session| session.is_recorded)
    }

    pub(crate) fn note_refused_by_store(&mut self, key: SessionKey, text: &'static str) {
        self.totals.refused_by_store += 1;
        let Some(session) = self.session(key) else { return };
        let client_id = Arc::clone(&session.client_id);
        if !core::mem::replace(&mut session.is_refused_by_store, true) {
            self.event(Event::Dropping { client_id, text: Some(text) });
        }
    }
}

fn published(packet: &[u8], version: Version) -> Option<Publish<'_>> {
    let Ok(Split::Frame(frame)) = split(packet, usize::MAX) else { return None };
    match decode(frame, version, Direction::ToClient) {
        Ok(Packet::Publish(publish)) => Some(publish),
        _ => None,
    }
}

fn acknowledged(packet: &[u8], version: Version) -> Option<sori_mqtt::PacketId> {
    let Ok(Split::Frame(frame)) = split(packet, usize::MAX) else { return None };
    match decode(frame, version, Direction::ToClient) {
        Ok(Packet::PubAck(ack) | Packet::PubRec(ack)) => Some(ack.packet_id),
        _ => None,
    }
}

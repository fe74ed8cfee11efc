//! From a session to its connection: what may leave now leaves, the rest waits in a bounded queue.
//! MQTT 5.0 sections 3.3.4, 4.3 and 4.9.

use crate::access::{Access, Action, Identity};
use crate::aliases::Alias;
use crate::connection::{Connection, Outbox};
use crate::delivery::{Copied, Delivery, Extra, Kept, Order};
use crate::ending::Ending;
use crate::event::Event;
use crate::holding::Holds;
use crate::ids::{ConnectionId, SessionRef};
use crate::message::{Message, MessageRef};
use crate::queue::Gone;
use crate::recorder::Recorder;
use crate::session::{Session, SessionKey};
use crate::settings::{QueueFull, Settings};
use crate::shard::{OUTPUT_MAX, Shard};
use crate::shared::GroupNumber;
use crate::time::Time;
use crate::totals::Totals;
use crate::waiting::Waiting;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{PacketId, PacketType, Properties, Property, PropertyBuffer, Publish, QoS, Version};

/// Queued messages are moved to the output up to this many bytes at a time.
const PUMP_OUTPUT_MAX: usize = 256 * 1024;

/// A payload of so many bytes is written from where it is kept, if it is.
pub(crate) const SHARED_BYTES_MIN: usize = 8 * 1024;

/// Messages of a session that lie in the store are fetched when fewer than this are left before them.
const FETCH_LOW: usize = 32;

/// What of a shard it takes to write a PUBLISH, while its sessions and connections are in use.
macro_rules! writer {
    ($shard:ident) => {
        Writer {
            outbox: &mut $shard.outbox,
            holds: &mut $shard.holds,
            scratch: &mut $shard.scratch,
            totals: &mut $shard.totals,
            now: $shard.now,
        }
    };
}

/// On which terms a session gets a message.
#[derive(Copy, Clone)]
pub(crate) struct Terms<'a> {
    pub(crate) granted: QoS,
    pub(crate) retain: bool,
    pub(crate) identifiers: &'a [u32],
    pub(crate) group: Option<GroupNumber>,
    /// Another member of the group may have it, if this session cannot take it.
    pub(crate) may_pass: bool,
    /// The publication's record names this session.
    pub(crate) is_recorded: bool,
}

impl<'a> Terms<'a> {
    #[inline]
    fn form(&self, qos: QoS, packet_id: Option<PacketId>) -> Form<'a> {
        Form { dup: false, qos, retain: self.retain, packet_id, identifiers: self.identifiers }
    }

    /// What comes of a message that the session may not receive.
    fn refused(&self) -> Outcome {
        if self.may_pass { Outcome::Passed } else { Outcome::Dropped }
    }
}

#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Outcome {
    Sent,
    Queued,
    Dropped,
    /// The session cannot take it, and somebody else may.
    Passed,
    /// There is no such session any more.
    Gone,
}

impl Outcome {
    /// Has the session got it, now or in its queue?
    pub(crate) fn is_taken(self) -> bool {
        matches!(self, Outcome::Sent | Outcome::Queued)
    }
}

/// The flags of one PUBLISH to a client.
#[derive(Copy, Clone)]
struct Form<'a> {
    dup: bool,
    qos: QoS,
    retain: bool,
    packet_id: Option<PacketId>,
    identifiers: &'a [u32],
}

impl Shard {
    /// The QoS of a delivery. [MQTT-3.8.4-8] [MQTT311-3.8.4-6]
    #[inline]
    pub(crate) fn qos_of(&self, message: &MessageRef<'_>, granted: QoS) -> QoS {
        if self.settings.upgrade_outgoing_qos { granted } else { message.qos.min(granted) }
    }

    /// Give a session a message: now if it is connected and has room, else by its queue.
    #[inline]
    pub(crate) fn deliver_on(
        &mut self,
        key: SessionKey,
        terms: &Terms<'_>,
        message: &MessageRef<'_>,
        shared: &mut Option<Message>,
    ) -> Outcome {
        let qos = self.qos_of(message, terms.granted);
        if qos == QoS::AtMostOnce {
            return self.deliver_qos0(key, terms, message, shared);
        }
        if !terms.is_recorded || message.recorded.key == 0 {
            return self.deliver_under(key, 0, qos, terms, message, shared);
        }
        let outcome = self.deliver_under(key, message.recorded.key, qos, terms, message, shared);
        if matches!(outcome, Outcome::Dropped | Outcome::Passed) {
            let me = self.session_ref(key);
            let (key, identifiers) = (message.recorded.key, terms.identifiers);
            let (retain, group) = (terms.retain, terms.group);
            self.recorder.note_refused(me, Copied { key, qos, retain, group, identifiers });
        }
        outcome
    }

    /// [MQTT-3.3.4-10]: QoS 0 does not wait for acknowledgements, only behind older QoS 0 messages.
    #[inline]
    fn deliver_qos0(
        &mut self,
        key: SessionKey,
        terms: &Terms<'_>,
        message: &MessageRef<'_>,
        shared: &mut Option<Message>,
    ) -> Outcome {
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return Outcome::Gone };
        if !self.is_unrestricted && !may_receive(&*self.access, session, message.topic) {
            return terms.refused();
        }
        let Some((slot, generation)) = session.connection else {
            return self.deliver_qos0_offline(key, terms, message, shared);
        };
        let Some(c) = self.connections.get_mut(slot, generation) else { return Outcome::Gone };
        if session.queue.holds_qos0() || c.owed() >= OUTPUT_MAX {
            return self.enqueue(key, 0, QoS::AtMostOnce, terms, message, shared);
        }
        let form = terms.form(QoS::AtMostOnce, None);
        if !c.takes_any_size() && !fits(c, message, &form, self.now) {
            self.totals.dropped_too_large += 1;
            return Outcome::Dropped;
        }
        let waits_for = (message.recorded.waits && self.recorder.is_on()).then(|| self.recorder.wait());
        writer!(self).write(c, message, shared.as_ref(), &form, waits_for);
        self.urgent |= c.output.len() > PUMP_OUTPUT_MAX;
        Outcome::Sent
    }

    #[cold]
    fn deliver_qos0_offline(
        &mut self,
        key: SessionKey,
        terms: &Terms<'_>,
        message: &MessageRef<'_>,
        shared: &mut Option<Message>,
    ) -> Outcome {
        if self.settings.queue_qos0_messages {
            return self.enqueue(key, 0, QoS::AtMostOnce, terms, message, shared);
        }
        self.totals.dropped_offline_qos0 += 1;
        Outcome::Dropped
    }

    /// QoS 1 and 2. The delivery is recorded under `number` already, if that is not 0.
    #[inline]
    fn deliver_under(
        &mut self,
        key: SessionKey,
        number: u64,
        qos: QoS,
        terms: &Terms<'_>,
        message: &MessageRef<'_>,
        shared: &mut Option<Message>,
    ) -> Outcome {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return Outcome::Gone };
        // Also for an offline session: it may do what its last connection might.
        if !self.is_unrestricted && !may_receive(&*self.access, session, message.topic) {
            return terms.refused();
        }
        let Some((slot, generation)) = session.connection else {
            return self.enqueue(key, number, qos, terms, message, shared);
        };
        let Some(c) = self.connections.get_mut(slot, generation) else { return Outcome::Gone };
        let has_quota = session.has_quota(self.settings.inflight_bytes_max);
        if !has_quota || c.owed() >= OUTPUT_MAX || !session.queue.is_empty() || session.outgoing.waiting() > 0 {
            return self.enqueue(key, number, qos, terms, message, shared);
        }
        if !c.takes_any_size() && !fits(c, message, &terms.form(qos, None), self.now) {
            self.totals.dropped_too_large += 1;
            skip_identifier(session, qos);
            return Outcome::Dropped;
        }
        session.inflight_bytes += message.payload.len() as u64;
        let packet_id = if session.is_persistent() || terms.group.is_some() {
            let message = shared.get_or_insert_with(|| message.to_shared(&self.memory)).clone();
            let extra = Extra::new(terms.identifiers, terms.group);
            let order = session.queue.next_order();
            let mut delivery = Delivery { message, key: number, extra, order, qos, retain: terms.retain };
            self.recorder.note_queued(me, session, &mut delivery);
            put_in_flight(&mut self.recorder, me, session, delivery)
        } else {
            // [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT311-2.3.1-4] [MQTT311-4.3.2-1] [MQTT311-4.3.3-1]
            session.outgoing.insert(qos, Kept::Number(message.payload.len() as u32))
        };
        let waits_for = wait_for(&mut self.recorder, session, qos, message.recorded.waits);
        writer!(self).write(c, message, shared.as_ref(), &terms.form(qos, packet_id), waits_for);
        self.urgent |= c.output.len() > PUMP_OUTPUT_MAX;
        Outcome::Sent
    }

    /// [MQTT311-3.1.2-5]
    #[cold]
    fn enqueue(
        &mut self,
        key: SessionKey,
        number: u64,
        qos: QoS,
        terms: &Terms<'_>,
        message: &MessageRef<'_>,
        shared: &mut Option<Message>,
    ) -> Outcome {
        self.drop_expired(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return Outcome::Gone };
        if terms.may_pass && !has_room(&self.settings, session) {
            return Outcome::Passed;
        }
        if !self.has_memory_for(key, qos, message) {
            self.totals.dropped_memory += 1;
            self.report_drop(key, Some("memory_limit is reached"));
            return Outcome::Dropped;
        }
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return Outcome::Gone };
        let delivery = Delivery {
            message: shared.get_or_insert_with(|| message.to_shared(&self.memory)).clone(),
            key: number,
            extra: Extra::new(terms.identifiers, terms.group),
            order: Order::default(),
            qos,
            retain: terms.retain,
        };
        if has_room(&self.settings, session) {
            self.queue(key, delivery);
            return Outcome::Queued;
        }
        self.totals.dropped_queue_full += 1;
        let outcome = self.enqueue_in_full(key, delivery);
        self.report_drop(key, None);
        outcome
    }

    /// In a full queue, what has expired makes room: first what comes next, which is found at once.
    fn drop_expired(&mut self, key: SessionKey) {
        let (me, now) = (self.session_ref(key), self.now);
        for expire in [Waiting::expire_first, Waiting::expire] {
            let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
            if has_room(&self.settings, session) {
                return;
            }
            for expired in expire(&mut session.queue, now) {
                self.totals.dropped_expired += 1;
                session.dropped += 1;
                self.recorder.note_dropped(me, session, &expired);
            }
        }
    }

    fn queue(&mut self, key: SessionKey, mut delivery: Delivery) {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        if delivery.qos != QoS::AtMostOnce {
            self.recorder.note_queued(me, session, &mut delivery);
        }
        session.queue.push(delivery);
    }

    fn enqueue_in_full(&mut self, key: SessionKey, delivery: Delivery) -> Outcome {
        let policy = self.settings.queue_full;
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return Outcome::Gone };
        let first = match policy {
            QueueFull::DropNewest => return Outcome::Dropped,
            QueueFull::Disconnect => {
                if let Some((slot, generation)) = session.connection {
                    self.end_soon(ConnectionId { slot, generation }, Ending::NoRoom("its queue is full"));
                }
                return Outcome::Dropped;
            }
            QueueFull::DropOldest => None,
            QueueFull::LatestValue => session.queue.take_last_of_topic(delivery.message.topic()).map(Gone::Delivery),
        };
        let mut victim = first.or_else(|| session.queue.drop_oldest(&self.memory));
        let mut victims = 0;
        while let Some(gone) = victim {
            victims += 1;
            self.recorder.note_gone(me, session, &gone);
            gone.forget(&self.memory);
            let is_enough = has_room(&self.settings, session);
            victim = if is_enough { None } else { session.queue.drop_oldest(&self.memory) };
        }
        // The caller has counted one.
        self.totals.dropped_queue_full += u64::saturating_sub(victims, 1);
        self.queue(key, delivery);
        Outcome::Queued
    }

    fn report_drop(&mut self, key: SessionKey, text: Option<&'static str>) {
        let Some(session) = self.session(key) else { return };
        session.dropped += 1;
        if !core::mem::replace(&mut session.is_dropping, true) {
            let client_id = Arc::clone(&session.client_id);
            self.event(Event::Dropping { client_id, text });
        }
    }

    /// What the acknowledgements of an input make room for is sent at its end, all at once.
    #[inline]
    pub(crate) fn pump_later(&mut self, key: SessionKey) {
        self.acknowledged = Some(key);
    }

    #[inline]
    pub(crate) fn pump_acknowledged(&mut self) {
        if let Some(key) = self.acknowledged.take() {
            self.pump(key);
        }
    }

    /// Send what a session may get now: first again what was in flight, then what waits, then retained messages for
    /// new subscriptions.
    pub(crate) fn pump(&mut self, key: SessionKey) {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        let Some((slot, generation)) = session.connection else { return };
        let Some(c) = self.connections.get_mut(slot, generation) else { return };
        let inflight_bytes_max = self.settings.inflight_bytes_max;
        let access = (!self.is_unrestricted).then_some(&*self.access);
        let has_nothing = session.queue.is_empty() && session.reads.is_empty() && session.outgoing.waiting() == 0;
        if has_nothing && !session.is_dropping {
            return;
        }
        // What is thrown away makes no output, so it has a limit of its own. One goes even when others have come to it.
        let (dropped_before, drops_max) = (session.dropped, u64::from(self.budget.drops.max(1)));
        let mut writer = writer!(self);
        while c.owed() < PUMP_OUTPUT_MAX && session.dropped - dropped_before < drops_max {
            // [MQTT-3.3.1-1] [MQTT311-3.3.1-1]
            if send_again(&mut writer, &mut self.recorder, access, me, session, c) {
                continue;
            }
            let Some(front) = session.queue.front() else { break };
            let goes = match front {
                Ok(d) if d.qos == QoS::AtMostOnce || d.message.expires() <= writer.now => true,
                Ok(_) => session.has_quota(inflight_bytes_max),
                // It is being fetched.
                Err(_) => false,
            };
            let next = match goes {
                true => session.queue.pop(),
                // [MQTT-3.3.4-10]: QoS 0 is not held back by it.
                false => session.queue.pop_qos0(),
            };
            let Some(delivery) = next else { break };
            // [MQTT-3.3.2-5]
            if delivery.message.expires() <= writer.now {
                writer.totals.dropped_expired += 1;
                session.dropped += 1;
                self.recorder.note_dropped(me, session, &delivery);
                skip_identifier(session, delivery.qos);
                continue;
            }
            if !may_still_receive(access, &session.identity, &session.client_id, &delivery) {
                session.dropped += 1;
                self.recorder.note_dropped(me, session, &delivery);
                skip_identifier(session, delivery.qos);
                continue;
            }
            writer.write_queued(c, session, me, &delivery, &mut self.recorder);
        }
        session.is_dropping &= !session.queue.is_empty();
        let dropped = session.dropped - dropped_before;
        self.budget.drops = self.budget.drops.saturating_sub(dropped as u32);
        let reads = c.owed() < PUMP_OUTPUT_MAX && !session.reads.is_empty();
        if session.queue.is_running_short(FETCH_LOW) {
            self.fetch(key);
        }
        if dropped >= drops_max {
            self.go_on_later(key);
        } else if reads {
            self.read_retained(key);
        }
    }
}

#[cold]
pub(crate) fn may_receive(access: &dyn Access, session: &Session, topic: &str) -> bool {
    access.may(&session.identity, &session.client_id, Action::Receive, topic)
}

/// The rules, or the user whose session it is, may be others than when the message came. `None`: there are no rules.
fn may_still_receive(access: Option<&dyn Access>, identity: &Identity, client_id: &str, delivery: &Delivery) -> bool {
    let topic = || delivery.message.topic();
    access.is_none_or(|access| access.may(identity, client_id, Action::Receive, topic()))
}

/// Send again the first of what was in flight, if there is any.
fn send_again(
    writer: &mut Writer<'_>,
    recorder: &mut Recorder,
    access: Option<&dyn Access>,
    me: SessionRef,
    session: &mut Session,
    c: &mut Connection,
) -> bool {
    // What a session has in flight may have been sent a moment ago, by a connection that is lost by now.
    let is_recorded = session.is_persistent();
    let Some((packet_id, qos, kept)) = session.outgoing.next_resend() else { return false };
    let Kept::Message(d) = kept else { return true };
    if !may_still_receive(access, &session.identity, &session.client_id, d) {
        session.dropped += 1;
        session.give_up(packet_id, qos);
        recorder.note_finished(me, session, packet_id);
        return true;
    }
    let form = Form { dup: true, qos, retain: d.retain, packet_id: Some(packet_id), identifiers: d.identifiers() };
    let message = d.message.view();
    if c.takes_any_size() || fits(c, &message, &form, writer.now) {
        let must_wait = is_recorded && qos == QoS::ExactlyOnce && recorder.is_on() && !recorder.is_settled();
        let waits_for = (must_wait || message.recorded.waits).then(|| recorder.wait());
        writer.write(c, &message, Some(&d.message), &form, waits_for);
        return true;
    }
    // The client came back with a smaller Maximum Packet Size.
    writer.totals.dropped_too_large += 1;
    session.dropped += 1;
    session.give_up(packet_id, qos);
    recorder.note_finished(me, session, packet_id);
    true
}

/// The delivery leaves now: it is in flight under the identifier that is given back.
fn put_in_flight(
    recorder: &mut Recorder,
    me: SessionRef,
    session: &mut Session,
    delivery: Delivery,
) -> Option<PacketId> {
    // [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT311-2.3.1-4] [MQTT311-4.3.2-1] [MQTT311-4.3.3-1]
    let packet_id = session.outgoing.next_packet_id();
    recorder.note_sent(me, session, &delivery, packet_id);
    session.outgoing.insert(delivery.qos, Kept::Message(delivery))
}

/// Which piece of the records must be durable before this PUBLISH may leave. QoS 2: the packet identifier, else the
/// client could take a later message under the same identifier for this one. A message that is published once only, after
/// PUBREL or as a will: that it has been.
#[inline]
fn wait_for(recorder: &mut Recorder, session: &Session, qos: QoS, waits: bool) -> Option<u64> {
    let is_numbered = qos == QoS::ExactlyOnce && session.is_persistent();
    (recorder.is_on() && (waits || is_numbered)).then(|| recorder.wait())
}

/// A message that was to be sent and is not takes its identifier with it, as in Mosquitto, where messages have theirs
/// from the moment at which they are queued.
fn skip_identifier(session: &mut Session, qos: QoS) {
    if qos != QoS::AtMostOnce
        && session.outgoing.can_send()
        && let Some(packet_id) = session.outgoing.insert(QoS::AtLeastOnce, Kept::Number(0))
    {
        // It was inserted just now.
        let _ = session.outgoing.puback(packet_id);
    }
}

/// As in Mosquitto: a queue takes messages until its bytes have reached the limit, so that the last one may go beyond it, and
/// that of a connected client has room besides for as much as may be in flight to it.
fn has_room(settings: &Settings, session: &Session) -> bool {
    let (messages, bytes) = (settings.queued_messages_max, settings.queued_bytes_max);
    let (more_messages, more_bytes) = match (session.connection, session.outgoing.receive_maximum()) {
        (None, _) => (0, 0),
        (Some(_), u16::MAX) => (0, settings.inflight_bytes_max),
        (Some(_), most) => (u64::from(most), settings.inflight_bytes_max),
    };
    let fits_messages = messages == 0 || (session.queue.len() as u64) < messages.saturating_add(more_messages);
    let fits_bytes = bytes == 0 || session.queue.bytes() < bytes.saturating_add(more_bytes);
    fits_messages && fits_bytes
}

/// [MQTT-3.1.2-24] [MQTT-3.1.2-25]: what is too large for the client is as good as sent.
#[cold]
fn fits(c: &Connection, message: &MessageRef<'_>, form: &Form<'_>, now: Time) -> bool {
    let mut properties = PropertyBuffer::new();
    if c.version == Version::V5 {
        compose(&mut properties, message, form.identifiers, now);
    }
    let publish = Publish {
        dup: form.dup,
        qos: form.qos,
        retain: form.retain,
        topic: unmounted(c, message.topic),
        packet_id: (form.qos != QoS::AtMostOnce).then_some(PacketId::FIRST),
        properties: properties.as_properties(),
        payload: message.payload,
    };
    c.takes(publish.encoded_len(c.version))
}

/// The properties of a PUBLISH to a client, but for its alias. [MQTT-3.3.2-4] [MQTT-3.3.2-6] [MQTT-3.3.2-15]
/// [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
fn compose(properties: &mut PropertyBuffer, message: &MessageRef<'_>, identifiers: &[u32], now: Time) {
    properties.clear();
    properties.extend(Properties::from_checked(message.properties));
    if message.expires != Time::NEVER {
        properties.push(Property::MessageExpiryInterval(seconds_left(message.expires, now)));
    }
    for &identifier in identifiers {
        properties.push(Property::SubscriptionIdentifier(identifier));
    }
}

/// [MQTT-3.3.2-6]
pub(crate) fn seconds_left(expires: Time, now: Time) -> u32 {
    u32::try_from(expires.seconds_after(now)).unwrap_or(u32::MAX)
}

/// The topic as the client knows it, without the mount point of its listener.
fn unmounted<'a>(c: &Connection, topic: &'a str) -> &'a str {
    match &c.listener.mount_point {
        Some(mount) => topic.strip_prefix(&**mount).unwrap_or(topic),
        None => topic,
    }
}

/// The packet that the message came in, if the client gets the very same but for the packet identifier.
#[inline]
fn as_it_came<'a>(c: &Connection, message: &MessageRef<'a>, form: &Form<'_>) -> Option<&'a [u8]> {
    let is_same = form.qos == message.qos && !form.dup && !form.retain && form.identifiers.is_empty();
    if is_same && c.gets_as_it_came() { message.wire.for_version(c.version) } else { None }
}

/// The parts of a shard that writing a PUBLISH needs.
struct Writer<'a> {
    outbox: &'a mut Outbox,
    holds: &'a mut Holds,
    scratch: &'a mut PropertyBuffer,
    totals: &'a mut Totals,
    now: Time,
}

impl Writer<'_> {
    /// A queued message leaves, unless it is too large for the client.
    fn write_queued(
        &mut self,
        c: &mut Connection,
        session: &mut Session,
        me: SessionRef,
        delivery: &Delivery,
        recorder: &mut Recorder,
    ) {
        let qos = delivery.qos;
        let form = |packet_id| Form {
            dup: false,
            qos,
            retain: delivery.retain,
            packet_id,
            identifiers: delivery.identifiers(),
        };
        let message = delivery.message.view();
        if !c.takes_any_size() && !fits(c, &message, &form(None), self.now) {
            self.totals.dropped_too_large += 1;
            session.dropped += 1;
            recorder.note_dropped(me, session, delivery);
            skip_identifier(session, qos);
            return;
        }
        let mut packet_id = None;
        if qos != QoS::AtMostOnce {
            session.inflight_bytes += message.payload.len() as u64;
            packet_id = if session.is_persistent() || delivery.group().is_some() {
                put_in_flight(recorder, me, session, delivery.clone())
            } else {
                session.outgoing.insert(qos, Kept::Number(message.payload.len() as u32))
            };
        }
        // The records have it still for a session that lasts no longer.
        let waits = message.recorded.waits || (qos == QoS::ExactlyOnce && delivery.key != 0);
        let waits_for = wait_for(recorder, session, qos, waits);
        self.write(c, &message, Some(&delivery.message), &form(packet_id), waits_for);
    }

    /// `waits_for`: the piece of the records that must be durable before.
    /// [MQTT-3.3.1-2] [MQTT-3.3.1-3] [MQTT-2.2.1-2] [MQTT311-3.3.1-2] [MQTT311-3.3.1-3] [MQTT311-2.3.1-5]
    #[inline]
    fn write(
        &mut self,
        c: &mut Connection,
        message: &MessageRef<'_>,
        kept: Option<&Message>,
        form: &Form<'_>,
        waits_for: Option<u64>,
    ) {
        if waits_for.is_some() && self.holds.is_void() {
            return;
        }
        self.totals.packets_sent += 1;
        self.totals.publish_sent += 1;
        self.totals.publish_bytes_sent += message.payload.len() as u64;
        let kept = kept.filter(|_| message.payload.len() >= SHARED_BYTES_MIN);
        if kept.is_none()
            && let Some(packet) = as_it_came(c, message, form)
        {
            return self.put_copy(c, packet, message, form.packet_id, waits_for);
        }
        let topic = unmounted(c, message.topic);
        let mut publish = Publish {
            dup: form.dup,
            qos: form.qos,
            retain: form.retain,
            topic,
            packet_id: form.packet_id,
            properties: Properties::EMPTY,
            payload: message.payload,
        };
        if c.version != Version::V5 {
            return self.put(c, publish, message.expires, kept, waits_for);
        }
        let is_plain = message.expires == Time::NEVER && form.identifiers.is_empty() && c.aliases_out.is_none();
        if is_plain {
            publish.properties = Properties::from_checked(message.properties);
            return self.put(c, publish, message.expires, kept, waits_for);
        }
        compose(self.scratch, message, form.identifiers, self.now);
        let mut aliased = None;
        // What may expire while it waits sets no alias: the client might never see it.
        let may_vanish = message.expires != Time::NEVER && (waits_for.is_some() || c.holds_publishes());
        let alias = c.aliases_out.as_ref().and_then(|aliases| aliases.find(topic));
        if let Some(alias) = alias.filter(|alias| matches!(alias, Alias::Use(_)) || !may_vanish) {
            let (number, written) = match alias {
                Alias::Set(number) => (number, topic),
                Alias::Use(number) => (number, ""),
            };
            self.scratch.push(Property::TopicAlias(number));
            let short = Publish { topic: written, properties: self.scratch.as_properties(), ..publish };
            // An alias that makes the packet too large for the client is left out.
            if c.takes(short.encoded_len(c.version)) {
                aliased = Some((alias, written));
            } else {
                compose(self.scratch, message, form.identifiers, self.now);
            }
        }
        if let Some((alias, written)) = aliased {
            if let Some(aliases) = &mut c.aliases_out {
                aliases.sent(alias, topic);
            }
            publish.topic = written;
        }
        let properties = core::mem::take(self.scratch);
        publish.properties = properties.as_properties();
        self.put(c, publish, message.expires, kept, waits_for);
        *self.scratch = properties;
    }

    /// The packet that the message came in, with a packet identifier of its own.
    #[inline]
    fn put_copy(
        &mut self,
        c: &mut Connection,
        packet: &[u8],
        message: &MessageRef<'_>,
        packet_id: Option<PacketId>,
        waits_for: Option<u64>,
    ) {
        let id_at = packet.len() - message.payload.len() - message.wire.after_topic(message.qos);
        let write = |out: &mut Vec<u8>| {
            let start = out.len();
            out.extend_from_slice(packet);
            if let Some(packet_id) = packet_id {
                out[start + id_at..][..2].copy_from_slice(&packet_id.value().to_be_bytes());
            }
        };
        match waits_for.or_else(|| c.holds_publishes().then_some(0)) {
            None => write(self.outbox.buffer(c)),
            Some(number) => self.holds.hold(c, number, PacketType::Publish, write),
        }
    }

    /// The packet, to the output or behind what is held back. Its payload need not be copied if it is `kept`.
    #[inline]
    fn put(
        &mut self,
        c: &mut Connection,
        publish: Publish<'_>,
        expires: Time,
        kept: Option<&Message>,
        waits_for: Option<u64>,
    ) {
        let version = c.version;
        if let Some(number) = waits_for.or_else(|| c.holds_publishes().then_some(0)) {
            let write = |out: &mut Vec<u8>| publish.encode(version, out);
            return match expires {
                Time::NEVER => self.holds.hold(c, number, PacketType::Publish, write),
                _ => self.holds.hold_expiring(c, number, expires, write),
            };
        }
        let Some(kept) = kept else { return publish.encode(version, self.outbox.buffer(c)) };
        if publish.encode_without_payload(version, self.outbox.buffer(c)) {
            c.output.push_payload(kept.clone());
        }
    }
}

//! From a session to its connection: what may leave now leaves, the rest waits in a bounded queue.
//! MQTT 5.0 sections 3.3.4, 4.3 and 4.9.

use crate::access::Action;
use crate::aliases::Alias;
use crate::connection::{Connection, Outbox};
use crate::delivery::{Delivery, Identifiers, Kept};
use crate::event::Event;
use crate::ids::ConnectionId;
use crate::message::{Message, MessageRef};
use crate::record::Change;
use crate::recorder::Recorder;
use crate::session::{Session, SessionKey};
use crate::settings::{QueueFull, Settings};
use crate::shard::{OUTPUT_MAX, Shard};
use crate::shared::GroupNumber;
use crate::time::Time;
use crate::totals::Totals;
use alloc::sync::Arc;
use sori_mqtt::{PacketId, Properties, Property, PropertyBuffer, Publish, QoS, Version};

/// Queued messages are moved to the output up to this many bytes at a time.
const PUMP_OUTPUT_MAX: usize = 256 * 1024;

/// On which terms a session gets a message.
#[derive(Copy, Clone)]
pub(crate) struct Terms<'a> {
    pub(crate) granted: QoS,
    pub(crate) retain: bool,
    pub(crate) identifiers: &'a [u32],
    pub(crate) group: Option<GroupNumber>,
    /// Another member of the group may have it, if this session cannot take it.
    pub(crate) may_pass: bool,
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
    /// Give a session a message: now if it is connected and has room, else by its queue.
    #[inline]
    pub(crate) fn deliver_on(
        &mut self,
        key: SessionKey,
        terms: Terms<'_>,
        message: &MessageRef<'_>,
        shared: &mut Option<Arc<Message>>,
    ) -> Outcome {
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return Outcome::Gone };
        // [MQTT-3.8.4-8] [MQTT311-3.8.4-6]
        let qos = if self.settings.upgrade_outgoing_qos { terms.granted } else { message.qos.min(terms.granted) };
        // Also for an offline session: it may do what its last connection might.
        if !self.is_unrestricted
            && !self.access.may(&session.identity, &session.client_id, Action::Receive, message.topic)
        {
            return if terms.may_pass { Outcome::Passed } else { Outcome::Dropped };
        }
        let Some((slot, generation)) = session.connection else {
            if qos == QoS::AtMostOnce && !self.settings.queue_qos0_messages {
                self.totals.dropped_offline_qos0 += 1;
                return Outcome::Dropped;
            }
            return self.enqueue(key, qos, terms, message, shared);
        };
        let Some(c) = self.connections.get_mut(slot, generation) else { return Outcome::Gone };
        let is_taken = c.output.len() >= OUTPUT_MAX;
        // [MQTT-3.3.4-10]: QoS 0 does not wait for acknowledgements, only behind older QoS 0 messages.
        let waits = if qos == QoS::AtMostOnce {
            session.queue.holds_qos0()
        } else {
            let quota = session.has_quota(self.settings.inflight_bytes_max, message.payload.len());
            !session.queue.is_empty() || session.outgoing.waiting() > 0 || !quota
        };
        if is_taken || waits {
            return self.enqueue(key, qos, terms, message, shared);
        }
        let form = Form { dup: false, qos, retain: terms.retain, packet_id: None, identifiers: terms.identifiers };
        if c.packet_size_max != usize::MAX && !fits(c, message, form, self.now) {
            self.totals.dropped_too_large += 1;
            skip_identifier(session, qos);
            return Outcome::Dropped;
        }
        let packet_id = if qos == QoS::AtMostOnce {
            None
        } else {
            let kept = if session.is_persistent() || terms.group.is_some() {
                let message = Arc::clone(shared.get_or_insert_with(|| message.to_shared(&self.memory)));
                let identifiers = Identifiers::from_slice(terms.identifiers);
                let number = session.queue.next_number();
                let delivery = Delivery { number, message, identifiers, group: terms.group, qos, retain: terms.retain };
                self.recorder.note_queued(session, number, &delivery);
                Kept::Message(delivery)
            } else {
                Kept::Number(message.payload.len() as u32)
            };
            session.inflight_bytes += message.payload.len() as u64;
            // [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT311-2.3.1-4] [MQTT311-4.3.2-1] [MQTT311-4.3.3-1]
            let packet_id = session.outgoing.insert(qos, kept);
            let number = session.queue.last_number();
            self.recorder.note_sent(session, number, packet_id);
            packet_id
        };
        let mut writer =
            Writer { outbox: &mut self.outbox, scratch: &mut self.scratch, totals: &mut self.totals, now: self.now };
        writer.write(c, message, Form { packet_id, ..form });
        self.urgent |= c.output.len() > PUMP_OUTPUT_MAX;
        Outcome::Sent
    }

    /// [MQTT311-3.1.2-5]
    #[cold]
    fn enqueue(
        &mut self,
        key: SessionKey,
        qos: QoS,
        terms: Terms<'_>,
        message: &MessageRef<'_>,
        shared: &mut Option<Arc<Message>>,
    ) -> Outcome {
        let now = self.now;
        let memory_used = if self.settings.memory_limit > 0 { self.space.memory_used() } else { 0 };
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return Outcome::Gone };
        if !has_room(&self.settings, session, message.payload.len()) {
            for expired in session.queue.expire(now) {
                self.totals.dropped_expired += 1;
                session.dropped += 1;
                self.recorder.note_dropped(session, expired.number);
            }
        }
        if terms.may_pass && !has_room(&self.settings, session, message.payload.len()) {
            return Outcome::Passed;
        }
        if self.settings.memory_limit > 0 && memory_used + message.payload.len() as u64 > self.settings.memory_limit {
            self.totals.dropped_memory += 1;
            self.report_drop(key, "memory_limit is reached");
            return Outcome::Dropped;
        }
        let delivery = Delivery {
            number: 0,
            message: Arc::clone(shared.get_or_insert_with(|| message.to_shared(&self.memory))),
            identifiers: Identifiers::from_slice(terms.identifiers),
            group: terms.group,
            qos,
            retain: terms.retain,
        };
        if has_room(&self.settings, session, message.payload.len()) {
            let delivery = session.queue.push(delivery).clone();
            self.recorder.note_queued(session, delivery.number, &delivery);
            return Outcome::Queued;
        }
        self.totals.dropped_queue_full += 1;
        let outcome = self.enqueue_in_full(key, delivery);
        self.report_drop(key, "its queue is full");
        outcome
    }

    fn enqueue_in_full(&mut self, key: SessionKey, delivery: Delivery) -> Outcome {
        let policy = self.settings.queue_full;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return Outcome::Gone };
        let length = delivery.payload_length();
        let bytes_max = self.settings.queued_bytes_max;
        let first = match policy {
            // However much made room for it, it would not fit.
            _ if bytes_max > 0 && length > bytes_max => return Outcome::Dropped,
            QueueFull::DropNewest => return Outcome::Dropped,
            QueueFull::Disconnect => {
                if let Some((slot, generation)) = session.connection {
                    self.evicted.push(ConnectionId { slot, generation });
                }
                return Outcome::Dropped;
            }
            QueueFull::DropOldest => None,
            QueueFull::LatestValue => session.queue.take_last_of_topic(delivery.message.topic()),
        };
        let mut victim = first.or_else(|| session.queue.pop());
        let mut victims = 0;
        while let Some(delivery) = victim {
            victims += 1;
            self.recorder.note_dropped(session, delivery.number);
            victim = if has_room(&self.settings, session, length as usize) { None } else { session.queue.pop() };
        }
        // The caller has counted one.
        self.totals.dropped_queue_full += u64::saturating_sub(victims, 1);
        let delivery = session.queue.push(delivery).clone();
        self.recorder.note_queued(session, delivery.number, &delivery);
        Outcome::Queued
    }

    fn report_drop(&mut self, key: SessionKey, text: &'static str) {
        let Some(session) = self.session(key) else { return };
        session.dropped += 1;
        if !core::mem::replace(&mut session.is_dropping, true) {
            let client_id = Arc::clone(&session.client_id);
            self.event(Event::Dropping { client_id, text });
        }
    }

    /// Send what a session may get now: first again what was in flight, then what waits, then retained messages for
    /// new subscriptions.
    pub(crate) fn pump(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        let Some((slot, generation)) = session.connection else { return };
        let Some(c) = self.connections.get_mut(slot, generation) else { return };
        let inflight_bytes_max = self.settings.inflight_bytes_max;
        let mut writer =
            Writer { outbox: &mut self.outbox, scratch: &mut self.scratch, totals: &mut self.totals, now: self.now };
        while c.output.len() < PUMP_OUTPUT_MAX {
            // [MQTT-3.3.1-1] [MQTT311-3.3.1-1]
            if let Some((packet_id, qos, kept)) = session.outgoing.next_resend() {
                if let Kept::Message(d) = kept {
                    let identifiers = d.identifiers.as_slice();
                    let form = Form { dup: true, qos, retain: d.retain, packet_id: Some(packet_id), identifiers };
                    if c.packet_size_max == usize::MAX || fits(c, &d.message.view(), form, writer.now) {
                        writer.write(c, &d.message.view(), form);
                    } else {
                        // The client came back with a smaller Maximum Packet Size.
                        writer.totals.dropped_too_large += 1;
                        session.dropped += 1;
                        session.give_up(packet_id, qos);
                        self.recorder.note(session, || Change::Finished { packet_id });
                    }
                }
                continue;
            }
            let Some(mut front) = session.queue.front() else { break };
            let mut is_plain = front.qos == QoS::AtMostOnce;
            let fits =
                |session: &Session, d: &Delivery| session.has_quota(inflight_bytes_max, d.payload_length() as usize);
            if !is_plain && !front.message.view().is_expired(writer.now) && !fits(session, front) {
                // [MQTT-3.3.4-10]: QoS 0 is not held back by it.
                let Some(plain) = session.queue.front_qos0() else { break };
                (front, is_plain) = (plain, true);
            }
            let message = front.message.view();
            let is_expired = message.is_expired(writer.now);
            let next = if is_plain { session.queue.pop_qos0() } else { session.queue.pop() };
            let Some(delivery) = next else { break };
            // [MQTT-3.3.2-5]
            if is_expired {
                writer.totals.dropped_expired += 1;
                session.dropped += 1;
                self.recorder.note_dropped(session, delivery.number);
                skip_identifier(session, delivery.qos);
                continue;
            }
            writer.write_queued(c, session, delivery, &mut self.recorder);
        }
        session.is_dropping &= !session.queue.is_empty();
        if c.output.len() < PUMP_OUTPUT_MAX && !session.reads.is_empty() {
            self.read_retained(key);
        }
    }
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

fn has_room(settings: &Settings, session: &Session, payload: usize) -> bool {
    let (messages, bytes) = (settings.queued_messages_max, settings.queued_bytes_max);
    let fits_messages = messages == 0 || (session.queue.len() as u64) < messages;
    let fits_bytes = bytes == 0 || session.queue.bytes() + payload as u64 <= bytes;
    fits_messages && fits_bytes
}

/// [MQTT-3.1.2-24] [MQTT-3.1.2-25]: what is too large for the client is as good as sent.
#[cold]
fn fits(c: &Connection, message: &MessageRef<'_>, form: Form<'_>, now: Time) -> bool {
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
    publish.encoded_len(c.version) <= c.packet_size_max
}

/// The properties of a PUBLISH to a client, but for its alias. [MQTT-3.3.2-4] [MQTT-3.3.2-6] [MQTT-3.3.2-15]
/// [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
fn compose(properties: &mut PropertyBuffer, message: &MessageRef<'_>, identifiers: &[u32], now: Time) {
    properties.clear();
    properties.extend(Properties::from_checked(message.properties));
    if message.expires != Time::NEVER {
        let seconds = u32::try_from(message.expires.seconds_after(now)).unwrap_or(u32::MAX);
        properties.push(Property::MessageExpiryInterval(seconds));
    }
    for &identifier in identifiers {
        properties.push(Property::SubscriptionIdentifier(identifier));
    }
}

/// The topic as the client knows it, without the mount point of its listener.
fn unmounted<'a>(c: &Connection, topic: &'a str) -> &'a str {
    match &c.listener.mount_point {
        Some(mount) => topic.strip_prefix(&**mount).unwrap_or(topic),
        None => topic,
    }
}

/// The parts of a shard that writing a PUBLISH needs.
struct Writer<'a> {
    outbox: &'a mut Outbox,
    scratch: &'a mut PropertyBuffer,
    totals: &'a mut Totals,
    now: Time,
}

impl Writer<'_> {
    /// A queued message leaves, unless it is too large for the client.
    fn write_queued(&mut self, c: &mut Connection, session: &mut Session, delivery: Delivery, recorder: &mut Recorder) {
        let number = delivery.number;
        let (qos, retain, message) = (delivery.qos, delivery.retain, Arc::clone(&delivery.message));
        let identifiers = delivery.identifiers.clone();
        let form = Form { dup: false, qos, retain, packet_id: None, identifiers: identifiers.as_slice() };
        let message = message.view();
        if c.packet_size_max != usize::MAX && !fits(c, &message, form, self.now) {
            self.totals.dropped_too_large += 1;
            session.dropped += 1;
            recorder.note_dropped(session, number);
            skip_identifier(session, qos);
            return;
        }
        let mut packet_id = None;
        if qos != QoS::AtMostOnce {
            let length = delivery.payload_length();
            let keeps = session.is_persistent() || delivery.group.is_some();
            let kept = if keeps { Kept::Message(delivery) } else { Kept::Number(length as u32) };
            session.inflight_bytes += length;
            packet_id = session.outgoing.insert(qos, kept);
        }
        recorder.note_sent(session, number, packet_id);
        self.write(c, &message, Form { packet_id, ..form });
    }

    /// [MQTT-3.3.1-2] [MQTT-3.3.1-3] [MQTT-2.2.1-2] [MQTT311-3.3.1-2] [MQTT311-3.3.1-3] [MQTT311-2.3.1-5]
    #[inline]
    fn write(&mut self, c: &mut Connection, message: &MessageRef<'_>, form: Form<'_>) {
        self.totals.packets_sent += 1;
        self.totals.publish_sent += 1;
        self.totals.publish_bytes_sent += message.payload.len() as u64;
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
            return publish.encode(c.version, self.outbox.buffer(c));
        }
        let is_plain = message.expires == Time::NEVER && form.identifiers.is_empty() && c.aliases_out.is_none();
        if is_plain {
            publish.properties = Properties::from_checked(message.properties);
            return publish.encode(c.version, self.outbox.buffer(c));
        }
        compose(self.scratch, message, form.identifiers, self.now);
        if let Some(alias) = c.aliases_out.as_ref().and_then(|aliases| aliases.find(topic)) {
            let (number, written) = match alias {
                Alias::Set(number) => (number, topic),
                Alias::Use(number) => (number, ""),
            };
            self.scratch.push(Property::TopicAlias(number));
            let short = Publish { topic: written, properties: self.scratch.as_properties(), ..publish };
            // An alias that makes the packet too large for the client is left out.
            if short.encoded_len(c.version) <= c.packet_size_max {
                if let Some(aliases) = &mut c.aliases_out {
                    aliases.sent(alias, topic);
                }
                return short.encode(c.version, self.outbox.buffer(c));
            }
            compose(self.scratch, message, form.identifiers, self.now);
        }
        publish.properties = self.scratch.as_properties();
        publish.encode(c.version, self.outbox.buffer(c));
    }
}

//! PUBLISH from a client: the rules of the connection, then the message goes to the topic space.
//! MQTT 5.0 section 3.3.
//!
//! A QoS 2 message is kept with its identifier when PUBREC says that the broker owns it, and goes on its way with
//! PUBREL, or when its session ends without one. MQTT 5.0 section 4.3.3, "Method A".

use crate::access::{Action, Identity};
use crate::aliases::AliasesIn;
use crate::connection::LastTopic;
use crate::ending::Ending;
use crate::event::Event;
use crate::explaining::{Teller, advice};
use crate::ids::{ConnectionId, SessionRef};
use crate::matches::MatchSet;
use crate::message::{Message, MessageRef, Owner, Recorded, Wire};
use crate::recorder::Mark;
use crate::retained::RetainedMessage;
use crate::session::{Session, SessionKey};
use crate::settings::Settings;
use crate::shard::Shard;
use crate::time::Time;
use crate::unreleased::Unreleased;
use crate::wills::lasting_properties;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use sori_mqtt::{Ack, Incoming, PacketId, PacketType, Properties, Publish, QoS, ReasonCode, Version};

/// How many messages beyond Receive Maximum are taken from one connection, unless the settings are strict: too many
/// clients in the field do not count.
const EXCESS_MAX: u32 = 1000;

/// How many recipients the matches may have that a connection remembers for itself from one input to the next.
const REMEMBERED_WEIGHT_MAX: usize = 64;

/// A PUBLISH that has been looked at, and may be taken.
struct Arrival<'a> {
    publish: &'a Publish<'a>,
    /// The topic name, whatever alias stood for it.
    topic: &'a str,
    /// The packet as it came.
    packet: &'a [u8],
    /// QoS 2: its identifier is in use, but it is not marked as a repetition.
    comes_again: bool,
}

/// What becomes of a PUBLISH.
pub(crate) enum Answer {
    /// Acknowledge with this reason code, as the QoS demands.
    Acknowledge(ReasonCode),
    /// The connection ends.
    Violation(ReasonCode, &'static str),
    /// Not acknowledged.
    Nothing,
}

impl Shard {
    /// `packet` is the PUBLISH as it came.
    pub(crate) fn handle_publish(&mut self, id: ConnectionId, publish: &Publish<'_>, packet: &[u8]) {
        self.totals.publish_received += 1;
        self.totals.publish_bytes_received += publish.payload.len() as u64;
        let mark = self.recorder.mark();
        let answer = self.take_publish(id, publish, packet);
        self.give_answer(id, mark, publish, answer);
    }

    #[inline]
    pub(crate) fn give_answer(&mut self, id: ConnectionId, mark: Mark, publish: &Publish<'_>, answer: Answer) {
        match answer {
            Answer::Acknowledge(reason_code) => self.answer_publish(id, mark, publish, reason_code),
            Answer::Violation(reason_code, text) => self.violated(id, reason_code, text),
            Answer::Nothing => {}
        }
    }

    /// [MQTT-3.3.4-1] [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT311-3.3.4-1] [MQTT311-4.3.2-2] [MQTT311-4.3.3-2]
    fn answer_publish(&mut self, id: ConnectionId, mark: Mark, publish: &Publish<'_>, reason_code: ReasonCode) {
        let Some(packet_id) = publish.packet_id else { return };
        let mut ack = Ack { packet_id, reason_code, properties: Properties::EMPTY };
        let why;
        if reason_code.is_error() {
            let text = advice(reason_code);
            why = self.explanation(id, Teller::Acknowledgement, text, ack.encoded_len(Version::V5));
            ack.properties = why.as_properties();
        }
        if publish.qos == QoS::AtLeastOnce {
            return self.acknowledge(id, mark, PacketType::PubAck, ack);
        }
        match self.connection(id).map(|c| c.session) {
            // It was taken over before, by what may not be durable yet. A refusal says nothing that could be lost.
            Some(key) if self.recorder.mark() == mark && !reason_code.is_error() => {
                self.send_after_all(id, key, PacketType::PubRec, |version, out| {
                    ack.encode(PacketType::PubRec, version, out);
                });
            }
            _ => self.acknowledge(id, mark, PacketType::PubRec, ack),
        }
    }

    fn take_publish(&mut self, id: ConnectionId, publish: &Publish<'_>, packet: &[u8]) -> Answer {
        let Some(c) = self.connections.get(id.slot, id.generation) else {
            return Answer::Acknowledge(ReasonCode::Success);
        };
        if c.is_leaving {
            // What is resent later must not come after this.
            return Answer::Nothing;
        }
        if publish.qos > c.listener.qos_max {
            return Answer::Violation(ReasonCode::QoSNotSupported, "a QoS above max_qos");
        }
        if publish.retain && !self.settings.retain_available {
            return Answer::Violation(ReasonCode::RetainNotSupported, "a retained message, which is switched off");
        }
        let key = c.session;
        // Before a repeated message is recognised: it may be the one that sets the alias on this connection.
        if self.has_too_many_levels(publish.topic) {
            return Answer::Violation(ReasonCode::MalformedPacket, "a topic with too many levels");
        }
        let resolved = match self.resolve_alias(id, publish) {
            Ok(resolved) => resolved,
            Err(answer) => return answer,
        };
        let comes_again = match self.admit_identifier(id, key, publish) {
            Ok(comes_again) => comes_again,
            Err(answer) => return answer,
        };
        let topic = resolved.as_deref().unwrap_or(publish.topic);
        let reason_code = self.check_and_route(id, key, &Arrival { publish, topic, packet, comes_again });
        self.conclude(id, key, publish, reason_code)
    }

    /// What the outcome of a PUBLISH means for its client.
    #[inline]
    pub(crate) fn conclude(
        &mut self,
        id: ConnectionId,
        key: SessionKey,
        publish: &Publish<'_>,
        reason_code: ReasonCode,
    ) -> Answer {
        if !reason_code.is_error() {
            return Answer::Acknowledge(reason_code);
        }
        self.conclude_error(id, key, publish, reason_code)
    }

    #[cold]
    fn conclude_error(
        &mut self,
        id: ConnectionId,
        key: SessionKey,
        publish: &Publish<'_>,
        reason_code: ReasonCode,
    ) -> Answer {
        if reason_code == ReasonCode::PacketIdentifierInUse {
            // The message is kept still, for its PUBREL on another connection.
            return Answer::Violation(
                ReasonCode::ProtocolError,
                "an identifier used again and again before its PUBREL",
            );
        }
        if let (QoS::ExactlyOnce, Some(packet_id)) = (publish.qos, publish.packet_id) {
            // [MQTT-4.3.3-9]
            if let Some(session) = self.session(key) {
                session.incoming.forget(packet_id);
            }
            // An older message may have this identifier. It was answered PUBREC, and no PUBREL comes for it now: it goes.
            self.release_message(id, key, packet_id);
        }
        if reason_code == ReasonCode::QuotaExceeded && self.connection(id).is_some_and(|c| c.version != Version::V5) {
            // An acknowledgement would be a lie, and MQTT 3 has no other answer. The rest of what the client has said is heard
            // before it goes: that may make room.
            self.leave_after_input(id, "a message that there is no room for");
            return Answer::Nothing;
        }
        // [MQTT311-3.3.5-2]: MQTT 3 has no way to say no, so the message is acknowledged as usual.
        Answer::Acknowledge(reason_code)
    }

    /// Nothing more that the client publishes is taken, as it would not be in its order.
    fn leave_after_input(&mut self, id: ConnectionId, text: &'static str) {
        if let Some(c) = self.connection(id) {
            c.is_leaving = true;
        }
        self.end_soon(id, Ending::NoRoom(text));
    }

    /// QoS 2: the first PUBLISH with an identifier is passed on, a repeated one is only answered. Gives whether an
    /// identifier is used again by what is no repetition. [MQTT-4.3.3-10] [MQTT311-4.3.3-2]
    #[inline]
    fn admit_identifier(&mut self, id: ConnectionId, key: SessionKey, publish: &Publish<'_>) -> Result<bool, Answer> {
        let Some(packet_id) = publish.packet_id else { return Ok(false) };
        let strict = self.settings.strict_receive_maximum;
        let held = self.connections.get(id.slot, id.generation).map_or(0, |c| c.held_pubacks());
        let Some(session) = self.session(key) else { return Ok(false) };
        if publish.qos == QoS::AtLeastOnce {
            // It counts until PUBACK, which may be held back.
            let in_flight = session.incoming.in_flight() + held;
            let is_full = in_flight >= usize::from(session.incoming.receive_maximum());
            return if is_full { self.count_excess(id, strict).map(|()| false) } else { Ok(false) };
        }
        let incoming = session.incoming.publish_qos2(packet_id);
        if incoming == Incoming::Duplicate && self.is_forgetful(key) {
            // See `refuse_held`: the client asks again after the restart.
            self.leave_after_input(id, "the store has failed");
            return Err(Answer::Nothing);
        }
        let Some(session) = self.session(key) else { return Ok(false) };
        if incoming == Incoming::Duplicate {
            // Without DUP it is no repetition: see `keep_until_release`.
            return if publish.dup { Err(Answer::Acknowledge(ReasonCode::Success)) } else { Ok(true) };
        }
        if !session.incoming.is_exceeded() {
            return Ok(false);
        }
        let admitted = self.count_excess(id, strict);
        if admitted.is_err()
            && let Some(session) = self.session(key)
        {
            // The message was not taken over: when the client resends it, it must not pass for a repetition.
            session.incoming.forget(packet_id);
        }
        admitted.map(|()| false)
    }

    #[cold]
    fn count_excess(&mut self, id: ConnectionId, strict: bool) -> Result<(), Answer> {
        // [MQTT-3.3.4-7] is the client's to keep; what happens when it does not is the operator's choice.
        let Some(c) = self.connection(id) else { return Ok(()) };
        c.excess += 1;
        if c.version == Version::V5 && (strict || c.excess > EXCESS_MAX) {
            return Err(Answer::Violation(ReasonCode::ReceiveMaximumExceeded, "more messages than Receive Maximum"));
        }
        self.totals.receive_maximum_exceeded += 1;
        Ok(())
    }

    /// The topic that an alias stands for, where one is used. [MQTT-3.3.2-9] [MQTT-3.3.2-12]
    #[inline]
    fn resolve_alias(&mut self, id: ConnectionId, publish: &Publish<'_>) -> Result<Option<Arc<str>>, Answer> {
        if publish.properties.is_empty() {
            return Ok(None);
        }
        let Some(alias) = publish.properties.topic_alias() else { return Ok(None) };
        let Some(c) = self.connection(id) else { return Ok(None) };
        if alias > c.listener.topic_alias_max {
            return Err(Answer::Violation(ReasonCode::TopicAliasInvalid, "a topic alias above the maximum"));
        }
        if publish.topic.is_empty() {
            let topic = c.aliases_in.as_ref().and_then(|aliases| aliases.find(alias));
            let unknown = Answer::Violation(ReasonCode::ProtocolError, "a topic alias that was never set");
            return topic.map(Some).ok_or(unknown);
        }
        c.aliases_in.get_or_insert_with(|| Box::new(AliasesIn::default())).set(alias, publish.topic);
        Ok(None)
    }

    /// Rights and sizes, then on to whoever subscribes; gives the reason code of the answer.
    #[inline]
    fn check_and_route(&mut self, id: ConnectionId, key: SessionKey, arrival: &Arrival<'_>) -> ReasonCode {
        let &Arrival { publish, topic, packet, comes_again } = arrival;
        let limit = self.settings.message_size_limit as usize;
        if limit > 0 && publish.payload.len() > limit {
            self.totals.publish_too_large += 1;
            return ReasonCode::PacketTooLarge;
        }
        let Some(c) = self.connections.get(id.slot, id.generation) else { return ReasonCode::Success };
        let is_v5 = c.version.is_v5();
        let mounted = c.listener.mount_point.as_ref().map(|mount| [mount, topic].concat());
        let topic = mounted.as_deref().unwrap_or(topic);
        if topic.len() > usize::from(u16::MAX) {
            // [MQTT-4.7.3-3] holds for what subscribers elsewhere see, too.
            return ReasonCode::TopicNameInvalid;
        }
        if (!self.is_unrestricted || topic.starts_with('$')) && !self.session_may_publish(key, topic) {
            self.totals.publish_denied += 1;
            self.report_denied(key, publish, topic);
            return ReasonCode::NotAuthorized;
        }
        let (expires, kept);
        let properties = if publish.properties.is_empty() {
            expires = Time::NEVER;
            publish.properties
        } else {
            let interval = publish.properties.message_expiry_interval();
            expires = interval.map_or(Time::NEVER, |seconds| self.now.plus_seconds(u64::from(seconds)));
            kept = lasting_properties(publish.properties);
            kept.as_properties()
        };
        let is_plain = !publish.dup && !publish.retain && publish.properties.is_empty() && mounted.is_none();
        let message = MessageRef {
            topic,
            payload: publish.payload,
            properties: properties.bytes(),
            qos: publish.qos,
            retain: publish.retain,
            expires,
            publisher: self.session_ref(key),
            retained_version: 0,
            recorded: Recorded::default(),
            wire: if is_plain { Wire::plain(packet, is_v5) } else { Wire::default() },
        };
        if self.is_beyond_memory(&message) {
            self.totals.dropped_memory += 1;
            return ReasonCode::QuotaExceeded;
        }
        if let (QoS::ExactlyOnce, Some(packet_id)) = (publish.qos, publish.packet_id) {
            return self.keep_until_release(key, packet_id, message, comes_again);
        }
        if self.refuses_to_keep() && self.is_to_be_kept(&message) {
            self.note_refused_by_store(key, "the store has no room, or has failed");
            return ReasonCode::QuotaExceeded;
        }
        let mut shared = None;
        let message = self.retain(message, &mut shared);
        let set = self.matches_of_connection(id, topic);
        let routed = self.route(&set, &message, shared);
        self.remember_matches(id, topic, set);
        if self.is_steady && !self.is_unrestricted {
            self.remember_permission(id);
        }
        routed.reason_code()
    }

    /// A message that must be kept, retained or until PUBREL, and that there is no room for.
    fn is_beyond_memory(&mut self, message: &MessageRef<'_>) -> bool {
        let is_kept = (message.retain && !message.payload.is_empty()) || message.qos == QoS::ExactlyOnce;
        is_kept && !self.has_memory_to_keep(message.payload.len() as u64)
    }

    /// Must the store have room for this message?
    fn is_to_be_kept(&mut self, message: &MessageRef<'_>) -> bool {
        message.retain || {
            let set = self.match_set(message.topic);
            set.has_durable() && (message.qos != QoS::AtMostOnce || self.settings.upgrade_outgoing_qos)
        }
    }

    /// [MQTT-4.3.3-8] [MQTT311-4.3.3-2]
    fn keep_until_release(
        &mut self,
        key: SessionKey,
        packet_id: PacketId,
        mut message: MessageRef<'_>,
        comes_again: bool,
    ) -> ReasonCode {
        if comes_again && let Some(reason_code) = self.forgive(key, packet_id, &message) {
            return reason_code;
        }
        let is_persistent = self.sessions.get(key.slot, key.generation).is_some_and(Session::is_persistent);
        // What a client that keeps no session has been answered PUBREC for is owed to those who keep one.
        let is_recorded = self.settings.keeps_records && (is_persistent || self.is_to_be_kept(&message));
        if is_recorded && self.refuses_to_keep() {
            self.note_refused_by_store(key, "the store has no room, or has failed");
            return ReasonCode::QuotaExceeded;
        }
        if is_recorded {
            message.recorded = Recorded { number: self.recorder.next_number(), key: 0, waits: true };
        }
        let me = self.session_ref(key);
        let kept = message.to_shared(&self.memory);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else {
            return ReasonCode::UnspecifiedError;
        };
        let old = if comes_again { session.unreleased.get(packet_id) } else { None };
        let old = old.map(|old| old.message.number());
        if old.is_none() && !has_room_for_unreleased(&self.settings, session) {
            return ReasonCode::QuotaExceeded;
        }
        if is_recorded {
            if !session.is_recorded {
                self.recorder.note_begun(me, session);
            }
            self.recorder.note_message(&kept);
            self.recorder.note_received(me, packet_id, &kept);
        }
        let unreleased = Unreleased { packet_id, message: kept, has_come_again: false };
        if let Some(old_number) = old {
            if old_number != 0 && !is_recorded {
                self.recorder.note_forwarded(me, packet_id);
            }
            // Not a repetition, as DUP is not set: another message takes the place of the first, which the client has given
            // up. That is against the standard; Mosquitto does the same.
            session.unreleased.replace(unreleased);
        } else {
            session.unreleased.push(unreleased);
        }
        ReasonCode::Success
    }

    /// The same message again, though DUP is not set, is forgiven once: it is kept already. `None`: it is another one.
    fn forgive(&mut self, key: SessionKey, packet_id: PacketId, message: &MessageRef<'_>) -> Option<ReasonCode> {
        let old = self.session(key)?.unreleased.get_mut(packet_id)?;
        let (a, b) = (old.message.view(), message);
        let is_same = (a.topic, a.payload, a.properties, a.retain) == (b.topic, b.payload, b.properties, b.retain);
        if !is_same {
            return None;
        }
        old.has_come_again = !old.has_come_again;
        Some(if old.has_come_again { ReasonCode::Success } else { ReasonCode::PacketIdentifierInUse })
    }

    /// PUBREL has come: the message of this identifier goes on its way.
    pub(crate) fn release_message(&mut self, id: ConnectionId, key: SessionKey, packet_id: PacketId) {
        let me = self.session_ref(key);
        let Some(session) = self.session(key) else { return };
        let Some(message) = session.unreleased.take(packet_id) else { return };
        if message.number() != 0 {
            self.recorder.note_forwarded(me, packet_id);
        }
        self.release(message, Some(id));
    }

    /// What has expired since PUBLISH goes nowhere; the handshake is completed all the same.
    /// [MQTT-3.3.2-5] [MQTT-4.3.3-13]
    pub(crate) fn release(&mut self, message: Message, by: Option<ConnectionId>) {
        if message.expires() <= self.now {
            self.totals.dropped_expired += 1;
            return;
        }
        let mut view = message.view();
        // However durable the message is: that it has gone on its way is recorded now only.
        view.recorded.waits = message.number() != 0;
        let Some(id) = by else { return self.accept_message(view, Some(message.clone())) };
        let mut shared = Some(message.clone());
        let view = self.retain(view, &mut shared);
        let set = self.matches_of_connection(id, view.topic);
        self.route(&set, &view, shared);
        self.remember_matches(id, view.topic, set);
    }

    /// The session ends. What it has taken over with PUBREC it owes to the subscribers, released or not.
    pub(crate) fn release_all(&mut self, key: SessionKey) {
        let me = self.session_ref(key);
        let Some(session) = self.session(key) else { return };
        for Unreleased { packet_id, message, .. } in session.unreleased.take_all() {
            if message.number() != 0 {
                self.recorder.note_forwarded(me, packet_id);
            }
            self.release(message, None);
        }
    }

    pub(crate) fn has_too_many_levels(&self, topic: &str) -> bool {
        let max = self.settings.topic_levels_max as usize;
        max > 0 && topic.bytes().filter(|b| *b == b'/').count() > max
    }

    /// The matches of the topic that this connection published to last need not be looked up again. The set is taken
    /// out of the connection while it is used.
    #[inline]
    fn matches_of_connection(&mut self, id: ConnectionId, topic: &str) -> Arc<MatchSet> {
        let generation = self.generation;
        if let Some(c) = self.connections.get_mut(id.slot, id.generation)
            && let Some(last) = &c.last_topic
            && last.generation == generation
            && *last.topic == *topic
            && let Some(set) = &last.set
        {
            return Arc::clone(set);
        }
        self.match_set(topic)
    }

    #[inline]
    fn remember_matches(&mut self, id: ConnectionId, topic: &str, set: Arc<MatchSet>) {
        let generation = self.generation;
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        let is_known = |last: &LastTopic| last.generation == generation && *last.topic == *topic && last.set.is_some();
        if c.last_topic.as_deref().is_some_and(is_known) {
            return;
        }
        match &mut c.last_topic {
            Some(last) => {
                last.generation = generation;
                last.topic.clear();
                last.topic.push_str(topic);
                last.set = Some(set);
                last.is_permitted = false;
            }
            None => {
                let topic = String::from(topic);
                c.last_topic = Some(Box::new(LastTopic { generation, topic, set: Some(set), is_permitted: false }));
            }
        }
    }

    /// The client may publish to the topic that it published to last.
    #[inline]
    fn remember_permission(&mut self, id: ConnectionId) {
        if let Some(last) = self.connection(id).and_then(|c| c.last_topic.as_mut()) {
            last.is_permitted = true;
        }
    }

    /// At the end of an input: what has very many recipients is remembered by the shard, for all connections together.
    #[inline]
    pub(crate) fn forget_heavy_topic(&mut self, id: ConnectionId) {
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        if let Some(last) = &mut c.last_topic
            && last.set.as_ref().is_some_and(|set| set.weight_alone() > REMEMBERED_WEIGHT_MAX)
        {
            last.set = None;
        }
    }

    /// A message from within the broker: a will, one of its own, or one that has waited for its release.
    pub(crate) fn accept_message(&mut self, message: MessageRef<'_>, mut shared: Option<Message>) {
        let message = self.retain(message, &mut shared);
        let set = self.match_set(message.topic);
        self.route(&set, &message, shared);
    }

    /// RETAIN 1 replaces or removes the retained message of the topic, before the message is matched: whoever
    /// subscribes meanwhile finds it there or is matched. [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8]
    /// [MQTT311-3.3.1-5] [MQTT311-3.3.1-10] [MQTT311-3.3.1-11] [MQTT311-3.3.1-12]
    fn retain<'a>(&mut self, mut message: MessageRef<'a>, shared: &mut Option<Message>) -> MessageRef<'a> {
        if !message.retain {
            return message;
        }
        let (memory, owner) = (self.memory.clone(), self.owner_of(message.publisher));
        let is_recorded = self.recorder.is_on() && !is_own_state(&message);
        if is_recorded {
            message.recorded.number = self.recorder.next_number();
        }
        let (mut next_expiry, mut stored, mut is_change) = (None, None, false);
        self.space.retained(&mut |retained| {
            let before = retained.len();
            message.retained_version = retained.next_version();
            if message.payload.is_empty() {
                retained.remove(message.topic);
            } else {
                let kept = message.to_shared(&memory);
                stored = Some(kept.clone());
                let version = message.retained_version;
                retained.store(RetainedMessage { message: kept, version, owner: owner.clone() });
            }
            next_expiry = retained.next_expiry();
            is_change = retained.len() != before;
        });
        // A subscriber that has looked into the store before this message was there is in the index by now. What this
        // input knows of the index may be older than that.
        self.generation = self.space.generation();
        match stored {
            Some(kept) if is_recorded => {
                self.recorder.note_message(&kept);
                self.recorder.note_retained(&kept, message.retained_version, owner.as_deref(), is_change);
                *shared = Some(kept);
            }
            None if is_recorded => {
                self.recorder.note_retained_gone(message.topic, message.retained_version, is_change);
                message.recorded.number = shared.as_ref().map_or(0, |shared| shared.number());
            }
            _ => {}
        }
        if message.expires != Time::NEVER {
            self.watch_retained(next_expiry);
        }
        message
    }

    #[cold]
    fn report_denied(&mut self, key: SessionKey, publish: &Publish<'_>, topic: &str) {
        let is_reserved = is_reserved(topic);
        if !is_reserved && !self.settings.report_denied {
            return;
        }
        let Some(session) = self.session(key) else { return };
        let client_id = Arc::clone(&session.client_id);
        let &Publish { dup, qos, retain, packet_id, payload, .. } = publish;
        let (topic, payload_bytes) = (Box::from(topic), payload.len());
        self.event(Event::Denied { client_id, topic, dup, qos, retain, packet_id, payload_bytes, is_reserved });
    }

    /// Who a retained message is kept for; nobody where everybody may do everything.
    fn owner_of(&self, publisher: SessionRef) -> Option<Arc<Owner>> {
        if self.is_unrestricted || publisher.shard != self.id {
            return None;
        }
        let session = self.sessions.get(publisher.slot, publisher.generation)?;
        let (identity, client_id) = (Arc::clone(&session.identity), Arc::clone(&session.client_id));
        Some(Arc::new(Owner { identity, client_id }))
    }

    /// May whoever published a retained message still do so?
    pub(crate) fn is_still_backed(&self, retained: &RetainedMessage) -> bool {
        let checks = self.settings.check_retain_source && !self.is_unrestricted;
        let may = |owner: &Owner| self.may_publish(&owner.identity, &owner.client_id, retained.message.topic());
        !checks || retained.owner.as_deref().is_none_or(may)
    }

    fn session_may_publish(&mut self, key: SessionKey, topic: &str) -> bool {
        let Some(session) = self.sessions.get(key.slot, key.generation) else { return false };
        self.may_publish(&session.identity, &session.client_id, topic)
    }

    pub(crate) fn may_publish(&self, identity: &Identity, client_id: &str, topic: &str) -> bool {
        if identity.is_internal {
            return true;
        }
        !is_reserved(topic) && (self.is_unrestricted || self.access.may(identity, client_id, Action::Publish, topic))
    }
}

/// Nobody but the broker itself publishes below `$SYS`, but for bridges that tell their state; and a topic name that
/// looks like a shared subscription is a mistake.
#[must_use]
pub fn is_reserved(topic: &str) -> bool {
    let below = |root: &str| topic.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_bridge_state = topic.starts_with("$SYS/broker/connection/") && topic.ends_with("/state");
    (below("$SYS") && !is_bridge_state) || below("$share")
}

/// What the broker says of itself, again and again, is worth nothing after a restart.
fn is_own_state(message: &MessageRef<'_>) -> bool {
    message.publisher == SessionRef::NOBODY && message.topic.starts_with("$SYS/")
}

/// What a session may leave between PUBREC and PUBREL, over all its connections together.
fn has_room_for_unreleased(settings: &Settings, session: &Session) -> bool {
    let count_max = match settings.inflight_messages_max {
        0 => usize::from(u16::MAX),
        max => usize::from(max) + EXCESS_MAX as usize,
    };
    let bytes_max = settings.queued_bytes_max;
    session.unreleased.len() < count_max && (bytes_max == 0 || session.unreleased.bytes() < bytes_max)
}

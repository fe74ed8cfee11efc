//! How connections and sessions end: DISCONNECT, a lost network, silence, take-over, expiry, the broker's own end.

use crate::budget::PLACES_IN_A_GO;
use crate::connection::Phase;
use crate::event::{Cause, Effect, Event};
use crate::expiring::end_of;
use crate::explaining::Teller;
use crate::ids::{ConnectionId, SessionRef};
use crate::places::Places;
use crate::session::{Session, SessionKey};
use crate::shard::Shard;
use crate::shared::{GroupMatch, GroupNumber};
use crate::time::Time;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{Disconnect, Properties, ReasonCode, Version};

impl Shard {
    pub(crate) fn handle_disconnect(&mut self, id: ConnectionId, disconnect: &Disconnect<'_>) {
        let Some(c) = self.connection(id) else { return };
        if !c.is_open() {
            return self.refuse_silently(id, disconnect.reason_code, "DISCONNECT before CONNACK");
        }
        let (key, mark) = (c.session, self.recorder.mark());
        let expiry = disconnect.properties.session_expiry_interval();
        if let Some(expiry) = expiry {
            let Some(session) = self.session(key) else { return };
            if session.expiry_seconds == 0 && expiry > 0 {
                // MQTT 5.0 section 3.14.2.2.2.
                let text = "Session Expiry Interval in DISCONNECT after 0 in CONNECT";
                return self.violated(id, ReasonCode::ProtocolError, text);
            }
            session.expiry_seconds = expiry;
        }
        if disconnect.reason_code == ReasonCode::Success {
            // [MQTT-3.14.4-3] [MQTT-3.1.2-10] [MQTT311-3.14.4-3] [MQTT311-3.1.2-10]
            self.discard_will(key);
        }
        self.end_connection(id, None, Cause::ByClient(disconnect.reason_code));
        if expiry.is_some() {
            // The client sees the end of the connection once the new expiry is durable.
            self.close_after(id, mark);
        }
    }

    /// The socket is gone.
    pub(crate) fn lose_connection(&mut self, id: ConnectionId, cause: Cause) {
        let Some(c) = self.connection(id) else { return };
        match c.phase {
            Phase::Open => {
                c.phase = Phase::Closing;
                self.detach(id, cause);
            }
            Phase::New | Phase::Waiting(_) | Phase::Moving(_) | Phase::Draining(_) => {
                let address = c.address.clone();
                let text = match cause {
                    Cause::Network(text) => text,
                    _ => Box::from("closed before CONNECT"),
                };
                self.event(Event::Refused {
                    address,
                    client_id: None,
                    reason_code: ReasonCode::UnspecifiedError,
                    text,
                });
            }
            Phase::Closing => {}
        }
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        self.released.extend(c.claimed_client_id());
        self.timers.set(Timer::Connection(id.slot), &mut c.timer, Time::NEVER);
        self.connections.remove(id.slot, id.generation);
    }

    /// End a connection that has a session, telling the client why if its version can.
    /// [MQTT-4.13.2-1] [MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-3.14.0-1] [MQTT-3.14.2-2]
    pub(crate) fn end_connection(&mut self, id: ConnectionId, tell: Option<ReasonCode>, cause: Cause) {
        let Some(c) = self.connection(id) else { return };
        if !c.is_open() {
            return;
        }
        // One whose CONNACK is held back does not know of a session that could end.
        let tell = tell.filter(|_| !c.holds_connack());
        if let (Version::V5, Some(reason_code)) = (c.version, tell) {
            let mut disconnect = Disconnect { reason_code, properties: Properties::EMPTY };
            let text = match &cause {
                Cause::Protocol(_, text) => text,
                _ => reason_code.text(),
            };
            let why = self.explanation(id, Teller::Connection, text, disconnect.encoded_len(Version::V5));
            disconnect.properties = why.as_properties();
            self.send(id, |version, out| disconnect.encode(version, out));
        }
        self.close(id);
        self.detach(id, cause);
    }

    /// Nothing more is taken from the connection; what has been written before may leave.
    pub(crate) fn close(&mut self, id: ConnectionId) {
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        if c.is_closing() {
            return;
        }
        self.released.extend(c.claimed_client_id());
        c.phase = Phase::Closing;
        c.input = Vec::new();
        c.unfinished = None;
        // What waits for its record is not told any more: the client asks again when it comes back.
        c.held = None;
        self.timers.set(Timer::Connection(id.slot), &mut c.timer, Time::NEVER);
        self.effects.push_back(Effect::Close(id));
    }

    /// The session loses its connection: it ends, or waits for the client to come back.
    fn detach(&mut self, id: ConnectionId, cause: Cause) {
        let Some(c) = self.connection(id) else { return };
        let (key, address) = (c.session, c.address.clone());
        (c.aliases_in, c.aliases_out, c.last_topic, c.authentication) = (None, None, None, None);
        let now = self.now;
        let expiry = self.session(key).map_or(0, |session| session.expiry_seconds);
        let expiry = self.granted_expiry(expiry);
        let Some(session) = self.session(key) else { return };
        session.connection = None;
        let client_id = Arc::clone(&session.client_id);
        if expiry > 0 {
            session.left_at = now;
            session.ends_at = end_of(now, expiry);
            // [MQTT-3.1.2-8]: after the Will Delay Interval, or with the session.
            if let Some(will) = &mut session.will {
                will.at = now.plus_seconds(u64::from(will.delay_seconds)).min(session.ends_at);
            }
            let me = self.session_ref(key);
            if let Some(session) = self.sessions.get(key.slot, key.generation) {
                match cause {
                    Cause::Shutdown => self.recorder.note_stopped(me, session),
                    _ => self.recorder.note_disconnected(me, session),
                }
            }
            if self.session(key).is_some_and(|session| session.has_shared_subscriptions()) {
                self.mark_members(key);
            } else {
                self.hand_back(key);
            }
        }
        self.event(Event::Disconnected { client_id, address, cause });
        if expiry == 0 {
            // [MQTT-4.1.0-2] [MQTT311-3.1.2-6]
            self.end_session(key);
        } else {
            self.session_due(key);
        }
    }

    /// A session's will or end may be due; its timer is set for what comes next.
    pub(crate) fn session_due(&mut self, key: SessionKey) {
        if self.unadjusted.is_some() {
            // It may be due by a setting that does not hold any more.
            self.apply_expiration_to(key);
        }
        let now = self.now;
        let Some(session) = self.session(key) else { return };
        if session.connection.is_some() {
            return;
        }
        if session.ends_at <= now {
            let client_id = Arc::clone(&session.client_id);
            self.totals.sessions_expired += 1;
            self.event(Event::Expired { client_id });
            return self.end_session(key);
        }
        if session.will_at() <= now {
            self.publish_will(key);
        }
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        let next = session.next_due();
        self.timers.set(Timer::Session(key.slot), &mut session.timer, next);
    }

    /// Nothing remains of the session; retained messages are no part of it [MQTT311-3.1.2-7]. Its will, if one is still to come, is published now.
    pub(crate) fn end_session(&mut self, key: SessionKey) {
        self.release_all(key);
        self.publish_will(key);
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        self.timers.set(Timer::Session(key.slot), &mut session.timer, Time::NEVER);
        let places = core::mem::take(&mut session.places);
        if !places.is_empty() {
            self.leave(me, places);
        }
        self.client_ids.remove(key.slot, &self.sessions);
        if let Some(session) = self.sessions.remove(key.slot, key.generation) {
            self.hand_on(me, session);
        }
    }

    /// A session that has ended, and has handed back what it had from groups.
    pub(crate) fn bury(&mut self, me: SessionRef, mut session: Session) {
        self.totals.dropped_session_ended += (session.queue.len() + session.outgoing.in_flight()) as u64;
        self.recorder.note_ended(me, &session);
        if session.is_recorded && self.recorder.is_on() {
            self.holds.note_end(self.recorder.piece_number(), Arc::clone(&session.client_id));
            self.space.registry(&mut |registry| registry.note_end(&session.client_id));
        }
        if !session.queue.is_empty() {
            self.ended_queues.push_back(core::mem::take(&mut session.queue));
            self.free_queues();
        }
        self.released.push(session.client_id);
    }

    /// Drop some of what waited for sessions that have ended. What is left still counts as memory in use.
    pub(crate) fn free_queues(&mut self) {
        while self.budget.frees > 0
            && let Some(queue) = self.ended_queues.front_mut()
        {
            if let Some(gone) = queue.drop_oldest(&self.memory) {
                gone.forget(&self.memory);
                self.budget.frees -= 1;
            }
            if queue.is_empty() {
                self.ended_queues.pop_front();
            }
        }
    }

    /// A session that ends gives up its subscriptions: at once as far as that is quick, the rest in the next turns, shared
    /// ones first. Until then they lead to a session that is not there.
    fn leave(&mut self, me: SessionRef, places: Places) {
        self.leavers.push_back((me, places.into_iter()));
        self.remove_subscriptions();
    }

    /// Take some subscriptions of sessions that have ended out of the index.
    pub(crate) fn remove_subscriptions(&mut self) {
        let (leavers, left) = (&mut self.leavers, &mut self.budget.removals);
        if leavers.is_empty() || *left == 0 {
            return;
        }
        self.space.write_index(&mut |index| {
            while *left > 0
                && let Some((me, places)) = leavers.front_mut()
            {
                if let Some(place) = places.next() {
                    index.remove(&place, *me);
                    *left -= 1;
                }
                if places.size_hint().0 == 0 {
                    leavers.pop_front();
                }
            }
        });
        self.generation = self.space.generation();
    }

    /// A member of the group was chosen in vain: it has ended, and its turn to leave the index has not come. It goes at
    /// once, and with it all members of this shard that have ended. Gives whether there were any.
    pub(crate) fn remove_ended_members(&mut self, group: &GroupMatch) -> bool {
        if self.leavers.is_empty() {
            return false;
        }
        let members = group.members().iter().map(|member| member.session).filter(|session| session.shard == self.id);
        let has_ended = |session: &SessionRef| self.sessions.get(session.slot, session.generation).is_none();
        let ended: Vec<SessionRef> = members.filter(has_ended).take(PLACES_IN_A_GO).collect();
        self.remove_members(group, &ended);
        !ended.is_empty()
    }

    fn remove_members(&mut self, group: &GroupMatch, members: &[SessionRef]) {
        if members.is_empty() {
            return;
        }
        self.space.write_index(&mut |index| {
            for member in members {
                index.remove(&group.place(), *member);
            }
        });
        self.generation = self.space.generation();
    }

    /// A session that ends may still stand in a group whose messages it hands back: that group it leaves at once.
    pub(crate) fn leave_group(&mut self, me: SessionRef, topic: &str, group: GroupNumber) {
        if self.leavers.is_empty() {
            return;
        }
        let set = self.match_set(topic);
        if let Some(group) = set.group(group)
            && group.members().iter().any(|member| member.session == me)
        {
            self.remove_members(group, &[me]);
        }
    }

    /// A connection's deadline: CONNECT has not come in time, or nothing came within Keep Alive.
    pub(crate) fn connection_due(&mut self, id: ConnectionId) {
        let now = self.now;
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        c.timer = Time::NEVER;
        match c.phase {
            Phase::Open => {
                let due = c.last_received.plus_millis(u64::from(c.silence_max_millis));
                if due > now {
                    return self.timers.set(Timer::Connection(id.slot), &mut c.timer, due);
                }
                // [MQTT-3.1.2-22] [MQTT311-3.1.2-24]
                self.end_connection(id, Some(ReasonCode::KeepAliveTimeout), Cause::KeepAlive);
            }
            Phase::Closing => {}
            _ => {
                let seconds = self.settings.connect_timeout_millis / 1000;
                let text = format!("no complete CONNECT within {seconds} s");
                self.refuse_silently(id, ReasonCode::KeepAliveTimeout, &text);
            }
        }
    }

    pub(crate) fn say_goodbye(&mut self) {
        let open: Vec<ConnectionId> = self.connections.iter().map(|(_, _, c)| c.id).collect();
        for id in open {
            if self.connection(id).is_some_and(|c| c.is_open()) {
                self.end_connection(id, Some(ReasonCode::ServerShuttingDown), Cause::Shutdown);
            } else {
                self.close(id);
            }
        }
        self.finish_all_handing();
        // A will that waits for its delay would be lost: its time has come.
        let waiting: Vec<SessionKey> = self
            .sessions
            .iter()
            .filter(|(_, _, s)| s.will.is_some())
            .map(|(slot, generation, _)| SessionKey { slot, generation })
            .collect();
        for key in waiting {
            self.publish_will(key);
        }
    }
}

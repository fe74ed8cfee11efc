//! From CONNECT to CONNACK. MQTT 5.0 sections 3.1 and 3.2.
//!
//! ```text
//!   CONNECT ─ rules of the listener ─ client identifier ─┬─ login ───────────┐
//!                                                        └─ AUTH exchange ───┤
//!      ┌──── the session's home is another shard: move there ── registry ◄───┘
//!      └─► take over, resume or begin the session ─ CONNACK ─ what waited for the client
//! ```

use crate::access::{Login, Step, Verdict};
use crate::aliases::AliasesOut;
use crate::connection::{Authentication, Connection, Phase, Waiting};
use crate::event::{Cause, Effect, Event};
use crate::handoff::{Admission, Handoff};
use crate::ids::{ConnectionId, ShardId};
use crate::registry::Claim;
use crate::session::{Session, SessionKey};
use crate::settings::ListenerSettings;
use crate::shard::Shard;
use crate::space::StoreState;
use crate::time::Time;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{ConnAck, Connect, Direction, Packet, PacketType, ReasonCode, Split, Version, decode, split};

const DECODED_BEFORE: &str = "the bytes were decoded as CONNECT before they were kept";

impl Shard {
    /// [MQTT-3.1.4-1] [MQTT311-3.1.4-1] were kept when the packet was decoded.
    pub(crate) fn handle_connect(&mut self, id: ConnectionId, connect: &Connect<'_>, bytes: &[u8]) {
        self.totals.connects += 1;
        let Some(c) = self.connection(id) else { return };
        c.version = connect.version;
        c.packet_size_max = packet_size_max(connect);
        let listener = Arc::clone(&c.listener);
        if !listener.versions.contains(connect.version) {
            // [MQTT-3.1.2-2] [MQTT311-3.1.2-2]
            return self.refuse(id, ReasonCode::UnsupportedProtocolVersion, "the listener does not take this version");
        }
        if let Some((reason_code, text)) = self.refused_by_settings(id, connect) {
            return self.refuse(id, reason_code, text);
        }
        let Some((client_id, assigned)) = self.choose_client_id(id, connect) else { return };
        if listener.identity.is_none() && !client_id.starts_with(&*self.settings.client_id_prefix) {
            // Mosquitto's code.
            return self.refuse(
                id,
                ReasonCode::NotAuthorized,
                "the client identifier lacks the prefix that all must have",
            );
        }
        let waiting = Waiting { connect: Vec::from(bytes), client_id, assigned, exchange: None };
        if let Some(c) = self.connection(id).filter(|c| c.listener.names_its_clients && c.proven_name.is_none()) {
            c.phase = Phase::Waiting(Box::new(waiting));
            // Mosquitto's code.
            let text = "the client has shown no certificate with a name";
            return self.refuse(id, ReasonCode::BadUserNameOrPassword, text);
        }
        match connect.properties.authentication_method() {
            Some(method) => self.begin_exchange(id, connect, method, waiting),
            None => self.begin_login(id, connect, waiting),
        }
    }

    fn refused_by_settings(&self, id: ConnectionId, connect: &Connect<'_>) -> Option<(ReasonCode, &'static str)> {
        let c = self.connections.get(id.slot, id.generation)?;
        let max = self.settings.keep_alive_max;
        if max > 0 && connect.version != Version::V5 && (connect.keep_alive == 0 || connect.keep_alive > max) {
            return Some((ReasonCode::ClientIdentifierNotValid, "Keep Alive is above max_keepalive"));
        }
        let will = connect.will.as_ref()?;
        let limit = self.settings.message_size_limit as usize;
        if limit > 0 && will.payload.len() > limit {
            // MQTT 3 has no return code for it; Mosquitto says "not authorised".
            let code =
                if connect.version == Version::V5 { ReasonCode::PacketTooLarge } else { ReasonCode::NotAuthorized };
            return Some((code, "the will's payload is above message_size_limit"));
        }
        let mount = c.listener.mount_point.as_ref().map_or(0, |mount| mount.len());
        if self.has_too_many_levels(will.topic) || mount + will.topic.len() > usize::from(u16::MAX) {
            return Some((ReasonCode::TopicNameInvalid, "the will's topic has too many levels or is too long"));
        }
        if will.qos > c.listener.qos_max {
            // [MQTT-3.2.2-12]
            return Some((ReasonCode::QoSNotSupported, "the will's QoS is above max_qos"));
        }
        if will.retain && !self.settings.retain_available {
            // [MQTT-3.2.2-13]
            return Some((ReasonCode::RetainNotSupported, "the will is retained, and retained messages are off"));
        }
        None
    }

    /// The client identifier, and whether it was made here.
    fn choose_client_id(&mut self, id: ConnectionId, connect: &Connect<'_>) -> Option<(Arc<str>, bool)> {
        let listener = Arc::clone(&self.connection(id)?.listener);
        if listener.use_username_as_client_id {
            let name = self.connections.get(id.slot, id.generation).and_then(|c| user_name_of(c, connect));
            let is_assigned = connect.client_id.is_empty();
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                return Some((Arc::from(name), is_assigned));
            }
            if let Some(c) = self.connection(id).filter(|_| !is_assigned) {
                // So that the log knows who it was.
                let client_id = Arc::from(connect.client_id);
                let waiting = Waiting { connect: Vec::new(), client_id, assigned: false, exchange: None };
                c.phase = Phase::Waiting(Box::new(waiting));
            }
            // Mosquitto's codes.
            let is_unnamed = listener.names_its_clients;
            let code = if is_unnamed { ReasonCode::BadUserNameOrPassword } else { ReasonCode::NotAuthorized };
            self.refuse(id, code, "a user name is required as client identifier");
            return None;
        }
        // [MQTT-3.1.3-5] [MQTT311-3.1.3-5]: every identifier that is a string of MQTT is taken.
        if !connect.client_id.is_empty() {
            return Some((Arc::from(connect.client_id), false));
        }
        let allowed = match connect.version {
            Version::V31 => false,
            // [MQTT311-3.1.3-7] [MQTT311-3.1.3-8]
            Version::V311 => connect.clean_start && listener.allow_zero_length_client_id,
            Version::V5 => listener.allow_zero_length_client_id,
        };
        if !allowed {
            // [MQTT-3.1.3-8] [MQTT311-3.1.3-9]: Mosquitto's code for MQTT 5, which scripts know, is the unspecific one.
            let is_v5 = connect.version == Version::V5;
            let code = if is_v5 { ReasonCode::UnspecifiedError } else { ReasonCode::ClientIdentifierNotValid };
            self.refuse(id, code, "the client identifier is empty");
            return None;
        }
        // [MQTT-3.1.3-6] [MQTT-3.2.2-16] [MQTT311-3.1.3-6]
        Some((Arc::from(self.unique_client_id(&listener.auto_id_prefix)), true))
    }

    fn unique_client_id(&mut self, prefix: &str) -> String {
        let (high, low) = (self.random.next(), self.random.next());
        // A UUID of version 4, as Mosquitto writes it.
        let (a, b, c) = (high >> 32, (high >> 16) & 0xFFFF, 0x4000 | (high & 0xFFF));
        let (d, e) = (0x8000 | ((low >> 48) & 0x3FFF), low & 0xFFFF_FFFF_FFFF);
        format!("{prefix}{a:08X}-{b:04X}-{c:04X}-{d:04X}-{e:012X}")
    }

    fn begin_login(&mut self, id: ConnectionId, connect: &Connect<'_>, waiting: Waiting) {
        let Some(c) = self.connections.get(id.slot, id.generation) else { return };
        let login = login_of(c, connect, &waiting.client_id, (self.id, id));
        let verdict = match &c.listener.identity {
            Some(identity) => Verdict::Accept(Arc::clone(identity)),
            None => self.access.login(&login),
        };
        if let Some(c) = self.connection(id) {
            c.phase = Phase::Waiting(Box::new(waiting));
        }
        if !matches!(verdict, Verdict::Later) {
            self.decide_login(id, verdict);
        }
    }

    /// The verdict that [`Shard::begin_login`] waited for.
    pub(crate) fn resolve_login(&mut self, id: ConnectionId, verdict: Verdict) {
        let waits = |c: &Connection| !c.is_ending && matches!(&c.phase, Phase::Waiting(w) if w.exchange.is_none());
        let Some(c) = self.connections.get(id.slot, id.generation).filter(|c| waits(c)) else { return };
        // The rules may be others by now than those that were asked.
        let is_outdated =
            matches!(&verdict, Verdict::Accept(identity) if !self.access.still_admits(identity, &c.listener));
        let verdict = if is_outdated { Verdict::Refuse(ReasonCode::NotAuthorized) } else { verdict };
        self.decide_login(id, verdict);
        let Some(c) = self.connection(id) else { return };
        let held = core::mem::take(&mut c.input);
        self.take_input(id, &held);
    }

    fn decide_login(&mut self, id: ConnectionId, verdict: Verdict) {
        match verdict {
            Verdict::Accept(identity) => self.admit(id, identity, None),
            // [MQTT-3.1.4-2]
            Verdict::Refuse(reason_code) => self.refuse(id, reason_code, reason_code.text()),
            Verdict::Later => {}
        }
    }

    /// An AUTH exchange begins with the data in CONNECT. MQTT 5.0 section 4.12.
    fn begin_exchange(&mut self, id: ConnectionId, connect: &Connect<'_>, method: &str, mut waiting: Waiting) {
        let Some(c) = self.connections.get(id.slot, id.generation) else { return };
        let login = login_of(c, connect, &waiting.client_id, (self.id, id));
        let exchange = self.access.exchange(method, &login);
        let step = exchange.map(|mut exchange| {
            let step = exchange.step(connect.properties.authentication_data());
            waiting.exchange = Some((Box::from(method), exchange));
            step
        });
        if let Some(c) = self.connection(id) {
            c.phase = Phase::Waiting(Box::new(waiting));
        }
        match step {
            Some(step) => self.take_step(id, step),
            // [MQTT-4.12.0-1]
            None => self.refuse(id, ReasonCode::BadAuthenticationMethod, "the authentication method is not known"),
        }
    }

    /// What an AUTH exchange before CONNACK says next.
    pub(crate) fn take_step(&mut self, id: ConnectionId, step: Step) {
        let Some(c) = self.connection(id) else { return };
        let Phase::Waiting(waiting) = &c.phase else { return };
        let Some((method, _)) = &waiting.exchange else { return };
        let method = method.clone();
        match step {
            Step::Continue(data) => self.send_auth(id, ReasonCode::ContinueAuthentication, &method, Some(&data)),
            Step::Done(identity, data) => self.admit(id, identity, Some((method, data))),
            // [MQTT-4.12.0-4]
            Step::Refuse(reason_code) => self.refuse(id, reason_code, "the authentication failed"),
        }
    }

    /// The client may come in. Its session decides on which shard that is.
    fn admit(
        &mut self,
        id: ConnectionId,
        identity: Arc<crate::access::Identity>,
        authentication: Option<(Box<str>, Option<Vec<u8>>)>,
    ) {
        let Some(c) = self.connection(id) else { return };
        let Phase::Waiting(waiting) = core::mem::replace(&mut c.phase, Phase::New) else { return };
        let Waiting { connect, client_id, assigned, .. } = *waiting;
        let identity = if *identity == *self.anonymous { Arc::clone(&self.anonymous) } else { identity };
        self.find_home(id, connect, Admission { client_id, identity, assigned, authentication }, true);
    }

    /// The client's connection to this shard.
    fn connection_of(&self, client_id: &str) -> Option<ConnectionId> {
        let key = self.client_ids.find(client_id, &self.sessions)?;
        let (slot, generation) = self.sessions.get(key.slot, key.generation)?.connection?;
        Some(ConnectionId { slot, generation })
    }

    /// Ask the registry who is home to this client: us, or another shard where the connection then goes.
    /// `drains`: what the client has said elsewhere before is heard first.
    fn find_home(&mut self, id: ConnectionId, connect: Vec<u8>, admission: Admission, drains: bool) {
        if self.is_behind()
            && let Some(old) = self.connection_of(&admission.client_id)
        {
            self.finish_input(old);
        }
        let (mut claim, mut others) = (Claim::Own, 0);
        self.space.registry(&mut |registry| {
            others = registry.len();
            claim = registry.claim(&admission.client_id, self.id);
        });
        if let Claim::Other(home) = claim {
            if let Some(c) = self.connection(id) {
                c.phase = Phase::Moving(Box::new((home, connect, admission)));
            }
            return;
        }
        let is_full = self.settings.clients_max.is_some_and(|max| others as u64 >= max);
        if claim == Claim::New && is_full {
            self.released.push(admission.client_id);
            return self.refuse(id, ReasonCode::ServerBusy, "the broker has global_max_clients sessions");
        }
        let effect = match self.connection_of(&admission.client_id) {
            Some(connection) => Some(Effect::Drain { connection, then: id }),
            None if claim == Claim::New && self.shards > 1 => Some(Effect::TakeMail { then: id }),
            None => None,
        };
        if let (true, Some(effect)) = (drains, effect) {
            if let Some(c) = self.connection(id) {
                c.phase = Phase::Draining(Box::new((connect, admission)));
            }
            self.effects.push_back(effect);
            return;
        }
        let Ok(Split::Frame(frame)) = split(&connect, usize::MAX) else { unreachable!("{}", DECODED_BEFORE) };
        match decode(frame, Version::V5, Direction::ToServer) {
            Ok(Packet::Connect(connect)) => self.enter(id, &connect, admission),
            _ => unreachable!("{}", DECODED_BEFORE),
        }
    }

    /// The other connection has been read. It may have ended by that, so the client's home is asked for again.
    pub(crate) fn finish_drain(&mut self, id: ConnectionId) {
        let Some(c) = self.connection(id) else { return };
        if c.is_ending || !matches!(c.phase, Phase::Draining(_)) {
            return;
        }
        let Phase::Draining(drained) = core::mem::replace(&mut c.phase, Phase::New) else { return };
        let held = core::mem::take(&mut c.input);
        let (connect, admission) = *drained;
        self.find_home(id, connect, admission, false);
        self.take_input(id, &held);
    }

    /// The connection leaves for another shard, with whatever of the input has not been handled.
    pub(crate) fn finish_move(&mut self, id: ConnectionId) {
        let Some(c) = self.connection(id) else { return };
        if !matches!(c.phase, Phase::Moving(_)) {
            return;
        }
        let (due, mut place) = (c.timer, c.timer);
        self.timers.set(Timer::Connection(id.slot), &mut place, Time::NEVER);
        let Some(c) = self.connections.remove(id.slot, id.generation) else { return };
        let Phase::Moving(moving) = c.phase else { return };
        let (to, connect, admission) = *moving;
        let Connection { listener, address, version, input, .. } = c;
        let handoff = Handoff { listener, address, version, connect, input, admission, due };
        self.effects.push_back(Effect::Move { connection: id, to, handoff: Box::new(handoff) });
    }

    /// A connection that another shard moved here: the session's home was here when that shard asked.
    pub(crate) fn take_over_connection(&mut self, handoff: Handoff) -> ConnectionId {
        let Handoff { listener, address, version, connect, input, admission, due } = handoff;
        let id = self.insert_connection(listener, address, due);
        if let Some(c) = self.connection(id) {
            c.version = version;
        }
        let c = self.connections.get(id.slot, id.generation);
        if c.is_some_and(|c| {
            c.listener.identity.is_none() && !self.access.still_admits(&admission.identity, &c.listener)
        }) {
            // The rules have changed while it was on its way.
            self.refuse(id, ReasonCode::NotAuthorized, ReasonCode::NotAuthorized.text());
            return id;
        }
        self.find_home(id, connect, admission, true);
        self.take_input(id, &input);
        id
    }

    /// The client's session is here, or begins here: take over, resume or begin it, and answer.
    fn enter(&mut self, id: ConnectionId, connect: &Connect<'_>, admission: Admission) {
        let expiry_seconds = self.session_expiry(connect);
        if let Some(c) = self.connection(id) {
            // A connection that was moved here does not know it yet.
            c.packet_size_max = packet_size_max(connect);
        }
        let old = self.client_ids.find(&admission.client_id, &self.sessions);
        if old.and_then(|key| self.session(key)).is_some_and(|old| old.identity.is_internal)
            && !admission.identity.is_internal
        {
            let text = "the client identifier belongs to a part of the broker";
            return self.refuse(id, ReasonCode::ClientIdentifierNotValid, text);
        }
        let properties = self.connack_properties(id, connect, &admission);
        let mut connack = ConnAck {
            session_present: false,
            reason_code: ReasonCode::Success,
            properties: properties.as_properties(),
        };
        // [MQTT-3.1.2-24]
        if self.connection(id).is_none_or(|c| !c.takes(connack.encoded_len(c.version))) {
            self.released.push(admission.client_id);
            let text = "its Maximum Packet Size is too small for a CONNACK";
            return self.refuse_silently(id, ReasonCode::PacketTooLarge, text);
        }
        let may_return = self.may_session_return(&admission.client_id);
        if let Some(text) = self.refused_by_store(old, connect, expiry_seconds, may_return) {
            self.released.push(admission.client_id);
            self.totals.refused_by_store += 1;
            let is_v5 = connect.version == Version::V5;
            let code = if is_v5 { ReasonCode::QuotaExceeded } else { ReasonCode::ServerUnavailable };
            return self.refuse(id, code, text);
        }
        let mark = self.recorder.mark();
        if let Some(key) = old {
            // Its time, or that of its will, may be over without its timer having fired.
            self.session_due(key);
            self.take_over_session(key, connect.clean_start);
        }
        // A session that ended with its connection is not there any more.
        let kept = old.filter(|key| self.session(*key).is_some());
        // [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT311-3.2.2-1] [MQTT311-3.2.2-2] [MQTT311-3.2.2-3]
        let is_present = kept.is_some();
        let key = kept.unwrap_or_else(|| self.begin_session(&admission));
        self.bind(id, key, connect, &admission, expiry_seconds);
        // [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.0-2] [MQTT311-3.1.4-4] [MQTT311-3.2.0-1]
        connack.session_present = is_present && connect.version != Version::V31;
        // A session may have been ended by a CONNECT whose CONNACK never left.
        let waits = self.recorder.mark() != mark || (may_return && !is_present);
        let number = waits.then(|| self.recorder.wait());
        self.send_when(id, number, PacketType::ConnAck, |version, out| connack.encode(version, out));
        let Some(c) = self.connections.get(id.slot, id.generation) else { return };
        let (address, version) = (c.address.clone(), c.version);
        self.event(Event::Connected {
            client_id: admission.client_id,
            address,
            version,
            clean_start: connect.clean_start,
            keep_alive: connect.keep_alive,
            user_name: admission.identity.user_name.clone(),
        });
        self.resume(id, key);
    }

    /// Has the client's last session ended, and is not durable that it has? Then it has not, should the power fail now.
    fn may_session_return(&self, client_id: &str) -> bool {
        let mut may_return = false;
        if self.recorder.is_on() {
            self.space.registry(&mut |registry| may_return = registry.may_return(client_id));
        }
        may_return
    }

    /// A session that is kept, or ends one that is, or has a will, needs the store.
    fn refused_by_store(
        &self,
        old: Option<SessionKey>,
        connect: &Connect<'_>,
        expiry: u32,
        may_return: bool,
    ) -> Option<&'static str> {
        if may_return && self.store == StoreState::Failed {
            return Some("the store has failed, and may have an earlier session");
        }
        let is_recorded = |key: SessionKey| self.sessions.get(key.slot, key.generation).is_some_and(|s| s.is_recorded);
        let is_known = old.is_some_and(is_recorded);
        let needs = expiry > 0 || connect.will.is_some() || is_known;
        // One that is there may come back to a store that is full, or end: what it takes makes room.
        let makes_room = self.store == StoreState::Full && is_known;
        (self.refuses_to_keep() && needs && !makes_room).then_some("the store has no room, or has failed")
    }

    /// Seconds that the session outlives the connection.
    fn session_expiry(&self, connect: &Connect<'_>) -> u32 {
        if connect.version == Version::V5 {
            return connect.properties.session_expiry_interval().unwrap_or(0);
        }
        // [MQTT311-3.1.2-4] [MQTT311-3.1.2-6]
        if connect.clean_start { 0 } else { self.expiry_by_setting() }
    }

    /// Another connection of the client ends, and with Clean Start its session too.
    /// [MQTT-3.1.4-3] [MQTT-3.1.4-4] [MQTT311-3.1.4-2] [MQTT311-3.1.4-3]
    fn take_over_session(&mut self, key: SessionKey, clean_start: bool) {
        let Some(session) = self.session(key) else { return };
        let connection = session.connection;
        if !clean_start && session.is_persistent() {
            // The client is back before its Will Delay Interval, even one of 0, has passed. In MQTT 3.1.1 the will could
            // be published here; Mosquitto does not, and a client that only changed its network is not gone.
            // [MQTT-3.1.2-5] [MQTT-3.1.3-9]
            self.discard_will(key);
        }
        if let Some((slot, generation)) = connection {
            self.totals.take_overs += 1;
            let old = ConnectionId { slot, generation };
            self.end_connection(old, Some(ReasonCode::SessionTakenOver), Cause::TakenOver);
        }
        if clean_start {
            // [MQTT-3.1.2-4] [MQTT311-3.1.2-6]
            self.end_session(key);
        }
    }

    /// [MQTT-3.1.2-6]
    fn begin_session(&mut self, admission: &Admission) -> SessionKey {
        let client_id = Arc::clone(&admission.client_id);
        let (slot, generation) = self.sessions.insert(Session::new(client_id, Arc::clone(&admission.identity)));
        let key = SessionKey { slot, generation };
        self.client_ids.insert(slot, &self.sessions);
        key
    }

    /// Connection and session know each other from now on.
    fn bind(&mut self, id: ConnectionId, key: SessionKey, connect: &Connect<'_>, admission: &Admission, expiry: u32) {
        let properties = connect.properties;
        let Some(listener) = self.connection(id).map(|c| Arc::clone(&c.listener)) else { return };
        let keep_alive = self.agreed_keep_alive(&listener, connect);
        let mount = listener.mount_point.clone();
        // [MQTT311-3.1.2-12]: without a will, none is kept and none is published.
        let will = connect.will.as_ref().map(|will| self.keep_will(will, key, mount.as_deref()));
        let inflight_max = self.inflight_max();
        let (now, me) = (self.now, self.session_ref(key));
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        c.phase = Phase::Open;
        c.version = connect.version;
        c.session = key;
        c.wants_problem_information = properties.request_problem_information().unwrap_or(true);
        // [MQTT-3.1.2-27]
        let aliases = properties.topic_alias_maximum().unwrap_or(0).min(c.listener.topic_alias_max_broker);
        c.aliases_out = (aliases > 0).then(|| Box::new(AliasesOut::new(aliases)));
        c.authentication = admission
            .authentication
            .as_ref()
            .map(|(method, _)| Box::new(Authentication { method: method.clone(), exchange: None }));
        // [MQTT-3.1.2-22] [MQTT311-3.1.2-24]
        c.silence_max_millis = u32::from(keep_alive) * 1500;
        let due = if keep_alive == 0 { Time::NEVER } else { now.plus_millis(u64::from(c.silence_max_millis)) };
        self.timers.set(Timer::Connection(id.slot), &mut c.timer, due);

        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        session.connection = Some((id.slot, id.generation));
        session.identity = Arc::clone(&admission.identity);
        let was_persistent = core::mem::replace(&mut session.expiry_seconds, expiry) > 0;
        session.expires_by_setting = connect.version != Version::V5 && expiry > 0;
        session.will = will;
        session.ends_at = Time::NEVER;
        session.is_refused_by_store = false;
        self.recorder.note_connected(me, session);
        // [MQTT-4.9.0-1]
        session.outgoing.resume(properties.receive_maximum().unwrap_or(u16::MAX).min(inflight_max));
        session.incoming.resume(inflight_max);
        self.timers.set(Timer::Session(key.slot), &mut session.timer, Time::NEVER);
        let (has_subscriptions, has_shared_subscriptions) =
            (!session.places.is_empty(), session.has_shared_subscriptions());
        if was_persistent != (expiry > 0) && has_subscriptions {
            self.mark_all(key);
        } else if has_shared_subscriptions {
            self.mark_members(key);
        }
    }

    pub(crate) fn inflight_max(&self) -> u16 {
        match self.settings.inflight_messages_max {
            0 => u16::MAX,
            max => max,
        }
    }

    /// Without a maximum the client's value holds. [MQTT-3.2.2-22]
    pub(crate) fn agreed_keep_alive(&self, listener: &ListenerSettings, connect: &Connect<'_>) -> u16 {
        match self.settings.keep_alive_max {
            // A part of this program cannot be lost unnoticed.
            _ if listener.identity.is_some() => connect.keep_alive,
            0 => connect.keep_alive,
            max if connect.keep_alive == 0 => max,
            max => connect.keep_alive.min(max),
        }
    }

    /// What was in flight is sent again, then what waited. [MQTT-4.4.0-1] [MQTT311-4.4.0-1]
    fn resume(&mut self, id: ConnectionId, key: SessionKey) {
        let Some(session) = self.session(key) else { return };
        let releases: Vec<_> = session.outgoing.iter_releases().collect();
        for packet_id in releases {
            self.send_pubrel(id, key, packet_id);
        }
        self.pump(key);
    }
}

/// The client's Maximum Packet Size.
fn packet_size_max(connect: &Connect<'_>) -> u32 {
    connect.properties.maximum_packet_size().unwrap_or(u32::MAX)
}

/// The name that counts: the one that the listener has proven where it names its clients, else the one of CONNECT.
fn user_name_of<'a>(c: &'a Connection, connect: &Connect<'a>) -> Option<&'a str> {
    if c.listener.names_its_clients { c.proven_name.as_deref() } else { connect.user_name }
}

/// What a client says of itself, and what its listener says of it.
fn login_of<'a>(
    c: &'a Connection,
    connect: &Connect<'a>,
    client_id: &'a str,
    answer_to: (ShardId, ConnectionId),
) -> Login<'a> {
    Login {
        client_id,
        user_name: user_name_of(c, connect),
        password: connect.password.filter(|_| !c.listener.names_its_clients),
        is_proven: c.listener.names_its_clients && c.proven_name.is_some(),
        allow_anonymous: c.listener.allow_anonymous,
        version: connect.version,
        address: &c.address,
        place: c.listener.place,
        answer_to,
    }
}

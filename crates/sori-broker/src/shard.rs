//! A shard: sessions, their connections and everything that is decided about them, as one plain value.

use crate::access::{Access, Identity, Verdict};
use crate::budget::{Budget, TIMERS_MAX};
use crate::checkpointing::Checkpoint;
use crate::client_ids::ClientIds;
use crate::connection::{Connection, Outbox, Phase};
use crate::ending::Ending;
use crate::event::{Cause, Effect, Event};
use crate::fetching::Fetch;
use crate::handing::Handing;
use crate::handoff::Handoff;
use crate::holding::Holds;
use crate::ids::{ConnectionId, SessionRef, ShardId, Slots};
use crate::index::Matcher;
use crate::mail::{Mail, MailItem, MailTarget};
use crate::marking::Marking;
use crate::matches::MatchCache;
use crate::memory::MemoryUse;
use crate::message::MessageRef;
use crate::places;
use crate::random::Random;
use crate::record::{CheckpointOrder, Records};
use crate::recorder::Recorder;
use crate::routing::WhenFull;
use crate::session::{Session, SessionKey};
use crate::settings::{Introduction, ListenerSettings, Settings};
use crate::space::{Space, StoreState};
use crate::spilling::Spilling;
use crate::time::Time;
use crate::timers::{Timer, Timers};
use crate::totals::Totals;
use crate::waiting::Waiting;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{PacketType, PropertyBuffer, Version};

/// More than so many bytes for one shard are sent before the turn ends: it can deliver them meanwhile, and they stay in the caches.
const MAIL_BYTES_MAX: usize = 128 * 1024;

/// How much output a connection may have before its input is no longer read and its messages are queued.
pub(crate) const OUTPUT_MAX: usize = 1024 * 1024;
/// How much output makes it worth to be written before the end of the turn.
pub(crate) const OUTPUT_URGENT: usize = 256 * 1024;

/// One shard of a broker. The crate's front page shows how it is used.
pub struct Shard {
    pub(crate) id: ShardId,
    pub(crate) shards: u16,
    pub(crate) settings: Arc<Settings>,
    pub(crate) space: Arc<dyn Space>,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) is_unrestricted: bool,
    pub(crate) is_steady: bool,
    /// Who all clients without a user name are.
    pub(crate) anonymous: Arc<Identity>,
    pub(crate) random: Random,
    pub(crate) now: Time,
    /// The generation of the index as of this input.
    pub(crate) generation: u64,
    pub(crate) connections: Slots<Connection>,
    pub(crate) sessions: Slots<Session>,
    pub(crate) client_ids: ClientIds,
    pub(crate) cache: MatchCache,
    pub(crate) matcher: Matcher,
    pub(crate) timers: Timers,
    pub(crate) retained_timer: Time,
    pub(crate) outbox: Outbox,
    pub(crate) urgent: bool,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) mail: Vec<Mail>,
    /// Client identifiers to be released once this turn's mail is on its way.
    pub(crate) released: Vec<Arc<str>>,
    /// Sessions that have something to send, or to throw away, in the next turn.
    pub(crate) ready: VecDeque<SessionKey>,
    /// The session that has acknowledged messages in this input, and may get others at its end.
    pub(crate) acknowledged: Option<SessionKey>,
    /// Deliveries that this call has caused, on all shards, and what took as long.
    pub(crate) deliveries: usize,
    /// Connections whose input waits because so much came of what was before it, or comes in parts. Some may have ended, or be done.
    pub(crate) behind: VecDeque<ConnectionId>,
    /// The memory of input that was behind.
    pub(crate) spare_inputs: Vec<Vec<u8>>,
    /// Sessions that have ended, with those of their subscriptions that are still in the index.
    pub(crate) leavers: VecDeque<(SessionRef, places::IntoIter)>,
    /// Sessions of which the index still says what was.
    pub(crate) markings: VecDeque<Marking>,
    /// Sessions that hand back what they have from groups.
    pub(crate) handings: VecDeque<Handing>,
    /// What waited for sessions that have ended, and is still to be freed.
    pub(crate) ended_queues: VecDeque<Waiting>,
    pub(crate) budget: Budget,
    /// Connections that are to end, and why.
    pub(crate) endings: VecDeque<(ConnectionId, Ending)>,
    /// Sessions from this slot on are still to be looked at for another `persistent_client_expiration`.
    pub(crate) unadjusted: Option<u32>,
    pub(crate) spilling: Spilling,
    pub(crate) totals: Totals,
    pub(crate) memory: MemoryUse,
    pub(crate) recorder: Recorder,
    /// What leaves when it is durable.
    pub(crate) holds: Holds,
    pub(crate) store: StoreState,
    /// A checkpoint for which this shard writes down what it has.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Marks of checkpoints that this shard has not been told of yet.
    pub(crate) marks_before: Vec<(ShardId, u64)>,
    /// Properties in the making, kept for its memory.
    pub(crate) scratch: PropertyBuffer,
}

impl Shard {
    /// A shard without any session. All shards of a broker get the same `settings`, `space` and `access`, and each
    /// another `seed`.
    #[must_use]
    pub fn new(
        id: ShardId,
        shards: u16,
        settings: Arc<Settings>,
        space: Arc<dyn Space>,
        access: Arc<dyn Access>,
        seed: u64,
        now: Time,
    ) -> Shard {
        assert!(id.0 < shards, "shards are numbered from 0");
        Shard {
            id,
            shards,
            recorder: Recorder::new(settings.keeps_records, id, shards),
            holds: Holds::default(),
            store: StoreState::Ok,
            checkpoint: None,
            marks_before: Vec::new(),
            settings,
            is_unrestricted: access.is_unrestricted(),
            is_steady: access.is_steady(),
            anonymous: Arc::default(),
            memory: space.memory(id),
            generation: space.generation(),
            space,
            access,
            random: Random::new(seed),
            now,
            connections: Slots::default(),
            sessions: Slots::default(),
            client_ids: ClientIds::default(),
            cache: MatchCache::default(),
            matcher: Matcher::new(shards),
            timers: Timers::default(),
            retained_timer: Time::NEVER,
            outbox: Outbox::default(),
            urgent: false,
            effects: VecDeque::new(),
            mail: (0..shards).map(|_| Mail::default()).collect(),
            released: Vec::new(),
            ready: VecDeque::new(),
            acknowledged: None,
            deliveries: 0,
            behind: VecDeque::new(),
            spare_inputs: Vec::new(),
            leavers: VecDeque::new(),
            markings: VecDeque::new(),
            handings: VecDeque::new(),
            ended_queues: VecDeque::new(),
            budget: Budget::default(),
            endings: VecDeque::new(),
            unadjusted: None,
            spilling: Spilling::default(),
            totals: Totals::default(),
            scratch: PropertyBuffer::new(),
        }
    }

    // Inputs.

    /// A connection was accepted.
    pub fn open(&mut self, now: Time, listener: Arc<ListenerSettings>, address: &str) -> ConnectionId {
        self.begin(now);
        self.totals.connections_opened += 1;
        let due = now.plus_millis(self.settings.connect_timeout_millis);
        self.insert_connection(listener, Box::from(address), due)
    }

    /// The listener has found out more about a client, before anything of it was [received](Shard::receive).
    pub fn introduce(&mut self, connection: ConnectionId, introduction: Introduction) {
        let Some(c) = self.connection(connection) else { return };
        if let Some(address) = introduction.address {
            c.address = address;
        }
        c.proven_name = introduction.user_name;
    }

    /// Bytes came in, cut anywhere.
    pub fn receive(&mut self, now: Time, connection: ConnectionId, bytes: &[u8]) {
        self.begin(now);
        self.totals.bytes_received += bytes.len() as u64;
        self.take_input(connection, bytes);
        self.forget_heavy_topic(connection);
        self.end();
    }

    /// The connection's socket is gone; its name is no longer valid.
    pub fn closed(&mut self, now: Time, connection: ConnectionId, cause: Cause) {
        self.begin(now);
        self.finish_input(connection);
        self.lose_connection(connection, cause);
        self.end();
    }

    /// The first `bytes` of the connection's output have been written.
    pub fn sent(&mut self, now: Time, connection: ConnectionId, bytes: usize) {
        self.begin(now);
        self.totals.bytes_sent += bytes as u64;
        if let Some(c) = self.connections.get_mut(connection.slot, connection.generation) {
            self.outbox.written(c, bytes);
            if c.is_open() {
                let session = c.session;
                self.pump(session);
            }
        }
        self.end();
    }

    /// Mail from another shard.
    pub fn deliver(&mut self, now: Time, mail: &Mail) {
        self.begin(now);
        for item in mail.iter() {
            let (message, shared, target) = match item {
                MailItem::Message(message, shared, target) => (message, shared, target),
                MailItem::Run(run, set) => {
                    self.deliver_run(set.recipients(self.id), &run);
                    continue;
                }
            };
            self.recorder.note_seen(message.recorded.key);
            // [MQTT-3.3.2-5]: the mail may have waited for its turn.
            if message.is_expired(self.now) {
                self.totals.dropped_expired += 1;
                continue;
            }
            let mut shared = shared.cloned();
            match target {
                MailTarget::Set(set) => self.deliver_to_all(set.recipients(self.id), &message, &mut shared),
                MailTarget::Member(member, group, others) => {
                    self.deliver_to_member(&member, group, message, &mut shared, others, WhenFull::Drop);
                }
            }
        }
        if let Some((from, checkpoint)) = mail.checkpoint() {
            self.note_marked(from, checkpoint);
        }
        if mail.room_wanted() > 0 {
            self.make_room(mail.room_wanted());
        }
        self.end();
    }

    /// A connection that another shard moved here.
    pub fn adopt(&mut self, now: Time, handoff: Handoff) -> ConnectionId {
        self.begin(now);
        let connection = self.take_over_connection(handoff);
        self.end();
        connection
    }

    /// Does input wait because so much came of what was before it, or a packet for its next part? The next tick goes on with it, or [`Shard::take_up`] before that.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Goes on with input that waits for that.
    pub fn take_up(&mut self, now: Time) {
        self.begin(now);
        self.take_up_input();
        self.end();
    }

    /// Does input of this connection wait for that? Then nothing more should be read from it.
    #[must_use]
    pub fn is_connection_behind(&self, connection: ConnectionId) -> bool {
        self.connections.get(connection.slot, connection.generation).is_some_and(|c| c.is_behind)
    }

    /// What an [`Effect::Drain`] or [`Effect::TakeMail`] asked for has been done: the connection goes on.
    pub fn drained(&mut self, now: Time, connection: ConnectionId) {
        self.begin(now);
        self.finish_drain(connection);
        self.end();
    }

    /// The answer to a login for which [`Access::login`] said [`Verdict::Later`].
    pub fn resolve(&mut self, now: Time, connection: ConnectionId, verdict: Verdict) {
        self.begin(now);
        self.resolve_login(connection, verdict);
        self.end();
    }

    /// Time has passed: whatever is due happens. To be called when [`Shard::next_deadline`] has come. What would take the
    /// others too long is left for the next time, for which the deadline is the same.
    pub fn tick(&mut self, now: Time) {
        self.begin(now);
        self.budget = Budget::default();
        self.take_up_input();
        self.go_on_with_ready();
        self.walk();
        self.remove_subscriptions();
        self.mark_some();
        self.hand_some();
        self.free_queues();
        self.apply_expiration_to_some();
        self.fire_timers();
        self.end();
    }

    fn fire_timers(&mut self) {
        let mut is_retained_due = false;
        for _ in 0..TIMERS_MAX {
            let Some(timer) = self.timers.pop(self.now) else { break };
            match timer {
                Timer::Connection(slot) => {
                    if let Some((slot, generation)) = self.connections.key_at(slot) {
                        self.connection_due(ConnectionId { slot, generation });
                    }
                }
                Timer::Session(slot) => {
                    if let Some((slot, generation)) = self.sessions.key_at(slot) {
                        self.session_due(SessionKey { slot, generation });
                    }
                }
                Timer::Retained => {
                    self.retained_timer = Time::NEVER;
                    is_retained_due = true;
                }
            }
        }
        // Once, though more may be due then.
        if is_retained_due {
            self.retained_due();
        }
    }

    /// The broker publishes a message of its own, for example below `$SYS`.
    pub fn publish(&mut self, now: Time, message: MessageRef<'_>) {
        self.begin(now);
        self.accept_message(message, None);
        self.end();
    }

    /// Everything up to this piece of [`Records`] is durable: what waited for it leaves.
    pub fn durable(&mut self, now: Time, upto: u64) {
        self.begin(now);
        self.recorder.durable(upto);
        self.release_held(upto);
        self.end();
    }

    /// The store of the records is in another state than before.
    pub fn set_store(&mut self, now: Time, state: StoreState) {
        self.begin(now);
        self.take_store_state(state);
        self.end();
    }

    /// What an [`Effect::Fetch`] asked for has been read.
    pub fn fetched(&mut self, now: Time, fetch: Fetch) {
        self.begin(now);
        self.take_fetched(fetch);
        self.end();
    }

    /// Write down all that this shard has, as records, little by little in the coming turns; or say that a turn is over.
    pub fn checkpoint(&mut self, now: Time, number: u64, order: CheckpointOrder) {
        self.begin(now);
        self.take_checkpoint_order(number, order);
        self.end();
    }

    /// The broker stops: every client is told (0x8B), wills are published.
    pub fn shutdown(&mut self, now: Time) {
        self.begin(now);
        self.say_goodbye();
        self.end();
    }

    /// The listener that let this connection in is gone: a client is told (0x98), and what has not logged in yet is closed. Of very
    /// many some end now and the others in the turns that follow; none of them is heard any more.
    pub fn dismiss(&mut self, now: Time, connection: ConnectionId) {
        self.begin(now);
        self.end_soon(connection, Ending::Dismissed);
        self.end();
    }

    /// What let this connection in below MQTT, such as the key of its transport, has been taken back: a client is told
    /// (0x87), and what has not logged in yet is closed; otherwise like [`Shard::dismiss`].
    pub fn revoke(&mut self, now: Time, connection: ConnectionId) {
        self.begin(now);
        self.end_soon(connection, Ending::Revoked);
        self.end();
    }

    /// New settings and rules, which hold from the next packet on. What CONNECT agreed, Keep Alive and Receive Maximum,
    /// stays as it is for connections that are open; `persistent_client_expiration` counts for all sessions, from when
    /// their clients went. Connections whose client would no longer be let in, because what let
    /// it in is gone, end.
    pub fn reconfigure(&mut self, now: Time, settings: Arc<Settings>, access: Arc<dyn Access>) {
        self.begin(now);
        (self.is_unrestricted, self.is_steady) = (access.is_unrestricted(), access.is_steady());
        (self.settings, self.access) = (settings, access);
        self.connections.iter_mut().for_each(|c| c.last_topic = None);
        self.apply_expiration();
        self.end_revoked();
        self.end();
    }

    // Outputs.

    /// The next connection that has output to be written, each once.
    pub fn next_flush(&mut self) -> Option<ConnectionId> {
        self.urgent = false;
        while let Some(id) = self.outbox.next_due() {
            if self.is_to_be_flushed(id) {
                return Some(id);
            }
        }
        None
    }

    /// The same, but the one that has been waiting for the shortest time: for who does not get to all of them.
    pub fn last_flush(&mut self) -> Option<ConnectionId> {
        while let Some(id) = self.outbox.last_due() {
            if self.is_to_be_flushed(id) {
                return Some(id);
            }
        }
        None
    }

    fn is_to_be_flushed(&mut self, id: ConnectionId) -> bool {
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return false };
        c.is_flush_due = false;
        c.output.len() > 0
    }

    /// How many connections [`Shard::next_flush`] knows now.
    #[must_use]
    pub fn flushes_due(&self) -> usize {
        self.outbox.due_len()
    }

    /// The connection's output could not be written just now: name it again.
    pub fn flush_again(&mut self, connection: ConnectionId) {
        if let Some(c) = self.connections.get_mut(connection.slot, connection.generation) {
            self.outbox.buffer(c);
        }
    }

    /// Has a connection so much output that it should be written before the end of the turn?
    #[must_use]
    pub fn is_flush_urgent(&self) -> bool {
        self.urgent
    }

    /// What is to be written to a connection: nearly always one piece, but large payloads stand by themselves.
    pub fn output(&self, connection: ConnectionId) -> impl Iterator<Item = &[u8]> {
        let c = self.connections.get(connection.slot, connection.generation);
        c.into_iter().flat_map(|c| c.output.pieces())
    }

    /// How many bytes that is.
    #[must_use]
    pub fn output_len(&self, connection: ConnectionId) -> usize {
        self.connections.get(connection.slot, connection.generation).map_or(0, |c| c.output.len())
    }

    /// May more be read from the connection? Not while it does not take what it is owed, or waits to be let in or to end.
    #[must_use]
    pub fn wants_input(&self, connection: ConnectionId) -> bool {
        self.connections.get(connection.slot, connection.generation).is_some_and(|c| match c.phase {
            _ if c.is_ending => false,
            Phase::New | Phase::Open => c.owed() < OUTPUT_MAX,
            // An AUTH exchange goes on with the client's next packet; a verdict does not.
            Phase::Waiting(ref waiting) => waiting.exchange.is_some(),
            Phase::Moving(_) | Phase::Draining(_) | Phase::Closing => false,
        })
    }

    /// The next thing to be done outside.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The next shard that gets mail, and the mail.
    pub fn next_mail(&mut self) -> Option<(ShardId, Mail)> {
        let at = self.mail.iter().position(|mail| !mail.is_empty())?;
        Some((ShardId(at as u16), core::mem::take(&mut self.mail[at])))
    }

    /// Has so much mail gathered that it should be on its way before the turn ends?
    #[must_use]
    pub fn is_mail_urgent(&self) -> bool {
        self.mail.iter().any(|mail| mail.size() > MAIL_BYTES_MAX)
    }

    /// Mail that was delivered and [cleared](Mail::clear), for its memory: what goes to that shard next is put in there.
    pub fn reuse_mail(&mut self, to: ShardId, mail: Mail) {
        let next = &mut self.mail[usize::from(to.0)];
        if next.is_empty() {
            *next = mail;
        }
    }

    /// How many bytes [`Shard::take_records`] would give.
    #[inline]
    #[must_use]
    pub fn records_len(&self) -> usize {
        self.recorder.piece_len()
    }

    /// What must survive of all that happened since the last call; nothing unless the settings say that records are kept.
    /// To be handed over before the mail of this turn is posted.
    #[inline]
    pub fn take_records(&mut self) -> Option<Records> {
        // It is asked several times a turn, and where nothing needs the disk that is all that asking costs.
        if self.recorder.is_empty() { None } else { self.recorder.take() }
    }

    /// All mail of [`Shard::next_mail`] is on its way: client identifiers of sessions that ended become free. Earlier,
    /// a client that comes back by another shard could overtake its own messages.
    pub fn mail_posted(&mut self) {
        for client_id in core::mem::take(&mut self.released) {
            if self.client_ids.find(&client_id, &self.sessions).is_none() {
                self.space.registry(&mut |registry| registry.release(&client_id, self.id));
            }
        }
    }

    /// When [`Shard::tick`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let has_input = self.is_behind() || !self.ready.is_empty();
        let has_ends = !self.leavers.is_empty() || !self.ended_queues.is_empty() || !self.endings.is_empty();
        let has_moves = !self.markings.is_empty() || !self.handings.is_empty();
        let goes_on = has_input || has_ends || has_moves || self.unadjusted.is_some() || self.is_walking();
        if goes_on { Some(self.now) } else { self.timers.next() }
    }

    /// A number that changes whenever something was received or sent.
    #[must_use]
    pub fn activity(&self) -> u64 {
        let t = &self.totals;
        t.bytes_received
            .wrapping_add(t.packets_sent)
            .wrapping_add(t.connections_opened)
            .wrapping_add(t.sessions_expired)
    }

    /// The identifier of the client on a connection, once it has been let in.
    #[must_use]
    pub fn client_id(&self, connection: ConnectionId) -> Option<&str> {
        let c = self.connections.get(connection.slot, connection.generation)?;
        self.sessions.get(c.session.slot, c.session.generation).map(|s| &*s.client_id)
    }

    // Helpers of all the modules that make up a shard.

    fn begin(&mut self, now: Time) {
        // A clock that went back expires nothing early, and nothing late either.
        self.now = self.now.max(now);
        self.generation = self.space.generation();
        self.deliveries = 0;
    }

    fn end(&mut self) {
        self.pump_acknowledged();
        self.end_some();
    }

    pub(crate) fn insert_connection(
        &mut self,
        listener: Arc<ListenerSettings>,
        address: Box<str>,
        due: Time,
    ) -> ConnectionId {
        let placeholder = ConnectionId { slot: 0, generation: 0 };
        let (slot, generation) = self.connections.insert(Connection::new(placeholder, listener, address, self.now));
        let id = ConnectionId { slot, generation };
        let c = self.connections.get_mut(slot, generation).expect("it was inserted just now");
        c.id = id;
        self.timers.set(Timer::Connection(id.slot), &mut c.timer, due);
        id
    }

    pub(crate) fn connection(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(id.slot, id.generation)
    }

    pub(crate) fn session(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key.slot, key.generation)
    }

    pub(crate) fn session_ref(&self, key: SessionKey) -> SessionRef {
        SessionRef { shard: self.id, slot: key.slot, generation: key.generation }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.effects.push_back(Effect::Event(event));
    }

    /// Append to a connection's output what `write` encodes: one packet. Nothing overtakes a CONNACK.
    pub(crate) fn send(&mut self, id: ConnectionId, write: impl FnOnce(Version, &mut Vec<u8>)) {
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return };
        let version = c.version;
        if c.holds_connack() {
            self.holds.hold(c, 0, PacketType::PingResp, |out| write(version, out));
        } else {
            write(version, self.outbox.buffer(c));
        }
        self.urgent |= c.output.len() > OUTPUT_URGENT;
        self.totals.packets_sent += 1;
    }
}

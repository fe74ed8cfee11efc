//! Making sessions again from what records tell, before the first connection comes.

use crate::access::Identity;
use crate::clocks::Clocks;
use crate::delivery::{Delivery, Kept, Order, Stored};
use crate::expiring::{beginning_of, end_of, interval_until};
use crate::message::MessageRef;
use crate::record::read::message_body;
use crate::recovered::{ReadMessage, RecoveredSession, RecoveredWill, load};
use crate::retained::RetainedMessage;
use crate::session::{Session, SessionKey, StoredWill};
use crate::settings::QueueFull;
use crate::shard::Shard;
use crate::subscription::{Options, Subscriber};
use crate::time::Time;
use crate::timers::Timer;
use crate::unreleased::Unreleased;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{OutgoingState, PacketId, TopicFilter};

/// In flight and unreleased messages, read.
struct Loaded {
    in_flight: Vec<(PacketId, OutgoingState<Kept>)>,
    unreleased: Vec<Unreleased>,
    lost: u64,
}

impl Shard {
    /// A run of the broker begins: to be called for one shard before any other is restored or gets a connection, and its
    /// records handed over before those of others. `counter` is [`Recovered::counter`](crate::Recovered::counter).
    pub fn begin_run(&mut self, counter: u64) {
        self.go_on_after(counter);
        self.recorder.note_run();
        self.recorder.write_clocks(self.now);
    }

    /// How the times in the records become those of this run: to be called for each shard before [`Shard::begin_run`].
    pub fn keep_time(&mut self, clocks: &Clocks) {
        self.recorder.set_clocks(clocks.clone());
    }

    /// The wall clock is so many milliseconds ahead of `now`, or behind it. The shard's time goes on as before, but what it has
    /// recorded will be understood by the wall clock when the next run begins.
    pub fn note_clock(&mut self, now: Time, ahead_millis: i64) {
        self.recorder.note_clock(now, ahead_millis);
    }

    /// The numbers up to `counter` have been used: see [`Shard::begin_run`]; to be called for the other shards.
    pub fn go_on_after(&mut self, counter: u64) {
        self.recorder.go_on_after(counter);
    }

    /// Make a session again whose home is this shard. One that was connected counts as disconnected now: its Session
    /// Expiry Interval and Will Delay Interval begin. `read` reads a message from the store.
    pub fn restore(&mut self, now: Time, client_id: Arc<str>, mut recovered: RecoveredSession, read: ReadMessage<'_>) {
        self.now = self.now.max(now);
        let (user_name, realm) = (recovered.user_name.take(), recovered.realm);
        let identity = Identity { user_name, realm, ..Identity::default() };
        let mut session = Session::new(Arc::clone(&client_id), Arc::new(identity));
        session.expiry_seconds = recovered.expiry_seconds;
        session.expires_by_setting = recovered.expires_by_setting;
        session.is_recorded = true;
        let (slot, generation) = self.sessions.insert(session);
        let key = SessionKey { slot, generation };
        self.restore_subscriptions(key, &recovered);
        let loaded = self.load_messages(key, &recovered, read);
        self.restore_messages(key, &recovered, loaded);
        self.restore_queue(key, &mut recovered, read);
        self.client_ids.insert(key.slot, &self.sessions);
        self.space.registry(&mut |registry| {
            registry.claim(&client_id, self.id);
        });
        let me = self.session_ref(key);
        if let Some(session) = self.sessions.get(slot, generation) {
            self.recorder.note_named(me, session);
            let filters_bytes = recovered.subscriptions.keys().map(|filter| filter.len()).sum();
            self.recorder.note_restored(session, recovered.subscriptions.len(), filters_bytes);
        }
        self.restore_end(key, &recovered);
    }

    /// Messages that are needed at once, whenever the client comes.
    fn load_messages(&self, key: SessionKey, recovered: &RecoveredSession, read: ReadMessage<'_>) -> Loaded {
        let mut loaded = Loaded { in_flight: Vec::new(), unreleased: Vec::new(), lost: 0 };
        let me = self.session_ref(key);
        let mut get =
            |place: u64| read(place).and_then(|bytes| load(&bytes, place, me, &self.memory, self.recorder.clocks()));
        for (packet_id, owed) in recovered.in_flight() {
            let Some(owed) = owed else {
                loaded.in_flight.push((*packet_id, OutgoingState::Released));
                continue;
            };
            let Some(message) = get(owed.place) else {
                loaded.lost += 1;
                continue;
            };
            let extra = owed.extra();
            let (key, order) = (owed.key, Order::default());
            let delivery = Delivery { message, key, extra, order, qos: owed.qos, retain: owed.retain };
            let state = OutgoingState::Publish { qos: owed.qos, message: Kept::Message(delivery) };
            loaded.in_flight.push((*packet_id, state));
        }
        for (packet_id, place) in recovered.unreleased() {
            match get(place) {
                Some(message) => loaded.unreleased.push(Unreleased { packet_id, message, has_come_again: false }),
                None => loaded.lost += 1,
            }
        }
        loaded
    }

    fn restore_messages(&mut self, key: SessionKey, recovered: &RecoveredSession, loaded: Loaded) {
        self.totals.dropped_damaged += loaded.lost;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        for (packet_id, state) in loaded.in_flight {
            if let OutgoingState::Publish { message, .. } = &state {
                session.inflight_bytes += message.payload_length();
            }
            let was_free = session.outgoing.restore(packet_id, state);
            debug_assert!(was_free, "records name each identifier in flight once, in order");
        }
        if let Some(last) = recovered.goes_on_after() {
            session.outgoing.set_last_id(last);
        }
        for kept in loaded.unreleased {
            session.incoming.restore(kept.packet_id);
            session.unreleased.push(kept);
        }
    }

    /// What waits stays in the store until its turn comes. A queue that keeps the latest value of each topic has to know
    /// the topics; and what was chosen from a group stays in memory, with all behind it, see [`Queue::spill`].
    ///
    /// [`Queue::spill`]: crate::queue::Queue::spill
    fn restore_queue(&mut self, key: SessionKey, recovered: &mut RecoveredSession, read: ReadMessage<'_>) {
        let (me, memory) = (self.session_ref(key), self.memory.clone());
        let mut is_loaded = self.settings.queue_full == QueueFull::LatestValue;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        for owed in recovered.take_waiting() {
            is_loaded |= owed.group.is_some();
            session.was_member |= owed.group.is_some();
            let (place, length, order) = (owed.place, owed.length, Order::default());
            let (key, extra, qos, retain) = (owed.key, owed.extra(), owed.qos, owed.retain);
            let stored = Stored { place, key, extra, order, length, qos, retain };
            if !is_loaded {
                session.queue.put_stored(stored, &memory);
                continue;
            }
            match read(place).and_then(|bytes| load(&bytes, place, me, &memory, self.recorder.clocks())) {
                Some(message) => {
                    session.queue.push(stored.with(message));
                }
                None => self.totals.dropped_damaged += 1,
            }
        }
    }

    /// Store retained messages again; the next change has the version after `version`.
    pub fn restore_retained<'a>(&mut self, version: u64, messages: impl IntoIterator<Item = &'a RetainedMessage>) {
        let mut next_expiry = None;
        for message in messages {
            self.recorder.note_retained_restored(message.message.topic());
            self.space.retained(&mut |retained| {
                retained.restore(message.clone());
                next_expiry = retained.next_expiry();
            });
        }
        self.space.retained(&mut |retained| retained.go_on_after(version));
        self.watch_retained(next_expiry);
    }

    fn restore_subscriptions(&mut self, key: SessionKey, recovered: &RecoveredSession) {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        let is_durable = session.is_persistent();
        self.space.write_index(&mut |index| {
            for (filter, (options, identifier)) in &recovered.subscriptions {
                let Ok(filter) = TopicFilter::new(filter) else { continue };
                let options = Options::new(options.qos, options.no_local, options.retain_as_published)
                    .with_durable(is_durable && self.settings.keeps_records);
                let subscriber = Subscriber { since: 0, session: me, identifier: *identifier, options };
                let (place, _) = index.insert(filter, subscriber);
                index.mark(&place, me, false, subscriber.options.is_durable());
                session.places.insert(place);
                session.was_member |= place.group.is_some();
            }
        });
        self.generation = self.space.generation();
    }

    fn restore_end(&mut self, key: SessionKey, recovered: &RecoveredSession) {
        let (me, now, setting) = (self.session_ref(key), self.now, self.expiry_by_setting());
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        session.will = recovered.will.as_ref().and_then(|will| {
            let RecoveredWill { body, delay_seconds, expiry_seconds } = will;
            let message = message_body(body).ok()?;
            let message = MessageRef { publisher: me, ..message }.to_shared(&self.memory);
            let (delay_seconds, expiry_seconds) = (*delay_seconds, *expiry_seconds);
            Some(Box::new(StoredWill { message, at: Time::NEVER, delay_seconds, expiry_seconds }))
        });
        let ends_at = end_of(now, session.expiry_seconds.min(setting));
        let delay = session.will.as_ref().map(|will| now.plus_seconds(u64::from(will.delay_seconds)));
        let since_now = (ends_at, delay.map_or(Time::NEVER, |will_at| will_at.min(ends_at)));
        let (ends_at, will_at) = recovered.disconnected.unwrap_or(since_now);
        session.ends_at = ends_at;
        if let Some(will) = &mut session.will {
            will.at = will_at;
        }
        if !session.expires_by_setting {
            // The interval may have been changed by DISCONNECT, or limited by a setting of then, and neither is recorded, but
            // the end: what is left until then counts from now on.
            session.expiry_seconds = interval_until(ends_at, now);
        }
        session.left_at = beginning_of(session.ends_at, session.expiry_seconds).unwrap_or(now);
        if recovered.disconnected.is_none() {
            // Another crash does not begin the intervals once more.
            self.recorder.note_stopped(me, session);
        }
        // Not at once, though it may be due: the message of a will has subscribers that are still to be restored.
        let next = session.next_due();
        self.timers.set(Timer::Session(key.slot), &mut session.timer, next);
        self.apply_expiration_to(key);
    }
}

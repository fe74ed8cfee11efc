//! Making sessions again from what records tell, before the first connection comes.

use crate::access::Identity;
use crate::delivery::{Delivery, Identifiers, Kept, Queue};
use crate::message::{Message, MessageRef};
use crate::record::{Change, RecordedDelivery, RecordedWill};
use crate::recovered::RecoveredSession;
use crate::session::{NEVER_EXPIRES, Session, SessionKey, StoredWill, Unreleased};
use crate::shard::Shard;
use crate::subscription::{Options, Subscriber};
use crate::time::Time;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::sync::Arc;
use sori_mqtt::{OutgoingState, TopicFilter};

impl Shard {
    /// Make a session again whose home is this shard. One that was connected counts as disconnected now: its Session
    /// Expiry Interval and Will Delay Interval begin.
    pub fn restore(&mut self, now: Time, client_id: Arc<str>, recovered: RecoveredSession) {
        self.now = self.now.max(now);
        let identity = Identity { user_name: recovered.user_name.clone(), is_internal: false };
        let mut session = Session::new(Arc::clone(&client_id), Arc::new(identity));
        session.expiry_seconds = recovered.expiry_seconds;
        session.is_recorded = true;
        restore_messages(&mut session, &recovered);
        let (slot, generation) = self.sessions.insert(session);
        let key = SessionKey { slot, generation };
        self.restore_unreleased(key, &recovered);
        self.by_client_id.insert(Arc::clone(&client_id), key);
        self.space.registry(&mut |registry| {
            registry.claim(&client_id, self.id);
        });
        self.restore_subscriptions(key, &recovered);
        self.restore_end(key, &recovered);
    }

    /// QoS 2 messages that wait for their PUBREL. The session has another name now than when it published them.
    fn restore_unreleased(&mut self, key: SessionKey, recovered: &RecoveredSession) {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        for (packet_id, message) in &recovered.unreleased {
            let message = MessageRef { publisher: me, ..message.view() }.to_shared(&self.memory);
            session.incoming.restore(*packet_id);
            session.unreleased_bytes += message.view().payload.len() as u64;
            session.unreleased.push_back(Unreleased { packet_id: *packet_id, message, has_come_again: false });
        }
    }

    /// Store retained messages again; the next change has the version after `version`.
    pub fn restore_retained<'a>(&mut self, version: u64, messages: impl IntoIterator<Item = &'a Arc<Message>>) {
        let memory = self.memory.clone();
        let mut next_expiry = None;
        for message in messages {
            self.space.retained(&mut |retained| {
                retained.restore(message.view().to_shared(&memory));
                next_expiry = retained.next_expiry();
            });
        }
        self.space.retained(&mut |retained| retained.go_on_after(version));
        self.watch_retained(next_expiry);
    }

    fn restore_subscriptions(&mut self, key: SessionKey, recovered: &RecoveredSession) {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        self.space.write_index(&mut |index| {
            for (filter, (options, identifier)) in &recovered.subscriptions {
                let Ok(filter) = TopicFilter::new(filter) else { continue };
                let options = Options::new(options.qos, options.no_local, options.retain_as_published);
                let subscriber = Subscriber { since: 0, session: me, identifier: *identifier, options };
                let (place, _) = index.insert(filter, subscriber);
                index.set_connected(&place, me, false);
                session.places.insert(place);
            }
        });
        self.generation = self.space.generation();
    }

    fn restore_end(&mut self, key: SessionKey, recovered: &RecoveredSession) {
        let (me, now) = (self.session_ref(key), self.now);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        session.will = recovered.will.as_ref().map(|RecordedWill { message, delay_seconds, expiry_seconds }| {
            let message = MessageRef { publisher: me, ..message.view() }.to_shared(&self.memory);
            Box::new(StoredWill { message, delay_seconds: *delay_seconds, expiry_seconds: *expiry_seconds })
        });
        let ends_at = match session.expiry_seconds {
            NEVER_EXPIRES => Time::NEVER,
            seconds => now.plus_seconds(u64::from(seconds)),
        };
        let delay = session.will.as_ref().map(|will| now.plus_seconds(u64::from(will.delay_seconds)));
        let since_now = (ends_at, delay.map_or(Time::NEVER, |will_at| will_at.min(ends_at)));
        (session.ends_at, session.will_at) = recovered.disconnected.unwrap_or(since_now);
        if recovered.disconnected.is_none() {
            // Another crash does not begin the intervals once more.
            let (ends_at, will_at) = since_now;
            self.recorder.note(session, || Change::Disconnected { ends_at, will_at });
        }
        // Not at once, though it may be due: the message of a will has subscribers that are still to be restored.
        let next = session.ends_at.min(session.will_at);
        self.timers.set(Timer::Session(key), &mut session.timer, next);
    }
}

fn delivery_of(number: u64, recorded: &RecordedDelivery) -> Delivery {
    Delivery {
        number,
        message: Arc::clone(&recorded.message),
        identifiers: Identifiers::from_slice(&recorded.identifiers),
        // What was given to a member of a group before stays with it.
        group: None,
        qos: recorded.qos,
        retain: recorded.retain,
    }
}

fn restore_messages(session: &mut Session, recovered: &RecoveredSession) {
    session.queue = Queue::after(recovered.last_number);
    for (&number, recorded) in &recovered.queue {
        session.queue.put(delivery_of(number, recorded));
    }
    for (packet_id, recorded) in &recovered.inflight {
        let state = match recorded {
            None => OutgoingState::Released,
            Some(recorded) => {
                session.inflight_bytes += recorded.message.view().payload.len() as u64;
                OutgoingState::Publish { qos: recorded.qos, message: Kept::Message(delivery_of(0, recorded)) }
            }
        };
        let was_free = session.outgoing.restore(*packet_id, state);
        debug_assert!(was_free, "records name each identifier in flight once, in order");
    }
    if let Some(last) = recovered.last_packet_id {
        session.outgoing.set_last_id(last);
    }
}

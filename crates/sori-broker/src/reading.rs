//! Retained messages for new subscriptions, read little by little: a client that is slow to take them, or asks for a
//! million, costs neither memory nor the time of others.

use crate::retained::Step;
use crate::sending::Terms;
use crate::session::SessionKey;
use crate::shard::Shard;
use crate::time::Time;
use crate::timers::Timer;
use alloc::string::String;
use sori_mqtt::{QoS, TopicFilter};

/// Topics looked at for one session in one go: so all get their turn.
const STEPS_MAX: u32 = 512;
/// Retained messages are read while the connection has less output than this.
const OUTPUT_MAX: usize = 64 * 1024;
/// Retained messages that are removed in one turn when they have expired: so long the other shards wait for theirs.
const EXPIRED_MAX: usize = 512;

impl Shard {
    /// Sessions that have retained messages to read, or messages to throw away, go on, each for a while and one after the
    /// other, as long as this turn may last.
    pub(crate) fn go_on_with_ready(&mut self) {
        for _ in 0..self.ready.len() {
            if self.budget.reads == 0 || self.budget.drops == 0 {
                break;
            }
            let Some(key) = self.ready.pop_front() else { break };
            if let Some(session) = self.sessions.get_mut(key.slot, key.generation) {
                session.is_ready = false;
                self.pump(key);
            }
        }
    }

    /// Send retained messages until the client has enough to do, or the time for it is over.
    /// [MQTT-3.3.1-9] [MQTT311-3.3.1-6] [MQTT311-3.3.1-8]
    pub(crate) fn read_retained(&mut self, key: SessionKey) {
        let steps = STEPS_MAX.min(self.budget.reads);
        let mut left = steps;
        self.read_some(key, &mut left);
        self.budget.reads -= steps - left;
        if left == 0 && self.takes_retained(key) {
            self.go_on_later(key);
        }
    }

    /// The same in so many steps; some are left when there is nothing to do.
    fn read_some(&mut self, key: SessionKey, steps: &mut u32) {
        while *steps > 0 {
            if !self.takes_retained(key) {
                return;
            }
            let now = self.now;
            let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
            let Some(read) = session.reads.first() else { return };
            let filter = TopicFilter::new(&read.filter).expect("it was a filter when it was subscribed to");
            let mut step = Step::End;
            self.space.retained(&mut |retained| step = retained.next(filter, read.after.as_deref(), steps));
            match step {
                Step::End => session.reads.finish(),
                Step::Pause(after) => read.after = Some(after),
                Step::Found(retained) => {
                    *steps = steps.saturating_sub(1);
                    read.after = Some(String::from(retained.message.topic()));
                    let (until, granted, identifier) = (read.until, read.granted, read.identifier);
                    if !self.is_still_backed(&retained) {
                        continue;
                    }
                    let mut shared = Some(retained.message.clone());
                    let message = retained.message.view();
                    if retained.version > until || message.is_expired(now) {
                        continue;
                    }
                    let identifiers = if identifier == 0 { &[][..] } else { &[identifier][..] };
                    let terms =
                        Terms { granted, retain: true, identifiers, group: None, may_pass: false, is_recorded: false };
                    self.deliver_on(key, &terms, &message, &mut shared);
                }
            }
        }
    }

    /// Has the client room for another message of whatever QoS?
    fn takes_retained(&mut self, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return false };
        let Some((slot, generation)) = session.connection else { return false };
        let Some(c) = self.connections.get(slot, generation) else { return false };
        let Some(granted) = session.reads.first().map(|read| read.granted) else { return false };
        // They follow the SUBACK.
        if c.unfinished.is_some() {
            return false;
        }
        // [MQTT-3.3.4-10]: QoS 0 waits for no acknowledgement.
        let may_be_sent = match granted {
            QoS::AtMostOnce => !session.queue.holds_qos0(),
            _ => session.queue.is_empty() && session.has_quota(self.settings.inflight_bytes_max),
        };
        may_be_sent && c.owed() < OUTPUT_MAX
    }

    pub(crate) fn go_on_later(&mut self, key: SessionKey) {
        if let Some(session) = self.session(key)
            && !core::mem::replace(&mut session.is_ready, true)
        {
            self.ready.push_back(key);
        }
    }

    /// Be there when the next retained message expires.
    pub(crate) fn watch_retained(&mut self, next_expiry: Option<Time>) {
        let when = next_expiry.unwrap_or(Time::NEVER);
        self.timers.set(Timer::Retained, &mut self.retained_timer, when);
    }

    /// Retained messages have expired: they go at that time, asked for or not, so many at a time.
    pub(crate) fn retained_due(&mut self) {
        let now = self.now;
        let mut next_expiry = None;
        self.space.retained(&mut |retained| {
            retained.expire(now, EXPIRED_MAX);
            next_expiry = retained.next_expiry();
        });
        self.watch_retained(next_expiry);
    }
}

//! From a message to the sessions that get it, here and on other shards. MQTT 5.0 sections 3.3.4 and 4.8.2.

use crate::ids::SessionRef;
use crate::matches::{MatchSet, Recipient};
use crate::message::{Message, MessageRef};
use crate::record::Change;
use crate::sending::{Outcome, Terms};
use crate::session::SessionKey;
use crate::shard::Shard;
use crate::shared::{GroupMatch, GroupNumber};
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::QoS;

/// What becomes of a message that no member of this shard has room for.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum WhenFull {
    /// It is dropped by the policy of the session that was chosen last.
    Drop,
    /// It stays with whom it was to be taken from.
    GiveBack,
}

/// How many members of a group are tried for a message beside the first.
const OTHERS_TRIED_MAX: u8 = 8;

/// What became of a message.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Routed {
    /// No subscription matches.
    Nobody,
    Somebody,
    /// It should have been queued, and the memory limit forbids that.
    NoMemory,
}

impl Shard {
    /// Who gets messages of `topic`.
    pub(crate) fn match_set(&mut self, topic: &str) -> Arc<MatchSet> {
        let generation = self.generation;
        if let Some(set) = self.cache.find(generation, topic) {
            return set;
        }
        let mut found = None;
        let shards = self.shards;
        self.space.read_index(&mut |index| found = Some(Arc::new(index.matches(topic, shards))));
        let set = found.expect("a space calls the visitor");
        self.cache.keep(generation, topic, &set);
        set
    }

    /// Each shard gets the messages of one publisher in order, and gives them to each session in order.
    /// [MQTT-4.5.0-1] [MQTT-4.6.0-6] [MQTT311-4.5.0-1] [MQTT311-4.6.0-5]
    #[inline]
    pub(crate) fn route(&mut self, set: &Arc<MatchSet>, message: MessageRef<'_>) -> Routed {
        if set.is_empty() {
            return Routed::Nobody;
        }
        let dropped = self.totals.dropped_memory;
        for &shard in set.shards() {
            if shard == self.id {
                self.deliver_to_all(set.recipients(shard), message);
            } else {
                self.mail[shard.0 as usize].push(message, set);
            }
        }
        for group in set.groups() {
            self.deliver_to_group(group, message, None, WhenFull::Drop);
        }
        if self.totals.dropped_memory > dropped { Routed::NoMemory } else { Routed::Somebody }
    }

    pub(crate) fn deliver_to_all(&mut self, recipients: &[Recipient], message: MessageRef<'_>) {
        let mut shared = None;
        if self.settings.allow_duplicate_messages {
            // [MQTT-3.3.4-5]: one copy for each subscription, with its own identifier.
            for recipient in recipients {
                self.deliver_to(recipient, &message, &mut shared);
            }
            return;
        }
        for of_one_session in recipients.chunk_by(|a, b| (a.slot, a.generation) == (b.slot, b.generation)) {
            self.deliver_merged(of_one_session, &message, &mut shared);
        }
    }

    #[inline]
    fn deliver_to(&mut self, to: &Recipient, message: &MessageRef<'_>, shared: &mut Option<Arc<Message>>) {
        if !self.is_meant(to, message) {
            return;
        }
        let terms = Terms {
            granted: to.options.qos(),
            // [MQTT-3.3.1-12] [MQTT-3.3.1-13] [MQTT311-3.3.1-9]
            retain: to.options.retain_as_published() && message.retain,
            identifiers: if to.identifier == 0 { &[] } else { core::slice::from_ref(&to.identifier) },
            group: None,
            may_pass: false,
        };
        self.deliver_on(SessionKey { slot: to.slot, generation: to.generation }, terms, message, shared);
    }

    /// Overlapping subscriptions of one session: one copy at the highest QoS, with all identifiers.
    /// [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT311-3.3.5-1]
    fn deliver_merged(&mut self, all: &[Recipient], message: &MessageRef<'_>, shared: &mut Option<Arc<Message>>) {
        if let [only] = all {
            return self.deliver_to(only, message, shared);
        }
        let meant: Vec<&Recipient> = all.iter().filter(|to| self.is_meant(to, message)).collect();
        let Some(first) = meant.first() else { return };
        let identifiers: Vec<u32> = meant.iter().map(|to| to.identifier).filter(|&id| id != 0).collect();
        let terms = Terms {
            granted: meant.iter().map(|to| to.options.qos()).max().unwrap_or_default(),
            retain: message.retain && meant.iter().any(|to| to.options.retain_as_published()),
            identifiers: &identifiers,
            group: None,
            may_pass: false,
        };
        self.deliver_on(SessionKey { slot: first.slot, generation: first.generation }, terms, message, shared);
    }

    /// [MQTT-3.8.3-3], and what a new subscription has read or will read as a retained message is not sent twice.
    #[inline]
    fn is_meant(&self, to: &Recipient, message: &MessageRef<'_>) -> bool {
        let is_own = to.options.no_local() && message.publisher == to.session(self.id);
        let was_retained = message.retained_version != 0 && message.retained_version <= to.since;
        !is_own && !was_retained
    }

    /// One member of a group gets the message, not `except`, from whom it was taken; gives whether there is one that
    /// takes it. [MQTT-4.8.2-3]
    pub(crate) fn deliver_to_group(
        &mut self,
        group: &GroupMatch,
        message: MessageRef<'_>,
        except: Option<SessionRef>,
        when_all_are_full: WhenFull,
    ) -> bool {
        let others = u8::try_from(group.len().saturating_sub(1)).unwrap_or(u8::MAX).min(OTHERS_TRIED_MAX);
        self.deliver_to_one_of(group, message, except, others, when_all_are_full)
    }

    fn deliver_to_one_of(
        &mut self,
        group: &GroupMatch,
        message: MessageRef<'_>,
        except: Option<SessionRef>,
        others: u8,
        when_all_are_full: WhenFull,
    ) -> bool {
        let Some(member) = group.choose(except) else { return false };
        let (to, number) = (Recipient::of(&member), group.turn.group);
        if member.session.shard == self.id {
            return self.deliver_to_member(&to, number, message, others, when_all_are_full);
        }
        self.mail[member.session.shard.0 as usize].push_member(message, to, number, others);
        true
    }

    /// This shard's session was chosen from a group. Should it be gone by now, not be allowed to read the topic or have
    /// no room, another member is. Gives whether one takes the message.
    pub(crate) fn deliver_to_member(
        &mut self,
        to: &Recipient,
        group: GroupNumber,
        message: MessageRef<'_>,
        others: u8,
        when_all_are_full: WhenFull,
    ) -> bool {
        let terms = Terms {
            granted: to.options.qos(),
            retain: to.options.retain_as_published() && message.retain,
            identifiers: if to.identifier == 0 { &[] } else { core::slice::from_ref(&to.identifier) },
            group: Some(group),
            may_pass: others > 0 || when_all_are_full == WhenFull::GiveBack,
        };
        let key = SessionKey { slot: to.slot, generation: to.generation };
        let me = to.session(self.id);
        match self.deliver_on(key, terms, &message, &mut None) {
            Outcome::Gone => self.choose_again(group, message, me, others, when_all_are_full),
            Outcome::Passed => {
                let is_taken = others > 0 && self.choose_again(group, message, me, others - 1, when_all_are_full);
                is_taken
                    || (when_all_are_full == WhenFull::Drop
                        && self.deliver_on(key, Terms { may_pass: false, ..terms }, &message, &mut None).is_taken())
            }
            outcome => outcome.is_taken(),
        }
    }

    /// A message that was meant for one member goes to another one, if the group still has any.
    fn choose_again(
        &mut self,
        group: GroupNumber,
        message: MessageRef<'_>,
        except: SessionRef,
        others: u8,
        when_all_are_full: WhenFull,
    ) -> bool {
        let set = self.match_set(message.topic);
        let found = set.groups().iter().find(|g| g.turn.group == group);
        found.is_some_and(|found| self.deliver_to_one_of(found, message, Some(except), others, when_all_are_full))
    }

    /// A session's shared subscriptions count as connected from now on, or not.
    pub(crate) fn mark_members(&mut self, key: SessionKey, connected: bool) {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get(key.slot, key.generation) else { return };
        if !session.has_shared_subscriptions() {
            return;
        }
        self.space.write_index(&mut |index| {
            for place in &session.places {
                index.set_connected(place, me, connected);
            }
        });
        self.generation = self.space.generation();
    }

    /// What a lost member of a group has not acknowledged goes to the other members: what waits, and what was sent at
    /// QoS 1. What was sent at QoS 2 stays with this session. [MQTT-4.8.2-4] [MQTT-4.8.2-5] When the session lives on,
    /// it keeps its messages unless another member is connected.
    pub(crate) fn hand_back(&mut self, key: SessionKey, has_ended: bool) {
        let (me, now) = (self.session_ref(key), self.now);
        let when_all_are_full = if has_ended { WhenFull::Drop } else { WhenFull::GiveBack };
        let Some(session) = self.session(key) else { return };
        let mut deliveries: Vec<_> = session
            .outgoing
            .iter_mut()
            .filter_map(|(packet_id, kept)| match kept {
                crate::delivery::Kept::Message(d) if d.group.is_some() && d.qos == QoS::AtLeastOnce => {
                    Some((packet_id, d.clone()))
                }
                _ => None,
            })
            .map(|(packet_id, delivery)| (Some(packet_id), delivery))
            .collect();
        if deliveries.is_empty() && (session.queue.is_empty() || !(has_ended || session.has_shared_subscriptions())) {
            return;
        }
        deliveries.extend(session.queue.take(|d| d.group.is_some()).into_iter().map(|delivery| (None, delivery)));
        let mut kept = Vec::new();
        for (packet_id, delivery) in deliveries {
            let Some(group) = delivery.group else { continue };
            let message = delivery.message.view();
            let set = self.match_set(message.topic);
            let others = set.groups().iter().find(|g| g.turn.group == group);
            let given = others
                // [MQTT-3.3.2-5]
                .filter(|_| !message.is_expired(now))
                .filter(|others| has_ended || others.has_connected_member())
                .is_some_and(|others| self.deliver_to_group(others, message, Some(me), when_all_are_full));
            match packet_id {
                Some(packet_id) if given => {
                    if let Some(session) = self.session(key)
                        && let Ok(kept) = session.outgoing.puback(packet_id)
                    {
                        session.inflight_bytes -= kept.payload_length();
                        if let Some(session) = self.sessions.get(key.slot, key.generation) {
                            self.recorder.note(session, || Change::Finished { packet_id });
                        }
                    }
                }
                None if !given => kept.push(delivery),
                None => {
                    if let Some(session) = self.sessions.get(key.slot, key.generation) {
                        self.recorder.note_dropped(session, delivery.number);
                    }
                }
                Some(_) => {}
            }
        }
        let Some(session) = self.session(key) else { return };
        let mine = session.queue.take(|_| true);
        for delivery in kept.into_iter().chain(mine) {
            session.queue.put(delivery);
        }
    }
}

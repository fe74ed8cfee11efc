//! From a message to the sessions that get it, here and on other shards. MQTT 5.0 sections 3.3.4 and 4.8.2.

use crate::delivery::Identifiers;
use crate::ids::{SessionRef, ShardId};
use crate::matches::{MatchSet, Recipient};
use crate::message::{Message, MessageRef, Recorded};
use crate::recorder::Owed;
use crate::sending::{Outcome, SHARED_BYTES_MIN, Terms};
use crate::session::SessionKey;
use crate::shard::Shard;
use crate::shared::{GroupMatch, GroupNumber};
use crate::subscription::Subscriber;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::{QoS, ReasonCode};

/// A large payload is kept once for all, instead of copied for each, when so many get it.
const SHARED_WEIGHT_MIN: usize = 8;

/// What becomes of a message that no member of this shard has room for.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum WhenFull {
    /// It is dropped by the policy of the session that was chosen last.
    Drop,
    /// It stays with whom it was to be taken from.
    GiveBack,
}

/// What became of a message.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Routed {
    /// No subscription matches.
    Nobody,
    Somebody,
    /// It should have been queued, and the memory limit forbids that.
    NoMemory,
}

impl Routed {
    /// What the publisher is told.
    #[inline]
    pub(crate) fn reason_code(self) -> ReasonCode {
        match self {
            Routed::Nobody => ReasonCode::NoMatchingSubscribers,
            Routed::Somebody => ReasonCode::Success,
            Routed::NoMemory => ReasonCode::QuotaExceeded,
        }
    }
}

impl Shard {
    /// Who gets messages of `topic`.
    pub(crate) fn match_set(&mut self, topic: &str) -> Arc<MatchSet> {
        let generation = self.generation;
        let missing = match self.cache.find(generation, topic) {
            Ok(set) => return set,
            Err(missing) => missing,
        };
        let mut found = None;
        let matcher = &mut self.matcher;
        self.space.read_index(&mut |index| found = Some(index.matches(topic, matcher)));
        let set = found.expect("a space calls the visitor");
        self.cache.keep(generation, topic, missing, &set);
        set
    }

    /// Each shard gets the messages of one publisher in order, and gives them to each session in order. `shared` is the
    /// message where it has been kept already.
    /// [MQTT-4.5.0-1] [MQTT-4.6.0-6] [MQTT311-4.5.0-1] [MQTT311-4.6.0-5]
    #[inline]
    pub(crate) fn route(
        &mut self,
        set: &Arc<MatchSet>,
        message: &MessageRef<'_>,
        mut shared: Option<Message>,
    ) -> Routed {
        if set.is_empty() {
            return Routed::Nobody;
        }
        self.deliveries += set.len();
        let dropped = self.totals.dropped_memory;
        if self.is_to_be_recorded(set, message) || !set.groups().is_empty() {
            self.route_to_chosen(set, *message, &mut shared);
        } else {
            self.deliver_to_shards(set, message, &mut shared);
        }
        if self.totals.dropped_memory > dropped { Routed::NoMemory } else { Routed::Somebody }
    }

    /// The same where a member of a group is to be chosen, or a record to be made, first.
    #[cold]
    fn route_to_chosen(&mut self, set: &Arc<MatchSet>, mut message: MessageRef<'_>, shared: &mut Option<Message>) {
        // Only a record has to name the members before they get the message: no list of them is made without one.
        let chosen = self.is_to_be_recorded(set, &message).then(|| choose_members(set));
        if let Some(chosen) = &chosen {
            self.record_publication(set, chosen, &mut message, shared);
        }
        self.deliver_to_shards(set, &message, shared);
        for (at, group) in set.groups().iter().enumerate() {
            let member = chosen.as_ref().map_or_else(|| group.choose(None), |chosen| chosen[at]);
            if let Some(member) = member {
                let to = (member, group.turn.group, group.others_tried());
                self.deliver_to_chosen(to, message, shared, WhenFull::Drop);
            }
        }
    }

    #[inline]
    fn deliver_to_shards(&mut self, set: &Arc<MatchSet>, message: &MessageRef<'_>, shared: &mut Option<Message>) {
        if message.payload.len() >= SHARED_BYTES_MIN && shared.is_none() && set.weight() >= SHARED_WEIGHT_MIN {
            *shared = Some(message.to_shared(&self.memory));
        }
        for &shard in set.shards() {
            if shard == self.id {
                self.deliver_to_all(set.recipients(shard), message, shared);
            } else {
                self.mail[shard.0 as usize].push(message, shared.as_ref(), set);
            }
        }
    }

    /// Is somebody owed this message whose session outlives its connection?
    #[inline]
    pub(crate) fn is_to_be_recorded(&self, set: &MatchSet, message: &MessageRef<'_>) -> bool {
        let is_owed = message.qos != QoS::AtMostOnce || self.settings.upgrade_outgoing_qos;
        is_owed && set.has_durable() && self.recorder.is_on()
    }

    /// One record for all who are owed the message, on whatever shard: what its acknowledgement waits for.
    #[cold]
    fn record_publication(
        &mut self,
        set: &MatchSet,
        chosen: &[Option<Subscriber>],
        message: &mut MessageRef<'_>,
        shared: &mut Option<Message>,
    ) {
        let mut owed = Vec::new();
        for &shard in set.shards() {
            self.gather_owed(shard, set.recipients(shard), message, &mut owed);
        }
        let mut groups = alloc::vec![None; owed.len()];
        for (group, member) in set.groups().iter().zip(chosen) {
            if let Some(member) = member {
                self.gather_owed(member.session.shard, &[Recipient::of(member)], message, &mut owed);
                groups.resize(owed.len(), Some(group.turn.group));
            }
        }
        if owed.is_empty() {
            return;
        }
        let kept = self.keep_numbered(message, shared);
        message.recorded.number = kept.number();
        message.recorded.key = self.recorder.next_number();
        self.recorder.begin_publication(message.recorded.key, &kept);
        for ((session, qos, retain, identifiers), group) in owed.iter().zip(groups) {
            let identifiers = identifiers.as_slice();
            self.recorder.note_owed(&Owed { session: *session, qos: *qos, retain: *retain, group, identifiers });
        }
        self.recorder.end_publication();
        self.recorder.note_seen(message.recorded.key);
        self.totals.recorded += 1;
    }

    /// The message where it can be kept, with its number in the records.
    pub(crate) fn keep_numbered(&mut self, message: &MessageRef<'_>, shared: &mut Option<Message>) -> Message {
        if let Some(kept) = shared.as_ref().filter(|kept| kept.number() != 0) {
            return kept.clone();
        }
        let number = self.recorder.next_number();
        let recorded = Recorded { number, ..message.recorded };
        let kept = MessageRef { recorded, ..*message }.to_shared(&self.memory);
        self.recorder.note_message(&kept);
        *shared = Some(kept.clone());
        kept
    }

    /// Those of one shard's recipients that are owed the message and whose deliveries are recorded, on the terms on which
    /// they will get it.
    fn gather_owed(&self, shard: ShardId, all: &[Recipient], message: &MessageRef<'_>, owed: &mut Vec<OwedTo>) {
        if self.settings.allow_duplicate_messages {
            for one in all.chunks(1) {
                self.gather_owed_to_one(shard, one, message, owed);
            }
            return;
        }
        for of_one_session in all.chunk_by(|a, b| (a.slot, a.generation) == (b.slot, b.generation)) {
            self.gather_owed_to_one(shard, of_one_session, message, owed);
        }
    }

    fn gather_owed_to_one(&self, shard: ShardId, all: &[Recipient], message: &MessageRef<'_>, owed: &mut Vec<OwedTo>) {
        let Some(joint) = joint_terms(shard, all, message) else { return };
        let qos = self.qos_of(message, joint.granted);
        if joint.is_durable && qos != QoS::AtMostOnce {
            let identifiers = Identifiers::from_slice(&joint.identifiers);
            owed.push((joint.to.session(shard), qos, joint.retain, identifiers));
        }
    }

    #[inline]
    pub(crate) fn deliver_to_all(
        &mut self,
        recipients: &[Recipient],
        message: &MessageRef<'_>,
        shared: &mut Option<Message>,
    ) {
        if self.settings.allow_duplicate_messages {
            // [MQTT-3.3.4-5]: one copy for each subscription, with its own identifier.
            for recipient in recipients {
                self.deliver_to(recipient, message, shared);
            }
            return;
        }
        for of_one_session in recipients.chunk_by(|a, b| (a.slot, a.generation) == (b.slot, b.generation)) {
            self.deliver_merged(of_one_session, message, shared);
        }
    }

    #[inline]
    fn deliver_to(&mut self, to: &Recipient, message: &MessageRef<'_>, shared: &mut Option<Message>) {
        if !is_meant(self.id, to, message) {
            return;
        }
        let terms = Terms {
            granted: to.options.qos(),
            // [MQTT-3.3.1-12] [MQTT-3.3.1-13] [MQTT311-3.3.1-9]
            retain: to.options.retain_as_published() && message.retain,
            identifiers: if to.identifier == 0 { &[] } else { core::slice::from_ref(&to.identifier) },
            group: None,
            may_pass: false,
            is_recorded: to.options.is_durable(),
        };
        self.deliver_on(SessionKey { slot: to.slot, generation: to.generation }, &terms, message, shared);
    }

    /// Overlapping subscriptions of one session: one copy at the highest QoS, with all identifiers.
    /// [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT311-3.3.5-1]
    fn deliver_merged(&mut self, all: &[Recipient], message: &MessageRef<'_>, shared: &mut Option<Message>) {
        if let [only] = all {
            return self.deliver_to(only, message, shared);
        }
        let Some(joint) = joint_terms(self.id, all, message) else { return };
        let terms = Terms {
            granted: joint.granted,
            retain: joint.retain,
            identifiers: &joint.identifiers,
            group: None,
            may_pass: false,
            is_recorded: joint.is_durable,
        };
        self.deliver_on(SessionKey { slot: joint.to.slot, generation: joint.to.generation }, &terms, message, shared);
    }

    /// One member of a group gets the message, not `except`, from whom it was taken; gives whether there is one that
    /// takes it. [MQTT-4.8.2-3]
    pub(crate) fn deliver_to_group(
        &mut self,
        group: &GroupMatch,
        message: MessageRef<'_>,
        shared: &mut Option<Message>,
        except: Option<SessionRef>,
        when_all_are_full: WhenFull,
    ) -> bool {
        self.deliver_to_one_of(group, message, shared, except, group.others_tried(), when_all_are_full)
    }

    /// Another member is chosen than the one that was recorded, so this is a publication of its own in the records.
    fn deliver_to_one_of(
        &mut self,
        group: &GroupMatch,
        mut message: MessageRef<'_>,
        shared: &mut Option<Message>,
        except: Option<SessionRef>,
        others: u8,
        when_all_are_full: WhenFull,
    ) -> bool {
        let Some(member) = group.choose(except) else { return false };
        message.recorded.key = 0;
        let qos = self.qos_of(&message, member.options.qos());
        if self.recorder.is_on() && member.options.is_durable() && qos != QoS::AtMostOnce {
            let kept = self.keep_numbered(&message, shared);
            message.recorded.number = kept.number();
            message.recorded.key = self.recorder.next_number();
            self.recorder.begin_publication(message.recorded.key, &kept);
            let (to, retain) = (Recipient::of(&member), member.options.retain_as_published() && message.retain);
            let identifiers = if to.identifier == 0 { &[] } else { core::slice::from_ref(&to.identifier) };
            let session = member.session;
            let group = Some(group.turn.group);
            self.recorder.note_owed(&Owed { session, qos, retain, group, identifiers });
            self.recorder.end_publication();
            self.recorder.note_seen(message.recorded.key);
        }
        self.deliver_to_chosen((member, group.turn.group, others), message, shared, when_all_are_full)
    }

    fn deliver_to_chosen(
        &mut self,
        (member, group, others): (Subscriber, GroupNumber, u8),
        message: MessageRef<'_>,
        shared: &mut Option<Message>,
        when_all_are_full: WhenFull,
    ) -> bool {
        let to = Recipient::of(&member);
        if member.session.shard == self.id {
            return self.deliver_to_member(&to, group, message, shared, others, when_all_are_full);
        }
        self.mail[member.session.shard.0 as usize].push_member(&message, shared.as_ref(), to, group, others);
        true
    }

    /// This shard's session was chosen from a group. Should it be gone by now, not be allowed to read the topic or have
    /// no room, another member is. Gives whether one takes the message.
    pub(crate) fn deliver_to_member(
        &mut self,
        to: &Recipient,
        group: GroupNumber,
        message: MessageRef<'_>,
        shared: &mut Option<Message>,
        others: u8,
        when_all_are_full: WhenFull,
    ) -> bool {
        let terms = Terms {
            granted: to.options.qos(),
            retain: to.options.retain_as_published() && message.retain,
            identifiers: if to.identifier == 0 { &[] } else { core::slice::from_ref(&to.identifier) },
            group: Some(group),
            may_pass: others > 0 || when_all_are_full == WhenFull::GiveBack,
            is_recorded: to.options.is_durable(),
        };
        let key = SessionKey { slot: to.slot, generation: to.generation };
        let me = to.session(self.id);
        match self.deliver_on(key, &terms, &message, shared) {
            Outcome::Gone => self.choose_again(group, message, shared, me, others, when_all_are_full),
            Outcome::Passed => {
                let is_taken =
                    others > 0 && self.choose_again(group, message, shared, me, others - 1, when_all_are_full);
                // Its record says by now that it is not owed to this one.
                let mut message = message;
                message.recorded.key = 0;
                is_taken
                    || (when_all_are_full == WhenFull::Drop
                        && self.deliver_on(key, &Terms { may_pass: false, ..terms }, &message, shared).is_taken())
            }
            outcome => outcome.is_taken(),
        }
    }

    /// A message that was meant for one member goes to another one, if the group still has any.
    fn choose_again(
        &mut self,
        group: GroupNumber,
        message: MessageRef<'_>,
        shared: &mut Option<Message>,
        except: SessionRef,
        others: u8,
        when_all_are_full: WhenFull,
    ) -> bool {
        let mut set = self.match_set(message.topic);
        if set.group(group).is_some_and(|found| self.remove_ended_members(found)) {
            set = self.match_set(message.topic);
        }
        set.group(group).is_some_and(|found| {
            self.deliver_to_one_of(found, message, shared, Some(except), others, when_all_are_full)
        })
    }
}

/// Whose turn it is in each group. [MQTT-4.8.2-3]
fn choose_members(set: &MatchSet) -> Vec<Option<Subscriber>> {
    set.groups().iter().map(|group| group.choose(None)).collect()
}

/// A session that is owed a message, and on which terms.
type OwedTo = (SessionRef, QoS, bool, Identifiers);

/// What the overlapping subscriptions of one session come to.
struct Joint {
    to: Recipient,
    granted: QoS,
    retain: bool,
    identifiers: Vec<u32>,
    is_durable: bool,
}

fn joint_terms(shard: ShardId, all: &[Recipient], message: &MessageRef<'_>) -> Option<Joint> {
    let mut meant = all.iter().filter(|to| is_meant(shard, to, message));
    let first = meant.next()?;
    let mut joint = Joint {
        to: *first,
        granted: first.options.qos(),
        retain: first.options.retain_as_published(),
        identifiers: if first.identifier == 0 { Vec::new() } else { alloc::vec![first.identifier] },
        is_durable: first.options.is_durable(),
    };
    for to in meant {
        joint.granted = joint.granted.max(to.options.qos());
        joint.retain |= to.options.retain_as_published();
        joint.identifiers.extend(Some(to.identifier).filter(|id| *id != 0));
        joint.is_durable |= to.options.is_durable();
    }
    joint.retain &= message.retain;
    Some(joint)
}

/// [MQTT-3.8.3-3], and what a new subscription has read or will read as a retained message is not sent twice.
#[inline]
fn is_meant(shard: ShardId, to: &Recipient, message: &MessageRef<'_>) -> bool {
    let is_own = to.options.no_local() && message.publisher == to.session(shard);
    let was_retained = message.retained_version != 0 && message.retained_version <= to.since;
    !is_own && !was_retained
}

#[cfg(test)]
mod tests;

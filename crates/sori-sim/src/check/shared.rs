//! Of a shared subscription's members one gets each message, and one does get it.
//!
//! Section 4.8.2, [MQTT-4.8.2-3] to [MQTT-4.8.2-6]: a QoS 1 message of a lost member goes to another one; a QoS 2 message
//! whose delivery has begun does not.

use std::collections::BTreeSet;

use super::{Check, Findings, Rest};
use crate::facts::{Held, Message, Moment, Session};

pub(super) struct Shared;

impl Check for Shared {
    fn name(&self) -> &'static str {
        "shared subscriptions"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        let groups: BTreeSet<&str> = rest
            .facts
            .sessions
            .iter()
            .flat_map(|session| &session.subscriptions)
            .filter(|subscription| subscription.share.is_some())
            .map(|subscription| subscription.filter.as_str())
            .collect();
        for (key, message) in rest.facts.messages.iter().filter(|(_, message)| !message.empty && !message.past) {
            for group in &groups {
                check(rest, group, *key, message, found);
            }
        }
    }
}

struct Member<'a> {
    session: &'a Session,
    held: Held<'a>,
    /// What it got of the topic can only have come by this group.
    alone: bool,
}

fn check(rest: &Rest<'_>, group: &str, key: u64, message: &Message, found: &mut Findings) {
    let members = members(rest, group, message);
    let got: usize = members.iter().filter(|member| member.alone).map(|member| member.session.fresh(key).count()).sum();
    let somebody_left = members.iter().any(|member| has_left(rest, member, message));
    if got > message.times() && !somebody_left {
        found.report(format!("the members of {group} got m{key} {got} times: {}", names(&members)));
    }
    // Also what came with DUP only: the connection may have ended before the first sending left it.
    let has_it = |member: &Member<'_>| member.session.deliveries.iter().any(|delivery| delivery.key == Some(key));
    if !members.iter().any(has_it) && is_owed(rest, &members, message, somebody_left) {
        found.report(format!(
            "no member of {group} got m{key} ({} q{}): {}",
            message.topic,
            message.qos,
            names(&members)
        ));
    }
}

fn members<'a>(rest: &Rest<'a>, group: &str, message: &Message) -> Vec<Member<'a>> {
    let mut members = Vec::new();
    for session in &rest.facts.sessions {
        let mut held = session.held(message);
        let may_replay = session.subscriptions.iter().any(|subscription| subscription.may_replay());
        let alone = held.len() == 1 && !(message.retain && may_replay);
        if let Some(index) = held.iter().position(|held| held.filter == group) {
            members.push(Member { session, held: held.swap_remove(index), alone });
        }
    }
    members
}

/// Its session, connection or membership ended while the message may have been with it.
fn has_left(rest: &Rest<'_>, member: &Member<'_>, message: &Message) -> bool {
    let session = member.session;
    let lost = |at: Moment| !at.precedes(message.first);
    session.ended.is_some_and(lost)
        || session.perhaps_another.is_some_and(lost)
        || session.links.iter().any(|link| rest.facts.link(*link).ended.is_some_and(|(at, _)| lost(at)))
        || member.held.versions.iter().any(|version| version.unsubscribed)
}

/// Its session has ended since the message came, and the broker has crashed. That another member gets the message when a session ends
/// is a SHOULD of section 4.8.2 only: what is durable is that this member was owed it, not by which subscription.
fn has_ended_after_crash(rest: &Rest<'_>, member: &Member<'_>, message: &Message) -> bool {
    let Session { ended, perhaps_another, .. } = member.session;
    let has_ended = [ended, perhaps_another].into_iter().flatten().any(|end| !end.precedes(message.first));
    has_ended && rest.facts.crashes_since(message.first) > 0
}

/// Somebody had to get it: a member stayed, and whoever may have got it instead cannot have lost it.
fn is_owed(rest: &Rest<'_>, members: &[Member<'_>], message: &Message, somebody_left: bool) -> bool {
    let taken_over = message.is_certain();
    let stayed = members.iter().any(|member| member.held.surely && rest.facts.is_settled(member.session));
    let qos = members.iter().map(|member| member.held.qos_least(message, rest.settings)).min().unwrap_or(0);
    let qos_most = members.iter().flat_map(|member| &member.held.versions);
    let qos_most = qos_most.map(|version| version.delivery_qos(message, rest.settings)).max().unwrap_or(0);
    let is_lost_with_member = members.iter().any(|member| has_ended_after_crash(rest, member, message));
    // What a client releases after PUBREC cannot be refused any more when `memory_limit` is reached: it is dropped and counted.
    let dropped = rest.totals.dropped_queue_full + rest.totals.dropped_memory;
    let may_be_lost = qos == 0 || (qos_most == 2 && somebody_left) || is_lost_with_member || dropped > 0;
    let too_large = members.iter().any(|member| rest.facts.may_be_too_large(member.session, message));
    taken_over && stayed && !may_be_lost && !too_large && !message.may_have_expired(rest.now)
}

fn names(members: &[Member<'_>]) -> String {
    let names: Vec<&str> = members.iter().map(|member| member.session.client.as_str()).collect();
    names.join(", ")
}

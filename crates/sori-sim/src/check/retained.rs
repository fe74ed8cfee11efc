//! Who subscribes at rest gets the latest retained message of each topic, and nobody is sent one that was replaced before.
//!
//! [MQTT-3.3.1-5] to [MQTT-3.3.1-9], [MQTT-3.3.2-5], [MQTT311-3.3.1-5] to [MQTT311-3.3.1-12]. "Latest" in an order that agrees
//! with the acknowledgements: a message is replaced by another that arrived after it had been acknowledged.

use std::collections::BTreeSet;

use super::{Check, Findings, Rest};
use crate::facts::{Delivery, Ending, Facts, Message, Moment, Session, TOLERANCE_MILLIS};

pub(super) struct Retained;

impl Check for Retained {
    fn name(&self) -> &'static str {
        "retained"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        probe(rest, found);
        for session in &rest.facts.sessions {
            for delivery in session.deliveries.iter().filter(|delivery| delivery.retain && !delivery.dup) {
                stale(rest, session, delivery, found);
            }
        }
    }
}

/// The messages that were, or may have been, published to the topic with RETAIN.
pub(super) fn writes<'a>(facts: &'a Facts, topic: &'a str) -> impl Iterator<Item = (u64, &'a Message)> {
    facts.messages.iter().map(|(key, message)| (*key, message)).filter(move |(_, message)| {
        let happened = message.will_of.is_none_or(|link| {
            let link = facts.link(link);
            let farewell = matches!(link.ended, Some((_, Ending::Disconnect(0))));
            link.ended.is_some() && (!farewell || link.ended_again.is_some())
        });
        // One that was refused once may have been taken over another time, or kept by a store that failed afterwards.
        let refused = message.refused && message.sends == 1 && !message.may_be_kept;
        message.retain && !refused && happened && message.topic == topic
    })
}

/// Another message has surely replaced this one before the given moment.
pub(super) fn is_replaced(facts: &Facts, message: &Message, before: Option<Moment>) -> bool {
    replacement(facts, message, before).is_some()
}

fn replacement(facts: &Facts, message: &Message, before: Option<Moment>) -> Option<u64> {
    let replaces = |other: &Message| {
        other.is_certain() && message.surely_before(other) && before.is_none_or(|before| other.until().precedes(before))
    };
    writes(facts, &message.topic).find(|(_, other)| replaces(other)).map(|(key, _)| key)
}

fn probe(rest: &Rest<'_>, found: &mut Findings) {
    let Some(probe) = rest.facts.session_of(rest.probe) else { return };
    let written = rest.facts.messages.values().filter(|message| message.retain).map(|message| message.topic.as_str());
    let sent = probe.deliveries.iter().map(|delivery| delivery.topic.as_str());
    let topics: BTreeSet<&str> = written.chain(sent).collect();
    for topic in topics {
        let got: Vec<&Delivery> = probe.deliveries.iter().filter(|delivery| delivery.topic == topic).collect();
        if let Some(fault) = fault(rest, topic, &got) {
            let got: Vec<Option<u64>> = got.iter().map(|delivery| delivery.key).collect();
            found.report(format!("a new subscriber got {got:?} as retained message of {topic}: {fault}"));
        }
    }
}

fn fault(rest: &Rest<'_>, topic: &str, got: &[&Delivery]) -> Option<String> {
    let candidates: Vec<(u64, &Message)> =
        writes(rest.facts, topic).filter(|(_, message)| !is_replaced(rest.facts, message, None)).collect();
    let keys: Vec<u64> = candidates.iter().map(|(key, _)| *key).collect();
    match got {
        [] => {
            let may_be_absent = |message: &Message| message.empty || message.may_have_expired(rest.now);
            let some_certain = candidates.iter().any(|(_, message)| message.is_certain());
            let absent = !some_certain || candidates.iter().any(|(_, message)| may_be_absent(message));
            (!absent).then(|| format!("it should be one of {keys:?}"))
        }
        [delivery] => {
            let known = candidates.iter().find(|(key, message)| delivery.key == Some(*key) && !message.empty);
            match known {
                None => Some(format!("it should be one of {keys:?}")),
                Some((_, message)) if message.expires_at().is_some_and(|at| rest.now >= at + TOLERANCE_MILLIS) => {
                    Some("it has expired".to_owned())
                }
                // [MQTT311-3.3.1-8]
                Some(_) if !delivery.retain => Some("without RETAIN".to_owned()),
                Some(_) => None,
            }
        }
        _ => Some("more than one".to_owned()),
    }
}

/// A retained message sent for a subscription must have been current when that was asked for, or have come later.
fn stale(rest: &Rest<'_>, session: &Session, delivery: &Delivery, found: &mut Findings) {
    let Some(message) = delivery.key.and_then(|key| rest.facts.messages.get(&key)) else { return };
    let mut held = session.held(message).into_iter().flat_map(|held| held.versions);
    let live = held.any(|subscription| subscription.options.retain_as_published);
    let mut matching = session.subscriptions.iter().filter(|subscription| subscription.matches(&message.topic));
    let current = matching
        .any(|subscription| subscription.may_replay() && !is_replaced(rest.facts, message, Some(subscription.asked)));
    if !live && !current {
        found.report(format!(
            "{} was sent m{} as retained message of {}, which had been replaced by m{} before it asked",
            session.client,
            delivery.key.unwrap_or_default(),
            message.topic,
            replacement(rest.facts, message, None).unwrap_or_default()
        ));
    }
}

//! When a publish with RETAIN races with a SUBSCRIBE, the subscriber gets the message one way or the other.
//!
//! [MQTT-3.3.1-5], [MQTT-3.3.1-9], [MQTT-3.8.4-4], [MQTT-4.5.0-1], [MQTT311-3.3.1-6]: a message that was stored before the subscription
//! existed comes as retained message, a later one comes live; there is no moment between the two. A message
//! that was replaced before it could be sent need not come, but then one that replaced it must. And once a subscriber has
//! seen the newer one, the older one does not come as retained message any more.

use std::collections::{BTreeMap, BTreeSet};

use super::retained::{is_replaced, writes};
use super::{Check, Findings, Rest};
use crate::facts::{Message, Moment, Session, Subscription};

pub(super) struct RetainedOrLive;

impl Check for RetainedOrLive {
    fn name(&self) -> &'static str {
        "retained or live"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        let topics: BTreeSet<&str> = rest
            .facts
            .messages
            .values()
            .filter(|message| message.retain)
            .map(|message| message.topic.as_str())
            .collect();
        for session in &rest.facts.sessions {
            back_in_time(rest, session, found);
            if rest.totals.dropped_queue_full > 0 || !rest.facts.is_settled(session) {
                continue;
            }
            for subscription in session.subscriptions.iter().filter(|subscription| is_owed(session, subscription)) {
                for topic in topics.iter().filter(|topic| subscription.matches(topic)) {
                    missing(rest, session, subscription, topic, found);
                }
            }
        }
    }
}

/// The retained messages of before have to be sent, and nothing can have taken them away.
fn is_owed(session: &Session, subscription: &Subscription) -> bool {
    let in_force = subscription.leaving.is_none() && !subscription.past;
    in_force && subscription.must_replay() && !subscription.options.no_local && session.link == Some(subscription.link)
}

fn missing(rest: &Rest<'_>, session: &Session, subscription: &Subscription, topic: &str, found: &mut Findings) {
    let Some((granted, _)) = subscription.granted else { return };
    let candidates: Vec<(u64, &Message)> = writes(rest.facts, topic)
        .filter(|(_, message)| {
            !granted.precedes(message.first) && !is_replaced(rest.facts, message, Some(subscription.asked))
        })
        .collect();
    let excused = |message: &Message| {
        message.empty
            || !message.is_certain()
            || message.may_have_expired(rest.now)
            || rest.facts.may_be_too_large(session, message)
    };
    if candidates.iter().any(|(_, message)| excused(message)) {
        return;
    }
    let seen = |key: u64| session.deliveries.iter().any(|delivery| delivery.key == Some(key));
    for (key, message) in &candidates {
        let replaced = writes(rest.facts, topic)
            .any(|(other, by)| other != *key && !by.surely_before(message) && (excused(by) || seen(other)));
        if !seen(*key) && !replaced {
            found.report(format!(
                "{} subscribed to {} while m{key} was retained or being retained on {topic}, and never got it",
                session.client, subscription.filter
            ));
        }
    }
}

/// After a newer message of the topic, no older one as retained message.
fn back_in_time(rest: &Rest<'_>, session: &Session, found: &mut Findings) {
    let mut newest: BTreeMap<(&str, u8), Vec<(u64, Moment)>> = BTreeMap::new();
    for delivery in session.deliveries.iter().filter(|delivery| !delivery.dup) {
        let Some((key, message)) = delivery.key.and_then(|key| Some((key, rest.facts.messages.get(&key)?))) else {
            continue;
        };
        let before = newest.entry((message.topic.as_str(), delivery.qos)).or_default();
        let may_be_live = session.held(message).iter().any(|held| {
            held.share.is_some() || held.versions.iter().any(|version| version.options.retain_as_published)
        });
        if delivery.retain && !may_be_live {
            let newer = before.iter().find(|(other, seen)| {
                rest.facts.messages.get(other).is_some_and(|other| {
                    // A crash may have brought the older one back, unless the newer one had been acknowledged by then.
                    let is_lasting = other.is_certain() && other.until().precedes(delivery.moment);
                    let is_there = is_lasting || !rest.facts.has_crashed_between(*seen, delivery.moment);
                    other.retain && is_there && message.surely_before(other)
                })
            });
            if let Some((newer, _)) = newer {
                found.report(format!(
                    "{} was sent m{key} as retained message of {} after m{newer}, which replaced it",
                    session.client, message.topic
                ));
            }
        }
        before.push((key, delivery.moment));
    }
}

//! What one client publishes to one topic at one QoS arrives at each subscriber in that order.
//!
//! [MQTT-4.6.0-5], [MQTT-4.6.0-6], [MQTT311-4.6.0-5], [MQTT311-4.6.0-6], for subscriptions that are not shared. Retained messages
//! sent because of a SUBSCRIBE are a stream of their own. What counts is when a message was sent first: one that
//! comes again is allowed to be late.

use std::collections::BTreeMap;

use super::{Check, Findings, Rest};
use crate::facts::{Delivery, Message, Session};

pub(super) struct Order;

impl Check for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        for session in &rest.facts.sessions {
            check(rest, session, found);
        }
    }
}

/// Publisher, topic, and both QoS.
type Stream<'a> = (&'a str, &'a str, u8, u8);

fn check(rest: &Rest<'_>, session: &Session, found: &mut Findings) {
    let mut seen = std::collections::BTreeSet::new();
    let mut last: BTreeMap<Stream<'_>, (&Delivery, u64, u64)> = BTreeMap::new();
    for delivery in session.deliveries.iter().filter(|delivery| !delivery.dup) {
        let Some((key, message)) = delivery.key.and_then(|key| Some((key, rest.facts.messages.get(&key)?))) else {
            continue;
        };
        if !seen.insert(key) || !is_ordered(rest, session, message, delivery) {
            continue;
        }
        let stream = (message.client.as_str(), message.topic.as_str(), message.qos, delivery.qos);
        let Some((younger, number, before)) = last.insert(stream, (delivery, message.first.number, key)) else {
            continue;
        };
        if number > message.first.number && !was_passed_over(rest, session, message, younger, delivery) {
            found.report(format!(
                "{} got m{key} of {} on {} (q{}) after m{before}, which is younger",
                session.client, message.client, message.topic, message.qos
            ));
        }
    }
}

/// It was too large for the connection that got the younger one, or had expired behind a hold; and then a crash made the
/// broker forget that it had been passed over, so that it comes after all, and the younger one once more behind it.
fn was_passed_over(
    rest: &Rest<'_>,
    session: &Session,
    message: &Message,
    younger: &Delivery,
    delivery: &Delivery,
) -> bool {
    rest.facts.has_crashed_between(younger.moment, delivery.moment)
        && (rest.facts.may_be_too_large(session, message) || message.may_have_expired(younger.moment.at))
}

fn is_ordered(rest: &Rest<'_>, session: &Session, message: &Message, delivery: &Delivery) -> bool {
    let held = session.held(message);
    let may_be_replay = delivery.retain && message.retain;
    let shared = held.iter().any(|held| held.share.is_some());
    // What was sent twice may have met this subscription, or room in its queue or in the store, only the second time.
    let may_be_lost = delivery.qos == 0
        || message.was_refused
        || message.expiry.is_some()
        || message.versions_differ
        || rest.totals.dropped_queue_full > 0
        || rest.facts.may_be_too_large(session, message);
    let surely_met = held.iter().any(|held| {
        // At another QoS it was another stream.
        let mut granted = held.versions.iter().filter_map(|version| version.granted);
        let is_enough = granted.all(|(at, qos)| !at.precedes(message.first) || qos >= delivery.qos);
        held.surely && is_enough && !held.may_be_local(message, session)
    });
    let met_first_time = message.sends == 1 || (surely_met && !may_be_lost);
    message.will_of.is_none() && !message.early && !message.past && !may_be_replay && !shared && met_first_time
}

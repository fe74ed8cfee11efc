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

fn check(rest: &Rest<'_>, session: &Session, found: &mut Findings) {
    let mut seen = std::collections::BTreeSet::new();
    let mut last: BTreeMap<(&str, &str, u8, u8), (u64, u64)> = BTreeMap::new();
    for delivery in session.deliveries.iter().filter(|delivery| !delivery.dup) {
        let Some((key, message)) = delivery.key.and_then(|key| Some((key, rest.facts.messages.get(&key)?))) else {
            continue;
        };
        if !seen.insert(key) || !is_ordered(rest, session, message, delivery) {
            continue;
        }
        let stream = (message.client.as_str(), message.topic.as_str(), message.qos, delivery.qos);
        let (number, before) = last.insert(stream, (message.first.number, key)).unwrap_or_default();
        if number > message.first.number {
            found.report(format!(
                "{} got m{key} of {} on {} (q{}) after m{before}, which is younger",
                session.client, message.client, message.topic, message.qos
            ));
        }
    }
}

fn is_ordered(rest: &Rest<'_>, session: &Session, message: &Message, delivery: &Delivery) -> bool {
    let held = session.held(message);
    let may_be_replay = delivery.retain && message.retain;
    let shared = held.iter().any(|held| held.share.is_some());
    // What was sent twice may have met this subscription, or room in its queue or in the store, only the second time.
    let may_be_lost = delivery.qos == 0
        || message.was_refused
        || message.expiry.is_some()
        || rest.totals.dropped_queue_full > 0
        || rest.facts.may_be_too_large(session, message);
    let surely_met = held.iter().any(|held| held.surely && !held.may_be_local(message, session));
    let met_first_time = message.sends == 1 || (surely_met && !may_be_lost);
    message.will_of.is_none() && !message.early && !message.past && !may_be_replay && !shared && met_first_time
}

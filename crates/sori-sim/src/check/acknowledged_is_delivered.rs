//! What the broker has acknowledged reaches every subscription that was there, or is counted as dropped.
//!
//! [MQTT-4.5.0-1], [MQTT-4.3.2-4], [MQTT-4.3.3-8], [MQTT-3.8.4-4], [MQTT-3.1.2-5], [MQTT311-3.1.2-5], [MQTT311-4.5.0-1]: a
//! message taken over enters the session state of every matching subscriber. A subscription was there when its SUBACK
//! had been written before the message arrived; it must have lasted until the broker came to rest. At QoS 0 the
//! same holds as long as the connection lasted.

use super::{Check, Findings, Rest};
use crate::facts::{Facts, Held, Message, Session};

#[derive(Default)]
pub(super) struct AcknowledgedIsDelivered {
    missing: u64,
}

/// More are not worth reading.
const REPORTED_MAX: usize = 5;

impl Check for AcknowledgedIsDelivered {
    fn name(&self) -> &'static str {
        "acknowledged is delivered"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        let mut texts = Vec::new();
        for session in rest.facts.sessions.iter().filter(|session| rest.facts.is_settled(session)) {
            for (key, message) in &rest.facts.messages {
                let missing = missing(rest, session, *key, message);
                // One copy for all subscriptions is dropped once.
                let copies = if rest.settings.allow_duplicate_messages { missing.len() } else { 1 };
                texts.extend(missing.into_iter().take(copies));
            }
        }
        self.missing += texts.len() as u64;
        // What is missing has to be in the counters of what was given up.
        let dropped = rest.totals.dropped_queue_full + rest.totals.dropped_memory;
        if self.missing > dropped {
            let count = self.missing;
            texts.truncate(REPORTED_MAX);
            found.report(format!("{count} deliveries are missing, {dropped} counted as dropped: {}", texts.join("; ")));
        }
    }
}

/// The deliveries of one message that one session should have had.
fn missing(rest: &Rest<'_>, session: &Session, key: u64, message: &Message) -> Vec<String> {
    let taken_over = message.is_certain() && !message.empty && !message.past;
    if !taken_over || message.may_have_expired(rest.now) || rest.facts.may_be_too_large(session, message) {
        return Vec::new();
    }
    let due = session.held(message).into_iter().filter(|held| {
        held.surely
            && held.share.is_none()
            && !held.may_be_local(message, session)
            && (held.qos_least(message, rest.settings) > 0 || is_same_connection(rest.facts, session, message))
            && !is_superseded(session, held, message)
    });
    due.filter(|held| !is_delivered(rest.facts, session, held, key))
        .map(|held| format!("m{key} ({} q{}) to {} for {}", message.topic, message.qos, session.client, held.filter))
        .collect()
}

/// What a connection that is still there has been sent cannot have been lost, not even at QoS 0.
fn is_same_connection(facts: &Facts, session: &Session, message: &Message) -> bool {
    let accepted = session.link.and_then(|link| facts.link(link).accepted);
    accepted.is_some_and(|accepted| accepted.precedes(message.first))
}

/// A retained message is not sent live to a subscription whose SUBSCRIBE has just read a newer one; the rule about
/// retained messages watches over that.
fn is_superseded(_session: &Session, held: &Held<'_>, message: &Message) -> bool {
    message.retain && held.versions.len() > 1
}

/// It was sent for this subscription, as far as that can be told from its identifier.
fn is_delivered(facts: &Facts, session: &Session, held: &Held<'_>, key: u64) -> bool {
    let identifiers: Option<Vec<u32>> = held.versions.iter().map(|version| version.identifier).collect();
    session.deliveries.iter().filter(|delivery| delivery.key == Some(key)).any(|delivery| match &identifiers {
        Some(identifiers) if facts.link(delivery.link).version().is_v5() => {
            delivery.identifiers.iter().any(|identifier| identifiers.contains(identifier))
        }
        _ => true,
    })
}

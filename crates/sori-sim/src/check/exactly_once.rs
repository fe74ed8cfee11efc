//! No message is delivered more often than it was published: once for each subscription that it met.
//!
//! [MQTT-4.3.3-10], [MQTT-4.3.3-12], [MQTT-3.3.4-2] to [MQTT-3.3.4-5], [MQTT311-4.3.3-2]: a QoS 2 message that its client
//! resends is still the same message; a QoS 1 message may become one more each time. A delivery that the broker
//! resends (DUP) is no further one; [`super::packet_identifiers`] sees that DUP is not a lie. What a SUBSCRIBE found
//! retained does not come live as well.
//!
//! All that holds across crashes of the broker for what is delivered at QoS 2. At QoS 0 and 1 a crash may make the broker forget
//! that it had sent a message.

use super::{Check, Findings, Rest};
use crate::facts::{Held, Message, Session, Subscription};

pub(super) struct ExactlyOnce;

impl Check for ExactlyOnce {
    fn name(&self) -> &'static str {
        "exactly once"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        for session in &rest.facts.sessions {
            for (key, message) in &rest.facts.messages {
                if message.past || session.fresh(*key).next().is_none() {
                    continue;
                }
                let allowed = Allowed::of(rest, session, message);
                let crashes = rest.facts.crashes_since(message.first);
                for (least_qos, times) in [(2, 1), (0, 1 + crashes)] {
                    let got = || session.fresh(*key).filter(|delivery| delivery.qos >= least_qos);
                    let (all, live) = (got().count(), got().filter(|delivery| !delivery.retain).count());
                    if live > times * allowed.live || all > times * (allowed.live + allowed.replays) {
                        found.report(format!(
                            "{} got m{key} ({} q{}) {all} times at QoS {least_qos} or more, {live} of them live; {allowed:?}",
                            session.client, message.topic, message.qos
                        ));
                    }
                }
            }
        }
    }
}

#[derive(Debug)]
struct Allowed {
    live: usize,
    replays: usize,
}

impl Allowed {
    fn of(rest: &Rest<'_>, session: &Session, message: &Message) -> Allowed {
        let held = session.held(message);
        let own: Vec<&Held<'_>> = held.iter().filter(|held| held.share.is_none()).collect();
        let groups = held.len() - own.len();
        let merged = !rest.settings.allow_duplicate_messages && own.len() > 1;
        let filters = if merged { 1 } else { own.len() };
        // A group's message may come back to the same member when another one lost it, or it did itself.
        let lost = rest.facts.links.iter().filter(|link| link.ended.is_some_and(|(at, _)| !at.precedes(message.first)));
        let again = if groups == 0 { 0 } else { lost.count() };
        let replays = || session.subscriptions.iter().filter(|subscription| may_replay(subscription, message));
        // One SUBSCRIBE gets a message as retained message or live, not both.
        let either = own.iter().filter(|held| matches!(held.versions[..], [only] if may_replay(only, message)));
        let both = if merged { 0 } else { either.count() };
        Allowed {
            live: message.times() * filters + groups * (message.times() + again),
            replays: replays().count() - both,
        }
    }
}

fn may_replay(subscription: &Subscription, message: &Message) -> bool {
    message.retain && subscription.may_replay() && subscription.matches(&message.topic)
}

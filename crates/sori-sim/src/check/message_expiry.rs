//! A message does not set out after its time, and tells how much of its time is left.
//!
//! [MQTT-3.3.2-5], [MQTT-3.3.2-6]. Once sent it may be resent for ever [MQTT-4.3.3-7].

use super::{Check, Findings};
use crate::facts::{Event, Facts, Message, What};
use crate::seen::{Seen, SeenPublish};

pub(super) struct MessageExpiry;

impl Check for MessageExpiry {
    fn name(&self) -> &'static str {
        "message expiry"
    }

    fn see(&mut self, event: &Event, facts: &Facts, found: &mut Findings) {
        let What::Out(Seen::Publish(publish), _) = &event.what else { return };
        let Some(key) = crate::facts::key_of(&publish.payload) else { return };
        let Some(message) = facts.messages.get(&key) else { return };
        // A will's time begins when it is published, which nobody outside can see exactly.
        if publish.dup || message.will_of.is_some() || message.versions_differ {
            return;
        }
        let v5 = facts.link(event.link).version().is_v5();
        if let Some(fault) = fault(message, publish, v5, event.moment.at) {
            found.report(format!("L{}: {publish}: {fault}", event.link.0));
        }
    }
}

fn fault(message: &Message, publish: &SeenPublish, v5: bool, now: u64) -> Option<String> {
    let Some(expiry) = message.expiry else {
        return publish.expiry.map(|_| "it has no expiry".to_owned());
    };
    let whole = u64::from(expiry) * 1000;
    let left_most = (message.last.at + whole).saturating_sub(now);
    let left_least = (message.first.at + whole).saturating_sub(now);
    if left_most == 0 && now > message.last.at + whole {
        return Some(format!("it expired {} ms ago", now - message.last.at - whole));
    }
    if !v5 {
        return None;
    }
    let allowed = left_least / 1000..=left_most.div_ceil(1000);
    match publish.expiry {
        Some(left) if allowed.contains(&u64::from(left)) => None,
        other => Some(format!("expiry {other:?} where {allowed:?} seconds are left")),
    }
}

//! One client identifier has one connection, at any time.
//!
//! [MQTT-3.1.4-3] [MQTT311-3.1.4-2]: the one that was there is closed, and told 0x8E in MQTT 5.0, before the new one
//! is answered. Shards decide that in one turn, so there is no moment after a turn with two.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Findings};
use crate::facts::{Ending, Event, Facts, SESSION_TAKEN_OVER, What};
use crate::host::LinkId;
use crate::seen::Seen;

#[derive(Default)]
pub(super) struct OneOwner {
    owners: BTreeMap<String, BTreeSet<LinkId>>,
}

/// What else may have ended the loser's connection before.
const KEEP_ALIVE_TIMEOUT: u8 = 0x8D;
const QUOTA_EXCEEDED: u8 = 0x97;

impl Check for OneOwner {
    fn name(&self) -> &'static str {
        "one owner"
    }

    fn see(&mut self, event: &Event, facts: &Facts, found: &mut Findings) {
        let link = facts.link(event.link);
        match &event.what {
            What::Out(Seen::ConnAck(connack), _) if connack.reason == 0 => {
                self.owners.entry(link.client.clone()).or_default().insert(event.link);
            }
            // Whoever has said DISCONNECT is not connected any more [MQTT-3.14.4-1], though its socket may be closed later: when it is
            // durable how long the session lasts.
            What::In(Seen::Disconnect { .. }) => {
                if let Some(owners) = self.owners.get_mut(&link.client) {
                    owners.remove(&event.link);
                }
            }
            What::NetworkClosed | What::BrokerClosed | What::Crashed => {
                if let Some(owners) = self.owners.get_mut(&link.client) {
                    owners.remove(&event.link);
                }
                let taken_over = link.ended.is_some_and(|(_, ending)| ending == Ending::TakenOver);
                // A full queue or its silence may have ended it before.
                let told =
                    matches!(link.said_disconnect, Some(SESSION_TAKEN_OVER | KEEP_ALIVE_TIMEOUT | QUOTA_EXCEEDED));
                // Nothing can be said before CONNACK, and that may have to wait for the disk.
                let may_be_told = link.version().is_v5() && !link.unanswered;
                if matches!(event.what, What::BrokerClosed) && taken_over && may_be_told && !told {
                    found.report(format!(
                        "L{} of {} lost its session to another connection and was told {:02x?}, not 0x8e",
                        event.link.0, link.client, link.said_disconnect
                    ));
                }
            }
            _ => {}
        }
    }

    fn turn_ended(&mut self, _now: u64, _facts: &Facts, found: &mut Findings) {
        for (client, owners) in &self.owners {
            if owners.len() > 1 {
                found.report(format!("{client} is connected {} times: {owners:?}", owners.len()));
            }
        }
    }
}

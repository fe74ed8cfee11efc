//! Silence ends a connection, not earlier and not much later than the standard says.
//!
//! [MQTT-3.1.2-22], [MQTT311-3.1.2-24]: after one and a half times Keep Alive. And who never says CONNECT is closed too,
//! after the time that the settings allow. The rule is lenient in one point: a part of a packet counts as a sign of life,
//! so that a large packet may take its time.

use sori_broker::Settings;

use super::{Check, Findings};
use crate::facts::{Event, Facts, Link, TOLERANCE_MILLIS, What};
use crate::seen::Seen;

pub(super) struct KeepAlive {
    connect_timeout_millis: u64,
    checked: u64,
}

const KEEP_ALIVE_TIMEOUT: u8 = 0x8D;

impl KeepAlive {
    pub(super) fn new(settings: &Settings) -> KeepAlive {
        KeepAlive { connect_timeout_millis: settings.connect_timeout_millis, checked: 0 }
    }

    fn is_overdue(&self, link: &Link, now: u64) -> bool {
        let deadline = match (&link.connect, link.keep_alive) {
            (None, _) => link.opened.at + self.connect_timeout_millis,
            (Some(_), keep_alive) if keep_alive > 0 && link.is_live() => {
                link.last_bytes.max(link.accepted.map_or(0, |accepted| accepted.at)) + allowed_silence(keep_alive)
            }
            _ => return false,
        };
        !link.closed && now > deadline + TOLERANCE_MILLIS
    }
}

fn allowed_silence(keep_alive: u16) -> u64 {
    u64::from(keep_alive) * 1500
}

impl Check for KeepAlive {
    fn name(&self) -> &'static str {
        "keep alive"
    }

    fn see(&mut self, event: &Event, facts: &Facts, found: &mut Findings) {
        let link = facts.link(event.link);
        if let What::Out(Seen::Disconnect { reason: KEEP_ALIVE_TIMEOUT, .. }, _) = event.what {
            let silence = event.moment.at - link.last_in.at;
            if link.keep_alive == 0 || silence < allowed_silence(link.keep_alive) {
                found.report(format!(
                    "L{} of {} was closed after {silence} ms of silence, Keep Alive is {} s",
                    event.link.0, link.client, link.keep_alive
                ));
            }
        }
    }

    fn turn_ended(&mut self, now: u64, facts: &Facts, found: &mut Findings) {
        if std::mem::replace(&mut self.checked, now) == now {
            return;
        }
        for (number, link) in facts.links.iter().enumerate().filter(|(_, link)| self.is_overdue(link, now)) {
            found.report(format!(
                "L{number} of {:?} is open after {} ms of silence, Keep Alive is {} s",
                link.client,
                now - link.last_bytes.max(link.opened.at),
                link.keep_alive
            ));
        }
    }
}

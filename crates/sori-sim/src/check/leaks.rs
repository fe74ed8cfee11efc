//! Nothing is left behind: not by those who are connected and have got everything, and not by those who have gone.
//!
//! [MQTT-4.1.0-2]: session state is dropped when its time is over.

use super::{Check, End, Findings, Rest};

pub(super) struct Leaks;

impl Check for Leaks {
    fn name(&self) -> &'static str {
        "leaks"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        let all_connected = rest.facts.sessions.iter().all(|session| session.ended.is_some() || session.link.is_some());
        let totals = rest.totals;
        if all_connected && (totals.queued, totals.queued_bytes, totals.inflight) != (0, 0, 0) {
            found.report(format!(
                "everybody has got everything, yet {} messages ({} bytes) are queued and {} in flight",
                totals.queued, totals.queued_bytes, totals.inflight
            ));
        }
    }

    fn at_end(&mut self, end: &End<'_>, found: &mut Findings) {
        let totals = end.totals;
        let left = [
            ("sessions", totals.sessions),
            ("connections", totals.connections),
            ("clients connected", totals.clients_connected),
            ("messages queued", totals.queued),
            ("bytes queued", totals.queued_bytes),
            ("messages in flight", totals.inflight),
            ("client identifiers", end.client_ids as u64),
            ("subscriptions", end.subscriptions as u64),
        ];
        for (what, count) in left.iter().filter(|(_, count)| *count != 0) {
            found.report(format!("nobody is left, but {count} {what} are"));
        }
    }
}

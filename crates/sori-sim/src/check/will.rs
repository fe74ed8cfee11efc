//! Each will is published once when it has to be, and never when it must not.
//!
//! [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.1.3-9], [MQTT-3.14.4-3], [MQTT311-3.1.2-8], [MQTT311-3.1.2-10], [MQTT311-3.14.4-3]: after the
//! connection has ended without DISCONNECT 0x00 and the Will Delay Interval has passed or the session has ended,
//! whichever is first; not if the client comes back to its session before. The observer hears all wills.

use super::{Check, Findings, Rest};
use crate::facts::{Ending, Lasting, Message, TOLERANCE_MILLIS};
use crate::host::LinkId;

pub(super) struct Wills;

/// When a will has to be published.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
enum Due {
    Never,
    At(u64),
    /// The client came back at the very moment.
    Perhaps(u64),
}

impl Check for Wills {
    fn name(&self) -> &'static str {
        "wills"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        let Some(observer) = rest.facts.session_of(rest.observer) else { return };
        for (key, message) in &rest.facts.messages {
            let Some(link) = message.will_of.filter(|_| !message.past) else { continue };
            let due = due(rest, link, message);
            let published: Vec<u64> = observer.fresh(*key).map(|delivery| delivery.moment.at).collect();
            let given_up = rest.totals.dropped_queue_full > 0 || message.may_have_expired(rest.now);
            if let Some(fault) = fault(due, &published, rest.now, given_up) {
                let ended = rest.facts.link(link).ended;
                found.report(format!(
                    "will m{key} of {} (L{}, {ended:?}): {fault}: published at {published:?}, {due:?}",
                    message.client, link.0
                ));
            }
        }
    }
}

fn fault(due: Due, published: &[u64], now: u64, given_up: bool) -> Option<&'static str> {
    match (due, published) {
        (_, [_, _, ..]) => Some("more than once"),
        (Due::Never, [_]) => Some("though it must not be"),
        (Due::At(due) | Due::Perhaps(due), [at]) if *at < due => Some("too early"),
        (Due::At(due), []) if now >= due + TOLERANCE_MILLIS && !given_up => Some("never"),
        _ => None,
    }
}

fn due(rest: &Rest<'_>, id: LinkId, message: &Message) -> Due {
    let link = rest.facts.link(id);
    let Some((ended, ending)) = link.ended else { return Due::Never };
    if ending == Ending::Disconnect(0) {
        return Due::Never;
    }
    let session_ends = match link.lasting_at_end {
        Some(Lasting::Millis(millis)) => millis,
        _ => u64::MAX,
    };
    let at = ended.at.saturating_add(message.will_delay.min(session_ends));
    // "A new Network Connection for the ClientID is opened before the Will Delay Interval has elapsed" is always so when a
    // session is taken over by a client that goes on with it; a comment in section 3.1.3.2.2 of MQTT 5.0 and the text of
    // MQTT 3.1.1 want the will to be published all the same. Mosquitto does not, so both are allowed.
    if ending == Ending::TakenOver && rest.facts.sessions[message.session].ended.is_none_or(|gone| ended.precedes(gone))
    {
        let gone = rest.facts.sessions[message.session].ended.map_or(at, |gone| gone.at);
        return Due::Perhaps(at.min(gone));
    }
    if message.will_delay == 0 || session_ends == 0 {
        return Due::At(at);
    }
    // The next connection of this client either goes on with the session or ends it.
    let session = &rest.facts.sessions[message.session];
    let back = session
        .links
        .iter()
        .map(|link| rest.facts.link(*link))
        .find_map(|other| other.accepted.filter(|accepted| accepted.number > ended.number));
    match (back, session.ended) {
        (Some(back), _) if back.at < at => Due::Never,
        (Some(back), _) if back.at == at => Due::Perhaps(at),
        (None, Some(gone)) if gone.at < at => Due::At(gone.at),
        _ => Due::At(at),
    }
}

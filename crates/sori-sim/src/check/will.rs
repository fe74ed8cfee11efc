//! Each will is published once when it has to be, and never when it must not.
//!
//! [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.1.3-9], [MQTT-3.14.4-3], [MQTT311-3.1.2-8], [MQTT311-3.1.2-10], [MQTT311-3.14.4-3]: after the
//! connection has ended without DISCONNECT 0x00 and the Will Delay Interval has passed or the session has ended,
//! whichever is first; not if the client comes back to its session before. The observer hears all wills.
//!
//! A crash of the broker ends connections like the network does, when the broker is back. A DISCONNECT that it had read but
//! not kept may be forgotten, and a CONNECT that was never answered may have had its effect: there a will may be published,
//! once.

use super::{Check, Findings, Rest};
use crate::facts::{Ending, Lasting, Message, Session, TOLERANCE_MILLIS};
use crate::host::LinkId;

pub(super) struct Wills;

/// When a will has to be published.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
enum Due {
    Never,
    /// Not before the first moment, and before the second has long passed.
    Between(u64, u64),
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
            let crashes = rest.facts.crashes_since(message.first);
            // At QoS 0 it comes to those who are connected when it is published.
            let was_absent = match due {
                Due::Between(at, _) => !is_connected_since(rest, observer, message, at),
                _ => true,
            };
            let given_up = rest.totals.dropped_queue_full > 0
                || rest.totals.dropped_memory > 0
                || message.may_have_expired(rest.now)
                || rest.facts.store_refused
                || !has_subscribed(rest, observer)
                || (message.qos == 0 && (crashes > 0 || was_absent));
            // The observer may get a QoS 1 message again after a crash, and that is not another publication.
            let most = if message.qos == 2 { 1 } else { 1 + crashes };
            if let Some(fault) = fault(due, &published, most, rest.now, given_up) {
                let ended = rest.facts.link(link).ended;
                found.report(format!(
                    "will m{key} of {} (L{}, {ended:?}): {fault}: published at {published:?}, {due:?}",
                    message.client, link.0
                ));
            }
        }
    }
}

/// It has the session in which it has subscribed. That may have ended while the broker was down for longer than
/// `persistent_client_expiration`, and then it hears nothing any more.
fn has_subscribed(rest: &Rest<'_>, observer: &Session) -> bool {
    let first = rest.facts.sessions.iter().find(|session| session.client == observer.client);
    observer.perhaps_another.is_none() && first.is_some_and(|first| first.links.first() == observer.links.first())
}

/// Its present connection was there when the will was published, which was not before `due`.
fn is_connected_since(rest: &Rest<'_>, observer: &Session, message: &Message, due: u64) -> bool {
    let accepted = observer.link.and_then(|link| rest.facts.link(link).accepted);
    accepted.is_some_and(|accepted| accepted.precedes(message.first) || accepted.at < due)
}

fn fault(due: Due, published: &[u64], most: usize, now: u64, given_up: bool) -> Option<&'static str> {
    match (due, published) {
        (_, published) if published.len() > most => Some("more than once"),
        (Due::Never, [_, ..]) => Some("though it must not be"),
        (Due::Between(due, _) | Due::Perhaps(due), [at, ..]) if *at < due => Some("too early"),
        (Due::Between(_, due), []) if now >= due + TOLERANCE_MILLIS && !given_up => Some("never"),
        _ => None,
    }
}

fn due(rest: &Rest<'_>, id: LinkId, message: &Message) -> Due {
    let link = rest.facts.link(id);
    let Some((ended, ending)) = link.ended else { return Due::Never };
    let is_unclear = rest.facts.is_unclear_since(&message.client, ended);
    match (ending, link.ended_again) {
        (Ending::Disconnect(_), Some(_)) => return Due::Perhaps(ended.at),
        (Ending::Disconnect(0), None) => return Due::Never,
        _ if link.unanswered || is_unclear => return Due::Perhaps(ended.at),
        _ => {}
    }
    let session_ends = match link.lasting_at_end {
        Some(Lasting::Millis(millis)) => millis,
        _ => u64::MAX,
    };
    let delay = message.will_delay.min(session_ends);
    let at = ended.at.saturating_add(delay);
    let latest = link.ended_again.map_or(at, |again| again.at.saturating_add(delay));
    // "A new Network Connection for the ClientID is opened before the Will Delay Interval has elapsed" is always so when a
    // session is taken over by a client that goes on with it; a comment in section 3.1.3.2.2 of MQTT 5.0 and the text of
    // MQTT 3.1.1 want the will to be published all the same. Mosquitto does not, so both are allowed.
    if ending == Ending::TakenOver && rest.facts.sessions[message.session].ended.is_none_or(|gone| ended.precedes(gone))
    {
        let session = &rest.facts.sessions[message.session];
        let gone = session.gone_since.or(session.ended.map(|gone| gone.at)).unwrap_or(at);
        return Due::Perhaps(at.min(gone));
    }
    if message.will_delay == 0 || session_ends == 0 {
        return Due::Between(at, latest);
    }
    // The next connection of this client either goes on with the session or ends it.
    let session = &rest.facts.sessions[message.session];
    let back = session
        .links
        .iter()
        .map(|link| rest.facts.link(*link))
        .find_map(|other| Some((other.asked, other.accepted.filter(|accepted| accepted.number > ended.number)?)));
    match (back, session.ended) {
        (Some((_, back)), _) if back.at < at => Due::Never,
        // The broker comes to a CONNECT at some time between reading it and CONNACK.
        (Some((asked, _)), _) if asked <= latest => Due::Perhaps(at),
        (None, Some(gone)) if gone.at < at => Due::Between(session.gone_since.unwrap_or(gone.at), gone.at),
        _ => Due::Between(at, latest),
    }
}

//! What a crash may take back of all that has happened, and what comes again after it.

use super::{Ending, Facts, Lasting, Link, Moment};
use crate::host::LinkId;

impl Facts {
    /// The broker is back after a crash. Everything until the end of turn `durable` was on the disk; what was done later
    /// and acknowledged to nobody may be forgotten. All connections have been noted as crashed.
    pub(crate) fn note_crash(&mut self, moment: Moment, durable: u64) {
        self.crashes.push(moment);
        self.durable_turns.push(durable);
        let is_forgotten = |at: Moment| at.turn > durable;
        for message in self.messages.values_mut() {
            if message.qos == 0 && message.will_of.is_none() && is_forgotten(message.last) {
                (message.acknowledged, message.routed) = (None, Some(moment));
            }
            // The end of its session may be forgotten, and come again when the broker is back.
            if message.went_with_session && message.routed.is_some_and(is_forgotten) {
                message.routed = Some(moment);
            }
        }
        for number in 0..self.links.len() {
            let Link { ended: Some((ended, ending)), session: Some(_), ended_again, .. } = self.links[number] else {
                continue;
            };
            // What a crash made of it may be forgotten in the next one.
            let known = ended_again.unwrap_or(ended);
            let comes_again = is_forgotten(known) && known != moment;
            let will = self.links[number].will.and_then(|key| self.messages.get_mut(&key));
            if let Some(will) = will.filter(|will| will.acknowledged.is_none()) {
                let fell_due_meanwhile = will.last.at + will.will_delay < moment.at;
                if comes_again || fell_due_meanwhile {
                    // If it is published now, its expiry interval begins now.
                    will.last = moment;
                }
            }
            if !comes_again {
                continue;
            }
            self.links[number].ended_again = Some(moment);
            if ending == Ending::Crash || ended_again.is_some() {
                continue;
            }
            self.keep_lasting(LinkId(number));
        }
    }

    /// Every shard has taken a turn since the broker was back. What goes with the sessions that ended in the crash goes in the
    /// first turn of the shard that has them now, and until then the others may be at work.
    pub(crate) fn note_awake(&mut self, moment: Moment) {
        // The broker may have crashed again before all of them had been awake.
        let asleep = &self.crashes[self.crashes_slept_over..];
        for message in self.messages.values_mut().filter(|message| message.went_with_session) {
            if asleep.iter().any(|back| message.routed.is_some_and(|routed| routed.turn == back.turn)) {
                message.routed = Some(moment);
            }
        }
        self.crashes_slept_over = self.crashes.len();
    }

    /// What the client said in DISCONNECT of how long its session lasts may not have been heard, or may be forgotten.
    pub(super) fn keep_lasting(&mut self, link: LinkId) {
        let Link { session: Some(session), lasting_before, .. } = self.links[link.0] else { return };
        let is_last = self.sessions[session].links.last() == Some(&link);
        if let Some(lasting) = lasting_before.filter(|lasting| is_last && *lasting != Lasting::Millis(0)) {
            self.doubt(session, lasting);
        }
    }

    /// The client said in DISCONNECT how long its session lasts, and the broker may have forgotten that.
    pub(super) fn doubt(&mut self, session: usize, lasting: Lasting) {
        let entry = &mut self.sessions[session];
        entry.is_doubtful = true;
        let Some(ended) = entry.ended.take() else { return };
        entry.lasting = lasting;
        for message in self.messages.values_mut() {
            let went = message.went_with_session || message.routed.is_some_and(|routed| routed.turn == ended.turn);
            if message.session == session && went {
                (message.routed, message.went_with_session) = (None, false);
            }
        }
    }

    /// A CONNECT of this client has never been answered since then: nobody outside knows what it did.
    pub(crate) fn is_unclear_since(&self, client: &str, since: Moment) -> bool {
        self.links.iter().any(|link| {
            let ended_later = link.ended.is_some_and(|(ended, _)| ended.number > since.number);
            link.unanswered && link.client == client && ended_later
        })
    }

    /// How often the broker has crashed since then.
    pub(crate) fn crashes_since(&self, moment: Moment) -> usize {
        self.crashes.iter().filter(|crash| crash.turn >= moment.turn).count()
    }

    /// Whether the broker has crashed between the two.
    pub(crate) fn has_crashed_between(&self, from: Moment, to: Moment) -> bool {
        self.crashes.iter().any(|crash| crash.turn > from.turn && crash.turn <= to.turn)
    }
}

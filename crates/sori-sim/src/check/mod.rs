//! The rules that must hold, one per file, each written from the standard.
//!
//! A rule sees every event in order, after the book ([`Facts`]) has taken it in, and is asked again whenever the
//! broker has come to rest. It knows nothing of the broker but what crosses its border.

use sori_broker::{Settings, Totals};
use sori_store::Figures;

use crate::facts::{Event, Facts};
use crate::host::LinkId;

mod acknowledged_is_delivered;
mod answers;
mod client_limits;
mod exactly_once;
mod keep_alive;
mod leaks;
mod message_expiry;
mod one_owner;
mod order;
mod own_deliveries;
mod packet_identifiers;
mod retained;
mod retained_or_live;
mod session_state;
mod shared;
mod store;
mod will;

/// What a rule found broken.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    pub(crate) text: String,
}

/// Where rules report.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    rule: &'static str,
    pub(crate) all: Vec<Finding>,
}

impl Findings {
    pub(crate) fn report(&mut self, text: String) {
        self.all.push(Finding { rule: self.rule, text });
    }

    /// For what the simulation itself notices.
    pub(crate) fn report_for(&mut self, rule: &'static str, text: String) {
        self.all.push(Finding { rule, text });
    }
}

/// The broker at rest: all bytes read, all mail delivered, every client connected again.
pub(crate) struct Rest<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) settings: &'a Settings,
    /// Milliseconds of the virtual clock.
    pub(crate) now: u64,
    pub(crate) totals: &'a Totals,
    /// How the store is doing, if there is one; a checkpoint has just been completed.
    pub(crate) figures: Option<Figures>,
    /// Bytes of messages that wait and of subscriptions.
    pub(crate) memory_used: u64,
    /// A connection that subscribed to everything after the broker had come to rest.
    pub(crate) probe: LinkId,
    /// A connection that has been subscribed to everything from the beginning.
    pub(crate) observer: LinkId,
}

/// The broker after everybody has gone.
pub(crate) struct End<'a> {
    pub(crate) totals: &'a Totals,
    pub(crate) client_ids: usize,
    pub(crate) subscriptions: usize,
}

/// One rule.
pub(crate) trait Check {
    /// How reports call it.
    fn name(&self) -> &'static str;

    /// Something happened.
    fn see(&mut self, _event: &Event, _facts: &Facts, _found: &mut Findings) {}

    /// A shard has ended a turn.
    fn turn_ended(&mut self, _now: u64, _facts: &Facts, _found: &mut Findings) {}

    /// The broker is at rest.
    fn at_rest(&mut self, _rest: &Rest<'_>, _found: &mut Findings) {}

    /// Nobody is left.
    fn at_end(&mut self, _end: &End<'_>, _found: &mut Findings) {}
}

/// All rules.
pub(crate) struct Oracle {
    checks: Vec<Box<dyn Check>>,
    pub(crate) found: Findings,
}

impl Oracle {
    pub(crate) fn new(settings: &Settings) -> Oracle {
        let checks: Vec<Box<dyn Check>> = vec![
            Box::new(acknowledged_is_delivered::AcknowledgedIsDelivered::default()),
            Box::new(answers::Answers::default()),
            Box::new(client_limits::ClientLimits::default()),
            Box::new(exactly_once::ExactlyOnce),
            Box::new(keep_alive::KeepAlive::new(settings)),
            Box::new(leaks::Leaks),
            Box::new(message_expiry::MessageExpiry),
            Box::new(one_owner::OneOwner::default()),
            Box::new(order::Order),
            Box::new(own_deliveries::OwnDeliveries),
            Box::new(packet_identifiers::PacketIdentifiers::new(settings)),
            Box::new(retained::Retained),
            Box::new(retained_or_live::RetainedOrLive),
            Box::new(session_state::SessionState),
            Box::new(shared::Shared),
            Box::new(store::Store),
            Box::new(will::Wills),
        ];
        Oracle { checks, found: Findings::default() }
    }

    fn ask(&mut self, mut question: impl FnMut(&mut dyn Check, &mut Findings)) {
        for check in &mut self.checks {
            self.found.rule = check.name();
            question(check.as_mut(), &mut self.found);
        }
    }

    pub(crate) fn see(&mut self, event: &Event, facts: &Facts) {
        self.ask(|check, found| check.see(event, facts, found));
    }

    pub(crate) fn turn_ended(&mut self, now: u64, facts: &Facts) {
        self.ask(|check, found| check.turn_ended(now, facts, found));
    }

    pub(crate) fn at_rest(&mut self, rest: &Rest<'_>) {
        self.ask(|check, found| check.at_rest(rest, found));
    }

    pub(crate) fn at_end(&mut self, end: &End<'_>) {
        self.ask(|check, found| check.at_end(end, found));
    }
}

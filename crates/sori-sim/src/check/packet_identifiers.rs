//! The broker's packet identifiers: none is used twice at a time, and what is unfinished is resent as it must be.
//!
//! [MQTT-2.2.1-4], [MQTT-4.3.2-1] to [MQTT-4.3.2-3], [MQTT-4.3.3-1] to [MQTT-4.3.3-6], [MQTT-4.4.0-1], [MQTT-3.3.1-1],
//! [MQTT-4.6.0-1] read for the server; [MQTT311-2.3.1-4], [MQTT311-4.3.2-1], [MQTT311-4.3.3-1], [MQTT311-4.4.0-1].
//!
//! A crash of the broker takes what is not durable: that a QoS 1 message was sent, and under which identifier; that the
//! client has acknowledged. It does not take the identifier of a QoS 2 message that was sent, nor that PUBREC had come when
//! PUBREL was sent.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sori_broker::Settings;
use sori_mqtt::{PacketType, QoS};

use super::{Check, Findings, Rest};
use crate::facts::{Event, Facts, ROOM_FOR_PROPERTIES, Subscription, What, key_of};
use crate::host::LinkId;
use crate::seen::{Seen, SeenPublish};

#[derive(Default)]
pub(super) struct PacketIdentifiers {
    keeps_records: bool,
    /// By session.
    unfinished: BTreeMap<usize, Vec<Unfinished>>,
    /// The place of the last message resent on a connection.
    resent: BTreeMap<LinkId, Place>,
    sent: u64,
    /// Connections in the order of their CONNACKs.
    rounds: BTreeMap<LinkId, u64>,
    /// Crashes that are accounted for.
    crashes: usize,
}

/// Where a message stands among those that are resent: by the connection on which it was sent last, and its place there. What the
/// last connection has seen comes before what it has not: that did not come so far, in the same order.
type Place = (Reverse<u64>, u64);

struct Unfinished {
    /// 0 when the broker has forgotten it in a crash.
    id: u16,
    qos: QoS,
    payload: Vec<u8>,
    /// PUBREC has come.
    received: bool,
    /// PUBREL was sent.
    released: bool,
    /// The client is done with it, since that turn.
    finished: Option<u64>,
    /// The broker has crashed since it was sent last, or closed the connection before it looked at what the client said of it.
    crashed: bool,
    /// The turn in which the client said something of it.
    answered: u64,
    /// It may have come by a shared subscription.
    shared: bool,
    /// The broker may have given it up when its client came back.
    may_be_gone: bool,
    /// The connection on which PUBLISH, or after PUBREC PUBREL, was sent last.
    link: LinkId,
    /// Which connection that was, in the order of their CONNACKs, and the number that PUBLISH had.
    round: u64,
    number: u64,
}

impl Unfinished {
    /// The broker knows it: the client is not done with it, or a crash has made the broker forget that.
    fn is_known(&self) -> bool {
        self.finished.is_none() || self.crashed
    }

    /// A crash may have made the broker forget that it had sent it. After PUBCOMP the same bytes are another message: the publisher
    /// sent it again at QoS 1, and the identifier was free.
    fn may_come_again(&self) -> bool {
        self.crashed && !(self.released && self.finished.is_some())
    }

    /// It is sent again, which must be right. `last` is the place that the last one resent with DUP had.
    fn resent(&mut self, link: LinkId, now: (u64, u64), last: Option<&mut Place>) -> Result<(), &'static str> {
        let same_link = self.link == link;
        let place = (Reverse(self.round), self.number);
        (self.round, self.number) = now;
        let (received, released, crashed) = (self.received, self.released, self.crashed);
        (self.link, self.received, self.crashed, self.finished) = (link, false, false, None);
        if same_link {
            return Err("resent on the same connection");
        }
        // PUBREL was sent only when PUBREC was durable.
        if received && (released || !crashed) {
            return Err("PUBLISH again after PUBREC");
        }
        if let Some(last) = last
            && std::mem::replace(last, place) > place
        {
            return Err("resent in another order");
        }
        Ok(())
    }

    /// The client is back, on a connection that takes packets of `size_max`, or has been on one that was never answered.
    fn resumed(&mut self, size_max: u32, perhaps_another: bool) {
        // A QoS 1 message of a shared subscription may have been given to another member when the connection broke: section
        // 4.8.2 allows the server to wait for this one, and does not demand it. [MQTT-4.8.2-4] is about QoS 2.
        let taken_back = self.shared && self.qos == QoS::AtLeastOnce;
        // [MQTT-3.1.2-25]
        let too_large = self.payload.len() + ROOM_FOR_PROPERTIES > size_max as usize;
        let is_owned = self.received && (self.released || !self.crashed);
        self.may_be_gone |= perhaps_another || taken_back || (too_large && !is_owned);
    }
}

impl PacketIdentifiers {
    pub(super) fn new(settings: &Settings) -> PacketIdentifiers {
        PacketIdentifiers { keeps_records: settings.keeps_records, ..PacketIdentifiers::default() }
    }

    fn publish(&mut self, link: LinkId, session: usize, shared: bool, publish: &SeenPublish, found: &mut Findings) {
        self.sent += 1;
        let round = self.rounds.get(&link).copied().unwrap_or_default();
        let sent = self.unfinished.entry(session).or_default();
        sent.retain(|message| publish.dup || message.id != publish.id || !message.may_be_gone);
        let same = |message: &Unfinished| message.payload == publish.payload && message.qos == publish.qos;
        let again = sent.iter().position(|message| message.id == publish.id && message.is_known() && same(message));
        if let Some(known) = again.filter(|again| publish.dup || sent[*again].may_come_again()) {
            let last = self.resent.entry(link).or_insert((Reverse(u64::MAX), 0));
            // One that was given up on a connection stands between those that were sent again there, if a crash brings it back.
            let is_back = sent[known].may_be_gone && sent[known].crashed;
            let last = Some(last).filter(|_| publish.dup && !is_back);
            if let Err(fault) = sent[known].resent(link, (round, self.sent), last) {
                found.report(format!("L{}: {fault}: {publish}", link.0));
            }
            return;
        }
        // The identifier may have been kept without the packet having left.
        if publish.dup && !self.keeps_records {
            found.report(format!("L{}: DUP on a message that was not sent under this identifier: {publish}", link.0));
            return;
        }
        sent.retain(|message| message.id != publish.id || !message.may_be_gone);
        match sent.iter_mut().find(|message| message.id == publish.id && message.finished.is_none()) {
            // The broker need not know that it had sent this one.
            Some(other) if other.crashed && other.qos == QoS::AtLeastOnce => other.id = 0,
            Some(_) => found.report(format!("L{}: packet identifier in use: {publish}", link.0)),
            None => {}
        }
        sent.retain(|message| message.id != publish.id);
        // A forgotten one comes again under another identifier.
        let forgotten = |message: &Unfinished| message.crashed && message.qos == QoS::AtLeastOnce && same(message);
        if let Some(old) = sent.iter().position(forgotten) {
            sent.remove(old);
        }
        sent.push(Unfinished {
            id: publish.id,
            qos: publish.qos,
            payload: publish.payload.clone(),
            received: false,
            released: false,
            finished: None,
            crashed: false,
            answered: 0,
            shared,
            may_be_gone: false,
            link,
            round,
            number: self.sent,
        });
    }

    fn pubrel(&mut self, link: LinkId, session: usize, id: u16, reason: u8, found: &mut Findings) {
        let sent = self.unfinished.entry(session).or_default();
        match sent.iter_mut().find(|message| message.id == id && message.is_known()) {
            Some(known) if known.received => {
                known.released = true;
                known.finished = None;
                known.link = link;
            }
            _ if reason == 0x92 => {}
            _ => found.report(format!("L{}: PUBREL id={id} without a PUBREC", link.0)),
        }
    }

    fn acknowledged(&mut self, session: usize, turn: u64, kind: PacketType, id: u16, reason: u8) {
        let sent = self.unfinished.entry(session).or_default();
        let unfinished = |message: &&mut Unfinished| message.id == id && message.finished.is_none();
        let Some(message) = sent.iter_mut().find(unfinished) else { return };
        message.answered = turn;
        match (kind, message.qos) {
            (PacketType::PubRec, QoS::ExactlyOnce) if reason < 0x80 => message.received = true,
            (PacketType::PubAck, QoS::AtLeastOnce) | (PacketType::PubRec | PacketType::PubComp, QoS::ExactlyOnce) => {
                message.finished = Some(turn);
            }
            _ => {}
        }
    }

    /// The broker closed the connection, perhaps before it had looked at all that it had read.
    fn closed(&mut self, session: usize, turn: u64) {
        let sent = self.unfinished.entry(session).or_default();
        sent.iter_mut().filter(|message| message.answered == turn).for_each(|message| message.crashed = true);
    }

    /// What the broker may have forgotten. It kept all that had happened until the end of turn `durable`.
    fn crashed(&mut self, durable: u64) {
        for sent in self.unfinished.values_mut() {
            sent.retain(|message| message.crashed || message.finished.is_none_or(|turn| turn > durable));
            sent.iter_mut().for_each(|message| message.crashed = true);
        }
    }
}

/// A QoS 1 message of which the broker has forgotten that it was sent, and which it may have lost, or given up, since then.
fn is_lost(rest: &Rest<'_>, message: &Unfinished) -> bool {
    let known = key_of(&message.payload).and_then(|key| rest.facts.messages.get(&key));
    // It has been looked for as a retained message only once.
    let may_be = known
        .is_none_or(|message| !message.is_certain() || message.sends > 1 || message.retain || message.expiry.is_some());
    message.crashed && message.qos == QoS::AtLeastOnce && (may_be || rest.totals.dropped_queue_full > 0)
}

impl Check for PacketIdentifiers {
    fn name(&self) -> &'static str {
        "packet identifiers"
    }

    fn see(&mut self, event: &Event, facts: &Facts, found: &mut Findings) {
        while let Some(durable) = facts.durable_turns.get(self.crashes) {
            self.crashes += 1;
            self.crashed(*durable);
        }
        let Some(session) = facts.link(event.link).session else { return };
        match &event.what {
            What::Out(Seen::ConnAck(_), _) => {
                let round = self.rounds.len() as u64 + 1;
                self.rounds.insert(event.link, round);
                let perhaps_another = facts.sessions[session].perhaps_another == Some(event.moment);
                let unfinished = self.unfinished.entry(session).or_default();
                for message in unfinished {
                    message.resumed(facts.packet_size_min(event.link, message.link), perhaps_another);
                }
            }
            What::Out(Seen::Publish(publish), _) if publish.id == 0 && !publish.dup => {}
            // [MQTT-3.3.1-2]
            What::Out(Seen::Publish(publish), _) if publish.id == 0 => {
                found.report(format!("L{}: DUP at QoS 0: {publish}", event.link.0));
            }
            What::Out(Seen::Publish(publish), _) => {
                let topic = facts.link(event.link).out_topic(publish).unwrap_or_default();
                let shared = |subscription: &Subscription| subscription.share.is_some() && subscription.matches(topic);
                let shared = facts.sessions[session].subscriptions.iter().any(shared);
                self.publish(event.link, session, shared, publish, found);
            }
            What::Out(Seen::Ack { kind: PacketType::PubRel, id, reason }, _) => {
                self.pubrel(event.link, session, *id, *reason, found);
            }
            What::BrokerClosed => self.closed(session, event.moment.turn),
            What::In(Seen::Ack { kind, id, reason }) if facts.link(event.link).is_live() => {
                self.acknowledged(session, event.moment.turn, *kind, *id, *reason);
            }
            _ => {}
        }
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        for (session, unfinished) in &self.unfinished {
            let session = &rest.facts.sessions[*session];
            if !rest.facts.is_settled(session) {
                continue;
            }
            let is_due =
                |message: &&Unfinished| message.finished.is_none() && !message.may_be_gone && !is_lost(rest, message);
            if let Some(message) = unfinished.iter().find(is_due) {
                found.report(format!(
                    "{} has acknowledged everything, but m{} is unfinished: id={} (PUBREC: {})",
                    session.client,
                    key_of(&message.payload).unwrap_or_default(),
                    message.id,
                    message.received
                ));
            }
        }
        self.unfinished.retain(|session, _| rest.facts.sessions[*session].ended.is_none());
        // At rest everything is durable.
        for sent in self.unfinished.values_mut() {
            sent.retain(|message| message.finished.is_none());
        }
    }
}

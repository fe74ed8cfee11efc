//! The broker's packet identifiers: none is used twice at a time, and what is unfinished is resent as it must be.
//!
//! [MQTT-2.2.1-4], [MQTT-4.3.2-1] to [MQTT-4.3.2-3], [MQTT-4.3.3-1] to [MQTT-4.3.3-6], [MQTT-4.4.0-1], [MQTT-3.3.1-1],
//! [MQTT-4.6.0-1] read for the server; [MQTT311-2.3.1-4], [MQTT311-4.3.2-1], [MQTT311-4.3.3-1], [MQTT311-4.4.0-1].

use std::collections::BTreeMap;

use sori_mqtt::{PacketType, QoS};

use super::{Check, Findings, Rest};
use crate::facts::{Event, Facts, ROOM_FOR_PROPERTIES, Subscription, What};
use crate::host::LinkId;
use crate::seen::{Seen, SeenPublish};

#[derive(Default)]
pub(super) struct PacketIdentifiers {
    /// By session.
    unfinished: BTreeMap<usize, Vec<Unfinished>>,
    /// The number of the last message resent on a connection.
    resent: BTreeMap<LinkId, u64>,
    sent: u64,
}

struct Unfinished {
    id: u16,
    qos: QoS,
    payload: Vec<u8>,
    /// PUBREC has come.
    received: bool,
    /// It may have come by a shared subscription.
    shared: bool,
    /// The broker may have given it up when its client came back.
    may_be_gone: bool,
    /// The connection on which PUBLISH, or after PUBREC PUBREL, was sent last.
    link: LinkId,
    number: u64,
}

impl Unfinished {
    /// The client is back, on a connection that takes packets of `size_max`.
    fn resumed(&mut self, size_max: u32) {
        // A QoS 1 message of a shared subscription may have been given to another member when the connection broke: section
        // 4.8.2 allows the server to wait for this one, and does not demand it. [MQTT-4.8.2-4] is about QoS 2.
        let taken_back = self.shared && self.qos == QoS::AtLeastOnce;
        // [MQTT-3.1.2-25]
        let too_large = self.payload.len() + ROOM_FOR_PROPERTIES > size_max as usize;
        self.may_be_gone |= taken_back || (too_large && !self.received);
    }
}

impl PacketIdentifiers {
    fn publish(&mut self, link: LinkId, session: usize, shared: bool, publish: &SeenPublish, found: &mut Findings) {
        let unfinished = self.unfinished.entry(session).or_default();
        unfinished.retain(|message| publish.dup || message.id != publish.id || !message.may_be_gone);
        let known = unfinished.iter_mut().find(|message| message.id == publish.id);
        match (known, publish.dup) {
            (None, false) => {
                self.sent += 1;
                unfinished.push(Unfinished {
                    id: publish.id,
                    qos: publish.qos,
                    payload: publish.payload.clone(),
                    received: false,
                    shared,
                    may_be_gone: false,
                    link,
                    number: self.sent,
                });
            }
            (None, true) => found.report(format!("L{}: DUP on a new message: {publish}", link.0)),
            (Some(_), false) => found.report(format!("L{}: packet identifier in use: {publish}", link.0)),
            (Some(known), true) => {
                let last = self.resent.entry(link).or_default();
                if known.link == link {
                    found.report(format!("L{}: resent on the same connection: {publish}", link.0));
                } else if known.received {
                    found.report(format!("L{}: PUBLISH again after PUBREC: {publish}", link.0));
                } else if known.payload != publish.payload || known.qos != publish.qos {
                    found.report(format!("L{}: another message under the same identifier: {publish}", link.0));
                } else if *last > known.number {
                    found.report(format!("L{}: resent in another order: {publish}", link.0));
                }
                *last = known.number;
                known.link = link;
            }
        }
    }

    fn pubrel(&mut self, link: LinkId, session: usize, id: u16, reason: u8, found: &mut Findings) {
        let unfinished = self.unfinished.entry(session).or_default();
        match unfinished.iter_mut().find(|message| message.id == id) {
            Some(known) if known.received => known.link = link,
            _ if reason == 0x92 => {}
            _ => found.report(format!("L{}: PUBREL id={id} without a PUBREC", link.0)),
        }
    }

    fn acknowledged(&mut self, session: usize, kind: PacketType, id: u16, reason: u8) {
        let unfinished = self.unfinished.entry(session).or_default();
        let Some(index) = unfinished.iter().position(|message| message.id == id) else { return };
        match (kind, unfinished[index].qos) {
            (PacketType::PubRec, QoS::ExactlyOnce) if reason < 0x80 => unfinished[index].received = true,
            (PacketType::PubAck, QoS::AtLeastOnce) | (PacketType::PubRec | PacketType::PubComp, QoS::ExactlyOnce) => {
                unfinished.remove(index);
            }
            _ => {}
        }
    }
}

impl Check for PacketIdentifiers {
    fn name(&self) -> &'static str {
        "packet identifiers"
    }

    fn see(&mut self, event: &Event, facts: &Facts, found: &mut Findings) {
        let Some(session) = facts.link(event.link).session else { return };
        match &event.what {
            What::Out(Seen::ConnAck(_), _) => {
                let size_max = facts.link(event.link).packet_size_max();
                let unfinished = self.unfinished.entry(session).or_default();
                unfinished.iter_mut().for_each(|message| message.resumed(size_max));
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
            What::In(Seen::Ack { kind, id, reason }) if facts.link(event.link).is_live() => {
                self.acknowledged(session, *kind, *id, *reason);
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
            if let Some(message) = unfinished.iter().find(|message| !message.may_be_gone) {
                found.report(format!(
                    "{} has acknowledged everything, but a message is unfinished: id={} (PUBREC: {})",
                    session.client, message.id, message.received
                ));
            }
        }
        self.unfinished.retain(|session, _| rest.facts.sessions[*session].ended.is_none());
    }
}

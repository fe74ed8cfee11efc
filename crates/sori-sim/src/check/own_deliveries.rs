//! Every delivery belongs to a subscription and looks as that subscription asked for.
//!
//! Filter [MQTT-3.3.2-3], granted QoS [MQTT-3.8.4-8], Retain As Published [MQTT-3.3.1-12] [MQTT-3.3.1-13] [MQTT311-3.3.1-8]
//! [MQTT311-3.3.1-9], No Local [MQTT-3.8.3-3], Subscription Identifiers [MQTT-3.3.4-3] to [MQTT-3.3.4-5], nothing after
//! UNSUBACK [MQTT-3.10.4-2], and the properties that travel unchanged [MQTT-3.3.2-4] [MQTT-3.3.2-15] to [MQTT-3.3.2-18]
//! [MQTT-3.3.2-20].

use std::collections::BTreeSet;

use sori_mqtt::Version;

use super::{Check, Findings, Rest};
use crate::facts::{Delivery, Message, Session, Subscription};
use crate::seen::Carried;

pub(super) struct OwnDeliveries;

impl Check for OwnDeliveries {
    fn name(&self) -> &'static str {
        "own deliveries"
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        for session in &rest.facts.sessions {
            for delivery in &session.deliveries {
                let Some(key) = delivery.key else { continue };
                let fault = match rest.facts.messages.get(&key) {
                    // A message may be resent for as long as its subscriber does not acknowledge it.
                    None if delivery.dup => None,
                    None => Some("nobody published it lately".to_owned()),
                    Some(message) => fault(rest, session, delivery, message),
                };
                if let Some(fault) = fault {
                    found.report(format!(
                        "{} got m{key} ({} q{} retain={} for {:?}) on L{}: {fault}",
                        session.client,
                        delivery.topic,
                        delivery.qos,
                        delivery.retain,
                        delivery.identifiers,
                        delivery.link.0
                    ));
                }
            }
        }
    }
}

fn fault(rest: &Rest<'_>, session: &Session, delivery: &Delivery, message: &Message) -> Option<String> {
    if delivery.topic != message.topic {
        return Some(format!("it was published to {}", message.topic));
    }
    let version = rest.facts.link(delivery.link).version();
    let carried = if message.version.is_v5() { message.carried.clone() } else { Carried::default() };
    if version.is_v5() && !message.versions_differ && delivery.carried != carried {
        return Some(format!("with {:?}, published with {carried:?}", delivery.carried));
    }
    if delivery.dup {
        // A client may come back with another version: what it got first had the right form.
        return None;
    }
    let live = Shape::live(rest, session, message);
    let replays = Shape::replays(rest, session, message);
    let mut shapes = live.iter().chain(&replays);
    if shapes.any(|shape| shape.fits(delivery, version)) || merged(rest, &live, delivery, version) {
        return None;
    }
    Some(format!("not as asked for; live {live:?}, retained {replays:?}"))
}

/// How a delivery for one subscription has to look.
#[derive(Debug)]
struct Shape {
    qos: u8,
    retain: bool,
    identifier: Option<u32>,
    surely: bool,
    shared: bool,
}

impl Shape {
    fn live(rest: &Rest<'_>, session: &Session, message: &Message) -> Vec<Shape> {
        session
            .held(message)
            .iter()
            .flat_map(|held| held.versions.iter().map(|version| (held.surely && held.versions.len() == 1, *version)))
            .filter(|(_, subscription)| !(subscription.options.no_local && message.client == session.client))
            .map(|(surely, subscription)| Shape {
                qos: subscription.delivery_qos(message, rest.settings),
                retain: subscription.options.retain_as_published && message.retain,
                identifier: subscription.identifier,
                surely,
                shared: subscription.share.is_some(),
            })
            .collect()
    }

    fn replays(rest: &Rest<'_>, session: &Session, message: &Message) -> Vec<Shape> {
        let may = |subscription: &&Subscription| {
            message.retain
                && subscription.may_replay()
                && subscription.matches(&message.topic)
                && !subscription.granted.is_some_and(|(granted, _)| granted.precedes(message.first))
        };
        session
            .subscriptions
            .iter()
            .filter(may)
            .map(|subscription| Shape {
                qos: subscription.delivery_qos(message, rest.settings),
                retain: true,
                identifier: subscription.identifier,
                surely: false,
                shared: false,
            })
            .collect()
    }

    fn fits(&self, delivery: &Delivery, version: Version) -> bool {
        let identifiers: Vec<u32> = self.identifier.filter(|_| version.is_v5()).into_iter().collect();
        self.qos == delivery.qos && self.retain == delivery.retain && identifiers == delivery.identifiers
    }
}

/// One copy for several subscriptions: the highest QoS and all the identifiers. [MQTT-3.3.4-2] [MQTT-3.3.4-4]
fn merged(rest: &Rest<'_>, live: &[Shape], delivery: &Delivery, version: Version) -> bool {
    if rest.settings.allow_duplicate_messages {
        return false;
    }
    // What comes by a shared subscription is a delivery of its own.
    let live: Vec<&Shape> = live.iter().filter(|shape| !shape.shared).collect();
    let qos_least = live.iter().filter(|shape| shape.surely).map(|shape| shape.qos).max().unwrap_or(0);
    let retain = live.iter().any(|shape| shape.retain == delivery.retain);
    let qos = live.iter().any(|shape| shape.qos == delivery.qos) && delivery.qos >= qos_least;
    let may: BTreeSet<u32> = live.iter().filter_map(|shape| shape.identifier).collect();
    let must: BTreeSet<u32> = live.iter().filter(|shape| shape.surely).filter_map(|shape| shape.identifier).collect();
    let got: BTreeSet<u32> = delivery.identifiers.iter().copied().collect();
    let identifiers = if version.is_v5() { got.is_subset(&may) && must.is_subset(&got) } else { got.is_empty() };
    retain && qos && identifiers
}

//! Every request is answered, once, in order, with the same identifier and as many reason codes as it has filters.
//!
//! [MQTT-3.3.4-1], [MQTT-4.3.2-4], [MQTT-4.3.3-8], [MQTT-4.3.3-10], [MQTT-4.3.3-11], [MQTT-3.8.4-1], [MQTT-3.8.4-2],
//! [MQTT-3.8.4-6], [MQTT-3.10.4-4], [MQTT-3.10.4-5], [MQTT-3.12.4-1] and their like in MQTT 3.1.1.

use std::collections::{BTreeMap, VecDeque};

use sori_mqtt::{PacketType, QoS};

use super::{Check, Findings, Rest};
use crate::facts::{Event, Facts, What};
use crate::host::LinkId;
use crate::seen::Seen;

#[derive(Default)]
pub(super) struct Answers {
    /// What each connection waits for: packet type, identifier, number of reason codes.
    due: BTreeMap<LinkId, VecDeque<Answer>>,
}

#[derive(Copy, Clone, Eq, PartialEq, Debug)]
struct Answer {
    kind: PacketType,
    id: u16,
    codes: usize,
}

impl Answer {
    fn new(kind: PacketType, id: u16) -> Answer {
        Answer { kind, id, codes: 0 }
    }

    fn expected(seen: &Seen, v5: bool) -> Option<Answer> {
        match seen {
            Seen::Publish(publish) if publish.qos == QoS::AtLeastOnce => {
                Some(Answer::new(PacketType::PubAck, publish.id))
            }
            Seen::Publish(publish) if publish.qos == QoS::ExactlyOnce => {
                Some(Answer::new(PacketType::PubRec, publish.id))
            }
            Seen::Ack { kind: PacketType::PubRel, id, .. } => Some(Answer::new(PacketType::PubComp, *id)),
            Seen::Subscribe { id, filters, .. } => {
                Some(Answer { kind: PacketType::SubAck, id: *id, codes: filters.len() })
            }
            Seen::Unsubscribe { id, filters } => {
                Some(Answer { kind: PacketType::UnsubAck, id: *id, codes: if v5 { filters.len() } else { 0 } })
            }
            Seen::PingReq => Some(Answer::new(PacketType::PingResp, 0)),
            _ => None,
        }
    }

    fn given(seen: &Seen) -> Option<Answer> {
        match seen {
            Seen::Ack { kind: PacketType::PubRel, .. } => None,
            Seen::Ack { kind, id, .. } => Some(Answer::new(*kind, *id)),
            Seen::SubAck { id, codes } => Some(Answer { kind: PacketType::SubAck, id: *id, codes: codes.len() }),
            Seen::UnsubAck { id, codes } => Some(Answer { kind: PacketType::UnsubAck, id: *id, codes: codes.len() }),
            Seen::PingResp => Some(Answer::new(PacketType::PingResp, 0)),
            _ => None,
        }
    }
}

impl Check for Answers {
    fn name(&self) -> &'static str {
        "answers"
    }

    fn see(&mut self, event: &Event, facts: &Facts, found: &mut Findings) {
        let due = self.due.entry(event.link).or_default();
        match &event.what {
            What::In(seen) => due.extend(Answer::expected(seen, facts.link(event.link).version().is_v5())),
            What::Out(seen, _) => {
                let Some(given) = Answer::given(seen) else { return };
                // Answers of one kind come in the order of their requests.
                let first = due.iter().position(|answer| answer.kind == given.kind);
                match first.and_then(|first| due.remove(first)) {
                    Some(expected) if expected == given => {}
                    expected => found.report(format!("L{}: {seen}, expected {expected:?}", event.link.0)),
                }
            }
            What::NetworkClosed | What::BrokerClosed | What::Crashed => {
                self.due.remove(&event.link);
            }
            _ => {}
        }
    }

    fn at_rest(&mut self, rest: &Rest<'_>, found: &mut Findings) {
        for (link, due) in &self.due {
            if let (true, Some(answer)) = (rest.facts.link(*link).is_live(), due.front()) {
                found.report(format!("L{} of {} never got {answer:?}", link.0, rest.facts.link(*link).client));
            }
        }
    }
}

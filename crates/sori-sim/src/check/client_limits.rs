//! What the broker writes can be read by this client, and stays within what the client said it can bear.
//!
//! Receive Maximum [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2], Maximum Packet Size [MQTT-3.1.2-24], Topic Alias Maximum
//! [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-8] [MQTT-3.3.2-11]; CONNACK first and once [MQTT-3.2.0-1] [MQTT-3.2.0-2];
//! nothing after DISCONNECT [MQTT-3.14.4-1].

use std::collections::{BTreeMap, BTreeSet};

use sori_mqtt::PacketType;

use super::{Check, Findings};
use crate::facts::{Event, Facts, Link, What};
use crate::host::LinkId;
use crate::seen::{Seen, SeenPublish};

#[derive(Default)]
pub(super) struct ClientLimits {
    links: BTreeMap<LinkId, State>,
}

#[derive(Default)]
struct State {
    answered: bool,
    said_disconnect: bool,
    /// Identifiers of PUBLISH packets on this connection that count against Receive Maximum.
    in_flight: BTreeSet<u16>,
}

impl State {
    fn publish(&mut self, link: &Link, publish: &SeenPublish) -> Result<(), String> {
        let Some(connect) = &link.connect else { return Ok(()) };
        if publish.id != 0 {
            self.in_flight.insert(publish.id);
        }
        if self.in_flight.len() > usize::from(connect.receive_maximum) {
            return Err(format!("Receive Maximum {} exceeded", connect.receive_maximum));
        }
        match publish.alias {
            Some(alias) if alias == 0 || alias > connect.topic_alias_max => {
                Err(format!("alias {alias}, but Topic Alias Maximum is {}", connect.topic_alias_max))
            }
            Some(_) if link.out_topic(publish).is_none() => Err("unknown alias".to_owned()),
            None if publish.topic.is_empty() => Err("neither topic nor alias".to_owned()),
            _ => Ok(()),
        }
    }

    fn out(&mut self, link: &Link, seen: &Seen, size: usize) -> Result<(), String> {
        if self.said_disconnect {
            return Err("after DISCONNECT".to_owned());
        }
        let size_max = link.packet_size_max();
        if size > size_max as usize {
            return Err(format!("{size} bytes, but Maximum Packet Size is {size_max}"));
        }
        match seen {
            Seen::ConnAck(_) if std::mem::replace(&mut self.answered, true) => Err("a second CONNACK".to_owned()),
            Seen::ConnAck(_) | Seen::Auth => Ok(()),
            _ if !self.answered => Err("before CONNACK".to_owned()),
            Seen::Publish(publish) => self.publish(link, publish),
            Seen::Disconnect { .. } => {
                self.said_disconnect = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Check for ClientLimits {
    fn name(&self) -> &'static str {
        "client limits"
    }

    fn see(&mut self, event: &Event, facts: &Facts, found: &mut Findings) {
        let state = self.links.entry(event.link).or_default();
        let link = facts.link(event.link);
        match &event.what {
            What::Garbled(text) => found.report(format!("L{}: not a packet: {text}", event.link.0)),
            What::Out(seen, size) => {
                if let Err(fault) = state.out(link, seen, *size) {
                    found.report(format!("L{} of {}: {fault}: {seen}", event.link.0, link.client));
                }
            }
            What::In(Seen::Ack { kind, id, reason }) => {
                let ends = match kind {
                    PacketType::PubAck | PacketType::PubComp => true,
                    PacketType::PubRec => *reason >= 0x80,
                    _ => false,
                };
                if ends {
                    state.in_flight.remove(id);
                }
            }
            What::NetworkClosed | What::BrokerClosed | What::Crashed => {
                self.links.remove(&event.link);
            }
            _ => {}
        }
    }
}

//! What passes the socket of one connection, as Mosquitto's debug lines.
//!
//! A tap stands beside a connection and reads along. It exists only while debug lines are wanted, so that the path of
//! a message is the same whether there are taps or not.

use crate::log::lines;
use crate::log::{Kind, Log};
use sori_mqtt::{Ack, Direction, Packet, PacketId, PacketType, Publish, Split, Version, decode, split};
use std::fmt::Display;

/// The listener of one connection.
pub(crate) struct Tap {
    log: Log,
    client_id: String,
    version: Version,
    input: Half,
    output: Half,
}

/// One direction.
#[derive(Default)]
struct Half {
    /// The beginning of a packet that is not complete.
    bytes: Vec<u8>,
    /// What was no packet was seen: nothing that follows can be understood.
    is_lost: bool,
}

impl Tap {
    /// A tap for a connection that begins, or moves here before it was answered; none when nobody wants to read it.
    pub(crate) fn new(log: &Log) -> Option<Box<Tap>> {
        log.enabled(Kind::Debug).then(|| {
            Box::new(Tap {
                log: log.clone(),
                client_id: String::from("<unknown>"),
                version: Version::V311,
                input: Half::default(),
                output: Half::default(),
            })
        })
    }

    pub(crate) fn received(&mut self, bytes: &[u8]) {
        let half = std::mem::take(&mut self.input);
        self.input = self.read(half, bytes, Direction::ToServer);
    }

    /// `client_id` is what the broker calls the client by now.
    pub(crate) fn sent(&mut self, bytes: &[u8], client_id: Option<&str>) {
        if let Some(client_id) = client_id
            && client_id != self.client_id
        {
            self.client_id = client_id.to_owned();
        }
        let half = std::mem::take(&mut self.output);
        self.output = self.read(half, bytes, Direction::ToClient);
    }

    /// Tells of all packets that are complete now.
    fn read(&mut self, mut half: Half, bytes: &[u8], direction: Direction) -> Half {
        if half.is_lost {
            return half;
        }
        half.bytes.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let frame = match split(&half.bytes[at..], usize::MAX) {
                Ok(Split::Frame(frame)) => frame,
                Ok(Split::Incomplete { .. }) => break,
                Err(_) => return Half { bytes: Vec::new(), is_lost: true },
            };
            at += frame.size;
            if frame.packet_type() == Some(PacketType::ConnAck) {
                // Before MQTT 5.0 it has no properties, and so two bytes.
                self.version = if frame.body.len() > 2 { Version::V5 } else { Version::V311 };
            }
            match decode(frame, self.version, direction) {
                Ok(packet) if direction == Direction::ToServer => self.tell_received(&packet),
                Ok(packet) => self.tell_sent(&packet),
                Err(_) => return Half { bytes: Vec::new(), is_lost: true },
            }
        }
        half.bytes.drain(..at);
        half
    }

    fn tell(&self, line: impl Display) {
        self.log.write(Kind::Debug, format_args!("{line}"));
    }

    fn tell_received(&mut self, packet: &Packet<'_>) {
        let name = packet.packet_type().name();
        let who = self.client_id.as_str();
        match packet {
            Packet::Connect(connect) => {
                let will = connect.will.as_ref();
                self.tell(lines::will(will.map(|will| (will.payload.len(), will.retain, will.qos as u8))));
                if let Some(will) = will {
                    self.tell(lines::indented(will.topic));
                }
                self.version = connect.version;
                if !connect.client_id.is_empty() {
                    self.client_id = connect.client_id.to_owned();
                }
            }
            Packet::Publish(publish) => self.tell(lines::received_publish(who, shown(publish))),
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                self.tell(lines::received_with_reason(name, who, ack.packet_id.value(), ack.reason_code.value()));
            }
            Packet::PubRec(Ack { packet_id, .. }) | Packet::PubRel(Ack { packet_id, .. }) => {
                self.tell(lines::received_with_id(name, who, packet_id.value()));
            }
            Packet::Subscribe(subscribe) => {
                self.tell(lines::received(name, who));
                for (filter, options) in subscribe.filters() {
                    self.tell(lines::filter_with_qos(filter.as_str(), options.qos as u8));
                }
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.tell(lines::received(name, who));
                for filter in unsubscribe.filters() {
                    self.tell(lines::indented(filter.as_str()));
                }
            }
            _ => self.tell(lines::received(name, who)),
        }
    }

    fn tell_sent(&self, packet: &Packet<'_>) {
        let name = packet.packet_type().name();
        let who = self.client_id.as_str();
        match packet {
            Packet::ConnAck(connack) => {
                let code = match self.version {
                    Version::V5 => connack.reason_code.value(),
                    _ => connack.reason_code.connect_return_code().unwrap_or(0),
                };
                self.tell(lines::sending_connack(who, connack.session_present, code));
            }
            Packet::Publish(publish) => self.tell(lines::sending_publish(who, shown(publish))),
            Packet::PubAck(ack) | Packet::PubRec(ack) => {
                self.tell(lines::sending_with_reason(name, who, ack.packet_id.value(), ack.reason_code.value()));
            }
            Packet::PubRel(Ack { packet_id, .. }) | Packet::PubComp(Ack { packet_id, .. }) => {
                self.tell(lines::sending_with_id(name, who, packet_id.value()));
            }
            Packet::Disconnect(disconnect) => {
                self.tell(lines::sending_disconnect(who, disconnect.reason_code.value()));
            }
            _ => self.tell(lines::sending(name, who)),
        }
    }
}

fn shown<'a>(publish: &Publish<'a>) -> lines::Publish<'a> {
    lines::Publish {
        dup: publish.dup,
        qos: publish.qos as u8,
        retain: publish.retain,
        packet_id: publish.packet_id.map_or(0, PacketId::value),
        topic: publish.topic,
        payload_bytes: publish.payload.len(),
    }
}

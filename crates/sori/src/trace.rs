//! `-d`: one line for each packet, both ways.

use sori_mqtt::{Direction, Packet, Publish, Split, Version, decode, split};

use crate::settings::TraceStyle;

/// Cuts one direction of a connection into packets and prints them.
pub(crate) struct Trace {
    style: TraceStyle,
    version: Version,
    direction: Direction,
    client_id: String,
    bytes: Vec<u8>,
}

impl Trace {
    pub(crate) fn new(style: TraceStyle, version: Version, direction: Direction, client_id: &str) -> Self {
        Self { style, version, direction, client_id: client_id.to_owned(), bytes: Vec::new() }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let mut rest = self.bytes.as_slice();
        // What is not legal is reported as an error by the session.
        while let Ok(Split::Frame(frame)) = split(rest, usize::MAX) {
            if let Ok(packet) = decode(frame, self.version, self.direction) {
                self.print(&packet);
            }
            rest = rest.get(frame.size..).unwrap_or_default();
        }
        let consumed = self.bytes.len() - rest.len();
        self.bytes.drain(..consumed);
    }

    fn print(&self, packet: &Packet<'_>) {
        match self.style {
            TraceStyle::Sori => eprintln!("{}", line(packet, self.direction)),
            TraceStyle::Mosquitto => {
                for line in mosquitto_lines(packet, self.direction, self.version, &self.client_id) {
                    println!("{line}");
                }
            }
        }
    }
}

fn line(packet: &Packet<'_>, direction: Direction) -> String {
    let arrow = if direction == Direction::ToServer { "->" } else { "<-" };
    let name = packet.packet_type().name();
    let details = match packet {
        Packet::Connect(connect) => format!(
            " client \"{}\", clean start {}, keep alive {}",
            connect.client_id, connect.clean_start, connect.keep_alive
        ),
        Packet::ConnAck(connack) => {
            format!(" {}, session present {}", connack.reason_code.text(), connack.session_present)
        }
        Packet::Publish(publish) => format!(
            " d{} q{} r{} m{} \"{}\" ({} bytes)",
            u8::from(publish.dup),
            publish.qos as u8,
            u8::from(publish.retain),
            publish.packet_id.map_or(0, |packet_id| packet_id.value()),
            publish.topic,
            publish.payload.len()
        ),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            format!(" m{} {}", ack.packet_id.value(), ack.reason_code.text())
        }
        Packet::Subscribe(subscribe) => {
            let filters =
                subscribe.filters().map(|(filter, options)| format!(" \"{}\" q{}", filter.as_str(), options.qos as u8));
            format!(" m{}{}", subscribe.packet_id.value(), filters.collect::<String>())
        }
        Packet::SubAck(suback) => format!(" m{} {:?}", suback.packet_id.value(), suback.reason_codes),
        Packet::Disconnect(disconnect) => format!(" {}", disconnect.reason_code.text()),
        _ => String::new(),
    };
    format!("{arrow} {name}{details}")
}

/// The lines that Mosquitto's clients print for it; scripts look for their words.
fn mosquitto_lines(packet: &Packet<'_>, direction: Direction, version: Version, client_id: &str) -> Vec<String> {
    let name = packet.packet_type().name();
    let client = if client_id.is_empty() { "null" } else { client_id };
    let sending = direction == Direction::ToServer;
    let does = if sending { "sending" } else { "received" };
    let details = match packet {
        Packet::ConnAck(connack) => {
            let code = connack.reason_code.connect_return_code().filter(|_| !version.is_v5());
            format!(" ({})", code.unwrap_or_else(|| connack.reason_code.value()))
        }
        Packet::Publish(publish) => publish_details(publish),
        Packet::PubAck(ack) | Packet::PubRec(ack) if sending => {
            format!(" (m{}, rc{})", ack.packet_id.value(), ack.reason_code.value())
        }
        Packet::PubRel(ack) | Packet::PubComp(ack) if sending => format!(" (m{})", ack.packet_id.value()),
        Packet::PubAck(ack) | Packet::PubComp(ack) => {
            format!(" (Mid: {}, RC:{})", ack.packet_id.value(), ack.reason_code.value())
        }
        Packet::PubRec(ack) | Packet::PubRel(ack) => format!(" (Mid: {})", ack.packet_id.value()),
        Packet::Subscribe(subscribe) => {
            let mid = subscribe.packet_id.value();
            let lines = subscribe.filters().map(|(filter, options)| {
                let (qos, bits) = (options.qos as u8, options.to_bits() & !3);
                let filter = filter.as_str();
                format!(
                    "Client {client} sending SUBSCRIBE (Mid: {mid}, Topic: {filter}, QoS: {qos}, Options: 0x{bits:02x})"
                )
            });
            return lines.collect();
        }
        Packet::Unsubscribe(unsubscribe) => {
            let mid = unsubscribe.packet_id.value();
            let lines = unsubscribe
                .filters()
                .map(|filter| format!("Client {client} sending UNSUBSCRIBE (Mid: {mid}, Topic: {})", filter.as_str()));
            return lines.collect();
        }
        Packet::Disconnect(disconnect) if !sending => {
            return vec![format!("Received DISCONNECT ({})", disconnect.reason_code.value())];
        }
        _ => String::new(),
    };
    vec![format!("Client {client} {does} {name}{details}")]
}

fn publish_details(publish: &Publish<'_>) -> String {
    format!(
        " (d{}, q{}, r{}, m{}, '{}', ... ({} bytes))",
        u8::from(publish.dup),
        publish.qos as u8,
        u8::from(publish.retain),
        publish.packet_id.map_or(0, |packet_id| packet_id.value()),
        publish.topic,
        publish.payload.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], direction: Direction, check: impl FnOnce(&Packet<'_>)) {
        let Ok(Split::Frame(frame)) = split(bytes, usize::MAX) else { unreachable!("whole") };
        check(&decode(frame, Version::V5, direction).expect("legal"));
    }

    #[test]
    fn a_packet_is_one_line() {
        decoded(&[0x32, 6, 0, 1, b'a', 0, 7, 0], Direction::ToServer, |packet| {
            assert_eq!(line(packet, Direction::ToServer), "-> PUBLISH d0 q1 r0 m7 \"a\" (0 bytes)");
        });
    }

    #[test]
    fn mosquitto_s_lines_have_the_words_that_scripts_look_for() {
        let check = |bytes: &[u8], direction, expected: &str| {
            decoded(bytes, direction, |packet| {
                assert_eq!(mosquitto_lines(packet, direction, Version::V5, ""), [expected]);
            });
        };
        let publish = [0x32, 6, 0, 1, b'a', 0, 7, 0];
        check(&publish, Direction::ToClient, "Client null received PUBLISH (d0, q1, r0, m7, 'a', ... (0 bytes))");
        let subscribe = [0x82, 7, 0, 1, 0, 0, 1, b'a', 1];
        check(
            &subscribe,
            Direction::ToServer,
            "Client null sending SUBSCRIBE (Mid: 1, Topic: a, QoS: 1, Options: 0x00)",
        );
        check(&[0xE0, 1, 0x8E], Direction::ToClient, "Received DISCONNECT (142)");
        check(&[0x40, 2, 0, 7], Direction::ToClient, "Client null received PUBACK (Mid: 7, RC:0)");
    }
}

//! `-d`: one line for each packet, both ways.

use sori_mqtt::{Direction, Packet, Split, Version, decode, split};

/// Cuts one direction of a connection into packets and prints them.
pub(crate) struct Trace {
    version: Version,
    direction: Direction,
    bytes: Vec<u8>,
}

impl Trace {
    pub(crate) const fn new(version: Version, direction: Direction) -> Self {
        Self { version, direction, bytes: Vec::new() }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let mut rest = self.bytes.as_slice();
        // What is not legal is reported as an error by the session.
        while let Ok(Split::Frame(frame)) = split(rest, usize::MAX) {
            if let Ok(packet) = decode(frame, self.version, self.direction) {
                eprintln!("{}", line(&packet, self.direction));
            }
            rest = rest.get(frame.size..).unwrap_or_default();
        }
        let consumed = self.bytes.len() - rest.len();
        self.bytes.drain(..consumed);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_one_line() {
        let bytes = [0x32, 6, 0, 1, b'a', 0, 7, 0, b'!'];
        let Ok(Split::Frame(frame)) = split(&bytes, usize::MAX) else { unreachable!("whole") };
        let packet = decode(frame, Version::V5, Direction::ToServer).expect("legal");
        assert_eq!(line(&packet, Direction::ToServer), "-> PUBLISH d0 q1 r0 m7 \"a\" (0 bytes)");
    }
}

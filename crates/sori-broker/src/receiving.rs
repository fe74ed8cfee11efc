//! From bytes to packets, and from packets to who handles them.

use crate::budget::DELIVERIES_IN_A_GO;
use crate::connection::Phase;
use crate::event::Cause;
use crate::ids::ConnectionId;
use crate::shard::Shard;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use sori_mqtt::{
    DecodeError, Direction, Frame, PINGRESP, Packet, PacketType, ReasonCode, Split, Version, decode, decode_publish,
    split,
};

/// What is behind is read from one buffer, and what is still behind then is kept in another.
const SPARE_INPUTS_MAX: usize = 2;

/// The largest CONNECT and AUTH taken from a client that has not been let in yet.
const FIRST_PACKET_SIZE_MAX: usize = 100_000;

impl Shard {
    pub(crate) fn take_input(&mut self, id: ConnectionId, bytes: &[u8]) {
        let Some(c) = self.connection(id).filter(|c| !c.is_ending) else { return };
        if c.unfinished.is_some() {
            return c.input.extend_from_slice(bytes);
        }
        let mut held = core::mem::take(&mut c.input);
        let mut rest = bytes;
        if !held.is_empty() {
            rest = self.complete(id, &mut held, rest);
            if !held.is_empty() {
                // Not whole yet, or not wanted now.
                held.extend_from_slice(rest);
                return self.hold_input(id, held);
            }
        }
        let used = self.handle_packets(id, rest);
        if used < rest.len() {
            if self.has_delivered_much() {
                held = self.spare_inputs.pop().unwrap_or_default();
            }
            held.extend_from_slice(&rest[used..]);
            self.hold_input(id, held);
        }
        self.finish_move(id);
    }

    fn hold_input(&mut self, id: ConnectionId, held: Vec<u8>) {
        match self.connection(id) {
            Some(c) if !c.is_closing() => {
                c.input = held;
                let is_open = c.is_open();
                if is_open && self.has_delivered_much() {
                    self.fall_behind(id);
                }
            }
            _ => {}
        }
        self.finish_move(id);
    }

    /// Has this call caused so much that others should be heard before it goes on?
    #[inline]
    pub(crate) fn has_delivered_much(&self) -> bool {
        self.deliveries >= DELIVERIES_IN_A_GO
    }

    pub(crate) fn fall_behind(&mut self, id: ConnectionId) {
        let Some(c) = self.connection(id) else { return };
        if !core::mem::replace(&mut c.is_behind, true) {
            self.behind.push_back(id);
        }
    }

    /// Goes on with those that are behind, in turn, as far as it is time.
    pub(crate) fn take_up_input(&mut self) {
        while !self.has_delivered_much()
            && let Some(id) = self.behind.pop_front()
        {
            self.take_held_input(id);
        }
    }

    /// False: nothing of this connection is behind.
    fn take_held_input(&mut self, id: ConnectionId) -> bool {
        let Some(c) = self.connection(id).filter(|c| c.is_behind) else { return false };
        c.is_behind = false;
        if self.go_on_with_packet(id) {
            self.fall_behind(id);
            return true;
        }
        let Some(c) = self.connection(id).filter(|c| !c.is_ending) else { return true };
        let mut held = core::mem::take(&mut c.input);
        self.take_input(id, &held);
        if self.spare_inputs.len() < SPARE_INPUTS_MAX {
            held.clear();
            self.spare_inputs.push(held);
        }
        true
    }

    /// Handles all that has come, whatever that takes: the connection is about to be gone, or to be taken over. A packet that is handled in
    /// parts is finished as well: what came behind it, such as DISCONNECT, counts only after it.
    pub(crate) fn finish_input(&mut self, id: ConnectionId) {
        loop {
            self.deliveries = 0;
            if !self.take_held_input(id) {
                return;
            }
        }
    }

    /// Move bytes from `rest` to `held` until a packet is whole there, handle it and leave `held` empty. Memory grows
    /// with the bytes that came, not with what a length field says.
    fn complete<'a>(&mut self, id: ConnectionId, held: &mut Vec<u8>, mut rest: &'a [u8]) -> &'a [u8] {
        while let Some(size_max) = self.size_max(id) {
            let missing = match split(held, size_max) {
                Ok(Split::Frame(frame)) => {
                    let size = frame.size;
                    self.handle_packet(id, frame, &held[..size]);
                    held.drain(..size);
                    if held.is_empty() {
                        return rest;
                    }
                    continue;
                }
                Ok(Split::Incomplete { size }) => size.map_or(1, |size| size - held.len()),
                Err(error) => {
                    self.misbehaved(id, &error);
                    break;
                }
            };
            if rest.is_empty() {
                return rest;
            }
            let (now, later) = rest.split_at(missing.min(rest.len()));
            held.extend_from_slice(now);
            rest = later;
        }
        rest
    }

    /// Handle the whole packets at the beginning of `bytes`; gives how many bytes those were.
    fn handle_packets(&mut self, id: ConnectionId, bytes: &[u8]) -> usize {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let Some(size_max) = self.size_max(id) else { break };
            let followed = self.follow(id, rest);
            let followed = if followed > 0 { followed } else { self.follow_answers(id, rest) };
            if followed > 0 {
                used += followed;
                continue;
            }
            if !self.may_begin(id, rest[0]) {
                break;
            }
            match split(rest, size_max) {
                Ok(Split::Frame(frame)) => {
                    self.handle_packet(id, frame, &rest[..frame.size]);
                    used += frame.size;
                }
                Ok(Split::Incomplete { .. }) => break,
                Err(error) => {
                    self.misbehaved(id, &error);
                    break;
                }
            }
        }
        used
    }

    /// The largest packet that is handled now; `None` when none is.
    #[inline]
    fn size_max(&self, id: ConnectionId) -> Option<usize> {
        let agreed = self.settings.packet_size_max as usize;
        let first = agreed.min(FIRST_PACKET_SIZE_MAX);
        match &self.connections.get(id.slot, id.generation)?.phase {
            Phase::Open => (!self.has_delivered_much()).then_some(agreed),
            Phase::New => Some(first),
            Phase::Waiting(waiting) => waiting.exchange.is_some().then_some(first),
            Phase::Moving(_) | Phase::Draining(_) | Phase::Closing => None,
        }
    }

    /// The first packet is CONNECT, which its first byte already tells: nothing else is even waited for.
    /// [MQTT-3.1.0-1] [MQTT311-3.1.0-1]
    fn may_begin(&mut self, id: ConnectionId, first: u8) -> bool {
        let Some(c) = self.connection(id) else { return false };
        if !matches!(c.phase, Phase::New) || first >> 4 == PacketType::Connect as u8 {
            return true;
        }
        self.totals.protocol_errors += 1;
        self.refuse_silently(id, ReasonCode::ProtocolError, "the first packet is not CONNECT");
        false
    }

    fn handle_packet(&mut self, id: ConnectionId, frame: Frame<'_>, bytes: &[u8]) {
        self.totals.packets_received += 1;
        let now = self.now;
        let Some(c) = self.connection(id) else { return };
        // A packet counts when it is whole: bytes that trickle in keep nothing alive.
        c.last_received = now;
        let version = c.version;
        if c.is_open() && frame.packet_type() == Some(PacketType::Publish) {
            match decode_publish(frame, version, Direction::ToServer) {
                Ok(publish) => self.handle_publish(id, &publish, bytes),
                Err(error) => self.misbehaved(id, &error),
            }
            return;
        }
        if !matches!(c.phase, Phase::New) && frame.packet_type() == Some(PacketType::Connect) {
            // [MQTT-3.1.0-2] [MQTT311-3.1.0-2], whatever stands in it: what is wrong with a first one has codes that
            // DISCONNECT has not.
            return self.violated(id, ReasonCode::ProtocolError, "a second CONNECT");
        }
        // Until CONNECT has been accepted, an AUTH packet can only be one of MQTT 5.
        let version = if c.is_open() { version } else { Version::V5 };
        match decode(frame, version, Direction::ToServer) {
            Ok(packet) => self.dispatch(id, &packet, bytes),
            Err(error) => self.misbehaved(id, &error),
        }
    }

    fn dispatch(&mut self, id: ConnectionId, packet: &Packet<'_>, bytes: &[u8]) {
        let Some(c) = self.connections.get(id.slot, id.generation) else { return };
        let is_open = c.is_open();
        match packet {
            Packet::Connect(connect) => self.handle_connect(id, connect, bytes),
            Packet::Auth(auth) => self.handle_auth(id, auth),
            Packet::Disconnect(disconnect) => self.handle_disconnect(id, disconnect),
            // [MQTT-3.1.2-30]
            _ if !is_open => self.violated(id, ReasonCode::ProtocolError, "a packet before the authentication is over"),
            Packet::Publish(publish) => self.handle_publish(id, publish, bytes),
            Packet::PubAck(ack) => self.handle_puback(id, ack),
            Packet::PubRec(ack) => self.handle_pubrec(id, ack),
            Packet::PubRel(ack) => self.handle_pubrel(id, ack),
            Packet::PubComp(ack) => self.handle_pubcomp(id, ack),
            Packet::Subscribe(subscribe) => self.handle_subscribe(id, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.handle_unsubscribe(id, unsubscribe),
            // [MQTT-3.12.4-1] [MQTT311-3.12.4-1]
            Packet::PingReq => self.send(id, |_, out| out.extend_from_slice(&PINGRESP)),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                self.violated(id, ReasonCode::ProtocolError, "a packet that only a server sends");
            }
        }
    }

    /// The bytes are no valid packet: a client gets the reason, if its version has one, and is cut off.
    /// [MQTT-4.13.1-1] [MQTT311-4.8.0-1] [MQTT311-4.8.0-2] [MQTT311-2.2.2-2]
    pub(crate) fn misbehaved(&mut self, id: ConnectionId, error: &DecodeError) {
        let Some(c) = self.connections.get(id.slot, id.generation) else { return };
        let text = format!("{error}");
        if matches!(c.phase, Phase::New) {
            self.totals.protocol_errors += 1;
            return self.refuse_malformed(id, error, &text);
        }
        if c.is_open() && error.closes_silently() {
            self.totals.protocol_errors += 1;
            return self.end_connection(id, None, Cause::Protocol(error.reason_code(), text.into()));
        }
        self.violated(id, error.reason_code(), &text);
    }

    /// The client broke a rule or a limit after its CONNECT was read.
    pub(crate) fn violated(&mut self, id: ConnectionId, reason_code: ReasonCode, text: &str) {
        self.totals.protocol_errors += 1;
        let Some(c) = self.connections.get(id.slot, id.generation) else { return };
        match c.phase {
            Phase::Open => self.end_connection(id, Some(reason_code), Cause::Protocol(reason_code, Box::from(text))),
            _ => self.refuse(id, reason_code, text),
        }
    }
}

//! PUBACK, PUBREC, PUBREL and PUBCOMP of one connection, several of a kind one after the other.
//!
//! Whoever sends and receives much acknowledges much at a time. In their shortest form, which says success, these packets have
//! four bytes each, and all of a row belong to one session: it is looked up once. Whatever is not that plain (a reason code, an
//! identifier that does not fit, a record to be made, an answer that has to wait) ends the row and goes by
//! `handle_packet`, as if nothing had been tried.

use crate::connection::LastTopic;
use crate::ids::ConnectionId;
use crate::message::Message;
use crate::session::SessionKey;
use crate::shard::{OUTPUT_URGENT, Shard};
use alloc::boxed::Box;
use sori_mqtt::{Ack, PacketId, PacketType, PubRec, ReasonCode, Version};

/// The shortest form: first byte, remaining length, identifier.
const SIZE: usize = 4;

/// The identifiers of the packets at the beginning of `bytes` that have the same first byte as the first, in their shortest form.
#[inline]
fn row(bytes: &[u8]) -> impl Iterator<Item = PacketId> {
    let first = bytes.first().copied().unwrap_or_default();
    bytes.as_chunks::<SIZE>().0.iter().map_while(move |&[kind, length, high, low]| {
        let packet_id = PacketId::new(u16::from_be_bytes([high, low]))?;
        (kind == first && length == 2).then_some(packet_id)
    })
}

impl Shard {
    /// Takes the acknowledgements of one kind at the beginning of `bytes`; gives how many bytes those were.
    #[inline(never)]
    pub(crate) fn follow_answers(&mut self, id: ConnectionId, bytes: &[u8]) -> usize {
        let [first, 2, ..] = bytes else { return 0 };
        let Some(kind) = PacketType::from_u8(first >> 4).filter(|kind| kind.first_byte() == *first) else { return 0 };
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return 0 };
        if !c.is_open() {
            return 0;
        }
        let key = c.session;
        let count = match kind {
            PacketType::PubAck | PacketType::PubComp => self.finish_row(key, kind, bytes),
            PacketType::PubRec => self.release_row(id, key, bytes),
            PacketType::PubRel => self.complete_row(id, key, bytes),
            _ => 0,
        };
        if count > 0 {
            self.totals.packets_received += count as u64;
            let now = self.now;
            if let Some(c) = self.connection(id) {
                c.last_received = now;
            }
        }
        count * SIZE
    }

    /// PUBACK and PUBCOMP. [MQTT-4.3.2-3] [MQTT-4.3.3-5]
    #[inline]
    fn finish_row(&mut self, key: SessionKey, kind: PacketType, bytes: &[u8]) -> usize {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return 0 };
        let mut count = 0;
        for packet_id in row(bytes) {
            if kind == PacketType::PubComp {
                if session.outgoing.pubcomp(packet_id).is_err() {
                    break;
                }
            } else {
                let Ok(kept) = session.outgoing.puback(packet_id) else { break };
                session.inflight_bytes = session.inflight_bytes.saturating_sub(kept.payload_length());
            }
            self.recorder.note_finished(me, session, packet_id);
            count += 1;
        }
        if count > 0 {
            self.pump_later(key);
        }
        count
    }

    /// PUBREC, and PUBREL for each. [MQTT-4.3.3-4]
    #[inline]
    fn release_row(&mut self, id: ConnectionId, key: SessionKey, bytes: &[u8]) -> usize {
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return 0 };
        let Some(c) = self.connections.get_mut(id.slot, id.generation) else { return 0 };
        if self.recorder.keeps(session) || c.holds_answers() {
            return 0;
        }
        let (version, out) = (c.version, self.outbox.buffer(c));
        let mut count = 0;
        for packet_id in row(bytes) {
            let PubRec::Release(kept) = session.outgoing.pubrec(packet_id, ReasonCode::Success) else { break };
            let length = kept.map_or(0, |kept| kept.payload_length());
            session.inflight_bytes = session.inflight_bytes.saturating_sub(length);
            Ack::success(packet_id).encode(PacketType::PubRel, version, out);
            count += 1;
        }
        self.totals.packets_sent += count as u64;
        self.urgent |= c.output.len() > OUTPUT_URGENT;
        count
    }

    /// PUBREL, what it releases, and PUBCOMP for each. [MQTT-4.3.3-11]
    #[inline]
    fn complete_row(&mut self, id: ConnectionId, key: SessionKey, bytes: &[u8]) -> usize {
        if self.recorder.is_on() {
            return 0;
        }
        let mut last = self.take_last_topic(id);
        let mut count = 0;
        for packet_id in row(bytes) {
            let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { break };
            session.incoming.release(packet_id);
            if let Some(message) = session.unreleased.take(packet_id) {
                last = self.release_to(id, message, last);
            }
            count += 1;
            self.send(id, |version: Version, out| {
                Ack::success(packet_id).encode(PacketType::PubComp, version, out);
            });
        }
        self.put_last_topic(id, last);
        count
    }

    /// A message of a row goes on its way, by the matches of the topic that the connection used last if it is the same.
    #[inline]
    fn release_to(
        &mut self,
        id: ConnectionId,
        message: Message,
        last: Option<Box<LastTopic>>,
    ) -> Option<Box<LastTopic>> {
        let view = message.view();
        let is_plain = !view.retain && view.expires > self.now;
        if is_plain
            && let Some(known) = &last
            && known.topic == view.topic
            && let Some(set) = &known.set
        {
            self.route(set, &view, Some(message.clone()));
            return last;
        }
        self.put_last_topic(id, last);
        self.release(message, Some(id));
        self.take_last_topic(id)
    }
}

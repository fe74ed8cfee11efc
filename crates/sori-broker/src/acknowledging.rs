//! PUBACK, PUBREC, PUBREL and PUBCOMP from a client. MQTT 5.0 sections 3.4 to 3.7 and 4.3.

use crate::ids::ConnectionId;
use crate::recorder::Mark;
use crate::session::SessionKey;
use crate::shard::Shard;
use sori_mqtt::{Ack, AckError, PacketId, PacketType, PubRec, ReasonCode};

impl Shard {
    fn note_finished(&mut self, key: SessionKey, packet_id: PacketId) {
        let me = self.session_ref(key);
        if let Some(session) = self.sessions.get(key.slot, key.generation) {
            self.recorder.note_finished(me, session, packet_id);
        }
    }

    fn open_session(&mut self, id: ConnectionId) -> Option<SessionKey> {
        self.connection(id).map(|c| c.session)
    }

    /// [MQTT-4.3.2-3] [MQTT-4.4.0-2] [MQTT-4.8.2-6]
    pub(crate) fn handle_puback(&mut self, id: ConnectionId, ack: &Ack<'_>) {
        let Some(key) = self.open_session(id) else { return };
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        match session.outgoing.puback(ack.packet_id) {
            Ok(kept) => {
                session.inflight_bytes = session.inflight_bytes.saturating_sub(kept.payload_length());
                self.totals.dropped_refused += u64::from(ack.reason_code.is_error());
                self.recorder.note_finished(me, session, ack.packet_id);
                self.pump_later(key);
            }
            Err(AckError::UnknownPacketId) => {}
            Err(AckError::WrongState) => {
                self.violated(id, ReasonCode::ProtocolError, "a PUBACK for what was not sent at QoS 1");
            }
        }
    }

    /// [MQTT-4.3.3-3] [MQTT-4.3.3-4] [MQTT-4.4.0-2] [MQTT-4.8.2-6] [MQTT311-4.3.3-1]
    pub(crate) fn handle_pubrec(&mut self, id: ConnectionId, ack: &Ack<'_>) {
        let Some(key) = self.open_session(id) else { return };
        let Some(session) = self.session(key) else { return };
        match session.outgoing.pubrec(ack.packet_id, ack.reason_code) {
            PubRec::Release(kept) => {
                let length = kept.map_or(0, |kept| kept.payload_length());
                session.inflight_bytes = session.inflight_bytes.saturating_sub(length);
                let (me, mark) = (self.session_ref(key), self.recorder.mark());
                if let Some(session) = self.sessions.get(key.slot, key.generation) {
                    self.recorder.note_released(me, session, ack.packet_id);
                }
                self.acknowledge(id, mark, PacketType::PubRel, Ack::success(ack.packet_id));
            }
            PubRec::Ended(kept) => {
                session.inflight_bytes = session.inflight_bytes.saturating_sub(kept.payload_length());
                self.totals.dropped_refused += 1;
                self.note_finished(key, ack.packet_id);
                self.pump_later(key);
            }
            PubRec::Unknown if ack.reason_code.is_error() => {}
            // Likewise for a PUBREC: see `handle_pubrel`.
            PubRec::Unknown => self.send_pubrel(id, key, ack.packet_id),
            PubRec::WrongState => {
                self.violated(id, ReasonCode::ProtocolError, "a PUBREC for what was not sent at QoS 2");
            }
        }
    }

    /// [MQTT-4.3.3-5]
    pub(crate) fn handle_pubcomp(&mut self, id: ConnectionId, ack: &Ack<'_>) {
        let Some(key) = self.open_session(id) else { return };
        let Some(session) = self.session(key) else { return };
        match session.outgoing.pubcomp(ack.packet_id) {
            Ok(()) => {
                self.note_finished(key, ack.packet_id);
                self.pump_later(key);
            }
            Err(AckError::UnknownPacketId) => {}
            Err(AckError::WrongState) => {
                self.violated(id, ReasonCode::ProtocolError, "a PUBCOMP before PUBREC, or for another QoS");
            }
        }
    }

    /// [MQTT-4.3.3-11] [MQTT-4.3.3-12] [MQTT-4.3.3-13] [MQTT311-4.3.3-2]
    pub(crate) fn handle_pubrel(&mut self, id: ConnectionId, ack: &Ack<'_>) {
        let Some(key) = self.open_session(id) else { return };
        let Some(session) = self.session(key) else { return };
        session.incoming.release(ack.packet_id);
        let mark = self.recorder.mark();
        self.release_message(id, key, ack.packet_id);
        // An unknown identifier is no error while a client recovers (MQTT 5.0 section 3.6.2.1), and whether it does only
        // the client knows: Mosquitto's answer, and so the one that clients expect, is always "success".
        let answer = Ack::success(ack.packet_id);
        if self.recorder.mark() != mark {
            return self.acknowledge(id, mark, PacketType::PubComp, answer);
        }
        self.send_after_all(id, key, PacketType::PubComp, |version, out| {
            answer.encode(PacketType::PubComp, version, out);
        });
    }

    /// PUBREL once more: that PUBREC has come was recorded before. [MQTT-4.3.3-4]
    pub(crate) fn send_pubrel(&mut self, id: ConnectionId, key: SessionKey, packet_id: PacketId) {
        self.send_after_all(id, key, PacketType::PubRel, |version, out| {
            Ack::success(packet_id).encode(PacketType::PubRel, version, out);
        });
    }

    /// Answer in the form of the connection's version, once what was recorded since `mark` is durable.
    /// [MQTT-2.2.1-5] [MQTT311-2.3.1-6]
    pub(crate) fn acknowledge(&mut self, id: ConnectionId, mark: Mark, kind: PacketType, ack: Ack<'_>) {
        self.send_after(id, mark, kind, |version, out| ack.encode(kind, version, out));
    }
}

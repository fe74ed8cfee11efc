//! PUBACK, PUBREC, PUBREL and PUBCOMP from a client. MQTT 5.0 sections 3.4 to 3.7 and 4.3.

use crate::ids::ConnectionId;
use crate::record::Change;
use crate::session::SessionKey;
use crate::shard::Shard;
use sori_mqtt::{Ack, AckError, PacketId, PacketType, PubRec, ReasonCode};

impl Shard {
    fn note_finished(&mut self, key: SessionKey, packet_id: PacketId) {
        if let Some(session) = self.sessions.get(key.slot, key.generation) {
            self.recorder.note(session, || Change::Finished { packet_id });
        }
    }

    fn open_session(&mut self, id: ConnectionId) -> Option<SessionKey> {
        self.connection(id).map(|c| c.session)
    }

    /// [MQTT-4.3.2-3] [MQTT-4.4.0-2] [MQTT-4.8.2-6]
    pub(crate) fn handle_puback(&mut self, id: ConnectionId, ack: &Ack<'_>) {
        let Some(key) = self.open_session(id) else { return };
        let Some(session) = self.session(key) else { return };
        match session.outgoing.puback(ack.packet_id) {
            Ok(kept) => {
                session.inflight_bytes = session.inflight_bytes.saturating_sub(kept.payload_length());
                self.totals.dropped_refused += u64::from(ack.reason_code.is_error());
                self.note_finished(key, ack.packet_id);
                self.pump(key);
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
                let packet_id = ack.packet_id;
                if let Some(session) = self.sessions.get(key.slot, key.generation) {
                    self.recorder.note(session, || Change::Released { packet_id });
                }
                self.send_pubrel(id, ack.packet_id);
            }
            PubRec::Ended(kept) => {
                session.inflight_bytes = session.inflight_bytes.saturating_sub(kept.payload_length());
                self.totals.dropped_refused += 1;
                self.note_finished(key, ack.packet_id);
                self.pump(key);
            }
            PubRec::Unknown if ack.reason_code.is_error() => {}
            // Likewise for a PUBREC: see `handle_pubrel`.
            PubRec::Unknown => self.send_pubrel(id, ack.packet_id),
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
                self.pump(key);
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
        self.release_message(key, ack.packet_id);
        // An unknown identifier is no error while a client recovers (MQTT 5.0 section 3.6.2.1), and whether it does only
        // the client knows: Mosquitto's answer, and so the one that clients expect, is always "success".
        let answer = Ack::success(ack.packet_id);
        self.acknowledge(id, PacketType::PubComp, answer);
    }

    /// [MQTT-4.3.3-4]
    pub(crate) fn send_pubrel(&mut self, id: ConnectionId, packet_id: PacketId) {
        self.acknowledge(id, PacketType::PubRel, Ack::success(packet_id));
    }
}

//! Messages to the server: sent at once, kept until the server takes more, kept until they are acknowledged.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Ack, AckError, PacketId, PacketType, PropertyBuffer, PubRec, Publish, QoS, ReasonCode, TopicName};

use super::error::{ConnectionError, RequestError, Violation};
use super::event::{Event, LocalEvent, Outcome, Token};
use super::progress::Progress;
use super::{Core, Stage, properties};

/// What is kept for a packet identifier.
#[derive(Debug)]
pub(super) enum Outgoing {
    Publish(StoredPublish),
    Subscribe { token: Token, filters: usize },
    Unsubscribe { token: Token, filters: usize },
}

/// A message that may have to be sent later, or again.
#[derive(Debug)]
pub(super) struct StoredPublish {
    pub(super) token: Token,
    qos: QoS,
    retain: bool,
    topic: String,
    properties: PropertyBuffer,
    payload: Vec<u8>,
}

/// A QoS 2 message that the server has taken over. It is kept until PUBCOMP, because many servers publish it no earlier
/// than PUBREL comes: if they lose the session before, they lose the message.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) message: StoredPublish,
    /// Of the PUBREC.
    pub(super) reason_code: ReasonCode,
}

impl StoredPublish {
    pub(super) fn new(token: Token, publish: &Publish<'_>) -> Self {
        let mut properties = PropertyBuffer::new();
        properties.extend(publish.properties);
        Self {
            token,
            qos: publish.qos,
            retain: publish.retain,
            topic: String::from(publish.topic),
            properties,
            payload: publish.payload.to_vec(),
        }
    }

    fn publish(&self, packet_id: Option<PacketId>, dup: bool) -> Publish<'_> {
        Publish {
            dup,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id,
            properties: self.properties.as_properties(),
            payload: &self.payload,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        bytes(&self.publish(None, false))
    }
}

/// The memory that keeping this message takes.
const fn bytes(publish: &Publish<'_>) -> usize {
    size_of::<StoredPublish>() + publish.topic.len() + publish.properties.len() + publish.payload.len()
}

impl Core {
    pub(super) fn publish(&mut self, publish: &Publish<'_>) -> Result<Token, RequestError> {
        // [MQTT-3.3.1-2] [MQTT-4.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2] [MQTT311-3.3.1-2] [MQTT311-4.3.1-1]
        let publish = &Publish { dup: false, packet_id: None, ..*publish };
        self.check_publish(publish)?;
        let at_once =
            self.stage == Stage::Connected && !self.is_held && self.queue.is_empty() && self.outgoing.waiting() == 0;
        if self.stage == Stage::Connected {
            self.wire.check_publish(publish)?;
        }
        if self.stored_bytes + self.wire.output.len() + bytes(publish) > self.options.queue_bytes_max {
            return Err(RequestError::QueueFull);
        }
        let token = self.token();
        if at_once && publish.qos == QoS::AtMostOnce {
            self.wire.publish(publish)?;
            self.local_events.push_back(LocalEvent::Published(token, Outcome::Sent));
            return Ok(token);
        }
        let stored = StoredPublish::new(token, publish);
        self.stored_bytes += stored.bytes();
        if at_once && self.outgoing.can_send() {
            self.send_first_time(stored);
        } else {
            self.queue.push_back(stored);
        }
        Ok(token)
    }

    pub(super) fn drop_oldest(&mut self) -> bool {
        let Some(message) = self.queue.pop_front() else { return false };
        self.finish_stored(&message, Outcome::Dropped);
        true
    }

    pub(super) fn check_publish(&self, publish: &Publish<'_>) -> Result<(), RequestError> {
        // [MQTT-3.3.2-1] [MQTT-3.3.2-2] [MQTT311-3.3.2-1] [MQTT311-3.3.2-2]
        TopicName::new(publish.topic).map_err(RequestError::TopicName)?;
        properties::check(publish.properties, PacketType::Publish).map_err(RequestError::Property)?;
        self.wire.check_size(publish)
    }

    /// The server has accepted the connection: unfinished deliveries go on with the identifiers they have, and at no
    /// other time [MQTT-4.4.0-1] [MQTT311-4.4.0-1] [MQTT311-2.3.1-3]; then what waits. Nothing that was begun expires
    /// [MQTT-4.3.3-7] [MQTT-4.3.3-13]: Message Expiry Interval is the server's business alone.
    pub(super) fn resume_sending(&mut self, receive_maximum: u16) -> Result<(), ConnectionError> {
        self.outgoing.resume(receive_maximum);
        // In the order of their messages, which a conforming server has acknowledged in that order [MQTT-4.6.0-4]
        // [MQTT311-4.6.0-4].
        for packet_id in self.outgoing.iter_releases() {
            self.wire.acknowledge(PacketType::PubRel, packet_id, ReasonCode::Success)?;
        }
        self.send_what_waits();
        Ok(())
    }

    pub(super) fn hold_messages(&mut self, is_held: bool) {
        self.is_held = is_held;
        if self.stage == Stage::Connected {
            self.send_what_waits();
        }
    }

    /// Sends as much as the quota allows, the oldest first.
    fn send_what_waits(&mut self) {
        if self.is_held {
            return;
        }
        while let Some((packet_id, qos, kept)) = self.outgoing.next_resend() {
            let Outgoing::Publish(message) = kept else { continue };
            // [MQTT-3.3.1-1] [MQTT311-3.3.1-1]; MQTT 3.1 knows DUP, too.
            if let Err(error) = self.wire.publish(&message.publish(Some(packet_id), true)) {
                self.give_up(packet_id, qos, error);
            }
        }
        while let Some(message) = self.queue.front() {
            if message.qos != QoS::AtMostOnce && !self.outgoing.can_send() {
                return;
            }
            let Some(message) = self.queue.pop_front() else { return };
            if let Err(error) = self.wire.check_publish(&message.publish(None, false)) {
                self.finish_stored(&message, Outcome::NotSent(error));
            } else if message.qos == QoS::AtMostOnce {
                let sent = self.wire.publish(&message.publish(None, false));
                self.finish_stored(&message, sent.map_or_else(Outcome::NotSent, |()| Outcome::Sent));
            } else {
                self.send_first_time(message);
            }
        }
    }

    /// Sends a message with QoS 1 or 2 that was checked, when the quota allows it.
    fn send_first_time(&mut self, message: StoredPublish) {
        let qos = message.qos;
        let Some(packet_id) = self.outgoing.insert(qos, Outgoing::Publish(message)) else {
            debug_assert!(false, "callers look at the quota first");
            return;
        };
        let Some(Outgoing::Publish(message)) = self.outgoing.get(packet_id) else { return };
        let token = message.token;
        match self.wire.publish(&message.publish(Some(packet_id), false)) {
            Ok(()) => self.note(Progress::Sent { token, packet_id }),
            Err(error) => self.give_up(packet_id, qos, error),
        }
    }

    /// The server of this connection does not take a message that another connection has begun.
    fn give_up(&mut self, packet_id: PacketId, qos: QoS, error: RequestError) {
        let kept = match qos {
            QoS::ExactlyOnce => match self.outgoing.pubrec(packet_id, ReasonCode::UnspecifiedError) {
                PubRec::Ended(kept) => Some(kept),
                _ => None,
            },
            _ => self.outgoing.puback(packet_id).ok(),
        };
        if let Some(Outgoing::Publish(message)) = kept {
            self.finish_stored(&message, Outcome::NotSent(error));
        }
    }

    pub(super) fn handle_puback<'a>(&mut self, ack: Ack<'a>) -> Result<Option<Event<'a>>, ConnectionError> {
        match self.outgoing.puback(ack.packet_id) {
            Ok(Outgoing::Publish(message)) => Ok(Some(self.acknowledged(&message, ack))),
            // A late or repeated acknowledgement.
            Ok(_) | Err(AckError::UnknownPacketId) => Ok(None),
            Err(AckError::WrongState) => Err(Violation::WrongAcknowledgement(PacketType::PubAck).into()),
        }
    }

    pub(super) fn handle_pubrec<'a>(&mut self, ack: Ack<'a>) -> Result<Option<Event<'a>>, ConnectionError> {
        let answer = match self.outgoing.pubrec(ack.packet_id, ack.reason_code) {
            PubRec::Release(Some(Outgoing::Publish(message))) => {
                self.note(Progress::Released { token: message.token });
                self.released.insert(ack.packet_id, Released { message, reason_code: ack.reason_code });
                ReasonCode::Success
            }
            PubRec::Release(_) => ReasonCode::Success,
            // [MQTT-4.3.3-4]: no PUBREL, and never again [MQTT-4.4.0-2].
            PubRec::Ended(Outgoing::Publish(message)) => return Ok(Some(self.acknowledged(&message, ack))),
            PubRec::Ended(_) | PubRec::Unknown if ack.reason_code.is_error() => return Ok(None),
            PubRec::Ended(_) | PubRec::Unknown => ReasonCode::PacketIdentifierNotFound,
            PubRec::WrongState => return Err(Violation::WrongAcknowledgement(PacketType::PubRec).into()),
        };
        // At once, so in the order of the PUBREC [MQTT-4.6.0-4] [MQTT311-4.6.0-4].
        self.wire.acknowledge(PacketType::PubRel, ack.packet_id, answer)?;
        Ok(None)
    }

    pub(super) fn handle_pubcomp<'a>(&mut self, ack: Ack<'a>) -> Result<Option<Event<'a>>, ConnectionError> {
        match self.outgoing.pubcomp(ack.packet_id) {
            Ok(()) => {
                let Some(Released { message, reason_code }) = self.released.remove(&ack.packet_id) else {
                    return Ok(None);
                };
                // PUBREC has told more than "released".
                let reason_code = if ack.reason_code.is_error() { ack.reason_code } else { reason_code };
                let token = message.token;
                self.stored_bytes -= message.bytes();
                self.send_what_waits();
                let outcome = Outcome::Acknowledged(reason_code);
                Ok(Some(Event::Published { token, outcome, properties: ack.properties }))
            }
            Err(AckError::UnknownPacketId) => Ok(None),
            Err(AckError::WrongState) => Err(Violation::WrongAcknowledgement(PacketType::PubComp).into()),
        }
    }

    fn acknowledged<'a>(&mut self, message: &StoredPublish, ack: Ack<'a>) -> Event<'a> {
        self.stored_bytes -= message.bytes();
        self.send_what_waits();
        let outcome = Outcome::Acknowledged(ack.reason_code);
        Event::Published { token: message.token, outcome, properties: ack.properties }
    }

    pub(super) fn finish_stored(&mut self, message: &StoredPublish, outcome: Outcome) {
        self.stored_bytes -= message.bytes();
        self.local_events.push_back(LocalEvent::Published(message.token, outcome));
    }
}

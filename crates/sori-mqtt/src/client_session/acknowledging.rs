//! Acknowledgements that the caller gives, in whatever order it comes to them, and the order in which the server sees
//! them.
//!
//! ```text
//!   received:     1      2      3         PUBACK and PUBREC each go out in the order of their messages
//!   answered:            yes              nothing is sent: 1 is missing
//!   answered:     yes                     1 and 2 are sent
//! ```

use alloc::collections::{BTreeMap, VecDeque};

use crate::{Direction, Incoming, PacketId, PacketType, Publish, QoS, ReasonCode};

use super::error::{ConnectionError, RequestError, Violation};
use super::{Core, Stage};

/// Names one message with QoS 1 or 2 that the caller is to acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery {
    connection: u64,
    packet_id: PacketId,
    qos: QoS,
}

impl Delivery {
    /// The delivery of this message, which came on the connection of this number
    /// ([`connection`](super::ClientSession::connection)); none for QoS 0, which nobody acknowledges.
    #[must_use]
    pub fn new(connection: u64, message: &Publish<'_>) -> Option<Self> {
        Some(Self { connection, packet_id: message.packet_id?, qos: message.qos })
    }
}

/// What the caller has and did not answer, and answers that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    /// How many connections there were.
    pub(super) connection: u64,
    qos1: VecDeque<Pending>,
    qos2: VecDeque<Pending>,
    /// QoS 2 messages whose PUBREC is missing, by the connection that brought them: it may be sent on a later one.
    unanswered: BTreeMap<PacketId, (u64, Option<ReasonCode>)>,
}

/// A message of this connection.
#[derive(Debug, Clone, Copy)]
struct Pending {
    packet_id: PacketId,
    answer: Option<Answer>,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Say(ReasonCode),
    /// None: the caller has left it.
    Nothing,
}

impl Acknowledgements {
    /// Another connection begins: what is not acknowledged will be sent again [MQTT-4.4.0-1] [MQTT311-4.4.0-1].
    pub(super) fn begin_connection(&mut self) {
        self.connection += 1;
        self.qos1.clear();
        self.qos2.clear();
    }

    /// The session is gone, and with it what was to be answered.
    pub(super) fn clear(&mut self) {
        self.qos1.clear();
        self.qos2.clear();
        self.unanswered.clear();
    }

    pub(super) fn released(&mut self, packet_id: PacketId) {
        self.unanswered.remove(&packet_id);
        self.qos2.retain(|pending| pending.packet_id != packet_id);
    }
}

impl Core {
    /// A QoS 1 message that the caller will acknowledge.
    pub(super) fn hold_qos1(&mut self, packet_id: PacketId) -> Result<(), ConnectionError> {
        self.incoming.publish_qos1();
        if self.incoming.is_exceeded() {
            return Err(Violation::ReceiveMaximumExceeded.into());
        }
        self.acknowledgements.qos1.push_back(Pending { packet_id, answer: None });
        Ok(())
    }

    /// A QoS 2 message that the caller will acknowledge. Gives whether it is new.
    pub(super) fn hold_qos2(&mut self, packet_id: PacketId, incoming: Incoming) -> Result<bool, ConnectionError> {
        let held = &mut self.acknowledgements;
        if incoming == Incoming::New {
            held.unanswered.insert(packet_id, (held.connection, None));
            held.qos2.push_back(Pending { packet_id, answer: None });
            return Ok(true);
        }
        // Said twice on one connection: the answer will do for both.
        if held.qos2.iter().all(|pending| pending.packet_id != packet_id) {
            let answer = held.unanswered.get(&packet_id).map_or(Some(ReasonCode::Success), |(_, answer)| *answer);
            let answer = answer.map(Answer::Say);
            held.qos2.push_back(Pending { packet_id, answer });
            self.send_answers(QoS::ExactlyOnce)?;
        }
        Ok(false)
    }

    pub(super) fn acknowledge(&mut self, delivery: Delivery, reason_code: ReasonCode) -> Result<(), RequestError> {
        let packet = if delivery.qos == QoS::AtLeastOnce { PacketType::PubAck } else { PacketType::PubRec };
        if !self.options.version.is_v5() && reason_code != ReasonCode::Success {
            return Err(RequestError::Version5Only("a reason code in PUBACK or PUBREC"));
        }
        // [MQTT-3.4.2-1] [MQTT-3.5.2-1]
        if !reason_code.allowed_from(packet, Direction::ToServer) {
            return Err(RequestError::ReasonCode(reason_code));
        }
        let held = &mut self.acknowledgements;
        let is_of_this_connection = delivery.connection == held.connection;
        let queue = if delivery.qos == QoS::AtLeastOnce {
            if !is_of_this_connection {
                // The server sends it once more, as a message of its own.
                return Ok(());
            }
            &mut held.qos1
        } else {
            match held.unanswered.get_mut(&delivery.packet_id) {
                Some((connection, answer)) if *connection == delivery.connection => *answer = Some(reason_code),
                _ => return Ok(()),
            }
            &mut held.qos2
        };
        let waits = |pending: &&mut Pending| pending.packet_id == delivery.packet_id && pending.answer.is_none();
        if let Some(pending) = queue.iter_mut().find(waits) {
            pending.answer = Some(Answer::Say(reason_code));
        }
        self.send_answers(delivery.qos).map_err(|error| {
            let _ = self.fail(error);
            RequestError::TooLarge
        })
    }

    pub(super) fn leave(&mut self, delivery: Delivery) {
        let held = &mut self.acknowledgements;
        let queue = if delivery.qos == QoS::AtLeastOnce { &mut held.qos1 } else { &mut held.qos2 };
        if delivery.qos == QoS::ExactlyOnce {
            match held.unanswered.get(&delivery.packet_id) {
                Some((connection, None)) if *connection == delivery.connection => {}
                _ => return,
            }
            held.unanswered.remove(&delivery.packet_id);
            self.incoming.forget(delivery.packet_id);
        } else if delivery.connection != held.connection {
            return;
        }
        let waits = |pending: &&mut Pending| pending.packet_id == delivery.packet_id && pending.answer.is_none();
        if let Some(pending) = queue.iter_mut().find(waits) {
            pending.answer = Some(Answer::Nothing);
        }
        if let Err(error) = self.send_answers(delivery.qos) {
            let _ = self.fail(error);
        }
    }

    /// Sends the answers whose turn it is [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT311-4.6.0-2] [MQTT311-4.6.0-3].
    fn send_answers(&mut self, qos: QoS) -> Result<(), ConnectionError> {
        if self.stage != Stage::Connected {
            return Ok(());
        }
        loop {
            let held = &mut self.acknowledgements;
            let queue = if qos == QoS::AtLeastOnce { &mut held.qos1 } else { &mut held.qos2 };
            let Some(Pending { packet_id, answer: Some(answer) }) = queue.front().copied() else { return Ok(()) };
            queue.pop_front();
            let Answer::Say(reason_code) = answer else { continue };
            if qos == QoS::AtLeastOnce {
                self.incoming.puback();
                self.wire.acknowledge(PacketType::PubAck, packet_id, reason_code)?;
                continue;
            }
            held.unanswered.remove(&packet_id);
            if reason_code.is_error() {
                self.incoming.forget(packet_id);
            }
            self.wire.acknowledge(PacketType::PubRec, packet_id, reason_code)?;
        }
    }
}

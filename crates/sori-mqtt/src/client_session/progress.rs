//! How far each outgoing message is, for a caller whose messages outlive its process.
//!
//! ```text
//!   PUBLISH in the output --> Sent      to be written down before the output is
//!   PUBREC received ------->  Released  likewise: the output has PUBREL
//!   the session is gone --->  Forgotten identifiers of before say nothing any more
//! ```
//!
//! With what was written down the next process puts the session together again ([`restore`]), and a QoS 2 message
//! that this one began is not begun a second time [MQTT-4.1.0-1] [MQTT311-4.1.0-1].
//!
//! [`restore`]: super::ClientSession::restore

use crate::{OutgoingState, PacketId, Publish, QoS, ReasonCode};

use super::event::Token;
use super::outgoing::{Outgoing, Released, StoredPublish};
use super::{Core, Stage};

/// One step of an outgoing message with QoS 1 or 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Its PUBLISH stands in the output, for the first time with this identifier.
    Sent {
        /// What [`publish`](super::ClientSession::publish) returned.
        token: Token,
        /// The identifier that it has until its end, or until [`Forgotten`](Self::Forgotten).
        packet_id: PacketId,
    },
    /// QoS 2: PUBREC has come, and PUBREL stands in the output. In this session the PUBLISH is not sent again.
    Released {
        /// What [`publish`](super::ClientSession::publish) returned.
        token: Token,
    },
    /// The session is gone. No message has an identifier any more; those that go on are sent anew.
    Forgotten,
}

impl Core {
    /// Notes a step, if the caller wants to know.
    pub(super) fn note(&mut self, progress: Progress) {
        if self.options.report_progress {
            self.progress.push_back(progress);
        }
    }

    pub(super) fn restore(&mut self, publish: &Publish<'_>, is_released: bool) -> Option<Token> {
        let packet_id = publish.packet_id?;
        let publish = &Publish { dup: false, packet_id: None, ..*publish };
        let is_qos2 = publish.qos == QoS::ExactlyOnce;
        if self.stage != Stage::Idle || publish.qos == QoS::AtMostOnce || (is_released && !is_qos2) {
            return None;
        }
        self.check_publish(publish).ok()?;
        let token = self.token();
        let message = StoredPublish::new(token, publish);
        let bytes = message.bytes();
        let has_place = if is_released {
            let has_place = self.outgoing.restore(packet_id, OutgoingState::Released);
            if has_place {
                // A PUBREC that refuses is not followed by PUBREL; the others mean the same.
                self.released.insert(packet_id, Released { message, reason_code: ReasonCode::Success });
            }
            has_place
        } else {
            let message = Outgoing::Publish(message);
            self.outgoing.restore(packet_id, OutgoingState::Publish { qos: publish.qos, message })
        };
        if has_place {
            self.stored_bytes += bytes;
        }
        has_place.then_some(token)
    }
}

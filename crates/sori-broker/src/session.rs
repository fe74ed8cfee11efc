//! A session: what the broker keeps for a client, connected or not. MQTT 5.0 section 4.1.

use crate::access::Identity;
use crate::delivery::Kept;
use crate::message::Message;
use crate::places::Places;
use crate::reads::Reads;
use crate::time::Time;
use crate::unreleased::UnreleasedLine;
use crate::waiting::Waiting;
use crate::walk::Walk;
use alloc::boxed::Box;
use alloc::sync::Arc;
use sori_mqtt::{IncomingMessages, OutgoingMessages, PacketId, PubRec, QoS, ReasonCode};

/// Session Expiry Interval 0xFFFFFFFF: never.
pub(crate) const NEVER_EXPIRES: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Arc<str>,
    pub(crate) identity: Arc<Identity>,
    /// Slot and generation of its connection.
    pub(crate) connection: Option<(u32, u32)>,
    /// Seconds that the session outlives its connection, as the client has asked. [MQTT-3.1.2-23]
    pub(crate) expiry_seconds: u32,
    /// Its client cannot say for how long, as before MQTT 5.0: `persistent_client_expiration` says it.
    pub(crate) expires_by_setting: bool,
    pub(crate) outgoing: OutgoingMessages<Kept>,
    /// Payload bytes in `outgoing`.
    pub(crate) inflight_bytes: u64,
    pub(crate) incoming: IncomingMessages,
    pub(crate) unreleased: UnreleasedLine,
    pub(crate) queue: Waiting,
    /// A message was dropped and the queue has not been empty since.
    pub(crate) is_dropping: bool,
    /// Messages dropped for this session.
    pub(crate) dropped: u64,
    pub(crate) places: Places,
    /// It has or had shared subscriptions: what waits may have been chosen for it from a group.
    pub(crate) was_member: bool,
    /// Retained messages still to be read for new subscriptions.
    pub(crate) reads: Reads,
    pub(crate) will: Option<Box<StoredWill>>,
    /// Records of it have been made, so that its end is to be recorded too.
    pub(crate) is_recorded: bool,
    /// Where it stands in the timers.
    pub(crate) timer: Time,
    /// When its connection went.
    pub(crate) left_at: Time,
    pub(crate) ends_at: Time,
    /// It stands in the list of those that go on next turn.
    pub(crate) is_ready: bool,
    /// Messages of it are being fetched from the store.
    pub(crate) is_fetching: bool,
    /// It stands in the list of those of which the index still says what was.
    pub(crate) is_marking: bool,
    /// What is still to be written down for a checkpoint that has begun with it.
    pub(crate) walk: Option<Box<Walk>>,
    /// The store has no room for it, and that has been told.
    pub(crate) is_refused_by_store: bool,
}

impl Session {
    pub(crate) fn new(client_id: Arc<str>, identity: Arc<Identity>) -> Session {
        Session {
            client_id,
            identity,
            connection: None,
            expiry_seconds: 0,
            expires_by_setting: false,
            outgoing: OutgoingMessages::new(u16::MAX),
            inflight_bytes: 0,
            incoming: IncomingMessages::new(u16::MAX),
            unreleased: UnreleasedLine::default(),
            queue: Waiting::default(),
            is_dropping: false,
            dropped: 0,
            places: Places::None,
            was_member: false,
            reads: Reads::default(),
            will: None,
            is_recorded: false,
            timer: Time::NEVER,
            left_at: Time::NEVER,
            ends_at: Time::NEVER,
            is_ready: false,
            is_fetching: false,
            is_marking: false,
            walk: None,
            is_refused_by_store: false,
        }
    }

    /// When its will is to be published.
    pub(crate) fn will_at(&self) -> Time {
        self.will.as_ref().map_or(Time::NEVER, |will| will.at)
    }

    /// When its will or its end is due.
    pub(crate) fn next_due(&self) -> Time {
        self.ends_at.min(self.will_at())
    }

    /// Does it outlive its connection?
    pub(crate) fn is_persistent(&self) -> bool {
        self.expiry_seconds > 0
    }

    /// A message in flight counts as completed, although the client has not acknowledged it. [MQTT-3.1.2-25]
    pub(crate) fn give_up(&mut self, packet_id: PacketId, qos: QoS) {
        let kept = match qos {
            QoS::ExactlyOnce => match self.outgoing.pubrec(packet_id, ReasonCode::PacketTooLarge) {
                PubRec::Ended(kept) => Some(kept),
                _ => None,
            },
            _ => self.outgoing.puback(packet_id).ok(),
        };
        let length = kept.map_or(0, |kept| kept.payload_length());
        self.inflight_bytes = self.inflight_bytes.saturating_sub(length);
    }

    pub(crate) fn has_shared_subscriptions(&self) -> bool {
        self.places.has_shared()
    }

    /// May another message of QoS 1 or 2 be sent now? [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]
    pub(crate) fn has_quota(&self, inflight_bytes_max: u64) -> bool {
        // The message that goes beyond the limit is sent, as by Mosquitto: one that alone is larger would wait for ever.
        let has_room = inflight_bytes_max == 0 || self.inflight_bytes < inflight_bytes_max;
        has_room && self.outgoing.can_send()
    }
}

/// The will of a connected client, or of one whose Will Delay Interval runs. [MQTT-3.1.2-7] [MQTT311-3.1.2-8]
#[derive(Debug)]
pub(crate) struct StoredWill {
    pub(crate) message: Message,
    /// When it is to be published; `Time::NEVER` while the client is connected.
    pub(crate) at: Time,
    pub(crate) delay_seconds: u32,
    /// Message Expiry Interval, which begins when the will is published.
    pub(crate) expiry_seconds: Option<u32>,
}

/// A session's name within its shard.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub(crate) struct SessionKey {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

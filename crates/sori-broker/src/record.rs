//! What must survive: the seam to whatever keeps it.
//!
//! A shard that keeps records says with each change of a session that outlives its connection, and of the retained
//! messages, what has changed. The records of one shard, in order, are everything that is needed to make its sessions
//! again: [`Recovered`](crate::Recovered) reads them, [`Shard::restore`](crate::Shard::restore) goes on from there.
//! Records of several shards are to be kept in one order: a shard's records of a turn are taken over before its mail of
//! that turn is posted, so that what a message caused elsewhere is never kept without what caused it.
//!
//! Nothing is recorded for what a crash may take away: QoS 0 to a connected client, and everything of a session that
//! ends with its connection, but for its will.

use crate::delivery::Delivery;
use crate::message::Message;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::sync::Arc;
use sori_mqtt::{PacketId, QoS, SubscribeOptions};

/// One change that must survive.
#[derive(Clone, Debug)]
pub struct Record {
    /// The client whose session changed; empty for a retained message.
    pub client_id: Arc<str>,
    /// What changed.
    pub change: Change,
}

/// What a record says. Times are those of the clock that the caller gives to the shard.
#[derive(Clone, Debug)]
pub enum Change {
    /// The session has a connection from now on. It begins here if it was not there before.
    Connected {
        /// Seconds that it outlives this connection; 0: it does not, and only its will is kept.
        expiry_seconds: u32,
        /// The user name of the client.
        user_name: Option<Box<str>>,
        /// The will of this connection.
        will: Option<RecordedWill>,
    },
    /// The session has lost its connection.
    Disconnected {
        /// When it ends.
        ends_at: Time,
        /// When its will is due.
        will_at: Time,
    },
    /// The session is gone, with everything that it held.
    Ended,
    /// The will was published or discarded.
    WillGone,
    /// A subscription was made, or took the place of the one to the same filter.
    Subscribed {
        /// The filter, with `$share/` and a share name for a shared subscription.
        filter: Box<str>,
        /// QoS, No Local, Retain As Published.
        options: SubscribeOptions,
        /// The Subscription Identifier, 0 for none.
        identifier: u32,
    },
    /// A subscription was removed.
    Unsubscribed {
        /// The filter.
        filter: Box<str>,
    },
    /// A message waits for the client, behind those that waited before.
    Queued {
        /// Its number in this session, higher than those before it.
        number: u64,
        /// The message and how it is delivered.
        delivery: RecordedDelivery,
    },
    /// A message that waited has been sent.
    Sent {
        /// Its number.
        number: u64,
        /// The packet identifier that it got; `None` at QoS 0, where this was the end.
        packet_id: Option<PacketId>,
    },
    /// A message that waited was dropped, or given to another member of its group.
    Dropped {
        /// Its number.
        number: u64,
    },
    /// PUBREC has come for a message in flight.
    Released {
        /// Its packet identifier.
        packet_id: PacketId,
    },
    /// A message in flight is finished.
    Finished {
        /// Its packet identifier.
        packet_id: PacketId,
    },
    /// A QoS 2 message of the client was taken over, in the place of one with the same identifier if there is one.
    Received {
        /// Its packet identifier.
        packet_id: PacketId,
        /// The message.
        message: Arc<Message>,
    },
    /// A QoS 2 message of the client was released, and has gone on its way.
    Forwarded {
        /// Its packet identifier.
        packet_id: PacketId,
    },
    /// A retained message was stored.
    Retained {
        /// The message; its version tells which of two came later.
        message: Arc<Message>,
    },
    /// A topic has no retained message any more.
    RetainedGone {
        /// The topic.
        topic: Box<str>,
        /// The version of this change.
        version: u64,
    },
}

/// A will as it is kept.
#[derive(Clone, Debug)]
pub struct RecordedWill {
    /// The message.
    pub message: Arc<Message>,
    /// Will Delay Interval in seconds.
    pub delay_seconds: u32,
    /// Message Expiry Interval in seconds, from when it is published.
    pub expiry_seconds: Option<u32>,
}

/// A message on its way to a session, as it is kept.
#[derive(Clone, Debug)]
pub struct RecordedDelivery {
    /// The message; one that waits for many sessions is the same `Arc` for all of one shard.
    pub message: Arc<Message>,
    /// The QoS of the delivery.
    pub qos: QoS,
    /// The RETAIN flag of the delivery.
    pub retain: bool,
    /// The Subscription Identifiers that it carries.
    pub identifiers: Box<[u32]>,
}

impl RecordedDelivery {
    pub(crate) fn of(delivery: &Delivery) -> RecordedDelivery {
        RecordedDelivery {
            message: Arc::clone(&delivery.message),
            qos: delivery.qos,
            retain: delivery.retain,
            identifiers: Box::from(delivery.identifiers.as_slice()),
        }
    }
}

//! What must survive: the seam to whatever keeps it.
//!
//! A shard that keeps records says in each turn what has changed of its sessions and of the retained messages, as bytes:
//! one piece of [`Records`], which is kept whole or not at all. [`Recovered`](crate::Recovered) reads all pieces again,
//! in the one order in which they were handed over, and [`Shard::restore`](crate::Shard::restore) goes on from there.
//!
//! A shard's piece of a turn is handed over before its mail of that turn is posted, so what a message causes elsewhere
//! always comes later in that order.
//!
//! The shard that routes a message records it, once, with everybody on all shards who is owed it and whose session
//! outlives its connection: one piece of one shard is all that its acknowledgement waits for. Nothing is recorded for
//! what a crash may take away: QoS 0, and everything of a session that ends with its connection, but for its will and
//! what it was answered PUBREC for.
//!
//! docs/store-format.md has the same as a table for other programs; the two are compared by a test.

pub(crate) mod read;
pub(crate) mod write;

use crate::message::Message;
use alloc::vec::Vec;

/// What a record says, by its first byte. Names of sessions are those of one run of the broker: shard, slot, generation.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A run of the broker begins: sessions get new names.
    Run = 1,
    /// The session has a connection from now on; it begins here, or goes on.
    Connected = 2,
    /// The session of an earlier run has this name now.
    Named = 3,
    /// The session has lost its connection: when it ends, when its will is due.
    Disconnected = 4,
    /// The session is gone, with everything that it held.
    Ended = 5,
    /// The will was published or discarded.
    WillGone = 6,
    /// A subscription was made, or took the place of the one to the same filter.
    Subscribed = 7,
    /// A subscription was removed.
    Unsubscribed = 8,
    /// A message that later records refer to by its number.
    Message = 9,
    /// A message was published, and these sessions are owed it.
    Published = 10,
    /// One session is owed a message, behind those that it was owed before.
    Queued = 11,
    /// A message that waited has been sent, with this packet identifier.
    Sent = 12,
    /// A message that waited was dropped, or given to another member of its group.
    Dropped = 13,
    /// PUBREC has come for a message in flight.
    Released = 14,
    /// A message in flight is finished.
    Finished = 15,
    /// A QoS 2 message of the client was taken over, in the place of one with the same identifier if there is one.
    Received = 16,
    /// A QoS 2 message of the client was released, and has gone on its way.
    Forwarded = 17,
    /// A retained message was stored.
    Retained = 18,
    /// A topic has no retained message any more.
    RetainedGone = 19,
    /// All of a session is written down again from here on. Who knows the session has no need of it; who begins to read
    /// in the middle begins with it, and with messages of other shards that it has not seen.
    Session = 20,
    /// One message that waited when the session was written down.
    Waiting = 21,
    /// One message that was in flight when the session was written down.
    InFlight = 22,
    /// The numbers and retained versions that have been used.
    Counters = 23,
    /// The session had a connection until the broker ended: otherwise as `Disconnected`.
    Stopped = 24,
    /// One QoS 2 message that had been taken over when the session was written down, and not released.
    Unreleased = 25,
    /// How far the wall clock is ahead of the shards' time in a run.
    Clock = 26,
}

impl Kind {
    pub(crate) const ALL: [Kind; 26] = [
        Kind::Run,
        Kind::Connected,
        Kind::Named,
        Kind::Disconnected,
        Kind::Ended,
        Kind::WillGone,
        Kind::Subscribed,
        Kind::Unsubscribed,
        Kind::Message,
        Kind::Published,
        Kind::Queued,
        Kind::Sent,
        Kind::Dropped,
        Kind::Released,
        Kind::Finished,
        Kind::Received,
        Kind::Forwarded,
        Kind::Retained,
        Kind::RetainedGone,
        Kind::Session,
        Kind::Waiting,
        Kind::InFlight,
        Kind::Counters,
        Kind::Stopped,
        Kind::Unreleased,
        Kind::Clock,
    ];

    pub(crate) fn of(byte: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }
}

/// Bytes in front of each message in the records: its length and a checksum, which whoever keeps it fills in.
pub(crate) const BLOB_HEADER: usize = 8;

/// How far a shard is with writing down all that it has; see [`Shard::checkpoint`](crate::Shard::checkpoint).
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum RecordsStep {
    /// Everything has been written down once.
    Walked(u64),
    /// A turn has passed since that was asked for.
    Passed(u64),
}

/// What a shard is asked to do for a checkpoint.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum CheckpointOrder {
    /// Write down everything again, little by little.
    Begin,
    /// All shards have done so: say when the turn is over.
    Pass,
}

/// What must survive of one turn of one shard: one indivisible piece.
#[derive(Debug, Default)]
pub struct Records {
    /// The records. Empty: this shard only waits until what others handed over before is durable.
    pub bytes: Vec<u8>,
    /// Where in `bytes` messages stand, each with its length in front (4 bytes, little endian), and 4 bytes for a
    /// checksum of the keeper's.
    pub blobs: Vec<u32>,
    /// Where in `bytes` stand places of messages (8 bytes, little endian). Whoever keeps the records writes there where those
    /// messages are now: a shard may not have heard that they were moved.
    pub references: Vec<u32>,
    /// By how many bytes this makes longer, or shorter, what a checkpoint has to write down, by estimate.
    pub growth: i64,
    /// How many of `bytes` write something down again for a checkpoint.
    pub repeated: u32,
    /// For [`Shard::durable`](crate::Shard::durable), once the piece is.
    pub upto: u64,
    /// Does anybody wait for it? If not, it may wait for company.
    pub is_awaited: bool,
    /// A step of a checkpoint is done with this piece.
    pub step: Option<RecordsStep>,
    pub(crate) messages: Vec<(u32, Message)>,
}

impl Records {
    /// The place of a message; 0 is none yet.
    pub(crate) fn put_place(&mut self, place: u64) {
        if place != 0 {
            self.references.push(self.bytes.len() as u32);
        }
        write::number(&mut self.bytes, place);
    }

    /// The piece is durable, and its `bytes` stand at `place`: each of its messages is told where it lies. May be called
    /// from any thread, and without the bytes.
    pub fn placed(&self, place: u64) {
        for (at, message) in &self.messages {
            message.set_place(place + u64::from(*at));
        }
    }
}

#[cfg(test)]
mod tests;

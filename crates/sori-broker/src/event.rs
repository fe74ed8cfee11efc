//! What a shard asks its surroundings to do, and what it has to tell.

use crate::fetching::Fetch;
use crate::handoff::Handoff;
use crate::ids::{ConnectionId, ShardId};
use alloc::boxed::Box;
use alloc::sync::Arc;
use sori_mqtt::{PacketId, QoS, ReasonCode, Version};

/// Something to be done outside of the broker.
#[derive(Debug)]
pub enum Effect {
    /// Write what is left of the output as far as that goes at once, close the connection, then call
    /// [`Shard::closed`](crate::Shard::closed).
    Close(ConnectionId),
    /// Another connection of this client takes over. What its socket has received before is to be given to
    /// [`Shard::receive`](crate::Shard::receive) first: it may be a DISCONNECT, after which nothing is taken over and no
    /// will is published. Then [`Shard::drained`](crate::Shard::drained) is to be called for the new connection.
    Drain {
        /// The connection to be read.
        connection: ConnectionId,
        /// The connection that waits for it.
        then: ConnectionId,
    },
    /// A client begins a session here that may have had one on another shard until just now. The mail that has been posted
    /// to this shard is to be delivered first, with what the client has published there; then
    /// [`Shard::drained`](crate::Shard::drained) is to be called.
    TakeMail {
        /// The connection that waits for it.
        then: ConnectionId,
    },
    /// Give the connection's socket and the handoff to another shard; its name here is no longer valid.
    Move {
        /// The connection's name until now.
        connection: ConnectionId,
        /// Where it goes.
        to: ShardId,
        /// What [`Shard::adopt`](crate::Shard::adopt) wants there.
        handoff: Box<Handoff>,
    },
    /// Read messages from the store and give them to [`Shard::fetched`](crate::Shard::fetched), at once or later.
    Fetch(Box<Fetch>),
    /// Something happened that people may want to read.
    Event(Event),
}

/// Something that happened.
#[derive(Clone, Eq, PartialEq, Debug)]
pub enum Event {
    /// A client is connected.
    Connected {
        /// Its identifier.
        client_id: Arc<str>,
        /// From where.
        address: Box<str>,
        /// The version it speaks.
        version: Version,
        /// Clean Start, or Clean Session.
        clean_start: bool,
        /// In seconds.
        keep_alive: u16,
        /// The user name.
        user_name: Option<Box<str>>,
    },
    /// A CONNECT, or what should have been one, was not accepted.
    Refused {
        /// From where.
        address: Box<str>,
        /// The client identifier, where it was readable.
        client_id: Option<Box<str>>,
        /// The reason code that tells why.
        reason_code: ReasonCode,
        /// In words.
        text: Box<str>,
    },
    /// A connection of a client has ended.
    Disconnected {
        /// Its identifier.
        client_id: Arc<str>,
        /// From where it came.
        address: Box<str>,
        /// Why.
        cause: Cause,
    },
    /// A session has ended because its client has stayed away for too long.
    Expired {
        /// Whose session.
        client_id: Arc<str>,
    },
    /// A client's subscription was made.
    Subscribed {
        /// Who.
        client_id: Arc<str>,
        /// The filter.
        filter: Box<str>,
        /// The QoS granted.
        qos: QoS,
    },
    /// A client's subscription was removed.
    Unsubscribed {
        /// Who.
        client_id: Arc<str>,
        /// The filter.
        filter: Box<str>,
    },
    /// A client was not allowed to publish a message. Told of every message if the settings say so, and always when nobody but
    /// the broker may publish to that topic.
    Denied {
        /// Who.
        client_id: Arc<str>,
        /// Where to, mount point included.
        topic: Box<str>,
        /// DUP.
        dup: bool,
        /// QoS.
        qos: QoS,
        /// RETAIN.
        retain: bool,
        /// The packet identifier, above QoS 0.
        packet_id: Option<PacketId>,
        /// Bytes of payload.
        payload_bytes: usize,
        /// It is the broker's own topic, which the rules for clients have nothing to do with.
        is_reserved: bool,
    },
    /// Messages of a session could not be read from the store.
    Damaged {
        /// Whose session.
        client_id: Arc<str>,
        /// How many messages are lost.
        count: usize,
    },
    /// The first message that was dropped for a session since it last had room.
    Dropping {
        /// Whose session.
        client_id: Arc<str>,
        /// Why, in words; `None`: its queue is full.
        text: Option<&'static str>,
    },
}

/// Why a connection ended.
#[derive(Clone, Eq, PartialEq, Debug)]
pub enum Cause {
    /// The client said DISCONNECT.
    ByClient(ReasonCode),
    /// The network connection was closed or lost.
    Network(Box<str>),
    /// Nothing came for one and a half times Keep Alive.
    KeepAlive,
    /// Another connection with the same client identifier took over.
    TakenOver,
    /// The client broke the protocol, or a limit.
    Protocol(ReasonCode, Box<str>),
    /// An operator has taken away the listener that it came by.
    Dismissed,
    /// The broker stops.
    Shutdown,
}

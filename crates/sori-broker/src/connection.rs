//! A connection as the broker sees it: where it is in the protocol, what it agreed, what is still to be written.

use crate::access::Exchange;
use crate::aliases::{AliasesIn, AliasesOut};
use crate::handoff::Admission;
use crate::holding::Held;
use crate::ids::{ConnectionId, ShardId};
use crate::in_parts::Unfinished;
use crate::matches::MatchSet;
use crate::output::Output;
use crate::session::SessionKey;
use crate::settings::ListenerSettings;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::Version;

pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) phase: Phase,
    pub(crate) version: Version,
    pub(crate) session: SessionKey,
    pub(crate) listener: Arc<ListenerSettings>,
    pub(crate) address: Box<str>,
    /// The user name that the listener has proven.
    pub(crate) proven_name: Option<Box<str>>,
    pub(crate) last_received: Time,
    /// One and a half times Keep Alive, in milliseconds; 0 without Keep Alive.
    pub(crate) silence_max_millis: u32,
    /// Where it stands in the timers.
    pub(crate) timer: Time,
    /// Bytes of a packet that has not come whole, or that came behind what is still to be handled.
    pub(crate) input: Vec<u8>,
    /// What is left of a packet that is handled in parts: before it is done, `input` has to wait.
    pub(crate) unfinished: Option<Box<Unfinished>>,
    pub(crate) output: Output,
    /// What waits for records that are not durable yet; `None` when nothing does.
    pub(crate) held: Option<Box<Held>>,
    /// The client's Maximum Packet Size; `u32::MAX`, which no packet reaches, without one.
    pub(crate) packet_size_max: u32,
    /// Request Problem Information. [MQTT-3.1.2-29]
    pub(crate) wants_problem_information: bool,
    pub(crate) aliases_in: Option<Box<AliasesIn>>,
    pub(crate) aliases_out: Option<Box<AliasesOut>>,
    pub(crate) last_topic: Option<Box<LastTopic>>,
    pub(crate) authentication: Option<Box<Authentication>>,
    /// QoS 1 and 2 messages beyond Receive Maximum so far.
    pub(crate) excess: u32,
    pub(crate) is_flush_due: bool,
    /// It is to end. Nothing that it publishes from now on is taken, and once this input is over nothing is heard.
    pub(crate) is_leaving: bool,
    /// It is on the list of those that end, and no further input is taken.
    pub(crate) is_ending: bool,
    /// `input` waits because so much came of what was before it, or is still to come.
    pub(crate) is_behind: bool,
}

/// Where a connection is in the protocol.
pub(crate) enum Phase {
    /// Nothing but CONNECT is taken.
    New,
    /// CONNECT has come, and it is not known yet whether the client may come in.
    Waiting(Box<Waiting>),
    /// The session lives elsewhere: the connection leaves after this turn's input.
    Moving(Box<(ShardId, Vec<u8>, Admission)>),
    /// What the client has said elsewhere before is heard first: on another connection, or on another shard.
    Draining(Box<(Vec<u8>, Admission)>),
    /// CONNACK 0 has been sent.
    Open,
    /// It is over; only output that was written before may still leave.
    Closing,
}

/// A CONNECT that waits for an answer.
pub(crate) struct Waiting {
    /// The packet, whole.
    pub(crate) connect: Vec<u8>,
    pub(crate) client_id: Arc<str>,
    pub(crate) assigned: bool,
    /// The AUTH exchange; without one, a verdict is awaited.
    pub(crate) exchange: Option<(Box<str>, Box<dyn Exchange>)>,
}

/// The authentication method of a connected client, for authenticating again.
pub(crate) struct Authentication {
    pub(crate) method: Box<str>,
    pub(crate) exchange: Option<Box<dyn Exchange>>,
}

/// What the last topic published on a connection matched.
pub(crate) struct LastTopic {
    pub(crate) generation: u64,
    pub(crate) topic: String,
    /// `None` when it was too heavy to be kept.
    pub(crate) set: Option<Arc<MatchSet>>,
    /// The rules in force have allowed the client to publish there.
    pub(crate) is_permitted: bool,
}

impl Connection {
    pub(crate) fn new(id: ConnectionId, listener: Arc<ListenerSettings>, address: Box<str>, now: Time) -> Connection {
        Connection {
            id,
            phase: Phase::New,
            version: Version::V311,
            session: SessionKey { slot: u32::MAX, generation: 0 },
            listener,
            address,
            proven_name: None,
            last_received: now,
            silence_max_millis: 0,
            timer: Time::NEVER,
            input: Vec::new(),
            unfinished: None,
            output: Output::default(),
            held: None,
            packet_size_max: u32::MAX,
            wants_problem_information: true,
            aliases_in: None,
            aliases_out: None,
            last_topic: None,
            authentication: None,
            excess: 0,
            is_flush_due: false,
            is_leaving: false,
            is_ending: false,
            is_behind: false,
        }
    }

    /// Does the client take every packet, however large?
    #[inline]
    pub(crate) fn takes_any_size(&self) -> bool {
        self.packet_size_max == u32::MAX
    }

    /// Does the client take a packet of so many bytes? [MQTT-3.1.2-24]
    #[inline]
    pub(crate) fn takes(&self, length: usize) -> bool {
        length <= self.packet_size_max as usize
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// The client identifier that was claimed for this connection and has no session yet through it.
    pub(crate) fn claimed_client_id(&self) -> Option<Arc<str>> {
        match &self.phase {
            Phase::Draining(draining) => Some(Arc::clone(&draining.1.client_id)),
            _ => None,
        }
    }

    /// Does the client get topics by their own names, so that it can be sent packets as they came?
    #[inline]
    pub(crate) fn gets_as_it_came(&self) -> bool {
        self.aliases_out.is_none() && self.listener.mount_point.is_none()
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing)
    }
}

/// Buffers above this size are given back to the system when they are empty.
const KEPT_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// What the empty buffers that are kept for the next connection with something to say may have together.
const SPARE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The way out of a shard: which connections have something to write, and buffers for it. A connection with nothing
/// to write owns no buffer.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    due: VecDeque<ConnectionId>,
    spare: Vec<Vec<u8>>,
    spare_bytes: usize,
}

impl Outbox {
    /// The buffer of a connection, to append packets to.
    #[inline]
    pub(crate) fn buffer<'a>(&mut self, connection: &'a mut Connection) -> &'a mut Vec<u8> {
        if !connection.is_flush_due {
            connection.is_flush_due = true;
            self.due.push_back(connection.id);
        }
        let buffer = connection.output.buffer();
        if buffer.capacity() == 0 {
            *buffer = self.spare.pop().unwrap_or_default();
            self.spare_bytes -= buffer.capacity();
        }
        buffer
    }

    pub(crate) fn due_len(&self) -> usize {
        self.due.len()
    }

    pub(crate) fn next_due(&mut self) -> Option<ConnectionId> {
        self.due.pop_front()
    }

    pub(crate) fn last_due(&mut self) -> Option<ConnectionId> {
        self.due.pop_back()
    }

    /// `bytes` of a connection's output have been written.
    pub(crate) fn written(&mut self, connection: &mut Connection, bytes: usize) {
        let output = &mut connection.output;
        output.written(bytes);
        if output.len() > 0 {
            // A reader that is always a little behind must not make the buffer grow for ever.
            return output.forget_written(KEPT_BUFFER_BYTES_MAX);
        }
        let mut bytes = output.take_buffer();
        let is_worth_keeping = bytes.capacity() > 0 && bytes.capacity() <= KEPT_BUFFER_BYTES_MAX;
        if is_worth_keeping && self.spare_bytes + bytes.capacity() <= SPARE_BYTES_MAX {
            bytes.clear();
            self.spare_bytes += bytes.capacity();
            self.spare.push(bytes);
        }
    }
}

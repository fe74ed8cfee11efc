//! A SUBSCRIBE or UNSUBSCRIBE of very many filters is handled in parts, so that others are heard in between.
//!
//! Until its last part the connection is behind, and what comes after the packet waits in its input. One packet answers all of
//! it in the end. Each part counts from when it was handled, as if the client had sent several packets: live messages may come before the
//! answer (section 3.8.4), and what has been handled stays when the connection is lost.

use crate::ending::Ending;
use crate::ids::ConnectionId;
use crate::shard::Shard;
use alloc::boxed::Box;
use alloc::vec::Vec;
use sori_mqtt::{PacketId, PacketType, SubscribeFilters, UnsubscribeFilters, Version};

/// The answer to a SUBSCRIBE or UNSUBSCRIBE, as far as it has been handled.
pub(crate) struct Progress {
    /// SUBACK or UNSUBACK.
    pub(crate) kind: PacketType,
    pub(crate) packet_id: PacketId,
    /// The Subscription Identifier; 0 without one.
    pub(crate) identifier: u32,
    pub(crate) codes: Vec<u8>,
    /// Some of it was recorded.
    pub(crate) has_recorded: bool,
    /// Not everything could be changed for want of the store.
    pub(crate) is_store_short: bool,
}

/// The filters of a packet that are still to be handled.
pub(crate) struct Unfinished {
    progress: Progress,
    /// As they stand in the packet,
    filters: Vec<u8>,
    /// from here on.
    at: usize,
}

impl Progress {
    pub(crate) fn new(kind: PacketType, packet_id: PacketId, identifier: u32) -> Progress {
        let codes = Vec::new();
        Progress { kind, packet_id, identifier, codes, has_recorded: false, is_store_short: false }
    }
}

impl Shard {
    /// The first part of a packet has been handled, and these filters are `left`.
    pub(crate) fn conclude_part(&mut self, id: ConnectionId, progress: Progress, left: &[u8]) {
        if left.is_empty() {
            return self.acknowledge_filters(id, &progress);
        }
        debug_assert!(self.has_delivered_much(), "nothing behind the packet may be handled now");
        if let Some(c) = self.connection(id).filter(|c| c.is_open()) {
            c.unfinished = Some(Box::new(Unfinished { progress, filters: Vec::from(left), at: 0 }));
            self.fall_behind(id);
        }
    }

    /// Handles the next part of the packet that the connection is at. True: others are left.
    pub(crate) fn go_on_with_packet(&mut self, id: ConnectionId) -> bool {
        let now = self.now;
        let Some(c) = self.connection(id).filter(|c| !c.is_ending) else { return false };
        let Some(mut unfinished) = c.unfinished.take() else { return false };
        // Nothing is read from the client meanwhile, so it is not silent.
        c.last_received = now;
        let Unfinished { progress, filters, at } = &mut *unfinished;
        let rest = filters.get(*at..).unwrap_or_default();
        let left = if progress.kind == PacketType::SubAck {
            self.subscribe_some(id, progress, SubscribeFilters::from_checked(rest))
        } else {
            self.unsubscribe_some(id, progress, UnsubscribeFilters::from_checked(rest))
        };
        *at = filters.len() - left.len();
        if left.is_empty() {
            self.acknowledge_filters(id, &unfinished.progress);
            return false;
        }
        let Some(c) = self.connection(id).filter(|c| c.is_open()) else { return false };
        c.unfinished = Some(unfinished);
        true
    }

    /// Answer the packet when all that was recorded for it is durable.
    pub(crate) fn send_acknowledgement(
        &mut self,
        id: ConnectionId,
        progress: &Progress,
        write: impl FnOnce(Version, &mut Vec<u8>),
    ) {
        if progress.has_recorded && self.holds.is_void() {
            // The store has failed between two parts: as if the answer had waited for it.
            return self.end_for(id, Ending::NoRoom("the store has failed"));
        }
        let number = progress.has_recorded.then(|| self.recorder.wait());
        self.send_when(id, number, progress.kind, write);
    }
}

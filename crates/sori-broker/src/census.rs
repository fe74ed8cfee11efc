//! The gauges of a shard: what its sessions have now is counted by a walk through all of them, because every message would
//! have to pay for counting as they change.

use crate::shard::Shard;
use crate::totals::Totals;

/// Sessions that are looked at in one go.
const SESSIONS_IN_A_GO: u32 = 4096;

/// How far a shard is with counting its sessions, which may be a million.
#[derive(Debug, Default)]
pub struct Census {
    /// The sessions below this slot have been counted.
    slot: u32,
    gauges: Totals,
}

impl Census {
    /// Have sessions been counted, and not all?
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.slot > 0
    }
}

impl Shard {
    /// The counters, with the gauges as of now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut census = Census::default();
        loop {
            if let Some(totals) = self.count(&mut census) {
                return totals;
            }
        }
    }

    /// The same little by little, for who works in turns: `None` as long as there are sessions to be counted. Some of the
    /// gauges are those of earlier turns then.
    #[must_use]
    pub fn count(&self, census: &mut Census) -> Option<Totals> {
        let end = self.sessions.slots().min(census.slot + SESSIONS_IN_A_GO);
        let gauges = &mut census.gauges;
        for session in (census.slot..end).filter_map(|slot| self.sessions.at(slot)) {
            gauges.clients_connected += u64::from(session.connection.is_some());
            gauges.queued += session.queue.len() as u64;
            gauges.queued_bytes += session.queue.bytes();
            gauges.queued_in_store += session.queue.stored_len() as u64;
            gauges.inflight += session.outgoing.in_flight() as u64;
        }
        census.slot = end;
        if end < self.sessions.slots() {
            return None;
        }
        let Totals { clients_connected, queued, queued_bytes, queued_in_store, inflight, .. } =
            core::mem::take(census).gauges;
        let (connections, sessions) = (self.connections.len() as u64, self.sessions.len() as u64);
        Some(Totals {
            connections,
            clients_connected,
            sessions,
            queued,
            queued_bytes,
            queued_in_store,
            inflight,
            ..self.totals
        })
    }
}

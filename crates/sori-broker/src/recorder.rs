//! Where a shard puts its records until they are taken out.

use crate::delivery::Delivery;
use crate::record::{Change, Record, RecordedDelivery};
use crate::session::Session;
use alloc::sync::Arc;
use alloc::vec::Vec;
use sori_mqtt::PacketId;

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    is_on: bool,
    records: Vec<Record>,
}

impl Recorder {
    pub(crate) fn new(is_on: bool) -> Recorder {
        Recorder { is_on, records: Vec::new() }
    }

    pub(crate) fn take(&mut self) -> Vec<Record> {
        core::mem::take(&mut self.records)
    }

    /// A session has a connection: there is something to be kept of it if it outlives that, or has a will.
    pub(crate) fn note_connected(&mut self, session: &mut Session) {
        let is_worth_it = session.is_persistent() || session.will.is_some() || session.is_recorded;
        if self.is_on && is_worth_it {
            session.is_recorded = true;
            let change = Change::Connected {
                expiry_seconds: session.expiry_seconds,
                user_name: session.identity.user_name.clone(),
                will: session.recorded_will(),
            };
            self.add(&session.client_id, change);
        }
    }

    /// The will, or the session as a whole, is gone.
    pub(crate) fn note_gone(&mut self, session: &Session, change: Change) {
        if self.is_on && session.is_recorded {
            self.add(&session.client_id, change);
        }
    }

    /// Something changed in a session that outlives its connection.
    #[inline]
    pub(crate) fn note(&mut self, session: &Session, change: impl FnOnce() -> Change) {
        if self.is_on && session.is_persistent() {
            self.add(&session.client_id, change());
        }
    }

    fn add(&mut self, client_id: &Arc<str>, change: Change) {
        self.records.push(Record { client_id: Arc::clone(client_id), change });
    }

    pub(crate) fn note_retained(&mut self, change: impl FnOnce() -> Change) {
        if self.is_on {
            self.records.push(Record { client_id: Arc::from(""), change: change() });
        }
    }

    pub(crate) fn note_queued(&mut self, session: &Session, number: u64, delivery: &Delivery) {
        self.note(session, || Change::Queued { number, delivery: RecordedDelivery::of(delivery) });
    }

    pub(crate) fn note_sent(&mut self, session: &Session, number: u64, packet_id: Option<PacketId>) {
        self.note(session, || Change::Sent { number, packet_id });
    }

    pub(crate) fn note_dropped(&mut self, session: &Session, number: u64) {
        self.note(session, || Change::Dropped { number });
    }
}

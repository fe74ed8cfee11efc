//! A worker's end of the store: what its shard hands in, and how much of that is durable.

use crate::store::committing::{self, Handed};
use crate::store::desk::Desk;
use crate::store::reading::Wanted;
use sori_broker::{Fetch, Records, ShardId, StoreState};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// One per worker.
pub(crate) struct Keeper {
    shard: ShardId,
    desk: Arc<Desk<Handed>>,
    wanted: Sender<Wanted>,
    handed_in: u64,
    durable: u64,
    is_failed: bool,
}

impl Keeper {
    pub(crate) fn new(shard: ShardId, desk: Arc<Desk<Handed>>, wanted: Sender<Wanted>) -> Keeper {
        Keeper { shard, desk, wanted, handed_in: 0, durable: 0, is_failed: false }
    }

    pub(crate) fn hand_in(&mut self, records: Records) {
        self.handed_in = records.upto;
        committing::hand_in(&self.desk, self.shard, records);
    }

    /// The shard wants messages that live on disk only.
    pub(crate) fn fetch(&self, fetch: Box<Fetch>) {
        // It fails only when the reader's thread has ended, and then nobody will be sent these messages any more.
        let _ = self.wanted.send((self.shard, fetch));
    }

    pub(crate) fn note_durable(&mut self, upto: u64) {
        self.durable = upto;
    }

    pub(crate) fn note_state(&mut self, state: StoreState) {
        self.is_failed = state == StoreState::Failed;
    }

    /// Nothing that was handed in is still to become durable.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_failed || self.durable >= self.handed_in
    }

    /// Does so much wait for the disk that no more should be read from loud clients?
    pub(crate) fn is_filling(&self) -> bool {
        self.desk.is_filling()
    }

    /// Does so much wait for the disk that no more should be read from clients?
    pub(crate) fn is_overfull(&self) -> bool {
        self.desk.is_overfull()
    }
}

//! Writing down all that a shard has, so that what was recorded before is not needed any more.
//!
//! It happens little by little, while the shard goes on with its work. A shard begins when every other shard has told it
//! that nothing it recorded before is still on its way here: from then on, what a session is written down with and what
//! is recorded later add up to the whole.

use crate::ids::ShardId;
use crate::record::{CheckpointOrder, RecordsStep};
use crate::session::{SessionKey, Walk};
use crate::shard::Shard;
use crate::space::StoreState;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use sori_mqtt::{QoS, Resend};

/// How far a shard is with a checkpoint.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    number: u64,
    /// The shards that may still have older mail for this one.
    awaited: Vec<ShardId>,
    /// The slot of the session whose turn it is.
    slot: u32,
    /// Sessions with a higher slot began later.
    slots: u32,
    /// Retained messages up to this topic are written; `None` when all are, or another shard does it.
    retained: Option<String>,
    is_begun: bool,
}

/// Bytes of records that are written down in one turn.
const BYTES_IN_A_TURN: usize = if cfg!(test) { 256 } else { 64 * 1024 };
/// Entries looked at in one go.
const ENTRIES_IN_A_GO: usize = if cfg!(test) { 4 } else { 256 };

impl Shard {
    pub(crate) fn take_checkpoint_order(&mut self, number: u64, order: CheckpointOrder) {
        match order {
            CheckpointOrder::Pass => self.recorder.note_step(RecordsStep::Passed(number)),
            CheckpointOrder::Begin => {
                let others = (0..self.shards).map(ShardId).filter(|shard| *shard != self.id);
                let early = self.marks_before.extract_if(.., |(_, n)| *n == number).map(|(from, _)| from);
                let early: Vec<ShardId> = early.collect();
                let awaited: Vec<ShardId> = others.filter(|shard| !early.contains(shard)).collect();
                self.marks_before.clear();
                self.checkpoint = Some(Checkpoint {
                    number,
                    awaited,
                    slot: 0,
                    slots: 0,
                    retained: (self.id == ShardId(0)).then(String::new),
                    is_begun: false,
                });
                for (shard, mail) in (0..).map(ShardId).zip(&mut self.mail) {
                    if shard != self.id {
                        mail.mark(self.id, number);
                    }
                }
            }
        }
    }

    /// All mail that `from` recorded before the checkpoint has come.
    pub(crate) fn note_marked(&mut self, from: ShardId, number: u64) {
        match &mut self.checkpoint {
            Some(checkpoint) if checkpoint.number == number => checkpoint.awaited.retain(|shard| *shard != from),
            // The order has not come here yet.
            _ => self.marks_before.push((from, number)),
        }
    }

    pub(crate) fn is_walking(&self) -> bool {
        self.store != StoreState::Stuck
            && self.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.awaited.is_empty())
    }

    /// Write down a part.
    pub(crate) fn walk(&mut self) {
        if !self.is_walking() {
            return;
        }
        let Some(mut checkpoint) = self.checkpoint.take() else { return };
        if !checkpoint.is_begun {
            checkpoint.is_begun = true;
            checkpoint.slots = self.sessions.slots();
            let mut version = 0;
            self.space.retained(&mut |retained| version = retained.version());
            self.recorder.write_counters(version);
        }
        let begin = self.recorder.piece_len();
        let end = begin + BYTES_IN_A_TURN;
        let is_done = self.walk_sessions(&mut checkpoint, end) && self.walk_retained(&mut checkpoint, end);
        self.recorder.note_repeated(self.recorder.piece_len() - begin);
        if is_done {
            self.recorder.note_step(RecordsStep::Walked(checkpoint.number));
        } else {
            self.checkpoint = Some(checkpoint);
        }
    }

    fn walk_sessions(&mut self, checkpoint: &mut Checkpoint, end: usize) -> bool {
        while checkpoint.slot < checkpoint.slots {
            if self.recorder.piece_len() >= end {
                return false;
            }
            if let Some(key) =
                self.sessions.key_at(checkpoint.slot).map(|(slot, generation)| SessionKey { slot, generation })
                && !self.walk_session(key)
            {
                continue;
            }
            checkpoint.slot += 1;
        }
        true
    }

    /// Write down the next part of a session; true when all of it has been.
    fn walk_session(&mut self, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get(key.slot, key.generation) else { return true };
        if !session.is_recorded {
            return true;
        }
        if session.walk.is_none() {
            self.write_head(key);
        }
        self.write_queue(key)
    }

    /// Write down all of a session of which nothing has been recorded.
    pub(crate) fn write_whole(&mut self, key: SessionKey) {
        self.write_head(key);
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        session.walk = None;
        for mut delivery in session.queue.take(|delivery| delivery.qos != QoS::AtMostOnce) {
            self.recorder.note_queued(me, session, &mut delivery);
            session.queue.put(delivery);
        }
    }

    /// The session itself, its subscriptions, what is in flight in both directions.
    fn write_head(&mut self, key: SessionKey) {
        let me = self.session_ref(key);
        let space = &self.space;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return };
        self.recorder.write_session(me, session);
        let last = session.queue.last_order();
        let next = session.queue.first_order().unwrap_or(last.next());
        session.walk = Some(Box::new(Walk { next, end: last }));
        if session.is_persistent() {
            space.read_index(&mut |index| {
                for (filter, s) in session.places.iter().filter_map(|place| index.describe(place, me)) {
                    self.recorder.write_subscription(me, &filter, s.options.to_subscribe_options(), s.identifier);
                }
            });
            for packet in session.outgoing.iter_resend() {
                match packet {
                    Resend::PubRel { packet_id } => self.recorder.write_in_flight(me, packet_id, None),
                    Resend::Publish { packet_id, message: crate::delivery::Kept::Message(delivery), .. } => {
                        delivery.message.move_to(|place| space.current_place(place));
                        self.recorder.write_in_flight(me, packet_id, Some(delivery));
                    }
                    Resend::Publish { .. } => {}
                }
            }
        }
        for kept in session.unreleased.iter() {
            kept.message.move_to(|place| space.current_place(place));
            self.recorder.write_received(me, kept.packet_id, &kept.message);
        }
    }

    /// The next part of what waits for a session; true when that is all.
    fn write_queue(&mut self, key: SessionKey) -> bool {
        let me = self.session_ref(key);
        let space = &self.space;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return true };
        let Some(mut walk) = session.walk.take() else { return true };
        let mut left = ENTRIES_IN_A_GO;
        let mut is_done = true;
        let is_kept = session.is_persistent();
        // A client may have come back to its session for the last time: what waits in the store only must stay there.
        if is_kept || session.queue.stored_len() > 0 {
            for entry in session.queue.acknowledged_from(walk.next) {
                let order = match &entry {
                    Ok(delivery) => delivery.order,
                    Err(stored) => stored.order(),
                };
                if !walk.covers(order) {
                    break;
                }
                if left == 0 {
                    is_done = false;
                    break;
                }
                left -= 1;
                match entry {
                    // Not recorded yet: it will be, and then by its own.
                    Ok(delivery) if delivery.key == 0 || !is_kept => {}
                    Ok(delivery) => {
                        delivery.message.move_to(|place| space.current_place(place));
                        self.recorder.write_waiting(me, delivery);
                    }
                    Err(mut stored) => {
                        stored.set_place(space.current_place(stored.place()));
                        self.recorder.write_waiting_stored(me, stored.copied(), stored.place(), stored.length());
                    }
                }
                walk.next = order.next();
            }
        }
        if !is_done {
            session.walk = Some(walk);
        }
        is_done
    }

    fn walk_retained(&mut self, checkpoint: &mut Checkpoint, end: usize) -> bool {
        let Some(mut after) = checkpoint.retained.take() else { return true };
        let space = &self.space;
        while self.recorder.piece_len() < end {
            let mut messages = Vec::new();
            space.retained(&mut |retained| messages = retained.some_after(&after, ENTRIES_IN_A_GO));
            let Some(last) = messages.last() else { return true };
            after = String::from(last.message.topic());
            for retained in &messages {
                retained.message.move_to(|place| space.current_place(place));
                self.recorder.write_retained(&retained.message, retained.version, retained.owner.as_deref());
            }
        }
        checkpoint.retained = Some(after);
        false
    }
}

//! Writing down all that a shard has, so that what was recorded before is not needed any more.
//!
//! It happens little by little, while the shard goes on with its work. A shard begins when every other shard has told it
//! that nothing it recorded before is still on its way here: from then on, what a session is written down with and what
//! is recorded later add up to the whole.

use crate::delivery::Kept;
use crate::ids::ShardId;
use crate::record::{CheckpointOrder, RecordsStep};
use crate::recorder::Recorder;
use crate::session::SessionKey;
use crate::shard::Shard;
use crate::space::StoreState;
use crate::walk::{Subscriptions, Walk};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use sori_mqtt::Resend;

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
/// Sessions, and entries of them, that are looked at in one turn: not all have something to be written down.
const ENTRIES_IN_A_TURN: usize = if cfg!(test) { 64 } else { 8192 };
/// Entries looked at in one go, in which others wait for them.
const ENTRIES_IN_A_GO: usize = if cfg!(test) { 4 } else { 256 };

/// What may still be done in one turn.
struct Turn {
    /// Records may become so long.
    end: usize,
    entries: usize,
}

impl Turn {
    /// Is there time for one more entry?
    fn takes(&mut self, recorder: &Recorder) -> bool {
        let takes = self.entries > 0 && recorder.piece_len() < self.end;
        self.entries -= usize::from(takes);
        takes
    }
}

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
            self.recorder.write_clocks(self.now);
        }
        let begin = self.recorder.piece_len();
        let mut turn = Turn { end: begin + BYTES_IN_A_TURN, entries: ENTRIES_IN_A_TURN };
        let is_done = self.walk_sessions(&mut checkpoint, &mut turn) && self.walk_retained(&mut checkpoint, &turn);
        self.recorder.note_repeated(self.recorder.piece_len() - begin);
        if is_done {
            self.recorder.note_step(RecordsStep::Walked(checkpoint.number));
        } else {
            self.checkpoint = Some(checkpoint);
        }
    }

    fn walk_sessions(&mut self, checkpoint: &mut Checkpoint, turn: &mut Turn) -> bool {
        while checkpoint.slot < checkpoint.slots {
            if !turn.takes(&self.recorder) {
                return false;
            }
            if let Some(key) =
                self.sessions.key_at(checkpoint.slot).map(|(slot, generation)| SessionKey { slot, generation })
                && !self.walk_session(key, checkpoint.number, turn)
            {
                return false;
            }
            checkpoint.slot += 1;
        }
        true
    }

    /// Write down the next part of a session; true when all of it has been.
    fn walk_session(&mut self, key: SessionKey, number: u64, turn: &mut Turn) -> bool {
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return true };
        if !session.is_recorded {
            return true;
        }
        // One of a checkpoint that has been given up says nothing of this one.
        let begun = session.walk.take().filter(|walk| walk.number == number);
        let mut walk = begun.unwrap_or_else(|| self.begin_walk(key, number));
        let is_done = self.write_subscriptions(key, &mut walk, turn)
            && self.write_in_flight(key, &mut walk, turn)
            && self.write_unreleased(key, turn)
            && self.write_queue(key, &mut walk, turn);
        if !is_done && let Some(session) = self.session(key) {
            session.walk = Some(walk);
        }
        is_done
    }

    /// The session itself. What changes of it from here on is recorded as at any time, and whoever reads from the
    /// beginning of the checkpoint has it from this record on.
    fn begin_walk(&mut self, key: SessionKey, number: u64) -> Box<Walk> {
        let me = self.session_ref(key);
        let mut walk = Box::new(Walk::of_nothing(number));
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return walk };
        self.recorder.write_session(me, session);
        if session.is_persistent() {
            walk.subscriptions = Subscriptions::After(None);
            // By their identifiers: places in the table mean something else once it has moved on.
            walk.in_flight =
                session.outgoing.iter_resend().map(|packet| packet.packet_id()).collect::<Vec<_>>().into_iter();
        }
        walk.end = session.queue.last_order();
        walk.next = session.queue.first_order().unwrap_or(walk.end.next());
        session.unreleased.begin_walk();
        walk
    }

    fn write_subscriptions(&mut self, key: SessionKey, walk: &mut Walk, turn: &mut Turn) -> bool {
        let me = self.session_ref(key);
        let Some(session) = self.sessions.get(key.slot, key.generation) else { return true };
        while let Subscriptions::After(after) = walk.subscriptions
            && session.is_persistent()
        {
            if !turn.takes(&self.recorder) {
                return false;
            }
            let some = session.places.some_after(after, ENTRIES_IN_A_GO);
            let mut left = some.iter();
            self.space.read_index(&mut |index| {
                for place in left.by_ref() {
                    if let Some((filter, s)) = index.describe(place, me) {
                        let options = s.options.to_subscribe_options();
                        self.recorder.write_subscription(me, &filter, options, s.identifier);
                    }
                    walk.subscriptions = Subscriptions::After(Some(*place));
                    if !turn.takes(&self.recorder) {
                        break;
                    }
                }
            });
            if left.as_slice().is_empty() && some.len() < ENTRIES_IN_A_GO {
                walk.subscriptions = Subscriptions::None;
            }
        }
        true
    }

    fn write_in_flight(&mut self, key: SessionKey, walk: &mut Walk, turn: &mut Turn) -> bool {
        let me = self.session_ref(key);
        let space = &self.space;
        let Some(session) = self.sessions.get(key.slot, key.generation) else { return true };
        while session.is_persistent() && !walk.in_flight.as_slice().is_empty() {
            if !turn.takes(&self.recorder) {
                return false;
            }
            match walk.in_flight.next().and_then(|packet_id| session.outgoing.find(packet_id)) {
                Some(Resend::PubRel { packet_id }) => self.recorder.write_in_flight(me, packet_id, None),
                Some(Resend::Publish { packet_id, message: Kept::Message(delivery), .. }) => {
                    delivery.message.move_to(|place| space.current_place(place));
                    self.recorder.write_in_flight(me, packet_id, Some(delivery));
                }
                Some(Resend::Publish { .. }) | None => {}
            }
        }
        true
    }

    fn write_unreleased(&mut self, key: SessionKey, turn: &mut Turn) -> bool {
        let me = self.session_ref(key);
        let space = &self.space;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return true };
        while session.unreleased.has_unwritten() {
            if !turn.takes(&self.recorder) {
                return false;
            }
            let Some(kept) = session.unreleased.next_unwritten() else { break };
            kept.message.move_to(|place| space.current_place(place));
            self.recorder.write_unreleased(me, kept.packet_id, &kept.message);
        }
        true
    }

    /// The next part of what waits for a session; true when that is all.
    fn write_queue(&mut self, key: SessionKey, walk: &mut Walk, turn: &mut Turn) -> bool {
        let me = self.session_ref(key);
        let space = &self.space;
        let Some(session) = self.sessions.get_mut(key.slot, key.generation) else { return true };
        let is_kept = session.is_persistent();
        // A client may have come back to its session for the last time: what waits in the store only must stay there.
        if !is_kept && session.queue.stored_len() == 0 {
            return true;
        }
        for entry in session.queue.acknowledged_from(walk.next) {
            let order = match &entry {
                Ok(delivery) => delivery.order,
                Err(stored) => stored.order(),
            };
            if !walk.covers(order) {
                break;
            }
            if !turn.takes(&self.recorder) {
                return false;
            }
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
        true
    }

    fn walk_retained(&mut self, checkpoint: &mut Checkpoint, turn: &Turn) -> bool {
        let Some(mut after) = checkpoint.retained.take() else { return true };
        let space = &self.space;
        while self.recorder.piece_len() < turn.end {
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

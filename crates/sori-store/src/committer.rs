//! Writes what is submitted, many pieces at once, and says when it is durable.

use crate::batches::Batches;
use crate::bytes::u64_at;
use crate::checkpoint::{End, Running, Stage};
use crate::cleaning::Cleaning;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::figures::Figures;
use crate::frame::Kind;
use crate::liveness::Liveness;
use crate::log::{Log, Trouble};
use crate::measure::Measure;
use crate::open::{self, Replay};
use crate::options::{Durability, Options};
use crate::piece::{CheckpointOrder, Outcome, Piece, State};
use crate::reader::{Reader, Shared};
use crate::room::Room;
use crate::segment::{Checkpoint, HEADER_BYTES};
use std::collections::VecDeque;
use std::sync::Arc;

/// The one who writes. A plain value: it has no thread and no clock, and does something only in [`Committer::step`].
///
/// A program submits what has come, calls `step` as long as [`Committer::wants_step`], and then waits for more until
/// [`Committer::next_due`]. While it syncs, the next pieces gather, so that the disk's own pace makes the batches.
pub struct Committer {
    disk: Arc<dyn Disk>,
    options: Options,
    writers: u16,
    log: Log,
    shared: Arc<Shared>,
    room: Room,
    /// What a write that fails must leave of the reserve.
    reserve_floor: u64,
    state: State,
    /// The state was told last.
    state_told: State,

    /// Submitted and not written.
    waiting: VecDeque<Piece>,
    /// Somebody waits for one of them.
    is_awaited: bool,
    /// A piece has come that no step has seen.
    is_fresh: bool,
    /// When `waiting` is written though nobody waits.
    write_due: Option<u64>,
    /// Written, and durable with the next sync.
    written: Vec<Outcome>,
    /// When to sync, with [`Durability::Interval`].
    sync_due: Option<u64>,
    /// There was no room: when to try again.
    retry_due: Option<u64>,
    /// There was no room: when to see whether the reserve can be made again.
    room_due: Option<u64>,
    /// The time of the running step.
    now: u64,

    checkpoint_number: u64,
    is_checkpoint_requested: bool,
    running: Option<Running>,
    measure: Measure,
    cleaning: Option<Cleaning>,
    liveness: Liveness,
    /// Bytes forgotten when the running checkpoint began.
    forgotten_at_begin: u64,
    /// Bytes written when the last checkpoint was complete.
    bytes_written_at_checkpoint: u64,

    figures: Figures,
    batches: Batches,
}

impl Committer {
    /// Opens a store, or makes one, and replays it: `replay(place, bytes)` for each frame of records since the last complete
    /// checkpoint, in order. `place` is where `bytes` begin.
    ///
    /// With an error nothing has been changed, except that a new store may have been begun.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        writers: u16,
        replay: &mut Replay<'_>,
    ) -> Result<Committer, OpenError> {
        let options = options.within_limit();
        let mut room = Room::find(Arc::clone(&disk), options.limit(), options.reserve_bytes);
        disk.set_ahead_max(options.ahead_max());
        let opened = open::open(&disk, &options, replay)?;
        let log_bytes = opened.log.bytes();
        let is_whole = room.is_whole(log_bytes) || room.make_whole_with_ease(log_bytes);
        let state = if is_whole { State::Ok } else { State::Full };
        let checkpoint_number = opened.log.checkpoint.number;
        let opened_bytes_written = opened.log.bytes_written;
        Ok(Committer {
            shared: Arc::new(Shared::new(Arc::clone(&disk), opened.relocations)),
            disk,
            options,
            writers,
            log: opened.log,
            room,
            reserve_floor: 0,
            now: 0,
            room_due: (state == State::Full).then_some(0),
            state,
            state_told: State::Ok,
            waiting: VecDeque::new(),
            is_awaited: false,
            is_fresh: false,
            write_due: None,
            written: Vec::new(),
            sync_due: None,
            retry_due: None,
            checkpoint_number,
            is_checkpoint_requested: false,
            running: None,
            measure: Measure::default(),
            cleaning: None,
            liveness: opened.liveness,
            forgotten_at_begin: 0,
            bytes_written_at_checkpoint: opened_bytes_written,
            figures: Figures::default(),
            batches: Batches::default(),
        })
    }

    /// Reads blobs back.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// So many bytes of blobs in the records that were replayed are alive. Without that they count as dead until the next checkpoint.
    pub fn note_replayed(&mut self, blob_bytes: u64) {
        self.liveness.blob_bytes += blob_bytes;
    }

    /// Takes a piece. Pieces become durable in the order in which they are submitted. After a failure they are dropped.
    pub fn submit(&mut self, piece: Piece) {
        if self.has_failed() {
            return;
        }
        if piece.bytes.len() > PIECE_BYTES_MAX {
            // Offsets in a segment have 32 bits, and a piece is never divided.
            return self.fail(format!("{} bytes were to be written at once, which are too many", piece.bytes.len()));
        }
        self.is_awaited |= piece.is_awaited;
        self.is_fresh = true;
        self.waiting.push_back(piece);
    }

    /// One step: writes, and by [`Durability`] syncs, what was submitted; checks room; cleans a bounded bit.
    pub fn step(&mut self, now_millis: u64) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.waiting.len() + self.written.len());
        self.now = now_millis;
        if !self.has_failed() {
            match self.with_reserve(&mut outcomes, |committer, outcomes| committer.run(now_millis, outcomes)) {
                Ok(()) => {}
                Err(Trouble::Full) => self.wait_for_room(),
                Err(Trouble::Failed(text)) => self.fail(text),
            }
        }
        if self.state != self.state_told {
            self.state_told = self.state.clone();
            outcomes.push(Outcome::State(self.state.clone()));
        }
        outcomes
    }

    /// Does something, again and again while it finds no room and the reserve has some. It goes on where it stopped.
    fn with_reserve(
        &mut self,
        outcomes: &mut Vec<Outcome>,
        act: impl Fn(&mut Committer, &mut Vec<Outcome>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        loop {
            match act(self, outcomes) {
                Err(Trouble::Full) => {
                    self.become_full();
                    let has_given = self.room.give_to_disk(self.log.refused_bytes, self.reserve_floor);
                    self.room.check()?;
                    if !has_given {
                        return Err(Trouble::Full);
                    }
                }
                result => return result,
            }
        }
    }

    /// Whether [`Committer::step`] has something to do now.
    pub fn wants_step(&self) -> bool {
        if self.state != self.state_told {
            return true;
        }
        if self.has_failed() || self.retry_due.is_some() {
            return !self.has_failed() && self.cleaning.is_some();
        }
        self.is_awaited || self.is_fresh || self.frees_room() || self.should_begin_checkpoint()
    }

    /// Whether nothing can be written until there is room: not even the reserve has some.
    pub fn waits_for_room(&self) -> bool {
        self.retry_due.is_some()
    }

    /// Whether nobody waits for what [`Committer::step`] has to do: it tidies up.
    pub fn is_at_leisure(&self) -> bool {
        let is_waited_for =
            self.is_awaited || self.is_fresh || self.sync_due.is_some() || self.state != self.state_told;
        self.state == State::Ok && !is_waited_for
    }

    /// When [`Committer::step`] is to be called at the latest though nothing is submitted.
    pub fn next_due(&self, now_millis: u64) -> Option<u64> {
        if self.wants_step() {
            return Some(now_millis);
        }
        if self.has_failed() {
            return None;
        }
        let write_due = if self.retry_due.is_some() { None } else { self.write_due };
        [write_due, self.sync_due, self.retry_due, self.room_due].into_iter().flatten().min()
    }

    /// A checkpoint begins with one of the next steps, even if it does not pay yet. One that is under way counts.
    pub fn request_checkpoint(&mut self) {
        self.is_checkpoint_requested = self.running.is_none();
    }

    /// How it is doing.
    pub fn figures(&self) -> Figures {
        let log_bytes = self.log.bytes();
        Figures {
            state: self.state.clone(),
            disk_bytes: log_bytes + self.room.reserve_bytes(),
            live_bytes: self.liveness.live_bytes(self.shared.bytes_forgotten()).min(log_bytes),
            segments: self.log.segments.len() as u64,
            syncs: self.log.syncs,
            bytes_written: self.log.bytes_written,
            is_checkpoint_running: self.running.is_some(),
            relocations: self.shared.relocations_count(),
            pieces_waiting: (self.waiting.len() + self.written.len()) as u64,
            ..self.figures.clone()
        }
    }

    /// Bytes of the last commits, oldest first: what a benchmark needs to write the same again without a store.
    pub fn recent_batches(&self) -> Vec<u32> {
        self.batches.all()
    }

    /// Writes and syncs all that is left, and says so as [`Committer::step`] does. What could not be written is told in no
    /// outcome.
    pub fn close(mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        if self.has_failed() {
            return outcomes;
        }
        match self.with_reserve(&mut outcomes, Committer::finish) {
            Ok(()) => {}
            Err(Trouble::Full) => outcomes.push(Outcome::State(State::Full)),
            Err(Trouble::Failed(text)) => outcomes.push(Outcome::State(State::Failed { text })),
        }
        outcomes
    }

    fn finish(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        // Otherwise one frame at a time is written.
        self.is_awaited = true;
        self.commit(self.now, outcomes)?;
        self.sync(outcomes)?;
        if self.figures.commits > 0 {
            // Whatever is damaged from now on had been durable: this frame says so.
            self.log.prepare()?;
            self.log.begin_frame();
            self.log.end_frame(Kind::Synced);
            self.log.write()?;
        }
        self.sync(outcomes)
    }

    /// Everything that is due. It goes on where it stopped when it is called again after [`Trouble::Full`].
    fn run(&mut self, now: u64, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        if std::mem::take(&mut self.is_fresh) && !self.waiting.is_empty() {
            self.write_due.get_or_insert(now + RIDE_ALONG_MILLIS);
        }
        if self.sync_due.is_some_and(|due| due <= now) {
            self.sync(outcomes)?;
        }
        if self.retry_due.is_some_and(|due| now < due) && !self.frees_room() {
            return Ok(());
        }
        self.retry_due = None;
        let is_due = self.is_awaited || self.write_due.is_some_and(|due| due <= now);
        let committed = if is_due { self.commit(now, outcomes) } else { Ok(()) };
        if let Err(Trouble::Failed(_)) = committed {
            return committed;
        }
        // These make room, so they go on when there is none.
        self.look_for_room()?;
        if self.should_begin_checkpoint() {
            self.begin_checkpoint(outcomes)?;
        }
        self.measure(outcomes)?;
        self.clean(outcomes)?;
        committed
    }

    /// Whether old segments are about to be deleted.
    fn frees_room(&self) -> bool {
        self.is_measuring() || self.cleaning.is_some()
    }

    fn is_measuring(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.stage == Stage::Measuring)
    }

    /// Writes all that is waiting, in as few frames as may be, and syncs it if that is what durable means. Of what nobody
    /// waits for it is one small frame at a time, and the sync follows the last.
    fn commit(&mut self, now: u64, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        let before = self.log.bytes_written;
        let bytes_max = self.frame_bytes_max();
        let mut result = Ok(());
        while result.is_ok() && !self.waiting.is_empty() {
            result = self.write_frame(bytes_max, outcomes);
            if !self.is_awaited {
                break;
            }
        }
        if let Err(Trouble::Failed(_)) = result {
            return result;
        }
        if self.log.bytes_written > before {
            self.figures.commits += 1;
            self.batches.note(self.log.bytes_written - before);
        }
        match self.options.durability {
            // A fence alone is durable when all before it is.
            Durability::Always if !self.written.is_empty() && (self.is_awaited || self.waiting.is_empty()) => {
                self.sync(outcomes)?;
            }
            Durability::Interval(interval) if self.log.is_dirty() => {
                let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
                self.sync_due.get_or_insert(now.saturating_add(millis));
            }
            _ => {}
        }
        if result.is_ok() && self.waiting.is_empty() {
            (self.is_awaited, self.write_due) = (false, None);
        }
        result
    }

    fn frame_bytes_max(&self) -> usize {
        match self.state {
            // What is left of the reserve may be little, and a frame is written as a whole.
            State::Full => SMALL_FRAME_BYTES_MAX.min(self.options.reserve_bytes as usize / RESERVE_PARTS),
            _ if self.is_awaited => FRAME_BYTES_MAX,
            _ => SMALL_FRAME_BYTES_MAX,
        }
    }

    /// Writes one frame of waiting pieces. When there is no room, messages have frames of their own, so that what makes room does
    /// not wait for them.
    fn write_frame(&mut self, bytes_max: usize, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        let has_blobs = self.waiting.front().is_some_and(|piece| !piece.blobs.is_empty());
        self.reserve_floor = if has_blobs { self.room.index.bytes() } else { 0 };
        self.log.prepare()?;
        self.log.begin_frame();
        let first_place = self.log.next_place();
        let mut count = 0;
        let mut blob_bytes = 0;
        for piece in &mut self.waiting {
            let is_apart = self.state == State::Full && has_blobs == piece.blobs.is_empty();
            if count > 0 && (is_apart || self.log.payload_bytes() + piece.bytes.len() > bytes_max) {
                break;
            }
            self.shared.make_current(&mut piece.bytes, &piece.references);
            blob_bytes += self.log.add_piece(&piece.bytes, &piece.blobs);
            count += 1;
        }
        self.log.end_frame(Kind::Records);
        self.make_way(self.log.built_bytes())?;
        self.log.write()?;
        self.liveness.blob_bytes += blob_bytes;
        let mut place = first_place;
        for _ in 0..count {
            let Some(piece) = self.waiting.pop_front() else { break };
            let bytes = piece.bytes.len() as u64;
            self.note_written(piece, place, outcomes);
            place += bytes;
        }
        Ok(())
    }

    fn note_written(&mut self, mut piece: Piece, place: u64, outcomes: &mut Vec<Outcome>) {
        self.figures.pieces += 1;
        self.room.index.note(piece.growth, piece.repeated.into());
        if let Some(running) = &mut self.running {
            let named = piece.references.iter().filter_map(|at| u64_at(&piece.bytes, *at as usize));
            named.for_each(|place| running.refer(place));
            if let Some(step) = piece.step
                && running.hear(piece.writer, step)
                && running.stage == Stage::Passing
            {
                outcomes.push(Outcome::Checkpoint { number: running.checkpoint.number, order: CheckpointOrder::Pass });
            }
        }
        piece.bytes.clear();
        let (writer, upto, blobs, spare) = (piece.writer, piece.upto, piece.blobs, piece.bytes);
        let durable = Outcome::Durable { writer, upto, place, blobs, spare };
        match self.options.durability {
            Durability::Always => self.written.push(durable),
            Durability::Interval(_) | Durability::Never => outcomes.push(durable),
        }
    }

    /// Makes durable what was written, and tells it.
    fn sync(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        self.log.sync()?;
        self.sync_due = None;
        outcomes.append(&mut self.written);
        Ok(())
    }

    fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed { .. })
    }

    /// Nothing is durable any more. What waits is dropped: nobody was told of it.
    fn fail(&mut self, text: String) {
        self.state = State::Failed { text };
        self.waiting.clear();
        self.written.clear();
        self.running = None;
        self.cleaning = None;
    }

    fn become_full(&mut self) {
        self.state = State::Full;
        self.room_due.get_or_insert(self.now + RETRY_MILLIS);
    }

    /// There is none, not even in the reserve.
    fn wait_for_room(&mut self) {
        self.retry_due = Some(self.now + RETRY_MILLIS);
        if let Some(cleaning) = &mut self.cleaning {
            cleaning.stop_moving();
        }
    }

    /// So much is going to be written: the store is full if the reserve has to give something for it.
    fn make_way(&mut self, bytes: u64) -> Result<(), Trouble> {
        let log_bytes = self.log.bytes() + bytes;
        if !self.room.is_within(log_bytes) {
            self.become_full();
            self.room.give_within_limit(log_bytes, self.reserve_floor);
        }
        self.room.check()
    }

    /// Keeps the reserve as large as it has to be, and sees whether there is room again.
    fn look_for_room(&mut self) -> Result<(), Trouble> {
        let log_bytes = self.log.bytes();
        if self.state == State::Ok {
            if !self.room.make_whole(log_bytes) {
                self.become_full();
            }
        } else if self.room_due.is_some_and(|due| due <= self.now) {
            self.room_due = Some(self.now + RETRY_MILLIS);
            if self.room.make_whole_with_ease(log_bytes) {
                self.state = State::Ok;
                self.room_due = None;
            }
        }
        self.room.check()
    }

    fn should_begin_checkpoint(&self) -> bool {
        if self.running.is_some() || self.cleaning.is_some() {
            return false;
        }
        let (log_bytes, forgotten) = (self.log.bytes(), self.shared.bytes_forgotten());
        let liveness = Liveness { bytes_written: self.bytes_since_checkpoint(), ..self.liveness };
        let is_full = self.state == State::Full;
        if is_full && !self.room.is_enough_for_checkpoint() {
            return false;
        }
        self.is_checkpoint_requested
            || liveness.wants_checkpoint(log_bytes, forgotten, self.options.checkpoint_bytes_min)
            || is_full && liveness.wants_checkpoint_for_room(log_bytes, forgotten, self.room.dead_bytes_min())
    }

    fn begin_checkpoint(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        self.sync(outcomes)?;
        self.reserve_floor = 0;
        self.make_way(HEADER_BYTES)?;
        self.log.roll()?;
        self.is_checkpoint_requested = false;
        self.room.index.checkpoint_begins();
        self.forgotten_at_begin = self.shared.bytes_forgotten();
        self.checkpoint_number += 1;
        let checkpoint = Checkpoint { number: self.checkpoint_number, first: self.log.head };
        self.running = Some(Running::new(checkpoint, self.writers));
        outcomes.push(Outcome::Checkpoint { number: checkpoint.number, order: CheckpointOrder::Begin });
        Ok(())
    }

    fn bytes_since_checkpoint(&self) -> u64 {
        self.liveness.bytes_written + self.log.bytes_written - self.bytes_written_at_checkpoint
    }

    /// Goes on measuring, and completes the checkpoint when that is done.
    fn measure(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        match &mut self.running {
            Some(running) if running.stage == Stage::Measuring => {
                if self.measure.step(&*self.disk, &self.log.segments, &mut running.references) {
                    return self.complete_checkpoint(outcomes);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn complete_checkpoint(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        let Some(running) = &self.running else { return Ok(()) };
        let checkpoint = running.checkpoint;
        let needed = self.measure.needed.clone();
        let older_bytes: u64 = needed.values().map(|needed| needed.live_bytes).sum();
        let newer_bytes: u64 = self.log.segments.range(checkpoint.first..).map(|(_, bytes)| *bytes).sum();
        let end = End { checkpoint, live_bytes: older_bytes + newer_bytes, needed };
        self.reserve_floor = 0;
        self.log.prepare()?;
        self.log.begin_frame();
        end.encode(self.log.payload());
        self.log.end_frame(Kind::CheckpointEnd);
        self.log.write()?;
        self.sync(outcomes)?;
        self.log.checkpoint = checkpoint;
        self.shared.change_relocations(|relocations| relocations.checkpoint_completed(checkpoint.number));
        self.liveness = Liveness {
            live_bytes: end.live_bytes,
            // What was forgotten meanwhile may have been counted among what is alive.
            forgotten_before: self.forgotten_at_begin,
            ..Liveness::default()
        };
        self.bytes_written_at_checkpoint = self.log.bytes_written;
        self.figures.checkpoints += 1;
        self.room.index.checkpoint_completed();
        let references = self.running.take().map(|running| running.references).unwrap_or_default();
        self.measure = Measure::default();
        self.cleaning = Some(Cleaning::after(&end, &self.log.segments, references));
        Ok(())
    }

    /// Goes on cleaning for a bit.
    fn clean(&mut self, outcomes: &mut Vec<Outcome>) -> Result<(), Trouble> {
        let Some(cleaning) = &mut self.cleaning else { return Ok(()) };
        let (log_bytes, is_full) = (self.log.bytes(), self.state == State::Full);
        self.reserve_floor = self.room.index.bytes();
        if cleaning.has_dead() {
            cleaning.remove_one(&mut self.log)?;
            self.room.take_back(self.log.bytes());
            self.room.check()?;
        } else if cleaning.bytes_to_move().is_some_and(|bytes| !self.room.is_enough_to_move(bytes, log_bytes, is_full))
        {
            cleaning.leave_one();
        } else {
            let before = self.log.bytes_written;
            let moved = cleaning.move_some(&*self.disk, &mut self.log, &self.shared);
            // That is no change which another checkpoint could be for.
            self.bytes_written_at_checkpoint += self.log.bytes_written - before;
            outcomes.extend(moved?.map(Outcome::Unreadable));
        }
        if cleaning.is_done() {
            let (segments, bytes, bytes_moved) = (cleaning.segments, cleaning.bytes, cleaning.bytes_moved);
            self.figures.segments_removed += u64::from(segments);
            self.figures.bytes_moved += bytes_moved;
            self.cleaning = None;
            self.room_due = self.room_due.map(|_| self.now);
            if !is_full {
                self.room.give_back();
                self.room.check()?;
            }
            outcomes.push(Outcome::Cleaned { segments, bytes, bytes_moved });
        }
        Ok(())
    }
}

/// A frame holds several pieces as long as it is not longer than this.
const FRAME_BYTES_MAX: usize = 8 << 20;

/// A piece is no longer. A segment, which ends before it has as many bytes, and one more piece have offsets of 32 bits.
const PIECE_BYTES_MAX: usize = 1 << 30;

/// A frame that nobody waits for is no larger, so that it takes less than a millisecond.
const SMALL_FRAME_BYTES_MAX: usize = 256 << 10;

/// How long a piece may wait that nobody waits for.
const RIDE_ALONG_MILLIS: u64 = 100;

/// When there is no room, a frame is no larger than such a part of the least reserve.
const RESERVE_PARTS: usize = 8;

/// How long to wait for room before the next try.
const RETRY_MILLIS: u64 = 1000;

//! What a program keeps beneath its shards: the committer, what it has to tell them, and what they want to read back.
//!
//! In production the committer and the readers have threads of their own. Here each of their steps is a call, so that the
//! seed decides how many turns of the shards pass before something is durable, and how many more before they are told.

use std::collections::VecDeque;
use std::sync::Arc;

use sori_broker::{CheckpointOrder, Fetch, Records, RecordsStep, Recovered, StoreState, Time};
use sori_store::{Committer, OpenError, Options, Outcome, Piece, Reader, State, Step};

use crate::disk::SimDisk;
use crate::host::Plan;
use crate::places::Places;
use crate::sabotage::{ONE_IN, Sabotage};

/// A store on a simulated disk, opened.
pub(crate) struct Storage {
    disk: SimDisk,
    options: Options,
    committer: Committer,
    reader: Reader,
    /// Submitted and not durable yet, in order.
    waiting: VecDeque<Waiting>,
    /// By shard, what it has not been told yet, in order.
    told: Vec<VecDeque<Told>>,
    /// What shards want to read.
    wanted: Vec<(u16, Box<Fetch>)>,
    /// By shard, what was read for it.
    found: Vec<VecDeque<Box<Fetch>>>,
    state: State,
    places: Places,
    submitted_bytes: usize,
    /// Of them, those that are not durable yet.
    waiting_bytes: usize,
    /// All have been told that the store is stuck.
    is_stuck: bool,
    /// The last turn in which something was submitted.
    last_turn: u64,
    /// The last turn of which everything is durable, when the store has failed: shards submit nothing any more then.
    failed_after: Option<u64>,
}

struct Waiting {
    shard: u16,
    upto: u64,
    /// The turn in which it was submitted.
    turn: u64,
    bytes: usize,
    records: Records,
    /// Its messages, with their offsets.
    messages: Vec<(u32, Vec<u8>)>,
}

/// What the committer says to a shard.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Durable(u64),
    Checkpoint(u64, CheckpointOrder),
    State(StoreState),
}

/// When more waits for a store that can write nothing, it is stuck.
const WAITING_BYTES_MAX: usize = 1024;

/// A message with its length and checksum before it.
fn blob(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    bytes[8..8 + length].to_vec()
}

impl Storage {
    /// Opens the store, or makes it, and reads what is to be known from its records.
    pub(crate) fn open(
        disk: SimDisk,
        options: Options,
        plan: &Plan,
        places: Places,
    ) -> Result<(Storage, Recovered), OpenError> {
        let (shards, sabotage) = (plan.shards, plan.sabotage);
        let mut recovered = Recovered::new();
        let mut frames = 0;
        let mut replay = |place: u64, bytes: &[u8]| {
            frames += 1;
            let times = if sabotage == Some(Sabotage::Record) && frames % ONE_IN == 0 { 2 } else { 1 };
            (0..times).try_for_each(|_| recovered.apply(place, bytes)).map_err(|error| error.to_string().into())
        };
        let mut committer = Committer::open(Arc::new(disk.clone()), options.clone(), shards, &mut replay)?;
        committer.note_replayed(recovered.message_bytes());
        let storage = Storage {
            disk,
            options,
            reader: committer.reader(),
            committer,
            waiting: VecDeque::new(),
            told: (0..shards).map(|_| VecDeque::new()).collect(),
            wanted: Vec::new(),
            found: (0..shards).map(|_| VecDeque::new()).collect(),
            state: State::Ok,
            places,
            submitted_bytes: 0,
            waiting_bytes: 0,
            is_stuck: false,
            last_turn: 0,
            failed_after: None,
        };
        Ok((storage, recovered))
    }

    /// What it takes to open it again.
    pub(crate) fn into_parts(self) -> (SimDisk, Options, Places) {
        (self.disk, self.options, self.places)
    }

    pub(crate) fn disk(&self) -> &SimDisk {
        &self.disk
    }

    pub(crate) fn reader(&self) -> Reader {
        self.reader.clone()
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn committer(&mut self) -> &mut Committer {
        &mut self.committer
    }

    /// Takes over what a shard's turn has changed.
    pub(crate) fn submit(&mut self, shard: u16, turn: u64, mut records: Records) {
        let step = records.step.map(|step| match step {
            RecordsStep::Walked(number) => Step::Walked(number),
            RecordsStep::Passed(number) => Step::Passed(number),
        });
        let bytes = records.bytes.len();
        self.submitted_bytes += bytes;
        self.waiting_bytes += bytes;
        self.last_turn = turn;
        let messages = records.blobs.iter().map(|at| (*at, blob(&records.bytes[*at as usize..]))).collect();
        self.committer.submit(Piece {
            writer: shard,
            upto: records.upto,
            is_awaited: records.is_awaited,
            bytes: std::mem::take(&mut records.bytes),
            blobs: std::mem::take(&mut records.blobs),
            references: std::mem::take(&mut records.references),
            growth: records.growth,
            repeated: records.repeated,
            step,
        });
        self.waiting.push_back(Waiting { shard, upto: records.upto, turn, bytes, records, messages });
    }

    /// All that was submitted until the end of this turn is durable; `now` is the present one.
    pub(crate) fn durable_turn(&self, now: u64) -> u64 {
        let durable = self.waiting.front().map_or(now, |first| first.turn.saturating_sub(1));
        self.failed_after.map_or(durable, |last| last.min(durable))
    }

    /// One step of the committer; false if it had nothing to do. If the machine stops in it, nobody hears of what it did.
    pub(crate) fn step(&mut self, now: Time) -> bool {
        let outcomes = self.committer.step(now.0);
        if self.disk.is_stopped() {
            return false;
        }
        let did = !outcomes.is_empty() || self.committer.wants_step();
        for outcome in outcomes {
            self.take(outcome);
        }
        self.look_after_room();
        did
    }

    fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Durable { writer, upto, place, .. } => {
                let known = |waiting: &Waiting| waiting.shard == writer && waiting.upto == upto;
                let index = self.waiting.iter().position(known);
                if let Some(Waiting { bytes, records, messages, .. }) =
                    index.and_then(|index| self.waiting.remove(index))
                {
                    self.waiting_bytes -= bytes;
                    messages.iter().for_each(|(at, bytes)| self.places.put(place + u64::from(*at), bytes));
                    records.placed(place);
                    self.told[usize::from(writer)].push_back(Told::Durable(upto));
                }
            }
            Outcome::Checkpoint { number, order } => {
                let order = match order {
                    sori_store::CheckpointOrder::Begin => CheckpointOrder::Begin,
                    sori_store::CheckpointOrder::Pass => CheckpointOrder::Pass,
                };
                self.tell_all(&Told::Checkpoint(number, order));
            }
            Outcome::State(state) => {
                self.is_stuck = false;
                self.tell_all(&Told::State(match state {
                    State::Ok => StoreState::Ok,
                    State::Full => StoreState::Full,
                    State::Failed { .. } => StoreState::Failed,
                }));
                if matches!(state, State::Failed { .. }) {
                    self.failed_after = Some(self.durable_turn(self.last_turn));
                }
                self.state = state;
            }
            Outcome::Cleaned { .. } | Outcome::Unreadable(_) => {}
        }
    }

    /// As a program does it that does not want too much to wait.
    fn look_after_room(&mut self) {
        let is_stuck = match self.is_stuck {
            false => self.committer.waits_for_room() && self.waiting_bytes > WAITING_BYTES_MAX,
            true => self.waiting_bytes > WAITING_BYTES_MAX / 2,
        };
        if self.state == State::Full && is_stuck != self.is_stuck {
            self.is_stuck = is_stuck;
            self.tell_all(&Told::State(if is_stuck { StoreState::Stuck } else { StoreState::Full }));
        }
    }

    fn tell_all(&mut self, told: &Told) {
        self.told.iter_mut().for_each(|queue| queue.push_back(told.clone()));
    }

    /// How much a shard has not been told yet.
    pub(crate) fn untold(&self, shard: u16) -> usize {
        self.told[usize::from(shard)].len() + self.found[usize::from(shard)].len()
    }

    /// Some shard has not heard yet how the store is.
    pub(crate) fn has_news(&self) -> bool {
        self.told.iter().flatten().any(|told| matches!(told, Told::State(_)))
    }

    pub(crate) fn next_told(&mut self, shard: u16) -> Option<Told> {
        self.told[usize::from(shard)].pop_front()
    }

    pub(crate) fn next_found(&mut self, shard: u16) -> Option<Box<Fetch>> {
        self.found[usize::from(shard)].pop_front()
    }

    pub(crate) fn want(&mut self, shard: u16, fetch: Box<Fetch>) {
        self.wanted.push((shard, fetch));
    }

    /// The message at a place, which must be the one that was put there.
    pub(crate) fn read_at(&self, place: u64) -> Option<Vec<u8>> {
        let bytes = self.reader.read(place).ok()?;
        self.places.read(place, &bytes);
        Some(bytes)
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    pub(crate) fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// Reads what one of the shards wants.
    pub(crate) fn read(&mut self, which: usize) {
        if which >= self.wanted.len() {
            return;
        }
        let (shard, mut fetch) = self.wanted.remove(which);
        fetch.found = fetch.places.iter().map(|place| self.read_at(*place)).collect();
        if !self.disk.is_stopped() {
            self.found[usize::from(shard)].push_back(fetch);
        }
    }

    /// Bytes of all records that were handed over.
    pub(crate) fn submitted_bytes(&self) -> usize {
        self.submitted_bytes
    }

    /// Does all that there is to do; false if nothing came of it.
    pub(crate) fn work(&mut self, now: Time) -> bool {
        self.fence();
        let is_due = self.committer.next_due(now.0).is_some_and(|due| due <= now.0);
        let mut did = (is_due || self.committer.wants_step()) && self.step(now);
        while !self.wanted.is_empty() {
            self.read(0);
            did = true;
        }
        did && !self.disk.is_stopped()
    }

    /// Has all that was submitted written with the next step though nobody waits for it.
    pub(crate) fn fence(&mut self) {
        if !self.waiting.is_empty() {
            self.committer.submit(Piece { is_awaited: true, ..Piece::default() });
        }
    }
}

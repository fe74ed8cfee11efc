//! Writers that keep messages in a store as a broker does, and know what must be there after a crash.
//!
//! Each piece begins with its number in the order of submission. So what is found after a crash says itself how far the log goes,
//! and must be exactly what the pieces up to there made.

use crate::chance::Chance;
use sori_store::{
    CheckpointOrder, Committer, Disk, MemoryDisk, OpenError, Options, Outcome, Piece, Reader, State, Step,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The writers, their store, and what they have done in all lives of the store.
pub(crate) struct Keeper {
    pub(crate) disk: Arc<MemoryDisk>,
    pub(crate) options: Options,
    pub(crate) committer: Committer,
    pub(crate) writers: Vec<Writer>,
    pub(crate) state: State,
    pub(crate) now: u64,
    /// What each piece did, by its number.
    history: Vec<Vec<Change>>,
    /// All pieces up to this number are durable.
    pub(crate) durable: u64,
    next_id: u64,
    pub(crate) cleaned_segments: u32,
    pub(crate) moved_bytes: u64,
    /// How often a checkpoint says of a message where it is: once for each who is owed it.
    pub(crate) names_each: usize,
    /// How many messages a piece names for a checkpoint.
    pub(crate) named_at_once: usize,
}

#[derive(Default)]
pub(crate) struct Writer {
    /// Messages and where they stand, if that is known.
    pub(crate) live: BTreeMap<u64, Option<u64>>,
    /// What was submitted and is not durable: the number and the messages in it.
    in_flight: VecDeque<(u64, Vec<u64>)>,
    /// The checkpoint, and messages which it has not heard of.
    walk: Option<(u64, Vec<u64>)>,
    pass: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Add(u64),
    Drop(u64),
}

/// What replay makes of the records.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) live: BTreeMap<u64, u64>,
    /// Those that stand in what was replayed.
    written: BTreeSet<u64>,
}

impl Found {
    pub(crate) fn apply(&mut self, base: u64, bytes: &[u8]) -> Result<(), String> {
        let mut at = 0;
        let number = |at: usize| -> Result<u64, String> {
            Ok(u64::from_le_bytes(bytes.get(at..at + 8).ok_or("cut off")?.try_into().expect("eight bytes")))
        };
        while at < bytes.len() {
            let (tag, value) = (bytes[at], number(at + 1)?);
            at += 9;
            match tag {
                0 => self.number = value,
                1 => {
                    self.live.insert(value, base + at as u64);
                    self.written.insert(value);
                    at += 8 + (number(at)? & 0xffff_ffff) as usize;
                }
                2 => drop(self.live.remove(&value)),
                3 => {
                    self.live.insert(value, number(at)?);
                    at += 8;
                }
                _ => return Err(format!("tag {tag}")),
            }
        }
        Ok(())
    }
}

impl Keeper {
    pub(crate) fn new(options: Options, writers: u16) -> Keeper {
        Keeper::on(MemoryDisk::new(), options, writers)
    }

    pub(crate) fn on(disk: MemoryDisk, options: Options, writers: u16) -> Keeper {
        let disk = Arc::new(disk);
        let (committer, _) = open(&disk, &options, writers).expect("a new store");
        Keeper {
            disk,
            options,
            committer,
            writers: (0..writers).map(|_| Writer::default()).collect(),
            state: State::Ok,
            now: 0,
            history: vec![Vec::new()],
            durable: 0,
            next_id: 1,
            cleaned_segments: 0,
            moved_bytes: 0,
            names_each: 1,
            named_at_once: 7,
        }
    }

    /// Submits a piece of a writer: it adds messages of these lengths, drops some of its own, and goes on with a checkpoint.
    pub(crate) fn submit(&mut self, writer: usize, lengths: &[usize], drops: usize, is_awaited: bool) {
        let number = self.history.len() as u64;
        let reader = self.committer.reader();
        let mut piece = Piece { writer: writer as u16, upto: number, is_awaited, ..Piece::default() };
        let (mut changes, mut added) = (Vec::new(), Vec::new());
        put(&mut piece.bytes, 0, number);
        let writer = &mut self.writers[writer];
        for length in lengths {
            let id = self.next_id << 20 | *length as u64;
            self.next_id += 1;
            put(&mut piece.bytes, 1, id);
            piece.blobs.push(piece.bytes.len() as u32);
            piece.bytes.extend_from_slice(&(*length as u32).to_le_bytes());
            piece.bytes.extend_from_slice(&[0; 4]);
            piece.bytes.extend_from_slice(&content(id));
            writer.live.insert(id, None);
            piece.growth += NAME_BYTES * self.names_each as i64;
            changes.push(Change::Add(id));
            added.push(id);
        }
        for _ in 0..drops {
            let Some((id, place)) = writer.live.iter().find(|(_, place)| place.is_some()) else { break };
            let (id, place) = (*id, place.expect("it stands somewhere"));
            writer.live.remove(&id);
            reader.forget(place, id & 0xf_ffff);
            put(&mut piece.bytes, 2, id);
            piece.growth -= NAME_BYTES * self.names_each as i64;
            changes.push(Change::Drop(id));
        }
        let before = piece.bytes.len();
        piece.step =
            writer.go_on(&reader, &mut piece.bytes, &mut piece.references, (self.named_at_once, self.names_each));
        piece.repeated = (piece.bytes.len() - before) as u32;
        writer.in_flight.push_back((number, added));
        self.history.push(changes);
        self.committer.submit(piece);
    }

    /// Submits a piece that holds something which is not worth keeping for long.
    pub(crate) fn submit_note(&mut self, writer: usize, length: usize, is_awaited: bool) {
        let number = self.history.len() as u64;
        let mut piece = Piece { writer: writer as u16, upto: number, is_awaited, ..Piece::default() };
        (0..length.div_ceil(9)).for_each(|_| put(&mut piece.bytes, 0, number));
        self.writers[writer].in_flight.push_back((number, Vec::new()));
        self.history.push(Vec::new());
        self.committer.submit(piece);
    }

    /// Every second message of the first writer is another one's from now on.
    pub(crate) fn share_every_second(&mut self) {
        let all = std::mem::take(&mut self.writers[0].live);
        for (at, (id, place)) in all.into_iter().enumerate() {
            self.writers[at % 2].live.insert(id, place);
        }
    }

    pub(crate) fn live_count(&self) -> u64 {
        self.writers.iter().map(|writer| writer.live.len() as u64).sum()
    }

    /// Submits a piece that says of messages where they stand, as far as the writer knows.
    pub(crate) fn submit_names(&mut self, writer: usize, messages: &BTreeMap<u64, u64>) {
        let number = self.history.len() as u64;
        let mut piece = Piece { writer: writer as u16, upto: number, is_awaited: true, ..Piece::default() };
        put(&mut piece.bytes, 0, number);
        for (id, place) in messages {
            name(&mut piece.bytes, &mut piece.references, *id, *place);
        }
        self.writers[writer].in_flight.push_back((number, Vec::new()));
        self.history.push(Vec::new());
        self.committer.submit(piece);
    }

    pub(crate) fn step(&mut self) {
        for outcome in self.committer.step(self.now) {
            self.hear(outcome);
        }
    }

    /// Steps until there is nothing to do, and lets the writers finish a checkpoint if one runs.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.now += 1;
            while self.committer.wants_step() {
                self.step();
            }
            let busy: Vec<usize> = (0..self.writers.len()).filter(|at| self.writers[*at].is_busy()).collect();
            if busy.is_empty() {
                return;
            }
            for writer in busy {
                self.submit(writer, &[], 0, true);
            }
        }
        panic!("the checkpoint never ends: {:?}", self.committer.figures());
    }

    /// Closes the store. What it says is heard; it is to be opened again.
    pub(crate) fn close(&mut self) {
        let (other, _) = open(&Arc::new(MemoryDisk::new()), &self.options, 1).expect("a new store");
        let committer = std::mem::replace(&mut self.committer, other);
        committer.close().into_iter().for_each(|outcome| self.hear(outcome));
    }

    pub(crate) fn hear(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Durable { writer, upto, place, blobs, .. } => {
                let writer = &mut self.writers[usize::from(writer)];
                let (number, added) = writer.in_flight.pop_front().expect("it was submitted");
                assert_eq!(number, upto, "in the order in which they were submitted");
                assert_eq!(added.len(), blobs.len());
                for (id, blob) in added.into_iter().zip(blobs) {
                    if let Some(known) = writer.live.get_mut(&id) {
                        *known = Some(place + u64::from(blob));
                    }
                }
                assert!(upto == 0 || upto > self.durable, "in the order in which they were submitted");
                self.durable = self.durable.max(upto);
            }
            Outcome::Checkpoint { number, order: CheckpointOrder::Begin } => {
                for writer in &mut self.writers {
                    let placed = writer.live.iter().filter(|(_, place)| place.is_some());
                    writer.walk = Some((number, placed.map(|(id, _)| *id).collect()));
                }
            }
            Outcome::Checkpoint { number, order: CheckpointOrder::Pass } => {
                self.writers.iter_mut().for_each(|writer| writer.pass = Some(number));
            }
            Outcome::State(state) => self.state = state,
            Outcome::Cleaned { segments, bytes_moved, .. } => {
                self.cleaned_segments += segments;
                self.moved_bytes += bytes_moved;
            }
            Outcome::Unreadable(error) => panic!("{error}"),
        }
    }

    /// What must be there if the log goes as far as the piece with this number.
    fn expected(&self, number: u64) -> Vec<u64> {
        let mut live = BTreeSet::new();
        for change in self.history[..=number as usize].iter().flatten() {
            match change {
                Change::Add(id) => drop(live.insert(*id)),
                Change::Drop(id) => drop(live.remove(id)),
            }
        }
        live.into_iter().collect()
    }

    /// Goes on with what is left on a disk. All that was told durable must be there, and nothing that was not submitted.
    pub(crate) fn reopen(&mut self, disk: MemoryDisk, durable: u64) -> Result<(), OpenError> {
        self.disk = Arc::new(disk);
        let (mut committer, found) = open(&self.disk, &self.options, self.writers.len() as u16)?;
        committer.note_replayed(
            found.live.iter().filter(|(id, _)| found.written.contains(id)).map(|(id, _)| id & 0xf_ffff).sum(),
        );
        assert!(found.number >= durable, "piece {durable} was durable, but the log ends with {}", found.number);
        let ids: Vec<u64> = found.live.keys().copied().collect();
        assert_eq!(ids, self.expected(found.number), "what the pieces up to {} made", found.number);
        check_content(&committer.reader(), &found.live);
        self.history.truncate(found.number as usize + 1);
        self.durable = found.number;
        self.committer = committer;
        self.state = State::Ok;
        // A broker gives each session to some writer; here all goes to the first.
        self.writers.iter_mut().for_each(|writer| *writer = Writer::default());
        self.writers[0].live = found.live.into_iter().map(|(id, place)| (id, Some(place))).collect();
        self.tell_growth();
        Ok(())
    }

    /// After a restart the store has to learn how much there is to be repeated.
    fn tell_growth(&mut self) {
        let growth = NAME_BYTES * (self.names_each as u64 * self.live_count()) as i64;
        self.committer.submit(Piece { growth, ..Piece::default() });
        self.writers[0].in_flight.push_back((0, Vec::new()));
    }

    /// All messages can be read where they are said to be.
    pub(crate) fn check_live(&self) {
        for writer in &self.writers {
            let placed = writer.live.iter().filter_map(|(id, place)| Some((*id, (*place)?))).collect();
            check_content(&self.committer.reader(), &placed);
        }
    }

    pub(crate) fn submitted(&self) -> u64 {
        self.history.len() as u64 - 1
    }

    pub(crate) fn live_bytes(&self) -> u64 {
        self.writers.iter().flat_map(|writer| writer.live.keys()).map(|id| id & 0xf_ffff).sum()
    }

    /// A turn of some writer with whatever comes.
    pub(crate) fn random_turn(&mut self, chance: &mut Chance) {
        let writer = chance.below(self.writers.len() as u64) as usize;
        let lengths: Vec<usize> = (0..chance.below(4)).map(|_| random_length(chance)).collect();
        let drops = chance.below(5) as usize;
        self.submit(writer, &lengths, drops, !chance.one_in(3));
        if !chance.one_in(3) {
            self.now += chance.below(60);
            self.step();
        }
    }
}

impl Writer {
    pub(crate) fn is_busy(&self) -> bool {
        self.walk.is_some() || self.pass.is_some()
    }

    /// Tells a few messages for the checkpoint.
    fn go_on(
        &mut self,
        reader: &Reader,
        bytes: &mut Vec<u8>,
        references: &mut Vec<u32>,
        (at_once, names_each): (usize, usize),
    ) -> Option<Step> {
        if let Some((number, left)) = &mut self.walk {
            let number = *number;
            for id in left.split_off(left.len().saturating_sub(at_once)) {
                if let Some(Some(place)) = self.live.get_mut(&id) {
                    *place = reader.current(*place);
                    (0..names_each).for_each(|_| name(bytes, references, id, *place));
                }
            }
            if left.is_empty() {
                self.walk = None;
                return Some(Step::Walked(number));
            }
            return None;
        }
        self.pass.take().map(Step::Passed)
    }
}

pub(crate) fn open(disk: &Arc<MemoryDisk>, options: &Options, writers: u16) -> Result<(Committer, Found), OpenError> {
    let mut found = Found::default();
    let dynamic: Arc<dyn Disk> = Arc::<MemoryDisk>::clone(disk);
    let committer =
        Committer::open(dynamic, options.clone(), writers, &mut |base, bytes| Ok(found.apply(base, bytes)?))?;
    Ok((committer, found))
}

pub(crate) fn check_content(reader: &Reader, live: &BTreeMap<u64, u64>) {
    for (id, place) in live {
        let bytes = reader.read(*place).unwrap_or_else(|error| panic!("message {id}: {error}"));
        assert!(bytes == content(*id), "message {id} has other bytes than it was given");
    }
}

/// The bytes of a message. Its length stands in its id.
pub(crate) fn content(id: u64) -> Vec<u8> {
    (0..id & 0xf_ffff).map(|at| (id >> 20).wrapping_mul(31).wrapping_add(at * 7) as u8).collect()
}

/// How many bytes [`name`] puts.
const NAME_BYTES: i64 = 17;

/// The message stands at this place. The store knows whether that is still so.
fn name(bytes: &mut Vec<u8>, references: &mut Vec<u32>, id: u64, place: u64) {
    put(bytes, 3, id);
    references.push(bytes.len() as u32);
    bytes.extend_from_slice(&place.to_le_bytes());
}

fn put(bytes: &mut Vec<u8>, tag: u8, value: u64) {
    bytes.push(tag);
    bytes.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn random_length(chance: &mut Chance) -> usize {
    match chance.below(20) {
        0 => 0,
        1 => 3000 + chance.below(6000) as usize,
        _ => chance.below(200) as usize,
    }
}

//! A whole store written anew, without a broker: by one shard and one committer on one thread.
//!
//! It is how a store is made as small as it can be: a checkpoint of everything, and then cleaning until nothing is left to
//! clean.

use crate::space::LockedSpace;
use crate::startup::RunError;
use crate::store::opening;
use crate::store::portion;
use crate::store::running::ReaderPlaces;
use crate::worker::Clock;
use sori_broker::{Effect, OpenAccess, Records, Recovered, Settings, Shard, ShardId, Space, StoreState, Time};
pub use sori_store::Figures;
use sori_store::{Committer, Options, Outcome, Reader, State};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

/// So many steps in a row that tell nothing and write nothing mean that something is wrong.
const SILENT_STEPS_MAX: u64 = 10_000;
/// And one more for so many bytes of the store: measuring looks at 16 blobs or the rest of a segment in a step, both of which are longer.
const BYTES_PER_SILENT_STEP: u64 = 64;

/// Makes the store at `path` as small as it can be. How it was before, and how it is then.
///
/// # Errors
/// It cannot be opened or written; it is whole nevertheless.
pub fn compact(path: &Path) -> Result<(Figures, Figures), RunError> {
    let now = Clock::start().now();
    let opened = opening::open_at(path, Options::default(), 1);
    let opened = opened.map_err(|error| opening::refused_beside(path, &error))?;
    let before = opened.committer.figures();
    let after = Rewriting::new(opened.committer, opened.recovered, now).run()?;
    Ok((before, after))
}

struct Rewriting {
    committer: Committer,
    reader: Reader,
    shard: Shard,
    now: Time,
    /// What has been submitted and is not durable yet.
    unsettled: VecDeque<Records>,
    silent_steps_max: u64,
}

impl Rewriting {
    fn new(committer: Committer, recovered: Recovered, now: Time) -> Rewriting {
        let reader = committer.reader();
        let space = LockedSpace::new(1).with_places(Arc::new(ReaderPlaces(reader.clone())));
        let portions = portion::portions(recovered, &reader, 1, &space.memory(ShardId(0)));
        let space: Arc<dyn Space> = Arc::new(space);
        let settings = Arc::new(Settings { keeps_records: true, clients_max: None, ..Settings::default() });
        let seed = RandomState::new().hash_one(0);
        let mut shard = Shard::new(ShardId(0), 1, settings, space, Arc::new(OpenAccess), seed, now);
        for portion in portions {
            portion.begin(ShardId(0), &mut shard);
            portion.restore(&mut shard, now);
        }
        Rewriting { committer, reader, shard, now, unsettled: VecDeque::new(), silent_steps_max: SILENT_STEPS_MAX }
    }

    fn run(mut self) -> Result<Figures, RunError> {
        let begun = self.committer.figures();
        let silent_max = self.silent_steps_max + begun.disk_bytes / BYTES_PER_SILENT_STEP;
        self.committer.request_checkpoint();
        let (mut silent, mut bytes_written) = (0, begun.bytes_written);
        while self.committer.figures().checkpoints == begun.checkpoints || self.committer.wants_step() {
            self.turn();
            let outcomes = self.committer.step(self.now.0);
            let figures = self.committer.figures();
            let is_silent = outcomes.is_empty() && figures.bytes_written == bytes_written;
            silent = if is_silent { silent + 1 } else { 0 };
            bytes_written = figures.bytes_written;
            if silent > silent_max {
                return Err(RunError::new(
                    "The store does not come to an end with its checkpoint; please report this.",
                ));
            }
            outcomes.into_iter().try_for_each(|outcome| self.hear(outcome))?;
        }
        let figures = self.committer.figures();
        self.committer.close();
        Ok(figures)
    }

    fn turn(&mut self) {
        if self.shard.next_deadline().is_some_and(|due| due <= self.now) {
            self.shard.tick(self.now);
        }
        while let Some(effect) = self.shard.next_effect() {
            if let Effect::Fetch(mut fetch) = effect {
                fetch.found = fetch.places.iter().map(|&place| self.reader.read(place).ok()).collect();
                self.shard.fetched(self.now, *fetch);
            }
        }
        while let Some(mut records) = self.shard.take_records() {
            self.committer.submit(super::committing::piece(ShardId(0), &mut records));
            self.unsettled.push_back(records);
        }
        while self.shard.next_mail().is_some() {}
        self.shard.mail_posted();
    }

    fn hear(&mut self, outcome: Outcome) -> Result<(), RunError> {
        match outcome {
            Outcome::Durable { upto, place, .. } => {
                self.unsettled.pop_front().expect("it was submitted").placed(place);
                self.shard.durable(self.now, upto);
            }
            Outcome::Checkpoint { number, order } => {
                self.shard.checkpoint(self.now, number, super::committing::ordered(order));
            }
            Outcome::State(State::Ok) => self.shard.set_store(self.now, StoreState::Ok),
            Outcome::State(State::Full) => return Err(RunError::new("There is no room left on the disk.")),
            Outcome::State(State::Failed { text }) => {
                return Err(RunError::new(format!("The store has failed: {text}.")));
            }
            Outcome::Unreadable(error) => return Err(RunError::new(format!("{error}.")).of_damage()),
            Outcome::Cleaned { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::opening::Reading;
    use sori_broker::{MemoryUse, PlainMessage, RecordsWriter};
    use sori_mqtt::QoS;
    use sori_store::{MemoryDisk, Piece};

    const SEGMENTS: u64 = 60;

    /// With a retained message in each segment, and one that has been replaced.
    fn store() -> Arc<MemoryDisk> {
        let disk = Arc::new(MemoryDisk::new());
        let mut committer = open(&disk, 1).committer;
        let mut records = RecordsWriter::new();
        for upto in 1..=SEGMENTS {
            for payload in [b"old".to_vec(), vec![b'x'; 40]] {
                let topic = format!("t/{upto}");
                let message = records.message(&message(&topic, payload));
                records.retained(message, &topic, None);
            }
            let records = records.take();
            let (bytes, blobs) = (records.bytes, records.blobs);
            committer.submit(Piece { upto, is_awaited: true, bytes, blobs, ..Piece::default() });
            committer.step(0);
        }
        committer.close();
        disk
    }

    fn message(topic: &str, payload: Vec<u8>) -> PlainMessage {
        let (topic, properties) = (topic.to_owned(), Vec::new());
        PlainMessage { topic, payload, properties, qos: QoS::AtLeastOnce, retain: true, expires: Time::NEVER }
    }

    fn open(disk: &Arc<MemoryDisk>, writers: u16) -> opening::Opened {
        let mut reading = Reading::new(&**disk);
        let options = Options { segment_bytes: 1, reserve_bytes: 0, ..Options::default() };
        let disk: Arc<dyn sori_store::Disk> = Arc::clone(disk) as _;
        let committer = Committer::open(disk, options, writers, &mut |place, bytes| reading.apply(place, bytes));
        opening::Opened { committer: committer.expect("it is whole"), recovered: reading.into_recovered() }
    }

    fn rewriting(disk: &Arc<MemoryDisk>, writers: u16) -> Rewriting {
        let opening::Opened { committer, recovered } = open(disk, writers);
        Rewriting { silent_steps_max: SEGMENTS / 4, ..Rewriting::new(committer, recovered, Time(1)) }
    }

    #[test]
    fn a_large_store_may_be_measured_for_as_long_as_it_takes() {
        let disk = store();
        let after = rewriting(&disk, 1).run().expect("it comes to an end");
        assert_eq!(after.checkpoints, 1);
        assert!(after.segments_removed > SEGMENTS / 2, "{after:?}");
        let opening::Opened { committer, mut recovered } = open(&disk, 1);
        recovered.finish(&MemoryUse::default(), &mut |place| committer.reader().read(place).ok());
        assert_eq!(recovered.take_retained().len() as u64, SEGMENTS);
    }

    #[test]
    fn a_checkpoint_that_nobody_goes_on_with_is_given_up() {
        // The second of two writers is not there.
        let error = rewriting(&store(), 2).run().expect_err("it does not come to an end");
        assert!(error.to_string().contains("does not come to an end"), "{error}");
    }
}

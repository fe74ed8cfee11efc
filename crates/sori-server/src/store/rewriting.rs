//! A whole store written anew, without a broker: by one committer on one thread.
//!
//! It is how a store is made as small as it can be: a checkpoint of everything, and then cleaning until nothing is left to
//! clean. What the records add up to stays as it is; nothing falls due meanwhile, and no setting of a broker applies.

use crate::startup::RunError;
use crate::store::committing::piece;
use crate::store::opening;
use crate::worker::Clock;
use sori_broker::{Records, RecordsStep, Recovered, Rewriter, ShardId};
pub use sori_store::Figures;
use sori_store::{CheckpointOrder, Committer, Options, Outcome, State};
use std::path::Path;

/// So many steps in a row that tell nothing and write nothing mean that something is wrong.
const SILENT_STEPS_MAX: u64 = 10_000;
/// And one more for so many bytes of the store: measuring looks at 16 blobs or the rest of a segment in a step, both of which are longer.
const BYTES_PER_SILENT_STEP: u64 = 64;

/// Makes the store at `path` as small as it can be. How it was before, and how it is then.
///
/// # Errors
/// It cannot be opened or written; it is whole nevertheless.
pub fn compact(path: &Path) -> Result<(Figures, Figures), RunError> {
    let opened = opening::open_at(path, Options::default(), 1);
    let opened = opened.map_err(|error| opening::refused_beside(path, &error))?;
    let before = opened.committer.figures();
    let after = Rewriting::new(opened.committer, opened.recovered, Clock::start().now().0).run()?;
    Ok((before, after))
}

struct Rewriting {
    committer: Committer,
    rewriter: Rewriter,
    /// The checkpoint for which everything is being written down.
    walking: Option<u64>,
    /// How many pieces have been submitted.
    upto: u64,
    /// For the committer alone. Nothing of it is written.
    now_millis: u64,
    silent_steps_max: u64,
}

impl Rewriting {
    fn new(committer: Committer, recovered: Recovered, now_millis: u64) -> Rewriting {
        let rewriter = recovered.rewrite();
        Rewriting { committer, rewriter, walking: None, upto: 0, now_millis, silent_steps_max: SILENT_STEPS_MAX }
    }

    fn run(mut self) -> Result<Figures, RunError> {
        let begun = self.committer.figures();
        let silent_max = self.silent_steps_max + begun.disk_bytes / BYTES_PER_SILENT_STEP;
        while let Some(records) = self.rewriter.next_name() {
            self.submit(records);
            self.step()?;
        }
        self.committer.request_checkpoint();
        let (mut silent, mut bytes_written) = (0, begun.bytes_written);
        while self.committer.figures().checkpoints == begun.checkpoints || self.committer.wants_step() {
            self.walk();
            let is_told = self.step()?;
            let figures = self.committer.figures();
            let is_silent = !is_told && figures.bytes_written == bytes_written;
            silent = if is_silent { silent + 1 } else { 0 };
            bytes_written = figures.bytes_written;
            if silent > silent_max {
                return Err(RunError::new(
                    "The store does not come to an end with its checkpoint; please report this.",
                ));
            }
        }
        let figures = self.committer.figures();
        self.committer.close();
        Ok(figures)
    }

    /// Writes down the next part, or says that this was all.
    fn walk(&mut self) {
        let Some(number) = self.walking else { return };
        match self.rewriter.next_piece() {
            Some(records) => self.submit(records),
            None => {
                self.walking = None;
                self.take_step(RecordsStep::Walked(number));
            }
        }
    }

    fn take_step(&mut self, step: RecordsStep) {
        let mut records = Records::default();
        (records.step, records.is_awaited) = (Some(step), true);
        self.submit(records);
    }

    fn submit(&mut self, mut records: Records) {
        self.upto += 1;
        records.upto = self.upto;
        self.committer.submit(piece(ShardId(0), &mut records));
    }

    /// One step of the committer. True: it told something.
    fn step(&mut self) -> Result<bool, RunError> {
        let outcomes = self.committer.step(self.now_millis);
        let is_told = !outcomes.is_empty();
        outcomes.into_iter().try_for_each(|outcome| self.hear(outcome))?;
        Ok(is_told)
    }

    fn hear(&mut self, outcome: Outcome) -> Result<(), RunError> {
        match outcome {
            Outcome::Checkpoint { number, order: CheckpointOrder::Begin } => self.walking = Some(number),
            Outcome::Checkpoint { number, order: CheckpointOrder::Pass } => self.take_step(RecordsStep::Passed(number)),
            Outcome::State(State::Full) => return Err(RunError::new("There is no room left on the disk.")),
            Outcome::State(State::Failed { text }) => {
                return Err(RunError::new(format!("The store has failed: {text}.")));
            }
            Outcome::Unreadable(error) => return Err(RunError::new(format!("{error}.")).of_damage()),
            Outcome::Durable { .. } | Outcome::State(State::Ok) | Outcome::Cleaned { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::opening::Reading;
    use sori_broker::{MemoryUse, PlainMessage, RecordsWriter, Time};
    use sori_mqtt::QoS;
    use sori_store::{MemoryDisk, Piece};
    use std::sync::Arc;

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
        Rewriting { silent_steps_max: SEGMENTS / 4, ..Rewriting::new(committer, recovered, 1) }
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

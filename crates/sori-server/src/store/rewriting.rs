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

/// Steps without any outcome after which something must be wrong.
const IDLE_STEPS_MAX: u32 = 10_000;

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
        Rewriting { committer, reader, shard, now, unsettled: VecDeque::new() }
    }

    fn run(mut self) -> Result<Figures, RunError> {
        let before = self.committer.figures().checkpoints;
        self.committer.request_checkpoint();
        let mut idle = 0;
        while self.committer.figures().checkpoints == before || self.committer.wants_step() {
            self.turn();
            let outcomes = self.committer.step(self.now.0);
            idle = if outcomes.is_empty() { idle + 1 } else { 0 };
            if idle > IDLE_STEPS_MAX {
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
            Outcome::Unreadable(error) => return Err(RunError::new(format!("{error}."))),
            Outcome::Cleaned { .. } => {}
        }
        Ok(())
    }
}

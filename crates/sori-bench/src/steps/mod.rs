//! The steps of the hot path, one by one, each as a small function that always does the same.
//!
//! `sori-bench steps` says what one takes in time, `sori-bench instructions` in instructions.

mod choosing;
mod codec;
mod connecting;
mod mail;
mod matching;
mod queue;
mod retained;
mod store;
mod traffic;

use std::io;

use crate::feed::Counting;

/// One step of the hot path.
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    /// Most of a round is something else: a time would tell of that.
    pub is_only_counted: bool,
    prepare: fn() -> io::Result<Prepared>,
}

/// A step, ready to be done again and again.
pub struct Prepared {
    /// Operations of one round.
    pub operations: u64,
    /// Rounds until every buffer has its size and every cache what it will have.
    pub warm_up: u32,
    /// Rounds that are counted.
    pub rounds: u32,
    round: Box<dyn FnMut(Counting)>,
}

impl Prepared {
    fn new(operations: u64, round: impl FnMut(Counting) + 'static) -> Prepared {
        Prepared { operations, warm_up: 3, rounds: 20, round: Box::new(round) }
    }

    /// A round that is large enough to stand for many.
    fn large(operations: u64, round: impl FnMut(Counting) + 'static) -> Prepared {
        Prepared { rounds: 2, ..Prepared::new(operations, round) }
    }

    /// Does one round.
    pub fn round(&mut self, counting: Counting) {
        (self.round)(counting);
    }
}

impl Step {
    const fn new(name: &'static str, operation: &'static str, prepare: fn() -> io::Result<Prepared>) -> Step {
        Step { name, operation, is_only_counted: false, prepare }
    }

    const fn only_counted(self) -> Step {
        Step { is_only_counted: true, ..self }
    }

    /// Makes everything that it needs, and does it until it is warm.
    ///
    /// # Errors
    /// The machine's.
    pub fn prepare(&self) -> io::Result<Prepared> {
        let mut prepared = (self.prepare)()?;
        for _ in 0..prepared.warm_up {
            prepared.round(Counting::No);
        }
        Ok(prepared)
    }
}

/// Those that only help to choose a constant: nobody holds them to a number.
pub fn choosing() -> impl Iterator<Item = &'static Step> {
    choosing::STEPS.iter()
}

/// All other steps.
pub fn all() -> impl Iterator<Item = &'static Step> {
    let tables = [&codec::STEPS[..], &traffic::STEPS, &mail::STEPS, &matching::STEPS, &retained::STEPS, &queue::STEPS];
    tables.into_iter().flatten().chain(&connecting::STEPS).chain(&store::STEPS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Each checks itself that every message arrives.
    #[test]
    fn every_step_can_be_done_and_has_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        for step in all().chain(choosing()) {
            assert!(names.insert(step.name), "{} twice", step.name);
            step.prepare().expect("the machine has what it needs").round(Counting::Yes);
        }
    }
}

//! How the times in records become those of another run. A shard counts time from the start of its run on, and records it so; what
//! the wall clock says may change meanwhile: it is set, or nobody knew the time at the start.
//!
//! ```text
//!   run          numbers of messages    the wall clock was ahead by, at last
//!   first        1 to 50                0
//!   second       51 to 80               86,400,000 ms: it was set after the start
//!   third        from 81 on             0
//! ```
//!
//! When the third run begins, all times of the two others are moved by a day: what was to happen in an hour happens in an hour.

use crate::recorder::count_of;
use crate::time::Time;
use alloc::vec::Vec;

/// Runs that are told apart. With more, the oldest count as if their clocks had been right.
const RUNS_MAX: usize = 256;

/// By how much the times of messages of earlier runs are to be moved. Nothing, where clocks were right.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// By count, ascending.
    runs: Vec<Run>,
}

#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Run {
    /// Its messages have higher counts.
    pub(crate) after: u64,
    /// Milliseconds by which the wall clock was ahead of the shards' time at last.
    pub(crate) ahead: i64,
}

impl Clocks {
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(crate) fn set(&mut self, run: Run) {
        match self.runs.binary_search_by_key(&run.after, |run| run.after) {
            Ok(at) => self.runs[at] = run,
            Err(at) => self.runs.insert(at, run),
        }
        let excess = self.runs.len().saturating_sub(RUNS_MAX);
        self.runs.drain(..excess);
    }

    /// A run begins; the numbers up to `counter` have been used.
    pub(crate) fn begin_run(&mut self, counter: u64) {
        if let Some(unused) = self.runs.pop_if(|run| run.after >= counter) {
            // That run gave out no number of its own, but what was there before has seen its clock set.
            match self.runs.last_mut() {
                Some(run) => run.ahead = run.ahead.saturating_add(unused.ahead),
                None => self.set(Run { after: 0, ahead: unused.ahead }),
            }
        }
        if !self.runs.is_empty() {
            self.set(Run { after: counter, ahead: 0 });
        }
        if self.runs.iter().all(|run| run.ahead == 0) {
            self.runs.clear();
        }
    }

    /// The time that stands in the message with this number, as one of this run. It moves as the sessions' times did, with the clock
    /// of its own run and of all that came later.
    pub(crate) fn moved(&self, number: u64, time: Time) -> Time {
        let count = count_of(number);
        let own = self.runs.partition_point(|run| run.after < count).saturating_sub(1);
        let later = self.runs.get(own..).unwrap_or_default();
        move_by(time, later.iter().fold(0, |sum: i64, run| sum.saturating_add(run.ahead)))
    }
}

/// [`Time::NEVER`] stays.
pub(crate) fn move_by(time: Time, millis: i64) -> Time {
    if time == Time::NEVER { time } else { Time(time.0.saturating_add_signed(millis).min(Time::NEVER.0 - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_move_with_the_clock_of_their_own_run_and_all_later_ones() {
        let mut clocks = Clocks::default();
        clocks.begin_run(7);
        assert!(clocks.runs().is_empty(), "nothing is noted of clocks that were right");
        for (after, ahead) in [(50, 100), (80, -30), (50, 1000)] {
            clocks.set(Run { after, ahead });
        }
        clocks.begin_run(90);
        for (count, moved) in [(1, 970), (50, 970), (51, 970), (80, 970), (81, -30), (90, -30), (91, 0)] {
            let number = 3 << 48 | count;
            assert_eq!(clocks.moved(number, Time(5000)), Time((5000 + moved) as u64), "{count}");
            assert_eq!(clocks.moved(number, Time::NEVER), Time::NEVER);
        }
    }

    #[test]
    fn a_run_without_messages_moves_those_of_before() {
        let mut clocks = Clocks::default();
        clocks.set(Run { after: 5, ahead: 100 });
        clocks.begin_run(5);
        clocks.set(Run { after: 5, ahead: 20 });
        clocks.begin_run(5);
        assert_eq!((clocks.moved(5, Time(0)), clocks.moved(6, Time(0))), (Time(120), Time(0)));
        clocks.set(Run { after: 5, ahead: -120 });
        clocks.begin_run(5);
        assert!(clocks.runs().is_empty());
    }

    #[test]
    fn a_clock_that_is_set_at_every_start_takes_no_more_and_more_room() {
        let mut clocks = Clocks::default();
        for run in 1..1000 {
            clocks.set(Run { after: run * 10, ahead: 1 });
        }
        assert_eq!((clocks.runs().len(), clocks.moved(1, Time(0))), (RUNS_MAX, Time(RUNS_MAX as u64)));
    }
}

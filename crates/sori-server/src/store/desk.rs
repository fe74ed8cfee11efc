//! Where the workers hand in what is to be written, and the committer takes all of it at once.
//!
//! The order of handing in is the order of the store. The committer is woken by the first thing that somebody waits
//! for; what nobody waits for does not wake it while it has set itself a time at which it looks anyway.

use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, PoisonError};
use std::time::Duration;

/// What nobody waits for may wait so long for a committer that has set itself a time.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

/// When this part of the limit has been reached, loud clients wait. Measured on two processors while a client is sent a million
/// retained messages: others wait 12 ms (p99.9) without it and 4 ms with it; a million retained messages are stored in 1.5 s, not 1.0.
/// An eighth costs 2.7 s, a half leaves 8 ms.
const FILLING: usize = 4;

/// The things handed in, and how much they are.
#[derive(Debug)]
pub(crate) struct Desk<T> {
    pile: Mutex<Pile<T>>,
    something_came: Condvar,
    /// Bytes handed in and not yet settled.
    bytes: AtomicUsize,
    /// So many may be.
    limit: usize,
    /// There is no use in waiting until there are fewer.
    is_limitless: AtomicBool,
}

#[derive(Debug)]
struct Pile<T> {
    things: Vec<T>,
    sleep: Sleep,
    is_closed: bool,
}

/// What the committer is doing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Sleep {
    /// It is at work, and will look before it sleeps.
    Not,
    /// It wakes by itself, soon.
    Timed,
    /// It does not wake by itself, or late.
    Untimed,
}

impl<T> Desk<T> {
    /// A desk at which more than `limit` bytes are too many.
    pub(crate) fn new(limit: usize) -> Desk<T> {
        let pile = Pile { things: Vec::new(), sleep: Sleep::Not, is_closed: false };
        Desk {
            pile: Mutex::new(pile),
            something_came: Condvar::new(),
            bytes: AtomicUsize::new(0),
            limit,
            is_limitless: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pile<T>> {
        self.pile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one who takes is not asleep.
    #[cfg(test)]
    pub(crate) fn is_at_work(&self) -> bool {
        self.lock().sleep == Sleep::Not
    }

    /// Hand something in that counts as so many bytes until it is settled. Something `urgent` is taken at once.
    pub(crate) fn hand_in(&self, thing: T, bytes: usize, urgent: bool) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let wakes = {
            let mut pile = self.lock();
            pile.things.push(thing);
            let wakes = pile.sleep == Sleep::Untimed || (urgent && pile.sleep == Sleep::Timed);
            if wakes {
                pile.sleep = Sleep::Not;
            }
            wakes
        };
        if wakes {
            self.something_came.notify_one();
        }
    }

    /// Everything that is there, put behind what is in `into`. When nothing is, wait for something that is urgent, but
    /// `patience` at most. False: the desk is closed, and this was the last.
    pub(crate) fn take(&self, patience: Option<Duration>, into: &mut Vec<T>) -> bool {
        let mut pile = self.lock();
        if pile.things.is_empty() && !pile.is_closed && patience != Some(Duration::ZERO) {
            match patience {
                None => {
                    pile.sleep = Sleep::Untimed;
                    while pile.sleep != Sleep::Not {
                        pile = self.something_came.wait(pile).unwrap_or_else(PoisonError::into_inner);
                    }
                }
                Some(patience) => {
                    pile.sleep = if patience <= SHORT { Sleep::Timed } else { Sleep::Untimed };
                    // If it wakes too early, there is nothing to be done, and it sleeps again.
                    let woken = self.something_came.wait_timeout(pile, patience);
                    pile = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
            pile.sleep = Sleep::Not;
        }
        into.append(&mut pile.things);
        !pile.is_closed
    }

    /// So many of the bytes handed in need not be waited for any more. True: they were too many until now, and are not
    /// any longer.
    pub(crate) fn settle(&self, bytes: usize) -> bool {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        before > self.limit && before - bytes <= self.limit
    }

    /// From now on nothing is too much, because it would not become less by waiting; or the limit holds again.
    pub(crate) fn hold_to_limit(&self, holds: bool) {
        self.is_limitless.store(!holds, Ordering::Relaxed);
    }

    /// Do more bytes wait than the limit says, whether or not it holds?
    pub(crate) fn is_beyond_limit(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.limit
    }

    /// Is that over, for a while: do at most half as many wait?
    pub(crate) fn is_light(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) <= self.limit / 2
    }

    /// Are so many bytes waiting that no more should be produced?
    pub(crate) fn is_overfull(&self) -> bool {
        self.is_beyond_limit() && !self.is_limitless.load(Ordering::Relaxed)
    }

    /// Do so many bytes wait that who brings most of them should wait for a moment, before all have to?
    pub(crate) fn is_filling(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.limit / FILLING && !self.is_limitless.load(Ordering::Relaxed)
    }

    /// Nothing more is going to be handed in.
    pub(crate) fn close(&self) {
        let mut pile = self.lock();
        pile.is_closed = true;
        pile.sleep = Sleep::Not;
        drop(pile);
        self.something_came.notify_one();
    }
}

//! Who waits, and who is to be woken once the driver is no longer borrowed.

use std::collections::BTreeMap;
use std::task::{Context, Waker};

/// Wakers to be called when nothing is locked any more: what they wake may come back at once.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }

    /// Whoever waits there, if somebody does.
    pub(crate) fn take_from(&mut self, slot: &mut Option<Waker>) {
        if let Some(waker) = slot.take() {
            self.push(waker);
        }
    }

    /// Remembers who is to be woken. One that is replaced is woken, too: it may be another task's, and wakers are not to be
    /// dropped while something is locked.
    pub(crate) fn park(&mut self, slot: &mut Option<Waker>, cx: &Context<'_>) {
        if slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return;
        }
        if let Some(replaced) = slot.replace(cx.waker().clone()) {
            self.push(replaced);
        }
    }

    pub(crate) fn wake(self) {
        if let Some(waker) = self.first {
            waker.wake();
        }
        for waker in self.more {
            waker.wake();
        }
    }
}

/// Several who wait for the same thing. Each has a place, and gives it back.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    next: u64,
    waiting: BTreeMap<u64, Option<Waker>>,
}

impl Waiters {
    pub(crate) fn join(&mut self) -> u64 {
        self.next += 1;
        self.waiting.insert(self.next, None);
        self.next
    }

    pub(crate) fn park(&mut self, place: u64, cx: &Context<'_>, wakes: &mut Wakes) {
        if let Some(slot) = self.waiting.get_mut(&place) {
            wakes.park(slot, cx);
        }
    }

    pub(crate) fn leave(&mut self, place: u64, wakes: &mut Wakes) {
        if let Some(mut slot) = self.waiting.remove(&place) {
            wakes.take_from(&mut slot);
        }
    }

    pub(crate) fn wake_all(&mut self, wakes: &mut Wakes) {
        for slot in self.waiting.values_mut() {
            wakes.take_from(slot);
        }
    }
}

//! Those who watch how the connection does.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

use crate::state::State;

use super::Driver;
use super::wakes::Wakes;

/// Changes that wait for somebody who does not look; then the oldest are forgotten.
const CHANGES_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Watchers {
    state: State,
    next: u64,
    watchers: BTreeMap<u64, Watcher>,
}

#[derive(Debug, Default)]
struct Watcher {
    changes: VecDeque<State>,
    waker: Option<Waker>,
}

impl Default for Watchers {
    fn default() -> Self {
        Self { state: State::Connecting { attempts: 0 }, next: 0, watchers: BTreeMap::new() }
    }
}

impl Watchers {
    pub(super) fn tell(&mut self, state: State, wakes: &mut Wakes) {
        for watcher in self.watchers.values_mut() {
            if watcher.changes.len() == CHANGES_MAX {
                watcher.changes.pop_front();
            }
            watcher.changes.push_back(state.clone());
            wakes.take_from(&mut watcher.waker);
        }
        if !matches!(state, State::SubscriptionLost { .. }) {
            self.state = state;
        }
    }
}

impl Driver {
    /// How the connection does.
    pub(crate) fn state(&self) -> State {
        self.watchers.state.clone()
    }

    /// Begins to watch: the present state comes first.
    pub(crate) fn watch(&mut self) -> u64 {
        let watchers = &mut self.watchers;
        watchers.next += 1;
        let watcher = Watcher { changes: VecDeque::from([watchers.state.clone()]), waker: None };
        watchers.watchers.insert(watchers.next, watcher);
        watchers.next
    }

    pub(crate) fn poll_state(&mut self, id: u64, cx: &Context<'_>) -> Poll<Option<State>> {
        let Some(watcher) = self.watchers.watchers.get_mut(&id) else { return Poll::Ready(None) };
        if let Some(state) = watcher.changes.pop_front() {
            return Poll::Ready(Some(state));
        }
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        self.wakes.park(&mut watcher.waker, cx);
        Poll::Pending
    }

    pub(crate) fn unwatch(&mut self, id: u64) {
        if let Some(mut watcher) = self.watchers.watchers.remove(&id) {
            self.wakes.take_from(&mut watcher.waker);
        }
    }
}

//! What the broker put where in the store, to be compared with what it reads there later.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The messages by place, as they were handed over. It outlives the broker, as the store does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Rc<RefCell<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_place: BTreeMap<u64, Box<[u8]>>,
    faults: Vec<String>,
}

impl Places {
    pub(crate) fn put(&self, place: u64, bytes: &[u8]) {
        self.0.borrow_mut().by_place.insert(place, Box::from(bytes));
    }

    /// The store says that what was at `old` is at `new`.
    pub(crate) fn moved(&self, old: u64, new: u64) {
        let mut known = self.0.borrow_mut();
        if let Some(bytes) = known.by_place.get(&old).cloned().filter(|_| old != new) {
            known.by_place.insert(new, bytes);
        }
    }

    /// The store says that this is at `place`.
    pub(crate) fn read(&self, place: u64, bytes: &[u8]) {
        let mut known = self.0.borrow_mut();
        let fault = match known.by_place.get(&place) {
            Some(right) if **right == *bytes => return,
            Some(_) => format!("another message than was put there was read from {place:#x}"),
            None => return,
        };
        known.faults.push(fault);
    }

    pub(crate) fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().faults)
    }
}

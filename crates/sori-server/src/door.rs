//! Whether connections are let in just now. While a configuration is being taken over they wait at the door, so that whoever
//! comes after the signal is under the new rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clones are the same door. It is open until somebody closes it.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<AtomicBool>);

/// The door is closed as long as this lives.
pub(crate) struct Closed(Door);

impl Door {
    pub(crate) fn close(&self) -> Closed {
        self.0.store(true, Ordering::Release);
        Closed(self.clone())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_closed_as_long_as_somebody_keeps_it_so() {
        let door = Door::default();
        assert!(!door.is_closed());
        let closed = door.clone().close();
        assert!(door.is_closed());
        drop(closed);
        assert!(!door.is_closed());
    }
}

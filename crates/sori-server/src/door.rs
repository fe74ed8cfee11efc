//! Whether connections are let in just now. While a configuration is being taken over they wait at the door, so that whoever
//! comes after the signal is under the new rules.
//!
//! Between the signal and the moment when the broker gets round to it connections may come, so the signal itself closes the
//! door, in its handler. And the handler runs before anybody looks at the door: `kill(2)` returns as soon as the signal is
//! pending, but all threads of the program block it ([`block_reload_signal`]) except the one that accepts connections
//! ([`Door::hear`]). The kernel therefore gives it to that thread, at the latest at the end of the system call that accepts the
//! sender's next connection. Each broker of a process has a door of its own, which the signal closes and that broker opens.

use nix::sys::signal::{SigSet, Signal};
use signal_hook::SigId;
use signal_hook::consts::SIGHUP;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Clones are the same door. It is open until somebody closes it.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<Leaf>);

#[derive(Default)]
struct Leaf {
    /// The configuration is being taken over.
    is_closed: AtomicBool,
    /// A signal has come, and nobody has begun to do what it asks for.
    is_called: Arc<AtomicBool>,
    /// Who sets that; `None`: signals are of no account.
    handler: Option<SigId>,
}

impl Drop for Leaf {
    fn drop(&mut self) {
        if let Some(handler) = self.handler {
            signal_hook::low_level::unregister(handler);
        }
    }
}

/// The door is closed as long as this lives.
pub(crate) struct Closed(Door);

impl Door {
    /// A door that SIGHUP closes. Whoever is told of signals must be registered later than this: told earlier, it might
    /// open the door before the handler closes it.
    pub(crate) fn of_reload_signal() -> io::Result<Door> {
        let is_called = Arc::new(AtomicBool::new(false));
        let handler = Some(signal_hook::flag::register(SIGHUP, Arc::clone(&is_called))?);
        Ok(Door(Arc::new(Leaf { is_closed: AtomicBool::new(false), is_called, handler })))
    }

    /// The calling thread is the one that the signal comes to, before it looks at the door.
    pub(crate) fn hear(&self) -> io::Result<()> {
        if self.0.handler.is_some() {
            reload_signal().thread_unblock()?;
        }
        Ok(())
    }

    /// Do what the signal has asked for. One that comes from now on is another one.
    pub(crate) fn close(&self) -> Closed {
        self.0.is_closed.store(true, Ordering::SeqCst);
        self.0.is_called.store(false, Ordering::SeqCst);
        Closed(self.clone())
    }

    pub(crate) fn is_closed(&self) -> bool {
        // In this order: what ends the call has closed the door before.
        self.0.is_called.load(Ordering::SeqCst) || self.0.is_closed.load(Ordering::SeqCst)
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.0.is_closed.store(false, Ordering::SeqCst);
    }
}

/// This thread and all that it starts from now on leave SIGHUP to the one that hears it.
pub(crate) fn block_reload_signal() -> io::Result<()> {
    Ok(reload_signal().thread_block()?)
}

fn reload_signal() -> SigSet {
    SigSet::from(Signal::SIGHUP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    #[test]
    fn it_is_closed_as_long_as_somebody_keeps_it_so() {
        let door = Door::default();
        assert!(!door.is_closed());
        let closed = door.clone().close();
        assert!(door.is_closed());
        drop(closed);
        assert!(!door.is_closed());
    }

    /// Each broker of a process has its own, and opens it by itself.
    #[test]
    fn a_signal_closes_all_doors_until_each_has_done_what_it_asks_for() {
        let doors = [(); 2].map(|()| Door::of_reload_signal().expect("it can be handled"));
        let deaf = Door::default();
        // It comes to this thread before the call returns.
        raise(Signal::SIGHUP).expect("it is handled");
        assert!(doors.iter().all(Door::is_closed) && !deaf.is_closed());
        let [first, second] = &doors;
        drop(first.close());
        assert!(!first.is_closed() && second.is_closed());
        // One more while the first is being done is not forgotten.
        let closed = second.close();
        raise(Signal::SIGHUP).expect("it is handled");
        drop(closed);
        assert!(second.is_closed());
        drop(second.close());
        assert!(!second.is_closed());
    }
}

//! What came before a connection is heard before it.
//!
//! A program that publishes, closes its connection and opens another one counts on it that the broker has heard the message,
//! and that the first connection is gone, when the second one is let in. But the two may be with two workers. So whoever is
//! accepted waits until every worker has read what had come to it by then. A worker that sleeps while nothing waits to be
//! read has done so already, which one system call tells for all of them ([`knock`]). Any other one is knocked at: it is
//! given a [`Knock`], which it drops when it has looked once more and has handled what it found.

use crate::inbox::{Inbox, Letter};
use mio::{Poll, Registry, Waker};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// A worker as others see it from outside.
pub(crate) struct Ear {
    /// Readable when something waits to be read by the worker.
    readiness: Registry,
    /// The worker has taken something out of there, and is not done with it.
    is_busy: AtomicBool,
}

/// Held by workers that still have to look. Whoever knocked is woken when the last of them is done.
pub(crate) struct Knock {
    waker: Arc<Waker>,
}

impl Drop for Knock {
    fn drop(&mut self) {
        // It fails only when the waiting thread has been woken and has not looked yet, or is no more.
        let _ = self.waker.wake();
    }
}

impl Ear {
    /// That of the worker which waits here.
    pub(crate) fn new(poll: &Poll) -> io::Result<Ear> {
        Ok(Ear { readiness: poll.registry().try_clone()?, is_busy: AtomicBool::new(true) })
    }

    /// The worker is about to wait, and has nothing left of what it took.
    pub(crate) fn rest(&self) {
        self.is_busy.store(false, Ordering::Release);
    }

    /// The worker has waited.
    pub(crate) fn listen(&self) {
        self.is_busy.store(true, Ordering::Release);
    }
}

/// Knock at all workers that may not have heard yet what came until now. As long as what is returned can be upgraded, some
/// of them have not; `waker` tells when that is over.
pub(crate) fn knock(ears: &[Arc<Ear>], inboxes: &[Arc<Inbox>], waker: &Arc<Waker>) -> Weak<Knock> {
    let mut waiting: Vec<_> = ears.iter().map(|ear| PollFd::new(ear.readiness.as_fd(), PollFlags::POLLIN)).collect();
    // When the system does not tell, all are knocked at.
    let is_told = nix::poll::poll(&mut waiting, PollTimeout::ZERO).is_ok();
    // In this order: what a worker took out before the look above has made it busy before the look below.
    let has_heard = |ear: &Ear, waiting: &PollFd<'_>| {
        is_told && waiting.any() == Some(false) && !ear.is_busy.load(Ordering::Acquire)
    };
    let workers = inboxes.iter().zip(ears.iter().zip(&waiting));
    let late: Vec<_> = workers.filter(|(_, (ear, waiting))| !has_heard(ear, waiting)).map(|(inbox, _)| inbox).collect();
    if late.is_empty() {
        return Weak::new();
    }
    let knock = Arc::new(Knock { waker: Arc::clone(waker) });
    for inbox in late {
        inbox.post(Letter::Knock(Arc::clone(&knock)));
    }
    Arc::downgrade(&knock)
}

//! Waiting in a thread that has no runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    /// One for each thread, so that the same thread is known again and nothing is allocated for each wait.
    static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
}

/// Waits in this thread until `future` is done.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = WAKER.with(Waker::clone);
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Waits in this thread until `poll` is ready, or the time has come.
pub(crate) fn block_on_until<R>(until: Option<Instant>, mut poll: impl FnMut(&Context<'_>) -> Poll<R>) -> Option<R> {
    let waker = WAKER.with(Waker::clone);
    let cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = poll(&cx) {
            return Some(result);
        }
        match until {
            None => thread::park(),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        }
    }
}

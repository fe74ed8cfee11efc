//! Threads that compute hashes, so that those which carry messages do not. What waits for them has a bound, and who comes
//! when it is reached is told so.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Something to compute.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Jobs that may wait. Each may hold a password of 64 KiB.
const WAITING_MAX: usize = 1024;

/// Threads and what waits for them. Dropping it ends the threads; what waits is forgotten.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    threads_max: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Threads that do nothing.
    idle: usize,
    is_closed: bool,
}

/// No more may wait, or there is no thread.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Busy;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        while !state.is_closed {
            match state.waiting.pop_front() {
                Some(job) => {
                    drop(state);
                    job();
                    state = self.lock();
                }
                None => {
                    state.idle += 1;
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.idle -= 1;
                }
            }
        }
    }
}

impl Pool {
    /// No thread runs before there is something to do.
    pub(crate) fn new(threads_max: usize) -> Pool {
        Pool { shared: Arc::default(), threads: Mutex::default(), threads_max: threads_max.max(1) }
    }

    /// Let a thread do this.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Busy> {
        let mut state = self.shared.lock();
        if state.waiting.len() >= WAITING_MAX {
            return Err(Busy);
        }
        state.waiting.push_back(job);
        let is_short = state.waiting.len() > state.idle;
        drop(state);
        self.shared.changed.notify_one();
        if is_short && !self.add_thread() {
            self.shared.lock().waiting.clear();
            return Err(Busy);
        }
        Ok(())
    }

    /// One thread more, unless there are enough. Gives whether there is any.
    fn add_thread(&self) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() < self.threads_max {
            let shared = Arc::clone(&self.shared);
            let name = format!("passwords {}", threads.len());
            // The system may refuse a thread; those that there are go on.
            if let Ok(thread) = std::thread::Builder::new().name(name).spawn(move || shared.work()) {
                threads.push(thread);
            }
        }
        !threads.is_empty()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.is_closed = true;
            state.waiting.clear();
        }
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A panic has been told by the panic message.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn jobs_are_done_by_as_many_threads_as_there_may_be() {
        let pool = Pool::new(2);
        let (arrive, arrived) = channel();
        let (mut gates, mut count) = (Vec::new(), 0);
        for _ in 0..3 {
            let (open, gate) = channel::<()>();
            gates.push(open);
            let arrive = arrive.clone();
            let job = move || {
                arrive.send(std::thread::current().name().map(str::to_owned)).expect("somebody waits");
                // It fails when the gate is dropped, which opens it as well.
                let _ = gate.recv();
            };
            pool.submit(Box::new(job)).expect("there is room");
        }
        let mut names: Vec<_> = (0..2).map(|_| arrived.recv().expect("two run at once")).collect();
        names.sort();
        assert_eq!(names, [Some("passwords 0".to_owned()), Some("passwords 1".to_owned())]);
        assert!(arrived.try_recv().is_err(), "the third waits");
        gates.clear();
        count += arrived.iter().take(1).count();
        assert_eq!(count, 1);
    }

    #[test]
    fn too_much_is_refused_and_forgotten_at_the_end() {
        let pool = Pool::new(1);
        let (open, gate) = channel::<()>();
        let (arrive, arrived) = channel();
        pool.submit(Box::new(move || {
            arrive.send(()).expect("somebody waits");
            let _ = gate.recv();
        }))
        .expect("there is room");
        arrived.recv().expect("the thread has taken it");
        let (done, is_done) = channel();
        for _ in 0..WAITING_MAX {
            let done = done.clone();
            pool.submit(Box::new(move || done.send(()).unwrap_or(()))).expect("there is room");
        }
        assert_eq!(pool.submit(Box::new(|| ())), Err(Busy));
        drop(done);
        // The pool ends when its first job does; the others are not begun.
        let ended = std::thread::spawn(move || drop(pool));
        while !ended.is_finished() && is_done.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
            std::thread::yield_now();
        }
        drop(open);
        ended.join().expect("ends");
        assert_eq!(is_done.iter().count(), 0);
    }
}

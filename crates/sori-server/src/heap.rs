//! Memory that has become free goes back to the system, some seconds after much of it has.
//!
//! A thread looks now and then at what sessions, messages and subscriptions take together. When that has fallen to half of the
//! most that it was, and does not rise any more, all that is free is given back at once: workers who allocate meanwhile wait,
//! so it is done when what made the difference is over, and not for little.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the thread looks.
const PERIOD: Duration = Duration::from_secs(5);
/// Less than this is not worth the trouble.
const BYTES_MIN: u64 = 32 * 1024 * 1024;

/// What has been seen so far.
#[derive(Debug, Default)]
struct Sight {
    /// The most since memory was given back last.
    most: u64,
    /// At the last look.
    last: u64,
}

impl Sight {
    /// So many bytes are in use. Should what is free go back to the system?
    fn look(&mut self, bytes: u64) -> bool {
        let is_falling_still = bytes < self.last / 2;
        let is_rising = bytes > self.last + self.last / 8;
        self.last = bytes;
        self.most = self.most.max(bytes);
        let is_much = self.most - bytes >= BYTES_MIN && bytes <= self.most / 2;
        let is_time = is_much && !is_falling_still && !is_rising;
        if is_time {
            self.most = bytes;
        }
        is_time
    }
}

/// The thread, which ends with this value.
#[derive(Debug)]
pub(crate) struct HeapWatch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HeapWatch {
    /// Looks at the number of bytes that `used` gives.
    pub(crate) fn start(used: impl Fn() -> u64 + Send + 'static) -> std::io::Result<HeapWatch> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name(String::from("heap"));
        let thread = thread.spawn(move || watch(&stopped, used))?;
        Ok(HeapWatch { stop: Some(stop), thread: Some(thread) })
    }
}

fn watch(stopped: &Receiver<()>, used: impl Fn() -> u64) {
    let mut sight = Sight::default();
    while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        if sight.look(used()) {
            // That nothing could be given back is nothing that anybody could mend.
            let _ = sori_heap::give_back();
        }
    }
}

impl Drop for HeapWatch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been told by the panic message.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn looked(bytes: &[u64]) -> Vec<bool> {
        let mut sight = Sight::default();
        bytes.iter().map(|bytes| sight.look(bytes * MB)).collect()
    }

    #[test]
    fn memory_goes_back_once_when_much_of_it_has_become_free_and_stays_so() {
        assert_eq!(looked(&[100, 200, 10, 10, 10]), [false, false, false, true, false]);
        assert_eq!(looked(&[200, 90, 40, 30, 30]), [false, false, false, true, false]);
        assert_eq!(looked(&[200, 10, 150, 190]), [false; 4]);
        // Little of it, or only a part.
        assert_eq!(looked(&[30, 0, 0, 0]), [false; 4]);
        assert_eq!(looked(&[200, 110, 110]), [false; 3]);
        // And once more when it is so again.
        assert_eq!(looked(&[200, 10, 10, 200, 20, 20]), [false, false, true, false, false, true]);
    }
}

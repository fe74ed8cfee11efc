//! Memory that has become free goes back to the system, some seconds after much of it has.
//!
//! A thread looks now and then at what the process occupies, and what sessions, messages and subscriptions take of that. When it
//! is more than twice as much, and that does not change any more, all that is free is given back at once: workers who allocate
//! meanwhile wait, so it is done when what made the difference is over, and not for little.

use crate::companion::Companion;
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the thread looks.
const PERIOD: Duration = Duration::from_secs(5);
/// Less than this is not worth the trouble.
const BYTES_MIN: u64 = 32 * 1024 * 1024;

/// What has been seen so far.
#[derive(Debug, Default)]
struct Sight {
    /// Bytes in use at the last look.
    used: u64,
    /// Bytes that the process had beyond those in use when memory had been given back last: that much is not free.
    held: u64,
}

impl Sight {
    /// So many bytes are in use, and the process has so many. Should what is free go back to the system?
    fn look(&mut self, used: u64, resident: u64) -> bool {
        let is_calm = used.abs_diff(self.used) <= self.used / 8;
        self.used = used;
        let is_much = resident >= used.saturating_mul(2).max(used + BYTES_MIN);
        let is_more = resident.saturating_sub(used) >= self.held + BYTES_MIN;
        is_calm && is_much && is_more
    }

    /// What was free has gone back, and the process still has so many bytes.
    fn given_back(&mut self, resident: u64) {
        self.held = resident.saturating_sub(self.used);
    }
}

/// Bytes of memory that the process has; `None` where the system does not say.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// The thread, which ends with this value.
#[derive(Debug)]
pub(crate) struct HeapWatch {
    _thread: Companion<Infallible>,
}

impl HeapWatch {
    /// Looks at the number of bytes that `used` gives.
    pub(crate) fn start(used: impl Fn() -> u64 + Send + 'static) -> std::io::Result<HeapWatch> {
        Ok(HeapWatch { _thread: Companion::start("heap", move |stopped| watch(&stopped, used))? })
    }
}

fn watch(stopped: &Receiver<Infallible>, used: impl Fn() -> u64) {
    let mut sight = Sight::default();
    while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
        let Some(before) = resident() else { return };
        if sight.look(used(), before) {
            sori_system::give_back();
            sight.given_back(resident().unwrap_or(before));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    /// What comes of looks at bytes in use and bytes that the process has; after giving back it has 10 MB more than are in use.
    fn looked(looks: &[(u64, u64)]) -> Vec<bool> {
        let mut sight = Sight::default();
        let mut look = |(used, resident): &(u64, u64)| {
            let is_time = sight.look(used * MB, resident * MB);
            if is_time {
                sight.given_back((used + 10) * MB);
            }
            is_time
        };
        looks.iter().map(&mut look).collect()
    }

    #[test]
    fn memory_goes_back_once_when_much_of_it_has_become_free_and_stays_so() {
        assert_eq!(looked(&[(0, 9), (190, 200), (1, 200), (1, 200), (1, 11)]), [false, false, false, true, false]);
        // It rises or falls.
        assert_eq!(looked(&[(10, 20), (20, 200), (60, 200), (90, 200), (20, 200)]), [false; 5]);
        // Little, or only a part.
        assert_eq!(looked(&[(1, 30), (1, 30), (100, 190), (100, 190)]), [false; 4]);
        // After a part the rest goes as well.
        let steps = [(200, 500), (200, 500), (200, 210), (20, 210), (20, 210), (20, 30)];
        assert_eq!(looked(&steps), [false, true, false, false, true, false]);
        // It is not free though nobody counts it, and that was found out before.
        let mut sight = Sight { used: 0, held: 90 * MB };
        assert_eq!([100, 120, 125].map(|resident| sight.look(0, resident * MB)), [false, false, true]);
    }

    #[test]
    fn the_system_says_how_much_the_process_has() {
        if cfg!(target_os = "linux") {
            assert!(resident().is_some_and(|bytes| bytes > 100_000));
        }
    }
}

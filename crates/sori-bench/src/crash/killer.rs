//! Waits beside the run, and kills the broker at a moment that no client chose.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mio::Waker;

/// The end of one broker.
#[derive(Debug)]
pub(super) enum Death {
    Killed {
        at: Instant,
    },
    /// Nobody killed it.
    ByItself(ExitStatus),
}

/// One running broker.
pub(super) struct Life {
    orders: Sender<()>,
    deaths: Receiver<Death>,
}

const SIGKILL: i32 = 9;
/// How often the thread looks whether the broker still lives.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Life {
    /// The broker is killed after this time, or when told so.
    pub(super) fn begin(child: Child, kill_after: Option<Duration>, waker: &Arc<Waker>) -> Life {
        let (orders, told) = channel();
        let (tells, deaths) = channel();
        let waker = Arc::clone(waker);
        thread::spawn(move || {
            let death = watch(child, kill_after, &told);
            // A run that is over does not listen any more.
            let _ = tells.send(death);
            let _ = waker.wake();
        });
        Life { orders, deaths }
    }

    pub(super) fn kill_now(&self) {
        let _ = self.orders.send(());
    }

    pub(super) fn death(&self) -> Option<Death> {
        self.deaths.try_recv().ok()
    }

    /// Kills it if it lives, and waits for its end.
    pub(super) fn end(&self) {
        self.kill_now();
        let _ = self.deaths.recv_timeout(Duration::from_secs(10));
    }
}

fn watch(mut child: Child, kill_after: Option<Duration>, told: &Receiver<()>) -> Death {
    let until = kill_after.map(|after| Instant::now() + after);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Death::ByItself(status);
        }
        let left = until.map_or(LOOK_EVERY, |until| until.saturating_duration_since(Instant::now()));
        let is_time = match told.recv_timeout(left.min(LOOK_EVERY)) {
            Err(RecvTimeoutError::Timeout) => until.is_some_and(|until| Instant::now() >= until),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        };
        if is_time {
            let at = Instant::now();
            let _ = child.kill();
            return match child.wait() {
                Ok(status) if status.signal() != Some(SIGKILL) => Death::ByItself(status),
                _ => Death::Killed { at },
            };
        }
    }
}

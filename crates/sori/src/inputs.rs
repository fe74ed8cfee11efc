//! What comes from elsewhere than from the broker: signals, and lines of standard input.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use sori_client::Interrupter;

use crate::event::Event;
use crate::failure::{Failure, status};

/// How many lines wait for the owner; beyond it whoever reads them waits.
const LINES_MAX: usize = 16;

/// One line; none at the end.
type Line = Option<io::Result<Vec<u8>>>;

/// What the owner of a session looks at when its waiting was interrupted.
pub(crate) struct Inputs {
    /// The signal that has come, or 0.
    signal: Arc<AtomicI32>,
    lines: Receiver<Line>,
    sender: Sender,
}

/// Where a thread that reads lines reports to.
#[derive(Clone)]
pub(crate) struct Sender {
    lines: SyncSender<Line>,
    interrupter: Interrupter,
}

impl Inputs {
    /// Watches for signals from now on.
    pub(crate) fn new(interrupter: Interrupter) -> Result<Self, Failure> {
        let (sender, lines) = sync_channel(LINES_MAX);
        let signal = watch_signals(interrupter.clone())?;
        Ok(Self { signal, lines, sender: Sender { lines: sender, interrupter } })
    }

    pub(crate) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// What has come.
    pub(crate) fn take(&self) -> Option<Event> {
        match self.signal.swap(0, Ordering::Relaxed) {
            0 => {}
            signal => return Some(Event::Interrupted(signal)),
        }
        self.lines.try_recv().ok().map(Event::Line)
    }
}

impl Sender {
    /// Waits until there is room. False when nobody takes lines any more.
    pub(crate) fn send(&self, line: Line) -> bool {
        let is_taken = self.lines.send(line).is_ok();
        self.interrupter.interrupt();
        is_taken
    }
}

/// The first Ctrl-C (or SIGTERM) is a request, the second one is not.
fn watch_signals(interrupter: Interrupter) -> Result<Arc<AtomicI32>, Failure> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    let first = Arc::new(AtomicI32::new(0));
    let seen = Arc::clone(&first);
    thread::spawn(move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(status::INTERRUPTED.into());
            }
            seen.store(signal, Ordering::Relaxed);
            interrupter.interrupt();
        }
    });
    Ok(first)
}

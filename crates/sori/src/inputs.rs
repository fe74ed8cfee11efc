//! What comes from elsewhere than from the broker: signals, and lines of standard input.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    is_interrupted: Arc<AtomicBool>,
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
        let is_interrupted = watch_signals(interrupter.clone())?;
        Ok(Self { is_interrupted, lines, sender: Sender { lines: sender, interrupter } })
    }

    pub(crate) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// What has come.
    pub(crate) fn take(&self) -> Option<Event> {
        if self.is_interrupted.swap(false, Ordering::Relaxed) {
            return Some(Event::Interrupted);
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
fn watch_signals(interrupter: Interrupter) -> Result<Arc<AtomicBool>, Failure> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_interrupted);
    thread::spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(status::INTERRUPTED.into());
            }
            flag.store(true, Ordering::Relaxed);
            interrupter.interrupt();
        }
    });
    Ok(is_interrupted)
}

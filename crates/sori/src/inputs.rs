//! The threads that wait for what can happen, and send it to the one that decides.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::Failure;
use crate::stream::Stream;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// What the threads report.
pub(crate) enum Input {
    /// With the number of the connection that it came from.
    Received(u64, Vec<u8>),
    /// The connection of this number is gone; with an error or by its regular end.
    Closed(u64, Option<io::Error>),
    /// One line of standard input; none at its end.
    Line(Option<io::Result<Vec<u8>>>),
    /// There is a signal.
    Interrupted,
}

/// The reading thread.
pub(crate) fn read(mut stream: Stream, connection: u64, inputs: &SyncSender<Input>) {
    loop {
        let mut bytes = vec![0; READ_BYTES];
        let input = match stream.read(&mut bytes) {
            Ok(0) => Input::Closed(connection, None),
            Ok(length) => {
                bytes.truncate(length);
                Input::Received(connection, bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Input::Closed(connection, Some(error)),
        };
        let last = matches!(input, Input::Closed(..));
        if inputs.send(input).is_err() || last {
            return;
        }
    }
}

/// The first Ctrl-C (or SIGTERM) is a request, the second one is not.
pub(crate) fn watch_signals(inputs: SyncSender<Input>) -> Result<Arc<AtomicBool>, Failure> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    thread::spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(crate::failure::status::INTERRUPTED.into());
            }
            flag.store(true, Ordering::Relaxed);
            // A full channel wakes the owner as well.
            let _ = inputs.try_send(Input::Interrupted);
        }
    });
    Ok(interrupted)
}

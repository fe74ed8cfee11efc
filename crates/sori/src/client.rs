//! A client session on a blocking TCP connection.
//!
//! Three threads wait for what can happen (bytes, signals, and lines where a command reads them) and send it to one
//! channel; everything is decided and written by the thread that owns the [`Client`].

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use sori_mqtt::client_session::{ClientSession, Event};
use sori_mqtt::{Direction, Disconnect, Properties, ReasonCode};

use crate::connection::ConnectionArguments;
use crate::failure::{Failure, status};
use crate::trace::Trace;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;
/// How many inputs wait for the owner; beyond it the threads wait, and with them the peer.
const INPUTS_MAX: usize = 16;
/// Output is written when nothing more is to be done, or when it is this long.
const OUTPUT_BYTES: usize = 64 * 1024;

/// What the threads report.
pub(crate) enum Input {
    Received(Vec<u8>),
    /// The connection is gone; with an error or by its regular end.
    Closed(Option<io::Error>),
    /// One line of standard input; none at its end.
    Line(Option<io::Result<Vec<u8>>>),
    /// There is a signal.
    Interrupted,
}

/// Why [`Client::wait`] returned.
pub(crate) enum Wake {
    /// There may be events.
    Events,
    Line(Option<io::Result<Vec<u8>>>),
    Interrupted,
    TimedOut,
}

/// A connection that is being made or used.
pub(crate) struct Client {
    pub(crate) session: ClientSession,
    stream: TcpStream,
    peer: SocketAddr,
    inputs: Receiver<Input>,
    sender: SyncSender<Input>,
    interrupted: Arc<AtomicBool>,
    start: Instant,
    traces: Option<(Trace, Trace)>,
}

impl Client {
    /// Opens the connection and sends CONNECT.
    pub(crate) fn connect(arguments: &ConnectionArguments) -> Result<Self, Failure> {
        let mut session = ClientSession::new(arguments.options()?)?;
        let stream = arguments.open()?;
        let peer = stream.peer_addr().map_err(|error| Failure::new(error.to_string()))?;
        let (sender, inputs) = sync_channel(INPUTS_MAX);
        let reader = stream.try_clone().map_err(|error| Failure::new(error.to_string()))?;
        let to_owner = sender.clone();
        thread::spawn(move || read(reader, &to_owner));
        let interrupted = watch_signals(sender.clone())?;
        session.connect(Duration::ZERO)?;
        let trace = |direction| Trace::new(arguments.version(), direction);
        let traces = arguments.debug.then(|| (trace(Direction::ToServer), trace(Direction::ToClient)));
        Ok(Self { session, stream, peer, inputs, sender, interrupted, start: Instant::now(), traces })
    }

    /// Where a thread reports to.
    pub(crate) fn sender(&self) -> SyncSender<Input> {
        self.sender.clone()
    }

    /// Gives every event to `handle`, and writes the last words when one of them is the end.
    pub(crate) fn events(&mut self, mut handle: impl FnMut(Event<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        loop {
            match self.session.poll_event() {
                Ok(Some(event)) => handle(event)?,
                Ok(None) => return Ok(()),
                Err(error) => {
                    // The error says more than a failure of this write could.
                    let _ = self.flush();
                    return Err(error.into());
                }
            }
        }
    }

    /// Waits until there is something to do, at most until `until`. What stands in the output is written before.
    pub(crate) fn wait(&mut self, until: Option<Instant>) -> Result<Wake, Failure> {
        if self.interrupted.swap(false, Ordering::Relaxed) {
            return Ok(Wake::Interrupted);
        }
        if self.session.output().len() >= OUTPUT_BYTES {
            self.flush()?;
        }
        let input = match self.inputs.try_recv() {
            Ok(input) => input,
            Err(TryRecvError::Disconnected) => Input::Closed(None),
            Err(TryRecvError::Empty) => {
                self.flush()?;
                let deadline = self.session.deadline().map(|deadline| self.start + deadline);
                let next = [until, deadline].into_iter().flatten().min();
                match self.receive_until(next) {
                    Ok(input) => input,
                    Err(RecvTimeoutError::Disconnected) => Input::Closed(None),
                    Err(RecvTimeoutError::Timeout) => return self.time_passed(until),
                }
            }
        };
        match input {
            Input::Received(bytes) => {
                if let Some((_, received)) = &mut self.traces {
                    received.bytes(&bytes);
                }
                self.session.receive(self.start.elapsed(), &bytes);
                Ok(Wake::Events)
            }
            Input::Closed(error) => Err(self.closed(error)),
            Input::Line(line) => Ok(Wake::Line(line)),
            Input::Interrupted => Ok(Wake::Events),
        }
    }

    fn receive_until(&self, deadline: Option<Instant>) -> Result<Input, RecvTimeoutError> {
        match deadline {
            Some(deadline) => self.inputs.recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => self.inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn time_passed(&mut self, until: Option<Instant>) -> Result<Wake, Failure> {
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Wake::TimedOut);
        }
        self.session.handle_timeout(self.start.elapsed())?;
        Ok(Wake::Events)
    }

    /// Writes the output.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let output = self.session.output();
        if output.is_empty() {
            return Ok(());
        }
        if let Some((sent, _)) = &mut self.traces {
            sent.bytes(output);
        }
        let (length, result) = (output.len(), self.stream.write_all(output));
        self.session.written(length);
        match result {
            // A broker that closes has often said why: the reading thread reports that and then the end.
            Err(error) if is_end(&error) => Ok(()),
            Err(error) => Err(self.closed(Some(error))),
            Ok(()) => Ok(()),
        }
    }

    fn closed(&self, error: Option<io::Error>) -> Failure {
        let cause = error.map_or(String::new(), |error| format!(": {error}"));
        let message = if self.session.is_connected() {
            format!("the broker at {} closed the connection{cause}", self.peer)
        } else {
            format!(
                "{} closed the connection before it answered{cause}: does it speak this version of MQTT (-V), and is \
                 {} its port for MQTT without TLS?",
                self.peer,
                self.peer.port()
            )
        };
        Failure::new(message).with_status(status::CONNECTION_LOST)
    }

    /// Sends DISCONNECT and what stands before it. A broker that is gone already needs none.
    pub(crate) fn disconnect(&mut self) {
        let disconnect = Disconnect { reason_code: ReasonCode::Success, properties: Properties::EMPTY };
        if self.session.disconnect(&disconnect).is_ok() {
            let _ = self.flush();
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}

/// The reading thread.
fn read(mut stream: TcpStream, inputs: &SyncSender<Input>) {
    loop {
        let mut bytes = vec![0; READ_BYTES];
        let input = match stream.read(&mut bytes) {
            Ok(0) => Input::Closed(None),
            Ok(length) => {
                bytes.truncate(length);
                Input::Received(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Input::Closed(Some(error)),
        };
        let last = matches!(input, Input::Closed(_));
        if inputs.send(input).is_err() || last {
            return;
        }
    }
}

/// The first Ctrl-C (or SIGTERM) is a request, the second one is not.
fn watch_signals(inputs: SyncSender<Input>) -> Result<Arc<AtomicBool>, Failure> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    thread::spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(status::INTERRUPTED.into());
            }
            flag.store(true, Ordering::Relaxed);
            // A full channel wakes the owner as well.
            let _ = inputs.try_send(Input::Interrupted);
        }
    });
    Ok(interrupted)
}

//! A broker in the memory of a test: no sockets, no sleep.
//!
//! ```
//! use std::time::Duration;
//!
//! use sori_client::Publish;
//! use sori_client::test_broker::TestBroker;
//!
//! // The clock of the runtime stands still, and jumps to the next deadline when there is nothing else to do.
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime").block_on(async {
//! let broker = TestBroker::new();
//! let device = broker.client("device").await?;
//! let monitor = broker.client("monitor").await?;
//! let mut statuses = monitor.subscribe("devices/+/status").await?;
//!
//! device.publish(("devices/7/status", "online")).await?;
//! assert_eq!(statuses.next().await.expect("is open").text(), Ok("online"));
//!
//! // The network breaks: the client notices, waits, and comes back, all in no time.
//! broker.cut();
//! device.publish(("devices/7/status", "back")).await?;
//! # Ok::<(), sori_client::Error>(())
//! # }).expect("all is well");
//! ```
//!
//! It is the broker of sori itself, with one thread and no store: sessions, retained messages, wills, shared subscriptions, expiry,
//! MQTT 3.1.1 and 5.0. Everybody may do everything.
//!
//! # Time
//!
//! Its clock is the one of tokio, and so is the client's. In a test with `#[tokio::test(start_paused = true)]` (tokio's feature
//! `test-util`) time does not pass by itself: `tokio::time::sleep` and `advance` move keep-alives, wills, expiry and reconnects as
//! far as you say, at once. With the [blocking client](crate::blocking), which has a thread of its own, time is real.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sori_broker::{
    Cause, ConnectionId, Effect, ListenerSettings, OpenAccess, PlainSpace, Settings, Shard, ShardId, Time,
};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::client::Client;
use crate::error::Error;
use crate::io::{ByteStream, Connect, Connecting};
use crate::options::Options;

/// The broker; clones are the same one.
#[derive(Clone)]
pub struct TestBroker {
    shared: Arc<Shared>,
}

/// The broker's core stays in one thread, which does what it is asked and nothing else; it has no clock.
struct Shared {
    jobs: Mutex<Sender<Job>>,
    started: OnceLock<Instant>,
}

type Job = Box<dyn FnOnce(&mut Inner) + Send>;

struct Inner {
    shard: Shard,
    listener: Arc<ListenerSettings>,
    now: Time,
    is_down: bool,
    pipes: BTreeMap<u64, Pipe>,
    next_pipe: u64,
}

/// One connection, as the client sees it.
struct Pipe {
    connection: ConnectionId,
    /// What the broker has said and the client has not read.
    output: VecDeque<u8>,
    /// The broker has closed it.
    is_closed: bool,
    /// It broke.
    is_cut: bool,
    reader: Option<Waker>,
}

impl Default for TestBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl TestBroker {
    /// A broker without clients and messages.
    #[must_use]
    pub fn new() -> Self {
        let (jobs, to_do) = channel::<Job>();
        std::thread::spawn(move || {
            let mut inner = Inner::new();
            while let Ok(job) = to_do.recv() {
                job(&mut inner);
            }
        });
        Self { shared: Arc::new(Shared { jobs: Mutex::new(jobs), started: OnceLock::new() }) }
    }

    /// Options for a client of this broker, of either kind.
    #[must_use]
    pub fn options(&self) -> Options {
        // The same chance in each run.
        Options::over(self.clone()).seed(1)
    }

    /// A client with this identifier, connected.
    ///
    /// # Errors
    /// The broker [is down](Self::set_down).
    pub async fn client(&self, client_id: &str) -> Result<Client, Error> {
        Client::connect(self.options().client_id(client_id)).await
    }

    /// All connections break, as when a cable is pulled: what was under way is lost, and wills are published.
    pub fn cut(&self) {
        self.with(Inner::cut);
    }

    /// Breaks all connections and refuses new ones, until it is up again. Sessions stay.
    pub fn set_down(&self, is_down: bool) {
        self.with(move |inner| {
            inner.is_down = is_down;
            if is_down {
                inner.cut();
            }
        });
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.with(|inner| inner.pipes.values().filter(|pipe| !pipe.is_closed && !pipe.is_cut).count())
    }

    /// Has the broker's thread do something now, and waits for it.
    fn with<R: Send + 'static>(&self, job: impl FnOnce(&mut Inner) -> R + Send + 'static) -> R {
        let started = *self.shared.started.get_or_init(Instant::now);
        let now = Time(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        let (result, answer) = channel();
        let job: Job = Box::new(move |inner| {
            // Clocks of several runtimes may differ; the broker's goes forward.
            inner.now = inner.now.max(now);
            let _ = result.send(job(inner));
        });
        let sent = self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
        sent.ok().and_then(|()| answer.recv().ok()).expect("the thread ends with the broker")
    }

    fn instant(&self, time: Time) -> Option<Instant> {
        self.shared.started.get()?.checked_add(Duration::from_millis(time.0))
    }
}

impl Inner {
    fn new() -> Self {
        let settings = Arc::new(Settings::default());
        #[allow(clippy::arc_with_non_send_sync)] // The core wants an `Arc`; it stays in its thread.
        let (space, access) = (Arc::new(PlainSpace::default()), Arc::new(OpenAccess));
        Self {
            shard: Shard::new(ShardId(0), 1, settings, space, access, 1, Time(0)),
            listener: Arc::new(ListenerSettings::default()),
            now: Time(0),
            is_down: false,
            pipes: BTreeMap::new(),
            next_pipe: 0,
        }
    }

    /// A new connection; none when the broker is down.
    fn open(&mut self) -> Option<u64> {
        if self.is_down {
            return None;
        }
        let number = self.next_pipe;
        self.next_pipe += 1;
        let connection = self.shard.open(self.now, Arc::clone(&self.listener), &format!("test:{number}"));
        let pipe = Pipe { connection, output: VecDeque::new(), is_closed: false, is_cut: false, reader: None };
        self.pipes.insert(number, pipe);
        self.turn();
        Some(number)
    }

    fn cut(&mut self) {
        for pipe in self.pipes.values_mut().filter(|pipe| !pipe.is_closed && !pipe.is_cut) {
            pipe.is_cut = true;
            pipe.output.clear();
            self.shard.closed(self.now, pipe.connection, Cause::Network("cut".into()));
        }
        self.turn();
    }

    /// The connection of a pipe that is whole.
    fn connection(&self, number: u64) -> Option<ConnectionId> {
        let pipe = self.pipes.get(&number)?;
        (!pipe.is_cut && !pipe.is_closed).then_some(pipe.connection)
    }

    /// Bytes from a client; gives whether its connection is whole.
    fn receive(&mut self, number: u64, bytes: &[u8]) -> bool {
        let Some(connection) = self.connection(number) else { return false };
        self.shard.receive(self.now, connection, bytes);
        self.turn();
        true
    }

    /// Bytes for a client, at most so many; or the next moment at which the broker has something to do.
    fn read(&mut self, number: u64, count_max: usize, waker: Waker) -> Result<io::Result<Vec<u8>>, Option<Time>> {
        let deadline = self.tick();
        let Some(pipe) = self.pipes.get_mut(&number) else { return Ok(Ok(Vec::new())) };
        if pipe.is_cut {
            return Ok(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if !pipe.output.is_empty() {
            let count = pipe.output.len().min(count_max);
            return Ok(Ok(pipe.output.drain(..count).collect()));
        }
        if pipe.is_closed {
            return Ok(Ok(Vec::new()));
        }
        pipe.reader = Some(waker);
        Err(deadline)
    }

    /// A client is gone.
    fn leave(&mut self, number: u64) {
        if let Some(connection) = self.connection(number) {
            self.shard.closed(self.now, connection, Cause::Network("closed".into()));
        }
        self.pipes.remove(&number);
        self.turn();
    }

    /// Takes what the broker has to say and wants done, until there is nothing more.
    fn turn(&mut self) {
        let now = self.now;
        loop {
            let mut is_idle = true;
            while let Some(connection) = self.shard.next_flush() {
                is_idle = false;
                let output: Vec<u8> = self.shard.output(connection).flatten().copied().collect();
                let count = output.len();
                if let Some(pipe) = self.pipes.values_mut().find(|pipe| pipe.connection == connection) {
                    pipe.output.extend(output);
                }
                self.shard.sent(now, connection, count);
            }
            // With one shard there is nobody to write to.
            while self.shard.next_mail().is_some() {}
            self.shard.mail_posted();
            while let Some(effect) = self.shard.next_effect() {
                is_idle = false;
                self.perform(effect);
            }
            if is_idle {
                break;
            }
        }
        // All of them: the next deadline may be another one now, too.
        for pipe in self.pipes.values_mut() {
            if let Some(waker) = pipe.reader.take() {
                waker.wake();
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        let now = self.now;
        match effect {
            Effect::Close(connection) => {
                let last_words: Vec<u8> = self.shard.output(connection).flatten().copied().collect();
                if let Some(pipe) = self.pipes.values_mut().find(|pipe| pipe.connection == connection) {
                    pipe.output.extend(last_words);
                    pipe.is_closed = true;
                }
                self.shard.closed(now, connection, Cause::Network("closed".into()));
            }
            // Every byte is given to the shard as it is written, so nothing waits to be read.
            Effect::Drain { then, .. } | Effect::TakeMail { then } => self.shard.drained(now, then),
            // There is neither a store nor another shard, and nobody reads a log.
            Effect::Fetch(_) | Effect::Move { .. } | Effect::Event(_) => {}
        }
    }

    /// Lets pass what time has passed, and gives the next moment at which something is due.
    fn tick(&mut self) -> Option<Time> {
        if self.shard.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.shard.tick(self.now);
            self.turn();
        }
        self.shard.next_deadline()
    }
}

impl Connect for TestBroker {
    fn connect(&self) -> Connecting<'_> {
        let opened = self.with(Inner::open);
        Box::pin(async move {
            let number = opened.ok_or(io::ErrorKind::ConnectionRefused)?;
            let stream: Box<dyn ByteStream> = Box::new(Stream { broker: self.clone(), number, sleep: None });
            Ok(stream)
        })
    }

    fn name(&self) -> String {
        "the test's broker".into()
    }
}

/// The client's end of a connection.
struct Stream {
    broker: TestBroker,
    number: u64,
    /// Until the broker has something to do without being asked.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl ByteStream for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let (number, count_max, waker) = (self.number, buffer.len(), cx.waker().clone());
            let deadline = match self.broker.with(move |inner| inner.read(number, count_max, waker)) {
                Ok(Ok(bytes)) => {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    return Poll::Ready(Ok(bytes.len()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(deadline) => deadline.and_then(|deadline| self.broker.instant(deadline)),
            };
            let Some(deadline) = deadline else { return Poll::Pending };
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if sleep.deadline() != deadline {
                sleep.as_mut().reset(deadline);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (number, count, bytes) = (self.number, bytes.len(), bytes.to_vec());
        let is_whole = self.broker.with(move |inner| inner.receive(number, &bytes));
        Poll::Ready(if is_whole { Ok(count) } else { Err(io::ErrorKind::BrokenPipe.into()) })
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let number = self.number;
        self.broker.with(move |inner| inner.leave(number));
    }
}

#[cfg(test)]
mod tests;

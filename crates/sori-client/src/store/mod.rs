//! Messages that outlive the program: what was accepted is in a file until its receipt is there, and with it how far it is.
//!
//! The messages that are open are also kept in memory, because a checkpoint writes them anew; so the bound of the store is one of
//! memory, too.

mod book;
mod record;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sori_mqtt::{PacketId, Publish, QoS};
use sori_store::{CheckpointOrder, Committer, Disk, Durability, FileDisk, Outcome, Piece, State, Step};

use crate::error::Error;

use book::Book;

pub(crate) use book::InFlight;

/// A power cut may lose what was accepted in this time, unless [`Store::sync`] is on.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes of messages that the store keeps at most, unless something else is chosen.
const BYTES_MAX: usize = 64 << 20;
/// Files of this size, so that a store of few messages stays small.
const SEGMENT_BYTES: u64 = 8 << 20;
/// Room for what tells that messages are done when there is no other room any more.
const RESERVE_BYTES: u64 = 1 << 20;
/// Files may have several times the bytes of the messages, until a checkpoint has made them smaller.
const FILES_FACTOR: u64 = 4;
/// Writers do not wait for a checkpoint of this store longer than this many steps.
const STEPS_MAX: usize = 1_000;
/// With this bit numbers are those of fences, and not of messages. Nobody waits for the one that is nothing else.
const FENCE: u64 = 1 << 63;

/// Where messages with QoS 1 and 2 wait for their receipts across restarts of the program.
///
/// ```no_run
/// use sori_client::{Options, Store};
///
/// let options = Options::new("mqtt://localhost")?.store(Store::new("/var/lib/thermometer/outbox"));
/// # Ok::<(), sori_client::Error>(())
/// ```
///
/// A message is accepted when it is in the file: then it survives the end of the program, kill -9 included, and the next client with
/// this folder sends it. Messages with QoS 0 are not kept.
///
/// With QoS 2 it is delivered once, if the session is kept, too: the same [client identifier](crate::Options::client_id) and
/// [`clean_start(false)`](crate::Options::clean_start), and the server still has the session
/// ([`session_expiry`](crate::Options::session_expiry), 300 seconds unless something else is chosen). The file then knows which
/// packet identifier each message was sent with and which of them the server has taken over, and the next client goes on there. In
/// a new session all that had no receipt is sent anew, and may come twice.
///
/// When the disk fails, publishing gives an error, and no later message is accepted; the one that got the error may be delivered
/// nevertheless. What was accepted before is still delivered, and may then come twice if the program is killed.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
    bytes_max: usize,
    durability: Durability,
}

impl Store {
    /// A store in this folder, which is made if it is not there. One client at a time can use it.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), bytes_max: BYTES_MAX, durability: Durability::Interval(SYNC_INTERVAL) }
    }

    /// How many bytes of messages it keeps at most; the default is 64 MiB. What happens then is what was
    /// [chosen](crate::WhenFull) for the queue. Its files have up to four times as many, and some MiB.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Whether a message is accepted only when it would survive a power cut. That waits for the disk with each message.
    /// Without it a power cut may lose what was accepted in the last second.
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.durability = if sync { Durability::Always } else { Durability::Interval(SYNC_INTERVAL) };
        self
    }

    pub(crate) fn open(&self) -> Result<Open, Error> {
        let failed = |error: sori_store::OpenError| Error::Store(error.to_string());
        let disk = FileDisk::open(&self.directory).map_err(failed)?;
        self.open_on(Arc::new(disk))
    }

    fn open_on(&self, disk: Arc<dyn Disk>) -> Result<Open, Error> {
        let bytes_max = u64::try_from(self.bytes_max).unwrap_or(u64::MAX);
        let options = sori_store::Options {
            durability: self.durability,
            segment_bytes: SEGMENT_BYTES,
            size_limit: Some(bytes_max.saturating_mul(FILES_FACTOR).saturating_add(4 * SEGMENT_BYTES)),
            reserve_bytes: RESERVE_BYTES,
            ..sori_store::Options::default()
        };
        let mut book = Book::default();
        let mut replay = |_, records: &[u8]| book.replay(records).map_err(Into::into);
        let committer = Committer::open(disk, options, 1, &mut replay)
            .map_err(|error| Error::Store(format!("{}: {error}", self.directory.display())))?;
        Ok(Open { committer, book, fences: 0, owes_fence: false, bytes_max: self.bytes_max, failure: None })
    }
}

/// A store that is open.
pub(crate) struct Open {
    committer: Committer,
    /// The messages that have no receipt.
    book: Book,
    fences: u64,
    /// Something was noted that is to be safe before the output is written.
    owes_fence: bool,
    bytes_max: usize,
    failure: Option<String>,
}

impl Open {
    /// What an earlier program had in flight, in the order in which it was sent.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = InFlight<'_>> {
        self.book.in_flight()
    }

    /// What it had not sent, in the order in which it was accepted.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = (u64, Publish<'_>)> {
        self.book.unsent()
    }

    /// How many messages are open.
    pub(crate) fn len(&self) -> usize {
        self.book.len()
    }

    /// The bytes of these.
    pub(crate) fn bytes(&self) -> usize {
        self.book.bytes()
    }

    /// Whether there is room for this message.
    ///
    /// # Errors
    /// There never will be, or the store has failed.
    pub(crate) fn has_room(&self, publish: &Publish<'_>) -> Result<bool, Error> {
        if let Some(text) = &self.failure {
            return Err(Error::Store(text.clone()));
        }
        let length = record::encoded_len(publish);
        if length > self.bytes_max {
            return Err(Error::TooLargeForQueue(self.bytes_max));
        }
        Ok(self.book.bytes() + length <= self.bytes_max)
    }

    /// Writes all that waits.
    pub(crate) fn close(self) {
        // What could not be written is sent once more by the next program.
        let _ = self.committer.close();
    }

    /// Keeps a message; with the number it is safe.
    pub(crate) fn accept(&mut self, now: Duration, publish: &Publish<'_>) -> Result<u64, Error> {
        let number = self.book.next();
        let record = record::accepted(number, publish);
        self.submit(number, record.clone(), None);
        self.book.accept(number, record);
        let outcome = self.step(now, Some(number));
        if outcome.is_err() {
            // It may be in the file nevertheless, and then comes back: it was not promised that it does not.
            self.done(now, number);
        }
        outcome.map(|()| number)
    }

    /// A message has its receipt.
    pub(crate) fn done(&mut self, now: Duration, number: u64) {
        if self.book.done(number) {
            // Nobody waits: if this is lost, QoS 1 is sent once more, and QoS 2 is released once more.
            self.submit_unawaited(number, record::done(number));
            let _ = self.step(now, None);
        }
    }

    /// A message was given this packet identifier; [`fence`](Self::fence) makes that safe.
    pub(crate) fn sent(&mut self, number: u64, packet_id: PacketId) {
        if let Some(qos) = self.book.sent(number, packet_id) {
            self.submit_unawaited(number, record::sent(number, packet_id));
            // A message with QoS 1 may come twice, so nobody has to wait for this.
            self.owes_fence |= qos == QoS::ExactlyOnce;
        }
    }

    /// The server has taken it over; [`fence`](Self::fence) makes that safe.
    pub(crate) fn released(&mut self, number: u64) {
        if self.book.released(number) {
            self.submit_unawaited(number, record::released(number));
            self.owes_fence = true;
        }
    }

    /// The session is gone.
    pub(crate) fn forget(&mut self) {
        self.book.forget();
        self.submit_unawaited(0, record::forgotten());
        self.owes_fence = true;
    }

    /// Makes safe what was noted.
    pub(crate) fn fence(&mut self, now: Duration) -> Result<(), Error> {
        if !std::mem::take(&mut self.owes_fence) {
            return Ok(());
        }
        self.fences += 1;
        let fence = FENCE | self.fences;
        self.submit(fence, Vec::new(), None);
        self.step(now, Some(fence))
    }

    /// When [`step`](Self::step) is to be called at the latest.
    pub(crate) fn deadline(&self, now: Duration) -> Option<Duration> {
        self.committer.next_due(millis(now)).map(|due| Duration::from_millis(due).max(now))
    }

    /// Writes what waits, does a bit of cleaning; an error if `awaited` is not safe then.
    pub(crate) fn step(&mut self, now: Duration, awaited: Option<u64>) -> Result<(), Error> {
        let mut is_safe = awaited.is_none();
        for _ in 0..STEPS_MAX {
            for outcome in self.committer.step(millis(now)) {
                match outcome {
                    Outcome::Durable { upto, .. } => is_safe |= awaited == Some(upto),
                    Outcome::Checkpoint { number, order: CheckpointOrder::Begin } => self.walk(number),
                    Outcome::Checkpoint { number, order: CheckpointOrder::Pass } => {
                        self.submit(FENCE, Vec::new(), Some(Step::Passed(number)));
                    }
                    Outcome::State(State::Failed { text }) => self.failure = Some(text),
                    Outcome::State(_) | Outcome::Cleaned { .. } | Outcome::Unreadable(_) => {}
                }
            }
            if is_safe || !self.committer.wants_step() {
                break;
            }
        }
        match (&self.failure, is_safe) {
            (_, true) => Ok(()),
            (Some(text), false) => Err(Error::Store(text.clone())),
            (None, false) => {
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                Err(Error::Machine("the message was not kept", Arc::new(full)))
            }
        }
    }

    /// For a checkpoint all that is open is written once more, so that older files can go.
    fn walk(&mut self, number: u64) {
        for bytes in self.book.walk() {
            self.committer.submit(Piece { upto: FENCE, is_awaited: true, bytes, ..Piece::default() });
        }
        self.submit(FENCE, Vec::new(), Some(Step::Walked(number)));
    }

    fn submit(&mut self, upto: u64, bytes: Vec<u8>, step: Option<Step>) {
        self.committer.submit(Piece { upto, is_awaited: true, bytes, step, ..Piece::default() });
    }

    fn submit_unawaited(&mut self, upto: u64, bytes: Vec<u8>) {
        self.committer.submit(Piece { upto, bytes, ..Piece::default() });
    }
}

fn millis(now: Duration) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

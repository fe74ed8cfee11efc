//! Messages that outlive the program: what was accepted is in a file until its receipt is there.
//!
//! Records, in the frames of [`sori_store`]; all numbers little-endian:
//!
//! ```text
//!  accepted  1, number u64, flags u8 (QoS, +4 retain), topic length u32, properties length u32, payload length u32,
//!            topic, properties, payload
//!  done      2, number u64
//! ```
//!
//! The messages that are open are also kept in memory, because a checkpoint writes them anew; so the bound of the store is one of
//! memory, too.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sori_mqtt::{Properties, Publish, QoS};
use sori_store::{CheckpointOrder, Committer, Disk, Durability, FileDisk, Outcome, Piece, State, Step};

use crate::error::Error;

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

const ACCEPTED: u8 = 1;
const DONE: u8 = 2;
/// Kind, number, flags, three lengths.
const HEAD_BYTES: usize = 22;

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
/// this folder sends it. It may have been delivered already, so a message may come twice, with QoS 2, too. Messages with QoS 0 are
/// not kept. When the disk fails, publishing gives an error, and no later message is accepted; the one that got the error may be
/// delivered nevertheless.
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
        let (mut open, mut next) = (BTreeMap::new(), 0);
        let mut replay = |_, records: &[u8]| replay(records, &mut open, &mut next);
        let committer = Committer::open(disk, options, 1, &mut replay)
            .map_err(|error| Error::Store(format!("{}: {error}", self.directory.display())))?;
        let bytes = open.values().map(Vec::len).sum();
        Ok(Open { committer, messages: open, next, bytes, bytes_max: self.bytes_max, failure: None })
    }
}

/// A store that is open.
pub(crate) struct Open {
    committer: Committer,
    /// The records of messages that have no receipt.
    messages: BTreeMap<u64, Vec<u8>>,
    next: u64,
    bytes: usize,
    bytes_max: usize,
    failure: Option<String>,
}

impl Open {
    /// What an earlier program has left, in the order in which it was accepted.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (u64, Publish<'_>)> {
        self.messages.iter().filter_map(|(number, record)| Some((*number, decode(record)?.1)))
    }

    /// The bytes of these.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is room for this message.
    ///
    /// # Errors
    /// There never will be, or the store has failed.
    pub(crate) fn has_room(&self, publish: &Publish<'_>) -> Result<bool, Error> {
        if let Some(text) = &self.failure {
            return Err(Error::Store(text.clone()));
        }
        let length = encoded_len(publish);
        if length > self.bytes_max {
            return Err(Error::TooLargeForQueue(self.bytes_max));
        }
        Ok(self.bytes + length <= self.bytes_max)
    }

    /// Writes all that waits.
    pub(crate) fn close(self) {
        // What could not be written is sent once more by the next program.
        let _ = self.committer.close();
    }

    /// Keeps a message; with the number it is safe.
    pub(crate) fn accept(&mut self, now: Duration, publish: &Publish<'_>) -> Result<u64, Error> {
        let number = self.next;
        let record = encode(number, publish);
        self.next += 1;
        self.bytes += record.len();
        self.submit(number, record.clone(), None);
        self.messages.insert(number, record);
        let outcome = self.step(now, Some(number));
        if outcome.is_err() {
            // It may be in the file nevertheless, and then comes back: it was not promised that it does not.
            self.done(now, number);
        }
        outcome.map(|()| number)
    }

    /// A message has its receipt.
    pub(crate) fn done(&mut self, now: Duration, number: u64) {
        let Some(record) = self.messages.remove(&number) else { return };
        self.bytes -= record.len();
        let bytes = [&[DONE][..], &number.to_le_bytes()].concat();
        // Nobody waits: if this is lost, the message is sent once more.
        self.committer.submit(Piece { upto: number, bytes, ..Piece::default() });
        let _ = self.step(now, None);
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
                        self.submit(self.next, Vec::new(), Some(Step::Passed(number)));
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
        let messages = std::mem::take(&mut self.messages);
        for (number, record) in &messages {
            self.submit(*number, record.clone(), None);
        }
        self.messages = messages;
        self.submit(self.next, Vec::new(), Some(Step::Walked(number)));
    }

    fn submit(&mut self, upto: u64, bytes: Vec<u8>, step: Option<Step>) {
        self.committer.submit(Piece { upto, is_awaited: true, bytes, step, ..Piece::default() });
    }
}

fn millis(now: Duration) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn encoded_len(publish: &Publish<'_>) -> usize {
    HEAD_BYTES + publish.topic.len() + publish.properties.bytes().len() + publish.payload.len()
}

fn encode(number: u64, publish: &Publish<'_>) -> Vec<u8> {
    let parts = [publish.topic.as_bytes(), publish.properties.bytes(), publish.payload];
    let mut record = Vec::with_capacity(encoded_len(publish));
    record.push(ACCEPTED);
    record.extend(number.to_le_bytes());
    record.push(publish.qos as u8 | if publish.retain { 4 } else { 0 });
    for part in parts {
        // No packet is longer.
        record.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    record.extend(parts.concat());
    record
}

/// The message of a record, and how long the record is.
fn decode(record: &[u8]) -> Option<(usize, Publish<'_>)> {
    let head = record.get(..HEAD_BYTES)?;
    let length = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?) as usize);
    let flags = head[9];
    let (topic, rest) = record[HEAD_BYTES..].split_at_checked(length(10)?)?;
    let (properties, rest) = rest.split_at_checked(length(14)?)?;
    let payload = rest.get(..length(18)?)?;
    let publish = Publish {
        dup: false,
        qos: if flags & 3 == 2 { QoS::ExactlyOnce } else { QoS::AtLeastOnce },
        retain: flags & 4 != 0,
        topic: std::str::from_utf8(topic).ok()?,
        packet_id: None,
        properties: Properties::from_checked(properties),
        payload,
    };
    Some((HEAD_BYTES + topic.len() + properties.len() + payload.len(), publish))
}

/// What the records of a frame say about which messages are open.
fn replay(records: &[u8], open: &mut BTreeMap<u64, Vec<u8>>, next: &mut u64) -> Result<(), String> {
    let mut rest = records;
    while let Some(kind) = rest.first() {
        let damaged = || "a record that this version does not know".to_owned();
        let number = rest.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let number = number.ok_or_else(damaged)?;
        let length = match *kind {
            ACCEPTED => {
                let length = decode(rest).ok_or_else(damaged)?.0;
                open.insert(number, rest[..length].to_vec());
                length
            }
            DONE => {
                open.remove(&number);
                9
            }
            _ => return Err(damaged()),
        };
        *next = (*next).max(number + 1);
        rest = &rest[length..];
    }
    Ok(())
}

#[cfg(test)]
mod tests;

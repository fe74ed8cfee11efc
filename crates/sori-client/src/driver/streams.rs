//! Messages that came in, and the queues in which they wait for being taken.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sori_mqtt::client_session::Delivery;
use sori_mqtt::{Publish, ReasonCode, TopicFilter, TopicName};

use crate::error::Error;
use crate::message::{Blocks, Body};
use crate::subscribe::{Overflow, Subscribe};

use super::Driver;
use super::filters::Filters;
use super::wakes::Wakes;

/// Names a stream; never used twice.
pub(crate) type StreamId = u64;

/// In a session of an earlier program there may be messages for subscriptions that this one has not made yet. They are
/// kept for so long,
const UNCLAIMED_TIME: Duration = Duration::from_secs(5);
/// and at most so many.
const UNCLAIMED_MAX: usize = 1_000;

/// So many messages are taken out of a queue at once, and no more than this part of what it holds: the rest of it is free for what
/// comes meanwhile.
const BATCH_MAX: usize = 64;
const BATCH_PART: usize = 8;

/// A message in a queue, and what is owed to the server for it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) body: Body,
    pub(crate) due: Due,
}

/// What is owed to the server for a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Due {
    Nothing,
    /// An acknowledgement when it is taken.
    OnTaking(Delivery),
    /// An acknowledgement when the program says so.
    OnAcceptance(Delivery),
}

/// What the session is to do for a message at once.
#[derive(Debug)]
pub(super) enum Taken {
    /// Acknowledge it.
    Done(Delivery),
    /// Nobody had room for it: let it come again.
    Left(Delivery),
}

#[derive(Debug)]
pub(super) struct Streams {
    next: StreamId,
    streams: BTreeMap<StreamId, Stream>,
    /// Messages in all queues.
    bytes: usize,
    bytes_max: usize,
    /// Queues that hold the connection back.
    full: usize,
    /// Messages that several streams have to acknowledge: how many of them have not.
    shared: BTreeMap<Delivery, usize>,
    /// The session may be one of an earlier program.
    may_be_inherited: bool,
    /// Messages for subscriptions that may still be made, and until when.
    unclaimed: VecDeque<(Duration, Received)>,
    /// Messages that no subscription was for.
    unmatched: u64,
    blocks: Blocks,
    targets: Vec<StreamId>,
}

#[derive(Debug)]
struct Stream {
    queue: VecDeque<Received>,
    queue_max: usize,
    /// Messages that were taken out with another one, and count as long as they wait to be looked at.
    batch: Batch,
    overflow: Overflow,
    manual_acks: bool,
    /// The server has taken all its filters.
    is_granted: bool,
    /// Why there is nothing more.
    error: Option<Error>,
    is_ended: bool,
    dropped: u64,
    waker: Option<Waker>,
}

/// What a batch has of the bounds.
#[derive(Debug, Default, Clone, Copy)]
struct Batch {
    messages: usize,
    bytes: usize,
}

impl Stream {
    fn is_full(&self) -> bool {
        self.queue.len() + self.batch.messages >= self.queue_max
    }

    /// Whether the connection is not to be read because of this queue. Manual acknowledgements have the bound of what
    /// the server may have in flight.
    fn holds_back(&self) -> bool {
        self.overflow == Overflow::Wait && !self.manual_acks && self.is_full()
    }

    /// Takes messages out that may as well be looked at later: nothing is owed for them, and none of them would have to give
    /// way to a newer one.
    fn take_batch(&mut self, batch: &mut VecDeque<Body>) {
        if self.overflow != Overflow::Wait {
            return;
        }
        let count = BATCH_MAX.min(self.queue_max / BATCH_PART);
        while batch.len() < count
            && let Some(Received { due: Due::Nothing, .. }) = self.queue.front()
            && let Some(received) = self.queue.pop_front()
        {
            self.batch.messages += 1;
            self.batch.bytes += received.body.size();
            batch.push_back(received.body);
        }
    }
}

impl Streams {
    pub(super) fn new(bytes_max: usize, may_be_inherited: bool) -> Self {
        Self {
            // 0 is the stream of replies.
            next: 1,
            streams: BTreeMap::new(),
            bytes: 0,
            bytes_max,
            full: 0,
            shared: BTreeMap::new(),
            may_be_inherited,
            unclaimed: VecDeque::new(),
            unmatched: 0,
            blocks: Blocks::default(),
            targets: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, subscribe: &Subscribe) -> StreamId {
        let id = self.next;
        self.next += 1;
        let stream = Stream {
            queue: VecDeque::new(),
            queue_max: subscribe.queue_max,
            batch: Batch::default(),
            overflow: subscribe.overflow,
            manual_acks: subscribe.manual_acks,
            is_granted: false,
            error: None,
            is_ended: false,
            dropped: 0,
            waker: None,
        };
        self.streams.insert(id, stream);
        id
    }

    /// A stream less. Gives the messages that nobody has taken and the server has to know about.
    pub(super) fn remove(&mut self, id: StreamId, wakes: &mut Wakes) -> Vec<Delivery> {
        let Some(mut stream) = self.streams.remove(&id) else { return Vec::new() };
        self.full -= usize::from(stream.holds_back());
        wakes.take_from(&mut stream.waker);
        self.bytes -= stream.queue.iter().map(|received| received.body.size()).sum::<usize>() + stream.batch.bytes;
        let owed = stream.queue.iter().filter_map(|received| match received.due {
            Due::Nothing => None,
            Due::OnTaking(delivery) | Due::OnAcceptance(delivery) => Some(delivery),
        });
        owed.collect()
    }

    /// Takes the oldest message out of a queue.
    pub(super) fn pop(&mut self, id: StreamId) -> Option<Received> {
        let stream = self.streams.get_mut(&id)?;
        let did_hold_back = stream.holds_back();
        let received = stream.queue.pop_front()?;
        self.full -= usize::from(did_hold_back && !stream.holds_back());
        self.bytes -= received.body.size();
        Some(received)
    }

    /// The batch that was taken out of a queue has been looked at.
    fn give_back(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let did_hold_back = stream.holds_back();
        self.bytes -= stream.batch.bytes;
        stream.batch = Batch::default();
        self.full -= usize::from(did_hold_back && !stream.holds_back());
    }

    /// The messages that were delivered can be read.
    pub(super) fn seal(&mut self) {
        self.blocks.seal();
    }

    /// Who waits for a message of this stream waits no longer.
    pub(super) fn unpark(&mut self, id: StreamId, wakes: &mut Wakes) {
        if let Some(stream) = self.streams.get_mut(&id) {
            wakes.take_from(&mut stream.waker);
        }
    }

    pub(super) fn has_full(&self) -> bool {
        self.full > 0
    }

    /// Whether somebody waits for messages of a stream that has none.
    pub(super) fn has_waiting(&self) -> bool {
        self.streams.values().any(|stream| stream.waker.is_some() && stream.queue.is_empty())
    }

    /// A message came: puts it into the queues of those who want it.
    pub(super) fn deliver(
        &mut self,
        publish: &Publish<'_>,
        connection: u64,
        now: Duration,
        filters: &Filters,
        wakes: &mut Wakes,
    ) -> Option<Taken> {
        let delivery = Delivery::new(connection, publish);
        self.find_targets(publish, filters);
        let targets = std::mem::take(&mut self.targets);
        let body = Body::new(publish, &mut self.blocks);
        let taken = if targets.is_empty() {
            self.keep_unclaimed(body, delivery, now)
        } else {
            self.enqueue_all(&targets, body, delivery, wakes)
        };
        self.targets = targets;
        taken
    }

    /// By the Subscription Identifiers, if the server sends any that are known, else by the filters.
    fn find_targets(&mut self, publish: &Publish<'_>, filters: &Filters) {
        self.targets.clear();
        if !publish.properties.is_empty() {
            for identifier in publish.properties.subscription_identifiers() {
                let found = filters.of_identifier(identifier, publish.topic, self.may_be_inherited);
                self.targets.extend_from_slice(found.unwrap_or_default());
            }
        }
        if self.targets.is_empty() {
            self.targets.extend(filters.of_topic(publish.topic));
        }
        if self.targets.len() > 1 {
            self.targets.sort_unstable();
            self.targets.dedup();
        }
    }

    fn enqueue_all(
        &mut self,
        targets: &[StreamId],
        body: Body,
        delivery: Option<Delivery>,
        wakes: &mut Wakes,
    ) -> Option<Taken> {
        let (mut owing, mut is_done) = (0, false);
        let mut count = |enqueued| match enqueued {
            Enqueued::Owed => owing += 1,
            Enqueued::Done => is_done = true,
            Enqueued::Left => {}
        };
        let (last, others) = targets.split_last()?;
        for target in others {
            count(self.enqueue(*target, body.clone(), delivery, wakes));
        }
        count(self.enqueue(*last, body, delivery, wakes));
        let delivery = delivery?;
        if owing > 1 {
            self.shared.insert(delivery, owing);
        }
        match (owing, is_done) {
            (0, true) => Some(Taken::Done(delivery)),
            (0, false) => Some(Taken::Left(delivery)),
            _ => None,
        }
    }

    fn enqueue(&mut self, id: StreamId, body: Body, delivery: Option<Delivery>, wakes: &mut Wakes) -> Enqueued {
        let Some(stream) = self.streams.get_mut(&id) else { return Enqueued::Done };
        let has_no_memory = self.bytes >= self.bytes_max;
        let due = match delivery {
            None => Due::Nothing,
            Some(delivery) if stream.manual_acks => Due::OnAcceptance(delivery),
            // The server may have so many in flight, and no more.
            Some(delivery) if has_no_memory && stream.overflow == Overflow::Wait => Due::OnTaking(delivery),
            Some(_) => Due::Nothing,
        };
        let is_owed = !matches!(due, Due::Nothing);
        if has_no_memory && is_owed && self.bytes >= self.bytes_max.saturating_mul(2) {
            stream.dropped += 1;
            return Enqueued::Left;
        }
        let is_too_much = match stream.overflow {
            Overflow::Wait => has_no_memory && !is_owed,
            Overflow::DropNewest => (stream.is_full() && !stream.manual_acks) || (has_no_memory && !is_owed),
            Overflow::DropOldest => {
                if stream.is_full()
                    && !stream.manual_acks
                    && let Some(oldest) = stream.queue.pop_front()
                {
                    self.bytes -= oldest.body.size();
                    stream.dropped += 1;
                }
                has_no_memory && !is_owed
            }
        };
        if is_too_much {
            stream.dropped += 1;
            return Enqueued::Done;
        }
        let did_hold_back = stream.holds_back();
        self.bytes += body.size();
        stream.queue.push_back(Received { body, due });
        self.full += usize::from(!did_hold_back && stream.holds_back());
        wakes.take_from(&mut stream.waker);
        if is_owed { Enqueued::Owed } else { Enqueued::Done }
    }

    fn keep_unclaimed(&mut self, body: Body, delivery: Option<Delivery>, now: Duration) -> Option<Taken> {
        if !self.may_be_inherited || self.unclaimed.len() >= UNCLAIMED_MAX || self.bytes >= self.bytes_max {
            self.unmatched += 1;
            return delivery.map(Taken::Done);
        }
        self.bytes += body.size();
        let due = delivery.map_or(Due::Nothing, Due::OnTaking);
        self.unclaimed.push_back((now.saturating_add(UNCLAIMED_TIME), Received { body, due }));
        None
    }

    /// When messages are no longer kept for subscriptions to come.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.unclaimed.front().map(|(until, _)| *until)
    }

    pub(super) fn granted(&mut self, id: StreamId, wakes: &mut Wakes) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.is_granted = true;
            wakes.take_from(&mut stream.waker);
        }
    }

    pub(super) fn was_granted(&self, ids: &[StreamId]) -> bool {
        ids.iter().any(|id| self.streams.get(id).is_some_and(|stream| stream.is_granted))
    }

    pub(super) fn refuse(&mut self, id: StreamId, error: &Error, wakes: &mut Wakes) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.error = Some(error.clone());
            stream.is_ended = true;
            wakes.take_from(&mut stream.waker);
        }
    }

    pub(super) fn poll_granted(
        &mut self,
        id: StreamId,
        cx: &Context<'_>,
        wakes: &mut Wakes,
    ) -> Poll<Result<(), Error>> {
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Ready(Err(Error::Closed(None))) };
        if let Some(error) = &stream.error {
            return Poll::Ready(Err(error.clone()));
        }
        if stream.is_granted {
            return Poll::Ready(Ok(()));
        }
        wakes.park(&mut stream.waker, cx);
        Poll::Pending
    }

    pub(super) fn end(&mut self, wakes: &mut Wakes) {
        for stream in self.streams.values_mut() {
            stream.is_ended = true;
            wakes.take_from(&mut stream.waker);
        }
    }
}

/// What became of one copy of a message.
enum Enqueued {
    /// It waits, and the server has to be told something later.
    Owed,
    /// It waits or was dropped; the server may forget it.
    Done,
    /// There was no room, and there may be when it comes again.
    Left,
}

impl Driver {
    /// The next message of a stream; none when there will be no more. Others come with it in `batch`, which is empty when this
    /// is called.
    pub(crate) fn poll_next(
        &mut self,
        id: StreamId,
        cx: &Context<'_>,
        batch: &mut VecDeque<Body>,
    ) -> Poll<Option<Received>> {
        debug_assert!(batch.is_empty(), "what was taken before has been looked at");
        let full = self.streams.full;
        self.streams.give_back(id);
        let received = self.streams.pop(id);
        let Some(stream) = self.streams.streams.get_mut(&id) else { return Poll::Ready(None) };
        let is_waiting = received.is_none() && !stream.is_ended;
        if is_waiting {
            self.wakes.park(&mut stream.waker, cx);
        } else {
            stream.take_batch(batch);
        }
        if self.streams.full < full || (is_waiting && self.streams.has_full()) {
            // There is room again. Or somebody waits, and other queues hold the connection back no longer.
            self.wake_io();
        }
        let Some(received) = received else { return if is_waiting { Poll::Pending } else { Poll::Ready(None) } };
        if let Due::OnTaking(delivery) = received.due {
            // Success is legal in every version.
            let _ = self.acknowledge(delivery, ReasonCode::Success);
        }
        Poll::Ready(Some(received))
    }

    /// Whoever waited for the next message does something else now.
    pub(crate) fn unpark(&mut self, id: StreamId) {
        self.streams.unpark(id, &mut self.wakes);
    }

    /// How many messages of a stream were dropped.
    pub(crate) fn dropped(&self, id: StreamId) -> u64 {
        self.streams.streams.get(&id).map_or(0, |stream| stream.dropped)
    }

    /// Why a stream has ended, if not because the client was closed.
    pub(crate) fn stream_error(&self, id: StreamId) -> Option<Error> {
        self.streams.streams.get(&id).and_then(|stream| stream.error.clone())
    }

    /// Memory that messages take which nobody has looked at.
    #[cfg(test)]
    pub(super) fn incoming_bytes(&self) -> usize {
        self.streams.bytes
    }

    /// How many messages no subscription was for.
    pub(crate) fn unmatched(&self) -> u64 {
        self.streams.unmatched
    }

    /// Messages that came before their subscription was made here.
    pub(super) fn claim(&mut self, id: StreamId, filters: &[String]) {
        if self.streams.unclaimed.is_empty() {
            return;
        }
        let filters: Vec<TopicFilter<'_>> = filters.iter().filter_map(|text| TopicFilter::new(text).ok()).collect();
        for (until, received) in std::mem::take(&mut self.streams.unclaimed) {
            let topic = TopicName::new(received.body.topic());
            if !topic.is_ok_and(|topic| filters.iter().any(|filter| filter.matches(topic))) {
                self.streams.unclaimed.push_back((until, received));
                continue;
            }
            self.streams.bytes -= received.body.size();
            let delivery = match received.due {
                Due::OnTaking(delivery) | Due::OnAcceptance(delivery) => Some(delivery),
                Due::Nothing => None,
            };
            let taken = self.streams.enqueue_all(&[id], received.body, delivery, &mut self.wakes);
            self.delivered(taken);
        }
    }

    /// Messages that nobody has claimed in time are given up.
    pub(super) fn release_unclaimed(&mut self) {
        while let Some((until, _)) = self.streams.unclaimed.front()
            && self.now >= *until
            && let Some((_, received)) = self.streams.unclaimed.pop_front()
        {
            self.streams.bytes -= received.body.size();
            self.streams.unmatched += 1;
            if let Due::OnTaking(delivery) = received.due {
                self.answer(delivery, ReasonCode::Success);
            }
        }
    }

    /// A message was dealt with, as far as one of its streams goes.
    pub(crate) fn acknowledge(&mut self, delivery: Delivery, reason_code: ReasonCode) -> Result<(), Error> {
        if let Some(owing) = self.streams.shared.get_mut(&delivery) {
            *owing -= 1;
            if *owing > 0 && !reason_code.is_error() {
                return Ok(());
            }
            self.streams.shared.remove(&delivery);
        }
        let acknowledged = self.session.acknowledge(delivery, reason_code).map_err(Error::Request);
        self.check_connection();
        self.wake_io();
        acknowledged
    }

    /// A message was not dealt with.
    pub(crate) fn leave(&mut self, delivery: Delivery) {
        self.streams.shared.remove(&delivery);
        self.session.leave(delivery);
        self.check_connection();
        self.wake_io();
    }

    /// Acknowledges at once. A connection that takes no answers is noticed when the session is asked next.
    pub(super) fn answer(&mut self, delivery: Delivery, reason_code: ReasonCode) {
        let _ = self.session.acknowledge(delivery, reason_code);
    }
}

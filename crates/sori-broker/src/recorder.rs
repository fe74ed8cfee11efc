//! Where a shard puts its records until they are taken out.

use crate::clocks::{Clocks, Run};
use crate::delivery::{Copied, Delivery, Order};
use crate::ids::{SessionRef, ShardId};
use crate::message::{Message, Owner};
use crate::queue::Gone;
use crate::record::write as w;
use crate::record::{Kind, Records, RecordsStep};
use crate::session::Session;
use crate::shared::GroupNumber;
use crate::time::Time;
use alloc::vec::Vec;
use sori_mqtt::{PacketId, QoS, SubscribeOptions};

/// Where the records of a shard stand: two of the same value have no record between them.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Mark(u64, usize);

#[derive(Debug)]
pub(crate) struct Recorder {
    is_on: bool,
    is_void: bool,
    shard: ShardId,
    /// The piece that is being made.
    piece: Records,
    /// Its number; pieces count from 1.
    number: u64,
    /// The last piece that is durable.
    durable: u64,
    /// How many numbers for messages and publications have been given out.
    counter: u64,
    /// The last publication of each shard that came here.
    seen: Vec<u64>,
    /// Of earlier runs.
    clocks: Clocks,
    /// The numbers up to this one were used by earlier runs.
    run_after: u64,
    /// Milliseconds by which the wall clock is ahead of the shards' time, as noted last.
    ahead: i64,
}

/// Clocks run apart by that much without being set.
const CLOCK_TOLERANCE_MILLIS: u64 = 1000;

/// What a checkpoint writes down of a delivery that is owed, by estimate;
const OWED_BYTES: i64 = 36;
/// of a message of QoS 2 that was taken over;
const RECEIVED_BYTES: i64 = 24;
/// of a session, beside its client identifier;
const SESSION_BYTES: i64 = 64;
/// of a subscription, beside its filter;
const SUBSCRIPTION_BYTES: i64 = 12;
/// of a retained message, beside its topic.
const RETAINED_BYTES: i64 = 64;

/// Numbers of messages and publications begin with their shard's.
const SHARD_SHIFT: u32 = 48;

/// The shard that gave a number out.
pub(crate) fn shard_of(number: u64) -> Option<ShardId> {
    u16::try_from(number >> SHARD_SHIFT).ok()?.checked_sub(1).map(ShardId)
}

/// The part of a number that counts.
pub(crate) fn count_of(number: u64) -> u64 {
    number & ((1 << SHARD_SHIFT) - 1)
}

/// One delivery, for a record.
pub(crate) struct Owed<'a> {
    pub(crate) session: SessionRef,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// The group it was chosen from.
    pub(crate) group: Option<GroupNumber>,
    pub(crate) identifiers: &'a [u32],
}

impl Recorder {
    pub(crate) fn new(is_on: bool, shard: ShardId, shards: u16) -> Recorder {
        let seen = alloc::vec![0; usize::from(shards)];
        Recorder {
            is_on,
            is_void: false,
            shard,
            piece: Records::default(),
            number: 1,
            durable: 0,
            counter: 0,
            seen,
            clocks: Clocks::default(),
            run_after: 0,
            ahead: 0,
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// The store has failed: what is recorded from now on goes nowhere.
    pub(crate) fn give_up(&mut self) {
        self.is_void = true;
        self.piece = Records::default();
    }

    // Pieces.

    #[inline]
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.number, self.piece.bytes.len())
    }

    /// Is everything of this shard durable?
    pub(crate) fn is_settled(&self) -> bool {
        self.piece.bytes.is_empty() && self.durable + 1 == self.number
    }

    /// The piece that is being made.
    pub(crate) fn piece_number(&self) -> u64 {
        self.number
    }

    /// Wait for all that was recorded so far, here and elsewhere: gives the piece that must be durable.
    pub(crate) fn wait(&mut self) -> u64 {
        self.piece.is_awaited = true;
        self.number
    }

    pub(crate) fn note_step(&mut self, step: RecordsStep) {
        self.piece.step = Some(step);
        self.piece.is_awaited = true;
    }

    pub(crate) fn piece_len(&self) -> usize {
        self.piece.bytes.len()
    }

    /// Is there nothing to be taken?
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.piece.bytes.is_empty() && !self.piece.is_awaited
    }

    pub(crate) fn take(&mut self) -> Option<Records> {
        if self.is_empty() {
            return None;
        }
        let mut piece = core::mem::take(&mut self.piece);
        if self.is_void {
            return None;
        }
        piece.upto = self.number;
        self.number += 1;
        Some(piece)
    }

    pub(crate) fn durable(&mut self, upto: u64) {
        self.durable = self.durable.max(upto);
    }

    // Numbers.

    pub(crate) fn next_number(&mut self) -> u64 {
        self.counter += 1;
        (u64::from(self.shard.0) + 1) << SHARD_SHIFT | self.counter
    }

    pub(crate) fn go_on_after(&mut self, counter: u64) {
        self.counter = self.counter.max(counter);
        self.run_after = self.counter;
    }

    /// A publication of another shard, or of this one, has come to the sessions here.
    pub(crate) fn note_seen(&mut self, key: u64) {
        if let Some(last) = shard_of(key).and_then(|shard| self.seen.get_mut(usize::from(shard.0))) {
            *last = (*last).max(key);
        }
    }

    /// What a checkpoint would write grows by so many bytes.
    fn grow(&mut self, bytes: i64) {
        self.piece.growth += bytes;
    }

    /// So many bytes were written for a checkpoint.
    pub(crate) fn note_repeated(&mut self, bytes: usize) {
        self.piece.repeated += bytes as u32;
    }

    /// A session is there again with what it had: nothing has told the store of it in this run.
    pub(crate) fn note_restored(&mut self, session: &Session, subscriptions: usize, filters_bytes: usize) {
        self.grow(session_bytes(session) + held_bytes(session));
        self.grow(SUBSCRIPTION_BYTES * subscriptions as i64 + filters_bytes as i64);
    }

    /// The same of retained messages.
    pub(crate) fn note_retained_restored(&mut self, topic: &str) {
        self.grow(RETAINED_BYTES + topic.len() as i64);
    }

    // Records of one session.

    fn begin(&mut self, kind: Kind, of: SessionRef) -> &mut Vec<u8> {
        w::kind(&mut self.piece.bytes, kind, of);
        &mut self.piece.bytes
    }

    /// Is something kept of what happens to this session?
    pub(crate) fn keeps(&self, session: &Session) -> bool {
        self.is_on && session.is_persistent()
    }

    /// A session has a connection: there is something to be kept of it if it outlives that, or has a will.
    pub(crate) fn note_connected(&mut self, me: SessionRef, session: &mut Session) {
        if self.is_on && (session.is_persistent() || session.will.is_some() || session.is_recorded) {
            self.note_begun(me, session);
        }
    }

    /// The session as it is now, without what waits for it.
    pub(crate) fn note_begun(&mut self, me: SessionRef, session: &mut Session) {
        let is_new = !core::mem::replace(&mut session.is_recorded, true);
        let out = self.begin(Kind::Connected, me);
        out.push(u8::from(is_new));
        session_head(out, session);
        if is_new {
            self.grow(session_bytes(session));
        }
    }

    pub(crate) fn note_run(&mut self) {
        if self.is_on {
            self.piece.bytes.push(Kind::Run as u8);
        }
    }

    pub(crate) fn note_named(&mut self, me: SessionRef, session: &Session) {
        if self.is_on {
            let out = self.begin(Kind::Named, me);
            w::text(out, &session.client_id);
        }
    }

    pub(crate) fn note_disconnected(&mut self, me: SessionRef, session: &Session) {
        self.note_alone(Kind::Disconnected, me, session);
    }

    /// The same of a session that had a connection when the broker ended.
    pub(crate) fn note_stopped(&mut self, me: SessionRef, session: &Session) {
        self.note_alone(Kind::Stopped, me, session);
    }

    fn note_alone(&mut self, kind: Kind, me: SessionRef, session: &Session) {
        if self.is_on && session.is_recorded {
            let out = self.begin(kind, me);
            w::time(out, session.ends_at);
            w::time(out, session.will_at());
        }
    }

    pub(crate) fn note_ended(&mut self, me: SessionRef, session: &Session) {
        if self.is_on && session.is_recorded {
            self.begin(Kind::Ended, me);
            self.grow(-session_bytes(session) - held_bytes(session));
        }
    }

    pub(crate) fn note_will_gone(&mut self, me: SessionRef, session: &Session) {
        if self.is_on && session.is_recorded {
            self.begin(Kind::WillGone, me);
        }
    }

    pub(crate) fn note_subscribed(
        &mut self,
        me: SessionRef,
        session: &Session,
        filter: &str,
        options: SubscribeOptions,
        identifier: u32,
    ) {
        if self.keeps(session) {
            self.write_subscription(me, filter, options, identifier);
            self.grow(SUBSCRIPTION_BYTES + filter.len() as i64);
        }
    }

    pub(crate) fn write_subscription(
        &mut self,
        me: SessionRef,
        filter: &str,
        options: SubscribeOptions,
        identifier: u32,
    ) {
        w::subscription(&mut self.piece.bytes, me, filter, options, identifier);
    }

    pub(crate) fn note_unsubscribed(&mut self, me: SessionRef, session: &Session, filter: &str) {
        if self.keeps(session) {
            let out = self.begin(Kind::Unsubscribed, me);
            w::text(out, filter);
            self.grow(-SUBSCRIPTION_BYTES - filter.len() as i64);
        }
    }

    /// A session is owed a message that nothing has recorded for it.
    pub(crate) fn note_queued(&mut self, me: SessionRef, session: &mut Session, delivery: &mut Delivery) {
        if !self.keeps(session) || delivery.key != 0 {
            return;
        }
        delivery.key = self.next_number();
        if delivery.message.number() == 0 {
            // It comes from a message that was not kept until now.
            delivery.message = self.numbered(&delivery.message);
        }
        let message = &delivery.message;
        let (number, place) = (message.number(), message.place());
        let key = delivery.key;
        w::number(self.begin(Kind::Queued, me), key);
        write_delivery(&mut self.piece, delivery, number, place);
        self.grow(OWED_BYTES);
    }

    fn numbered(&mut self, message: &Message) -> Message {
        let message = message.numbered(self.next_number());
        self.note_message(&message);
        message
    }

    /// A delivery that waited, or was on its way in this moment, has been sent.
    pub(crate) fn note_sent(&mut self, me: SessionRef, session: &Session, delivery: &Delivery, packet_id: PacketId) {
        // Also of a session that lasts no longer: the records know what it was owed, and this would go to its group.
        if !self.is_on || delivery.key == 0 {
            return;
        }
        self.write_if_unwritten(me, session, delivery);
        let out = self.begin(Kind::Sent, me);
        write_copied(out, delivery.copied());
        w::packet_id(out, packet_id);
    }

    /// A delivery that waited is not to be sent any more.
    pub(crate) fn note_dropped(&mut self, me: SessionRef, session: &Session, delivery: &Delivery) {
        if self.is_on && delivery.key != 0 {
            self.write_if_unwritten(me, session, delivery);
            self.note_refused(me, delivery.copied());
        }
    }

    /// The same, wherever it was.
    pub(crate) fn note_gone(&mut self, me: SessionRef, session: &Session, gone: &Gone) {
        match gone {
            Gone::Delivery(delivery) => self.note_dropped(me, session, delivery),
            Gone::Stored(stored) => {
                if self.is_on && is_unwritten(session, stored.order) {
                    self.write_waiting_stored(me, stored.copied(), stored.place, stored.length);
                    self.note_repeated(OWED_BYTES as usize);
                }
                self.note_refused(me, stored.copied());
            }
        }
    }

    /// A session does not get a delivery that it is owed by the record of the publication.
    pub(crate) fn note_refused(&mut self, me: SessionRef, copied: Copied<'_>) {
        if self.is_on && copied.key != 0 {
            let out = self.begin(Kind::Dropped, me);
            write_copied(out, copied);
            self.grow(-OWED_BYTES);
        }
    }

    /// A session that is being written down loses a delivery before its turn has come: what follows is about it, and not
    /// about another one like it that has been written down.
    fn write_if_unwritten(&mut self, me: SessionRef, session: &Session, delivery: &Delivery) {
        if is_unwritten(session, delivery.order) {
            self.write_waiting(me, delivery);
            self.note_repeated(OWED_BYTES as usize);
        }
    }

    pub(crate) fn note_released(&mut self, me: SessionRef, session: &Session, packet_id: PacketId) {
        self.note_packet(Kind::Released, me, session, packet_id);
    }

    pub(crate) fn note_finished(&mut self, me: SessionRef, session: &Session, packet_id: PacketId) {
        self.note_packet(Kind::Finished, me, session, packet_id);
        if self.keeps(session) {
            self.grow(-OWED_BYTES);
        }
    }

    fn note_packet(&mut self, kind: Kind, me: SessionRef, session: &Session, packet_id: PacketId) {
        if self.keeps(session) {
            let out = self.begin(kind, me);
            w::packet_id(out, packet_id);
        }
    }

    /// A QoS 2 message is kept until PUBREL; it has been numbered, and written by [`Recorder::note_message`].
    pub(crate) fn note_received(&mut self, me: SessionRef, packet_id: PacketId, message: &Message) {
        if self.is_on && message.number() != 0 {
            self.write_taken_over(Kind::Received, me, packet_id, message);
            self.grow(RECEIVED_BYTES);
        }
    }

    fn write_taken_over(&mut self, kind: Kind, me: SessionRef, packet_id: PacketId, message: &Message) {
        let (number, place) = (message.number(), message.place());
        let out = self.begin(kind, me);
        w::packet_id(out, packet_id);
        w::number(out, number);
        self.piece.put_place(place);
    }

    pub(crate) fn note_forwarded(&mut self, me: SessionRef, packet_id: PacketId) {
        if self.is_on {
            let out = self.begin(Kind::Forwarded, me);
            w::packet_id(out, packet_id);
            self.grow(-RECEIVED_BYTES);
        }
    }

    // Messages and publications.

    /// A message that has a number, for what refers to it.
    pub(crate) fn note_message(&mut self, message: &Message) {
        if self.is_on {
            let at = w::message(&mut self.piece.bytes, &message.view());
            self.piece.blobs.push(at as u32);
            self.piece.messages.push((at as u32, message.clone()));
        }
    }

    /// Begins the list of those who are owed a message, to be followed by [`Recorder::note_owed`] for each and
    /// [`Recorder::end_publication`].
    pub(crate) fn begin_publication(&mut self, key: u64, message: &Message) {
        let (number, place) = (message.number(), message.place());
        let out = &mut self.piece.bytes;
        out.push(Kind::Published as u8);
        w::number(out, key);
        w::number(out, number);
        self.piece.put_place(place);
        w::varint(&mut self.piece.bytes, u64::from(message.payload_length()));
    }

    pub(crate) fn note_owed(&mut self, owed: &Owed<'_>) {
        let out = &mut self.piece.bytes;
        w::varint(out, u64::from(owed.session.shard.0) + 1);
        w::varint(out, u64::from(owed.session.slot));
        w::varint(out, u64::from(owed.session.generation));
        w::delivery(out, owed.qos, owed.retain, owed.group, owed.identifiers);
        self.grow(OWED_BYTES);
    }

    pub(crate) fn end_publication(&mut self) {
        // No shard has the number 0 here.
        self.piece.bytes.push(0);
    }

    /// A retained message was stored, maybe the first of its topic; it has been numbered and written.
    pub(crate) fn note_retained(&mut self, message: &Message, version: u64, owner: Option<&Owner>, is_first: bool) {
        self.write_retained(message, version, owner);
        if is_first {
            self.note_retained_restored(message.topic());
        }
    }

    pub(crate) fn write_retained(&mut self, message: &Message, version: u64, owner: Option<&Owner>) {
        if !self.is_on {
            return;
        }
        let (number, place) = (message.number(), message.place());
        if number == 0 {
            return;
        }
        self.piece.bytes.push(Kind::Retained as u8);
        let out = &mut self.piece.bytes;
        w::number(out, version);
        w::number(out, number);
        self.piece.put_place(place);
        let out = &mut self.piece.bytes;
        w::text(out, message.topic());
        w::owner(out, owner);
    }

    pub(crate) fn note_retained_gone(&mut self, topic: &str, version: u64, was_there: bool) {
        if self.is_on {
            let growth = if was_there { RETAINED_BYTES + topic.len() as i64 } else { 0 };
            self.grow(-growth);
            self.piece.bytes.push(Kind::RetainedGone as u8);
            let out = &mut self.piece.bytes;
            w::number(out, version);
            w::text(out, topic);
        }
    }

    // For a checkpoint: what is there is written again.

    pub(crate) fn write_session(&mut self, me: SessionRef, session: &mut Session) {
        session.is_recorded = true;
        let seen = core::mem::take(&mut self.seen);
        let out = self.begin(Kind::Session, me);
        session_head(out, session);
        out.push(u8::from(session.connection.is_none()));
        w::time(out, session.ends_at);
        w::time(out, session.will_at());
        let last_id = session.outgoing.last_id();
        w::packet_id(out, last_id);
        w::varint(out, seen.len() as u64);
        for last in &seen {
            w::number(out, *last);
        }
        self.seen = seen;
    }

    pub(crate) fn write_waiting(&mut self, me: SessionRef, delivery: &Delivery) {
        let (number, place) = (delivery.message.number(), delivery.message.place());
        w::number(self.begin(Kind::Waiting, me), delivery.key);
        write_delivery(&mut self.piece, delivery, number, place);
    }

    pub(crate) fn write_waiting_stored(&mut self, me: SessionRef, copied: Copied<'_>, place: u64, length: u32) {
        let out = self.begin(Kind::Waiting, me);
        w::number(out, copied.key);
        w::number(out, 0);
        self.piece.put_place(place);
        let out = &mut self.piece.bytes;
        w::varint(out, u64::from(length));
        w::delivery(out, copied.qos, copied.retain, copied.group, copied.identifiers);
    }

    /// `None`: it has been released by PUBREC.
    pub(crate) fn write_in_flight(&mut self, me: SessionRef, packet_id: PacketId, delivery: Option<&Delivery>) {
        let out = self.begin(Kind::InFlight, me);
        w::packet_id(out, packet_id);
        out.push(u8::from(delivery.is_some()));
        if let Some(delivery) = delivery {
            w::number(out, delivery.key);
            write_delivery(&mut self.piece, delivery, delivery.message.number(), delivery.message.place());
        }
    }

    pub(crate) fn write_unreleased(&mut self, me: SessionRef, packet_id: PacketId, message: &Message) {
        if self.is_on && message.number() != 0 {
            self.write_taken_over(Kind::Unreleased, me, packet_id, message);
        }
    }

    // The clock.

    /// The times of earlier runs are to be moved like this.
    pub(crate) fn set_clocks(&mut self, clocks: Clocks) {
        self.clocks = clocks;
    }

    pub(crate) fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// The wall clock is so many milliseconds ahead of `now`.
    pub(crate) fn note_clock(&mut self, now: Time, ahead: i64) {
        if self.is_on && ahead.abs_diff(self.ahead) > CLOCK_TOLERANCE_MILLIS {
            self.ahead = ahead;
            self.write_clock(Run { after: self.run_after, ahead }, now);
        }
    }

    /// What has been noted of the clock, in this run and before; nothing as long as it was right.
    pub(crate) fn write_clocks(&mut self, now: Time) {
        for at in 0..self.clocks.runs().len() {
            let run = self.clocks.runs()[at];
            self.write_clock(run, now);
        }
        if self.ahead != 0 {
            self.write_clock(Run { after: self.run_after, ahead: self.ahead }, now);
        }
    }

    fn write_clock(&mut self, run: Run, now: Time) {
        w::clock(&mut self.piece.bytes, run, now);
    }

    pub(crate) fn write_counters(&mut self, retained_version: u64) {
        self.piece.bytes.push(Kind::Counters as u8);
        w::number(&mut self.piece.bytes, self.counter);
        w::number(&mut self.piece.bytes, retained_version);
    }
}

fn session_bytes(session: &Session) -> i64 {
    SESSION_BYTES + session.client_id.len() as i64
}

/// What a session is owed, and was given to release.
fn held_bytes(session: &Session) -> i64 {
    let owed = session.queue.len() + session.outgoing.in_flight();
    OWED_BYTES * owed as i64 + RECEIVED_BYTES * session.unreleased.iter().count() as i64
}

/// Is it still to be written down for a checkpoint?
fn is_unwritten(session: &Session, order: Order) -> bool {
    session.walk.as_deref().is_some_and(|walk| walk.covers(order))
}

/// Which of the deliveries of a publication to a session.
fn write_copied(out: &mut Vec<u8>, copied: Copied<'_>) {
    w::number(out, copied.key);
    w::delivery(out, copied.qos, copied.retain, copied.group, copied.identifiers);
}

/// Number and place of the message, length of its payload, how it is delivered.
fn write_delivery(piece: &mut Records, delivery: &Delivery, number: u64, place: u64) {
    w::number(&mut piece.bytes, number);
    piece.put_place(place);
    let out = &mut piece.bytes;
    w::varint(out, delivery.payload_length());
    w::delivery(out, delivery.qos, delivery.retain, delivery.group(), delivery.identifiers());
}

fn session_head(out: &mut Vec<u8>, session: &Session) {
    w::text(out, &session.client_id);
    out.extend_from_slice(&session.expiry_seconds.to_le_bytes());
    w::user(out, session.identity.user_name.as_deref(), session.identity.realm);
    out.push(w::head_flags(session.will.is_some(), session.expires_by_setting));
    if let Some(will) = &session.will {
        w::will(out, &will.message.view(), will.delay_seconds, will.expiry_seconds);
    }
}

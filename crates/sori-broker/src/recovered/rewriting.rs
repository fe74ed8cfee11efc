//! What records add up to, written down once more as it is, for a checkpoint of a store that no broker uses.
//!
//! It is what shards do while they live, without the life: no clock goes, nothing falls due, no limit applies, and a session that
//! was connected when the broker ended is one that was connected. What to do about all that is left to the next start.

use super::{Owed, Recovered, RecoveredRetained, RecoveredSession, RecoveredWill};
use crate::clocks::Clocks;
use crate::ids::{SessionRef, ShardId};
use crate::record::write as w;
use crate::record::{Kind, Records};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::{self, Vec};
use sori_mqtt::PacketId;

/// Bytes of records in one piece, about.
const PIECE_BYTES: usize = if cfg!(test) { 64 } else { 64 * 1024 };

/// Gives out the records that say all of it again: first [`Rewriter::next_name`] until there is none, then, in a checkpoint,
/// [`Rewriter::next_piece`] until there is none.
#[derive(Debug)]
pub struct Rewriter {
    names: Vec<Arc<str>>,
    /// How many sessions have been named; `None`: the run has not begun.
    named: Option<usize>,
    /// The count and the version of retained messages that have been used, until they are written.
    counters: Option<(u64, u64)>,
    clocks: Clocks,
    sessions: vec::IntoIter<RecoveredSession>,
    /// How many sessions have been written.
    written: usize,
    /// What waits for the last of them.
    waiting: vec::IntoIter<Owed>,
    retained: vec::IntoIter<(Box<str>, RecoveredRetained)>,
}

impl Recovered {
    /// Writes all of it down once more, instead of [`Recovered::finish`].
    #[must_use]
    pub fn rewrite(mut self) -> Rewriter {
        self.settle_times();
        self.clocks.begin_run(self.counter);
        let messages = core::mem::take(&mut self.messages);
        self.settle(&messages);
        let place_of = |(number, place)| (number, messages.get(&number).map_or(place, |(place, _)| *place));
        let (names, sessions): (Vec<_>, Vec<_>) = self.sessions.into_iter().unzip();
        let retained = self.retained.into_iter().filter(|(_, retained)| retained.message.is_some());
        let retained = retained.map(|(topic, r)| (topic, RecoveredRetained { message: r.message.map(place_of), ..r }));
        Rewriter {
            names,
            named: None,
            counters: Some((self.counter, self.retained_version)),
            clocks: self.clocks,
            sessions: sessions.into_iter(),
            written: 0,
            waiting: Vec::new().into_iter(),
            retained: retained.collect::<Vec<_>>().into_iter(),
        }
    }
}

impl Rewriter {
    /// The next piece that gives the sessions the names by which the others call them: should the checkpoint not come to its end,
    /// they say nothing new.
    pub fn next_name(&mut self) -> Option<Records> {
        let mut records = Records { is_awaited: true, ..Records::default() };
        let mut at = self.named.unwrap_or_else(|| {
            records.bytes.push(Kind::Run as u8);
            0
        });
        while let Some(name) = self.names.get(at).filter(|_| records.bytes.len() < PIECE_BYTES) {
            w::kind(&mut records.bytes, Kind::Named, name_of(at));
            w::text(&mut records.bytes, name);
            at += 1;
        }
        self.named = Some(at);
        (!records.bytes.is_empty()).then_some(records)
    }

    /// The next piece of all the rest.
    pub fn next_piece(&mut self) -> Option<Records> {
        let mut records = Records { is_awaited: true, ..Records::default() };
        if let Some((counter, version)) = self.counters.take() {
            records.bytes.push(Kind::Counters as u8);
            w::number(&mut records.bytes, counter);
            w::number(&mut records.bytes, version);
            for run in self.clocks.runs() {
                w::clock(&mut records.bytes, *run, Time(0));
            }
        }
        while records.bytes.len() < PIECE_BYTES && self.write_next(&mut records) {}
        records.repeated = records.bytes.len() as u32;
        (!records.bytes.is_empty()).then_some(records)
    }

    /// False: nothing is left.
    fn write_next(&mut self, records: &mut Records) -> bool {
        if let Some(owed) = self.waiting.next() {
            w::kind(&mut records.bytes, Kind::Waiting, name_of(self.written - 1));
            write_owed(records, &owed);
        } else if let Some(mut session) = self.sessions.next() {
            let me = name_of(self.written);
            write_session(records, me, &self.names[self.written], &session);
            self.waiting = session.take_waiting().collect::<Vec<_>>().into_iter();
            self.written += 1;
        } else if let Some((topic, retained)) = self.retained.next() {
            write_retained(records, &topic, &retained);
        } else {
            return false;
        }
        true
    }
}

fn name_of(at: usize) -> SessionRef {
    SessionRef { shard: ShardId(0), slot: at as u32, generation: 0 }
}

/// All of a session but what waits for it.
fn write_session(records: &mut Records, me: SessionRef, client_id: &str, session: &RecoveredSession) {
    let out = &mut records.bytes;
    w::kind(out, Kind::Session, me);
    w::text(out, client_id);
    out.extend_from_slice(&session.expiry_seconds.to_le_bytes());
    w::user(out, session.user_name.as_deref(), session.realm);
    out.push(w::head_flags(session.will.is_some(), session.expires_by_setting));
    if let Some(RecoveredWill { body, delay_seconds, expiry_seconds }) = &session.will {
        w::will_body(out, body, *delay_seconds, *expiry_seconds);
    }
    out.push(u8::from(session.disconnected.is_some()));
    write_times(out, session.disconnected.unwrap_or((Time::NEVER, Time::NEVER)));
    w::packet_id(out, session.last_packet_id.unwrap_or(PacketId::LAST));
    // What other shards have recorded for it is among what waits.
    w::varint(out, 0);
    if let Some(times) = session.disconnected.filter(|_| session.was_stopped) {
        w::kind(out, Kind::Stopped, me);
        write_times(out, times);
    }
    for (filter, (options, identifier)) in &session.subscriptions {
        w::subscription(out, me, filter, *options, *identifier);
    }
    for (packet_id, number, place) in session.all_unreleased() {
        w::kind(&mut records.bytes, Kind::Received, me);
        w::packet_id(&mut records.bytes, *packet_id);
        write_message(records, *number, *place);
    }
    for (packet_id, owed) in session.in_flight() {
        w::kind(&mut records.bytes, Kind::InFlight, me);
        w::packet_id(&mut records.bytes, *packet_id);
        records.bytes.push(u8::from(owed.is_some()));
        if let Some(owed) = owed {
            write_owed(records, owed);
        }
    }
}

fn write_times(out: &mut Vec<u8>, (ends_at, will_at): (Time, Time)) {
    w::time(out, ends_at);
    w::time(out, will_at);
}

fn write_owed(records: &mut Records, owed: &Owed) {
    w::number(&mut records.bytes, owed.key);
    write_message(records, owed.number, owed.place);
    let out = &mut records.bytes;
    w::varint(out, u64::from(owed.length));
    w::delivery(out, owed.qos, owed.retain, owed.group, owed.identifiers());
}

fn write_retained(records: &mut Records, topic: &str, retained: &RecoveredRetained) {
    let (number, place) = retained.message.unwrap_or_default();
    records.bytes.push(Kind::Retained as u8);
    w::number(&mut records.bytes, retained.version);
    write_message(records, number, place);
    w::text(&mut records.bytes, topic);
    w::owner(&mut records.bytes, retained.owner.as_deref());
}

/// Which message. It does not stand in these records, so its place says it.
fn write_message(records: &mut Records, number: u64, place: u64) {
    w::number(&mut records.bytes, number);
    records.put_place(place);
}

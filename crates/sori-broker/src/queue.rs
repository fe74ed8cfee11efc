//! Messages that wait until a session may get them.
//!
//! ```text
//!   QoS 1, 2   oldest ► in memory ► in the store ► in memory ► newest
//!   QoS 0      oldest ► in memory ► newest
//! ```
//!
//! QoS 0 has a line of its own, because it does not wait for acknowledgements; the order of the deliveries tells which
//! of the two fronts is the older one. What lies in the store only is fetched before its turn comes.

use crate::delivery::{Delivery, Order, Stored};
use crate::latest::Latest;
use crate::line::Line;
use crate::looks;
use crate::memory::MemoryUse;
use crate::message::Message;
use crate::stored_line::{STORED_BYTES, StoredLine, StoredMut};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::vec::Vec;
use sori_mqtt::QoS;

/// The queue of a session.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// QoS 1 and 2, oldest first: what comes next.
    front: Line,
    /// What comes after `front`, and is not in memory.
    stored: StoredLine,
    /// What comes after `stored`; empty as long as that is empty.
    back: Line,
    /// QoS 0, oldest first.
    plain: Line,
    bytes: u64,
    /// How many were chosen from a group. They are in memory.
    from_groups: usize,
    last_order: Order,
    /// Nothing in memory expires before this moment. `None` is never.
    expires_first: Option<Time>,
    /// It is not looked through for what has expired before this moment.
    next_look: Time,
    /// A look that has not come to the end yet.
    look: Option<Box<Look>>,
    /// The last delivery of each topic, if somebody has asked for one.
    latest: Option<Box<Latest>>,
}

/// So many deliveries of a queue are looked at in a millisecond for what has expired: of a long queue not all of them
/// each time.
const LOOKS_PER_MILLI: usize = 100;

/// So many are looked at in one go, and others have their turn before the next.
const LOOKS_IN_A_GO: usize = if cfg!(test) { 8 } else { 1024 };
/// So many that have expired are taken from the beginning in one go: one makes room for the message that asks for it.
const EXPIRED_IN_A_GO: usize = 32;

/// How far a look for what has expired has come.
#[derive(Debug)]
struct Look {
    /// It goes on with this delivery, or what comes behind it.
    from: Order,
    /// When the first expires of those that it has passed over.
    first: Option<Time>,
}

/// A delivery that was dropped.
#[derive(Debug)]
pub(crate) enum Gone {
    Delivery(Delivery),
    Stored(Stored),
}

impl Gone {
    /// It is not needed from the store either.
    pub(crate) fn forget(self, memory: &MemoryUse) {
        if let Gone::Stored(stored) = self {
            memory.forget(stored.place, stored.length);
        }
    }
}

impl Queue {
    /// An empty one, whose first delivery comes after this place.
    pub(crate) fn after(last_order: Order) -> Queue {
        Queue { last_order, ..Queue::default() }
    }

    pub(crate) fn last_order(&self) -> Order {
        self.last_order
    }

    /// The place of the oldest of QoS 1 and 2.
    pub(crate) fn first_order(&self) -> Option<Order> {
        self.front.front().map(|d| d.order).or_else(|| self.stored.first_order())
    }

    /// The place of the next delivery.
    pub(crate) fn next_order(&mut self) -> Order {
        self.last_order = self.last_order.next();
        self.last_order
    }

    pub(crate) fn len(&self) -> usize {
        self.acknowledged_len() + self.plain.len()
    }

    fn acknowledged_len(&self) -> usize {
        self.front.len() + self.stored.len() + self.back.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them lie in the store only.
    pub(crate) fn stored_len(&self) -> usize {
        self.stored.len()
    }

    /// Payload bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Does a QoS 0 message wait? Then a newer one must not overtake it.
    pub(crate) fn holds_qos0(&self) -> bool {
        !self.plain.is_empty()
    }

    /// The oldest; `Err` when it is not in memory.
    pub(crate) fn front(&self) -> Option<Result<&Delivery, Order>> {
        if self.is_plain_next() {
            return self.plain.front().map(Ok);
        }
        match self.front.front() {
            Some(delivery) => Some(Ok(delivery)),
            None => self.stored.first_order().map(Err),
        }
    }

    fn is_plain_next(&self) -> bool {
        let acknowledged = self.front.front().map(|d| d.order).or_else(|| self.stored.first_order());
        match (self.plain.front(), acknowledged) {
            (Some(plain), Some(acknowledged)) => plain.order.is_before(acknowledged),
            (plain, _) => plain.is_some(),
        }
    }

    /// Put a delivery at the end; its place is the next one.
    pub(crate) fn push(&mut self, mut delivery: Delivery) -> &Delivery {
        delivery.order = self.next_order();
        self.put(delivery)
    }

    /// Put a delivery at the end that has its place already.
    pub(crate) fn put(&mut self, delivery: Delivery) -> &Delivery {
        let expires = delivery.message.expires();
        if expires != Time::NEVER {
            self.expires_first = earlier(self.expires_first, expires);
        }
        self.bytes += delivery.payload_length();
        self.from_groups += usize::from(delivery.group().is_some());
        if let Some(latest) = &mut self.latest {
            let topic = delivery.message.topic();
            latest.note(&delivery, |order| has_topic([&self.front, &self.back, &self.plain], order, topic));
        }
        let line = match delivery.qos {
            QoS::AtMostOnce => &mut self.plain,
            _ if self.stored.is_empty() => &mut self.front,
            _ => &mut self.back,
        };
        line.push_back(delivery)
    }

    /// Put a delivery at the end that lies in the store only.
    pub(crate) fn put_stored(&mut self, mut delivery: Stored, memory: &MemoryUse) {
        delivery.order = self.next_order();
        self.bytes += u64::from(self.push_stored(delivery, memory));
    }

    /// Take out the oldest, which must be in memory.
    pub(crate) fn pop(&mut self) -> Option<Delivery> {
        if self.is_plain_next() {
            return self.pop_qos0();
        }
        let delivery = self.pop_from(|queue| &mut queue.front);
        self.close_gap();
        delivery
    }

    /// Take out the oldest of QoS 0.
    pub(crate) fn pop_qos0(&mut self) -> Option<Delivery> {
        self.pop_from(|queue| &mut queue.plain)
    }

    fn pop_from(&mut self, line: impl FnOnce(&mut Queue) -> &mut Line) -> Option<Delivery> {
        let delivery = line(self).pop_front()?;
        self.note_gone(&delivery);
        Some(delivery)
    }

    /// A delivery of those in memory has been taken out.
    fn note_gone(&mut self, delivery: &Delivery) {
        self.bytes -= delivery.payload_length();
        self.from_groups -= usize::from(delivery.group().is_some());
        if let Some(latest) = &mut self.latest {
            latest.forget(delivery);
        }
    }

    /// Nothing lies in the store any more: what comes after it comes next.
    fn close_gap(&mut self) {
        if self.stored.is_empty() && !self.back.is_empty() {
            if self.front.is_empty() {
                core::mem::swap(&mut self.front, &mut self.back);
            } else {
                self.front.append(&mut self.back);
            }
        }
    }

    /// Take out the oldest, wherever it is.
    pub(crate) fn drop_oldest(&mut self, memory: &MemoryUse) -> Option<Gone> {
        match self.front()? {
            Ok(_) => self.pop().map(Gone::Delivery),
            Err(_) => {
                let stored = self.pop_stored(memory);
                self.close_gap();
                stored.map(Gone::Stored)
            }
        }
    }

    fn pop_stored(&mut self, memory: &MemoryUse) -> Option<Stored> {
        let stored = self.stored.pop()?;
        memory.add(-STORED_BYTES);
        self.bytes -= u64::from(stored.length);
        Some(stored)
    }

    /// The oldest of what was chosen from a group.
    pub(crate) fn first_from_group(&self) -> Option<&Delivery> {
        self.next_from_group(self.first_in_memory()?)
    }

    /// The same, whose place is not before `from`.
    pub(crate) fn next_from_group(&self, from: Order) -> Option<&Delivery> {
        if self.from_groups == 0 {
            return None;
        }
        self.in_memory_from(from).find(|delivery| delivery.group().is_some())
    }

    fn first_in_memory(&self) -> Option<Order> {
        let acknowledged = self.front.front().or_else(|| self.back.front()).map(|d| d.order);
        match (self.plain.front().map(|d| d.order), acknowledged) {
            (Some(plain), Some(acknowledged)) if acknowledged.is_before(plain) => Some(acknowledged),
            (plain, acknowledged) => plain.or(acknowledged),
        }
    }

    /// What is in memory, oldest first, from the first whose place is not before `from`.
    fn in_memory_from(&self, from: Order) -> impl Iterator<Item = &Delivery> {
        let mut acknowledged = self.front.iter_from(from).chain(self.back.iter_from(from)).peekable();
        let mut plain = self.plain.iter_from(from).peekable();
        core::iter::from_fn(move || {
            let is_plain_next = match (plain.peek(), acknowledged.peek()) {
                (Some(plain), Some(acknowledged)) => plain.order.is_before(acknowledged.order),
                (plain, _) => plain.is_some(),
            };
            if is_plain_next { plain.next() } else { acknowledged.next() }
        })
    }

    /// Take it out.
    pub(crate) fn remove(&mut self, order: Order) -> Option<Delivery> {
        let lines = [&mut self.front, &mut self.back, &mut self.plain];
        let delivery = lines.into_iter().find_map(|line| line.remove(order))?;
        self.note_gone(&delivery);
        self.close_gap();
        Some(delivery)
    }

    fn may_have_expired(&self, now: Time) -> bool {
        self.expires_first.is_some_and(|first| first <= now)
    }

    /// Take out some of what has expired of what comes next, without looking at what comes behind it.
    pub(crate) fn expire_first(&mut self, now: Time) -> Vec<Delivery> {
        let mut expired = Vec::new();
        if !self.may_have_expired(now) {
            return expired;
        }
        let lines: [fn(&mut Queue) -> &mut Line; 2] = [|queue| &mut queue.front, |queue| &mut queue.plain];
        for line in lines {
            while expired.len() < EXPIRED_IN_A_GO && line(self).front().is_some_and(|d| d.message.expires() <= now) {
                looks::note();
                expired.extend(self.pop_from(line));
            }
        }
        self.close_gap();
        expired
    }

    /// Take out what has expired of what is in memory: a long queue is looked through in several goes, and a queue in which
    /// nothing has expired is not.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<Delivery> {
        if now < self.next_look || !self.may_have_expired(now) {
            return Vec::new();
        }
        let begun = self.look.take().map(|look| *look);
        let beginning = || self.first_in_memory().map(|from| Look { from, first: None });
        let Some(mut look) = begun.or_else(beginning) else {
            self.expires_first = None;
            return Vec::new();
        };
        let (mut looks, mut is_over) = (0, true);
        let mut expired = Vec::new();
        for delivery in self.in_memory_from(look.from) {
            if looks == LOOKS_IN_A_GO {
                (look.from, is_over) = (delivery.order, false);
                break;
            }
            looks::note();
            looks += 1;
            match delivery.message.expires() {
                Time::NEVER => {}
                expires if expires <= now => expired.push(delivery.order),
                expires => look.first = earlier(look.first, expires),
            }
        }
        self.next_look = now.plus_millis((looks / LOOKS_PER_MILLI) as u64);
        if is_over {
            self.expires_first = look.first;
        } else {
            self.look = Some(Box::new(look));
        }
        expired.into_iter().filter_map(|order| self.remove(order)).collect()
    }

    /// Take out the last message of this topic that is in memory. The caller puts the new one in at the end: in an earlier
    /// place it would overtake what its own publisher sent before. [MQTT-4.6.0-5] [MQTT311-4.6.0-6]
    pub(crate) fn take_last_of_topic(&mut self, topic: &str) -> Option<Delivery> {
        // Queues of which only the latest values are wanted are not moved into the store.
        let latest = self.latest.take().unwrap_or_else(|| Box::new(self.find_latest()));
        let lines = [&self.front, &self.back, &self.plain];
        let found = latest.find(topic, |order| has_topic(lines, order, topic));
        self.latest = Some(latest);
        self.remove(found?)
    }

    fn find_latest(&self) -> Latest {
        let (mut latest, lines) = (Latest::default(), [&self.front, &self.back, &self.plain]);
        for delivery in self.front.iter().chain(self.back.iter()).chain(self.plain.iter()) {
            latest.note(delivery, |order| has_topic(lines, order, delivery.message.topic()));
        }
        latest
    }

    // What lies in the store only.

    /// Leave the messages that are durable to the store, but for the first `keep`: what was chosen from a group stays,
    /// and all behind it. At most `max` go; gives how many did.
    pub(crate) fn spill(&mut self, keep: usize, max: usize, memory: &MemoryUse) -> usize {
        self.latest = None;
        let before = self.stored.len();
        let may_go = |d: &Delivery| d.message.place() != 0 && d.group().is_none();
        if self.stored.is_empty() {
            if self.front.len() <= keep || !self.front.get(keep).is_some_and(may_go) {
                return 0;
            }
            self.back = self.front.split_off(keep);
        }
        while self.stored.len() - before < max && self.back.front().is_some_and(may_go) {
            let Some(delivery) = self.back.pop_front() else { break };
            if delivery.message.is_unshared() {
                // It is still needed.
                let stored = Stored::of(delivery.clone());
                delivery.message.set_place(0);
                drop(delivery);
                self.push_stored(stored, memory);
            } else {
                self.push_stored(Stored::of(delivery), memory);
            }
        }
        let spilled = self.stored.len() - before;
        self.close_gap();
        spilled
    }

    /// Says how long its payload is.
    fn push_stored(&mut self, stored: Stored, memory: &MemoryUse) -> u32 {
        memory.add(STORED_BYTES);
        self.stored.push(stored)
    }

    /// Is it time to fetch what comes next from the store?
    pub(crate) fn is_running_short(&self, low: usize) -> bool {
        !self.stored.is_empty() && self.front.len() < low
    }

    /// What is to be fetched first, and where it lies: at most `count` messages, and not many more bytes than `bytes`.
    pub(crate) fn to_fetch(&self, count: usize, bytes: usize) -> impl Iterator<Item = (Order, u64)> {
        let mut left = bytes;
        let some = self.stored.places().take(count).take_while(move |(_, _, length)| {
            let goes_on = left > 0;
            left = left.saturating_sub(*length as usize + 64);
            goes_on
        });
        some.map(|(order, place, _)| (order, place))
    }

    /// The message of the first delivery in the store has been fetched, or is lost. `None` when another one is the first
    /// by now.
    pub(crate) fn fetched(&mut self, order: Order, message: Option<Message>, memory: &MemoryUse) -> Option<Gone> {
        if self.stored.first_order() != Some(order) {
            return None;
        }
        let stored = self.pop_stored(memory)?;
        let Some(message) = message else {
            self.close_gap();
            return Some(Gone::Stored(stored));
        };
        let delivery = stored.with(message);
        let expires = delivery.message.expires();
        if expires != Time::NEVER {
            self.expires_first = earlier(self.expires_first, expires);
            // A look may have gone past its place.
            if let Some(look) = &mut self.look {
                look.first = earlier(look.first, expires);
            }
        }
        self.bytes += delivery.payload_length();
        self.latest = None;
        self.front.push_back(delivery);
        self.close_gap();
        None
    }

    /// All of QoS 1 and 2, oldest first, from the first whose place is not before `from`.
    pub(crate) fn acknowledged_from(&mut self, from: Order) -> impl Iterator<Item = Result<&Delivery, StoredMut<'_>>> {
        let stored = self.stored.range_mut(from).map(Err);
        self.front.iter_from(from).map(Ok).chain(stored).chain(self.back.iter_from(from).map(Ok))
    }
}

fn earlier(first: Option<Time>, other: Time) -> Option<Time> {
    Some(first.map_or(other, |first| first.min(other)))
}

/// Has the delivery in this place this topic?
fn has_topic(lines: [&Line; 3], order: Order, topic: &str) -> bool {
    looks::note();
    lines.into_iter().find_map(|line| line.find(order)).is_some_and(|delivery| delivery.message.topic() == topic)
}

#[cfg(test)]
mod tests;

//! What is left in memory of messages that wait and lie in the store only: a line with 24 bytes for each.
//!
//! There may be millions of them. What few have stands in a line of its own.

use crate::delivery::{Copied, Extra, Order, Stored};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use sori_mqtt::QoS;

/// Deliveries whose messages lie in the store only, oldest first.
#[derive(Debug, Default)]
pub(crate) struct StoredLine {
    entries: VecDeque<Entry>,
    /// Of those that have some, in the same order.
    extras: VecDeque<(Order, Box<Extra>)>,
}

/// One of them.
#[derive(Debug)]
struct Entry {
    place: u64,
    key: u64,
    order: Order,
    /// The length of the payload, which a packet bounds to 28 bits, and above it what is a matter of one bit.
    length_and_flags: u32,
}

const LENGTH_MAX: u32 = (1 << 28) - 1;
const EXACTLY_ONCE: u32 = 1 << 28;
const RETAIN: u32 = 1 << 29;
const HAS_EXTRA: u32 = 1 << 30;

/// Memory that each takes, with its place in the line.
pub(crate) const STORED_BYTES: i64 = size_of::<Entry>() as i64 + size_of::<Entry>() as i64 / 8;

impl Entry {
    fn length(&self) -> u32 {
        self.length_and_flags & LENGTH_MAX
    }

    fn is(&self, flag: u32) -> bool {
        self.length_and_flags & flag != 0
    }

    fn qos(&self) -> QoS {
        if self.is(EXACTLY_ONCE) { QoS::ExactlyOnce } else { QoS::AtLeastOnce }
    }
}

impl StoredLine {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The place of the first among those of its session.
    pub(crate) fn first_order(&self) -> Option<Order> {
        self.entries.front().map(|entry| entry.order)
    }

    /// Put one at the end. Says how long its payload is.
    pub(crate) fn push(&mut self, stored: Stored) -> u32 {
        let Stored { place, key, extra, order, length, qos, retain } = stored;
        debug_assert!(qos != QoS::AtMostOnce, "QoS 0 does not wait in the store");
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        let length = length.min(LENGTH_MAX);
        let flags =
            flag(qos == QoS::ExactlyOnce, EXACTLY_ONCE) | flag(retain, RETAIN) | flag(extra.is_some(), HAS_EXTRA);
        if let Some(extra) = extra {
            self.extras.push_back((order, extra));
        }
        make_room(&mut self.entries);
        self.entries.push_back(Entry { place, key, order, length_and_flags: length | flags });
        length
    }

    /// Take out the first.
    pub(crate) fn pop(&mut self) -> Option<Stored> {
        let entry = self.entries.pop_front()?;
        let extra = if entry.is(HAS_EXTRA) { self.extras.pop_front().map(|(_, extra)| extra) } else { None };
        if self.entries.is_empty() {
            // An idle session holds no memory for what it once queued.
            *self = StoredLine::default();
        }
        let Entry { place, key, order, .. } = entry;
        let (length, qos, retain) = (entry.length(), entry.qos(), entry.is(RETAIN));
        Some(Stored { place, key, extra, order, length, qos, retain })
    }

    /// Order, place and length of each payload, oldest first.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Order, u64, u32)> {
        self.entries.iter().map(|entry| (entry.order, entry.place, entry.length()))
    }

    /// All from the first whose order is not before `from`.
    pub(crate) fn range_mut(&mut self, from: Order) -> impl Iterator<Item = StoredMut<'_>> {
        let begin = self.entries.partition_point(|entry| entry.order.is_before(from));
        let extras = self.extras.partition_point(|(order, _)| order.is_before(from));
        let mut extras = self.extras.range(extras..);
        self.entries.range_mut(begin..).map(move |entry| {
            let extra = if entry.is(HAS_EXTRA) { extras.next().map(|(_, extra)| &**extra) } else { None };
            StoredMut { entry, extra }
        })
    }
}

/// One of them, where it stands.
#[derive(Debug)]
pub(crate) struct StoredMut<'a> {
    entry: &'a mut Entry,
    extra: Option<&'a Extra>,
}

impl StoredMut<'_> {
    pub(crate) fn order(&self) -> Order {
        self.entry.order
    }

    pub(crate) fn place(&self) -> u64 {
        self.entry.place
    }

    /// The message has been moved.
    pub(crate) fn set_place(&mut self, place: u64) {
        self.entry.place = place;
    }

    /// Of the payload.
    pub(crate) fn length(&self) -> u32 {
        self.entry.length()
    }

    pub(crate) fn copied(&self) -> Copied<'_> {
        let Entry { key, .. } = *self.entry;
        let (qos, retain) = (self.entry.qos(), self.entry.is(RETAIN));
        // What was chosen from a group stays in memory.
        Copied { key, qos, retain, group: None, identifiers: self.extra.map_or(&[], Extra::identifiers) }
    }
}

/// Lines grow by an eighth, not to their double: most of what they take is what they hold.
fn make_room<T>(line: &mut VecDeque<T>) {
    if line.len() == line.capacity() {
        line.reserve_exact(line.len() / 8 + 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;

    fn stored(number: u32) -> Stored {
        let identifiers = [number, number + 1];
        let identifiers = if number.is_multiple_of(3) { &identifiers[..number as usize % 2 + 1] } else { &[] };
        Stored {
            place: u64::MAX - u64::from(number),
            key: u64::MAX / 2 - u64::from(number),
            extra: Extra::new(identifiers, None),
            order: Order(u32::MAX - 10).next_by(number),
            length: LENGTH_MAX - number,
            qos: if number.is_multiple_of(2) { QoS::AtLeastOnce } else { QoS::ExactlyOnce },
            retain: number.is_multiple_of(5),
        }
    }

    impl Order {
        fn next_by(self, count: u32) -> Order {
            Order(self.0.wrapping_add(count))
        }
    }

    #[test]
    fn what_goes_in_comes_out_whole_and_in_order() {
        let mut line = StoredLine::default();
        for number in 0..50 {
            assert_eq!(line.push(stored(number)), LENGTH_MAX - number);
        }
        assert_eq!(line.len(), 50);
        for number in 0..20 {
            assert_eq!(format!("{:?}", line.pop().expect("one more")), format!("{:?}", stored(number)));
        }
        for from in [20, 21, 22, 23, 49] {
            let mut count = 0;
            for (mut found, number) in line.range_mut(stored(from).order).zip(from..) {
                let expected = stored(number);
                assert_eq!((found.order(), found.place()), (expected.order, expected.place));
                assert_eq!((found.copied(), found.length()), (expected.copied(), expected.length));
                found.set_place(expected.place);
                count += 1;
            }
            assert_eq!(count, 50 - from);
        }
        let places: Vec<_> = line.places().collect();
        assert_eq!(places[0], (stored(20).order, stored(20).place, stored(20).length));
        while line.pop().is_some() {}
        assert!(line.is_empty() && line.entries.capacity() == 0 && line.extras.is_empty());
    }

    #[test]
    fn it_is_as_small_as_the_limits_count_on() {
        assert_eq!(STORED_BYTES, 27);
    }
}

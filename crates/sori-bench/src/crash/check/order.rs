//! Messages of one publisher for one topic with one QoS come in the order in which they were sent; repetitions of
//! QoS 1 may come again later.

use crate::crash::book::{Book, Delivery, Kind, Promise};

pub(super) fn look(book: &mut Book, receiver: usize, delivery: Delivery) {
    let (stream, number) = (usize::from(delivery.stream), delivery.number);
    let receiver = &book.receivers[receiver];
    if matches!(receiver.promise, Promise::Shared(_)) || book.streams[stream].kind != Kind::Data {
        return;
    }
    let seen = &receiver.seen[stream];
    let is_first = seen.times.get(number as usize).is_none_or(|times| *times == 0);
    // A subscription that began between two messages misses the first of them, and gets it when its publisher sends it
    // again.
    let sent = book.streams[stream].sent[number as usize];
    let was_subscribed = receiver.subscribed_since.is_some_and(|since| since < sent.first);
    if is_first && was_subscribed && number < seen.next {
        let (name, after, story) = (&receiver.name, seen.next - 1, book.story(stream, number));
        book.faults.add("order", book.kills, || format!("{name} got after #{after}: {story}"));
    }
}

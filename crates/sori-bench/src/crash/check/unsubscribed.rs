//! After UNSUBACK, and after CONNACK of a new session, nothing that was published then comes, until there is a new
//! SUBSCRIBE.

use crate::crash::book::{Book, Delivery, Micros, Promise};

pub(super) fn look(book: &mut Book, receiver: usize, delivery: Delivery) {
    let (stream, number) = (usize::from(delivery.stream), delivery.number);
    let receiver = &book.receivers[receiver];
    // What a group was owed already may be handed to a member that joins.
    if matches!(receiver.promise, Promise::Shared(_)) {
        return;
    }
    let sent = book.streams[stream].sent[number as usize];
    let open = receiver.unsubscribed_since.map(|since| (since, Micros::MAX));
    // What was resent after the new SUBSCRIBE may have been taken then.
    let is_within = |(from, to): (Micros, Micros)| {
        sent.first > from && (to == Micros::MAX || (sent.completed != 0 && sent.completed < to))
    };
    if receiver.gaps.iter().copied().chain(open).any(is_within) {
        let (name, story) = (&receiver.name, book.story(stream, number));
        book.faults.add("not subscribed", book.kills, || format!("{name} got {story}"));
    }
}

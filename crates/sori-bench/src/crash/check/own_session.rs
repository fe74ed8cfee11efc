//! What was finished before a session began is none of its business.

use crate::crash::book::{Book, Delivery, Promise};

pub(super) fn look(book: &mut Book, receiver: usize, delivery: Delivery) {
    let (stream, number) = (usize::from(delivery.stream), delivery.number);
    let receiver = &book.receivers[receiver];
    let completed = book.streams[stream].sent[number as usize].completed;
    let is_shared = matches!(receiver.promise, Promise::Shared(_));
    if !delivery.is_retained && !is_shared && completed != 0 && completed < receiver.session_began {
        let (name, story) = (&receiver.name, book.story(stream, number));
        book.faults.add("older than the session", book.kills, || format!("{name} got {story}"));
    }
}

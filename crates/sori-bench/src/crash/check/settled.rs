//! After everything was delivered, acknowledged and left in peace, a further kill brings nothing back.

use crate::crash::book::{Book, Delivery};

pub(super) fn look(book: &mut Book, receiver: usize, delivery: Delivery) {
    if book.is_settled && !delivery.is_retained {
        let name = &book.receivers[receiver].name;
        let story = book.story(usize::from(delivery.stream), delivery.number);
        book.faults.add("finished comes back", book.kills, || format!("{name} got {story}"));
    }
}

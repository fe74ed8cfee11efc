//! A QoS 2 message reaches a subscriber that wants QoS 2 once; of those that share, one.

use sori_mqtt::QoS;

use crate::crash::book::{Book, Delivery, Kind, Promise};

pub(super) fn look(book: &mut Book, receiver: usize, delivery: Delivery) {
    let (stream, number) = (usize::from(delivery.stream), delivery.number);
    let receiver = &book.receivers[receiver];
    // Wills have a rule of their own: their stream holds both QoS.
    let is_exact = book.streams[stream].kind == Kind::Data
        && book.streams[stream].qos == QoS::ExactlyOnce
        && receiver.qos == QoS::ExactlyOnce;
    if is_exact && receiver.seen[stream].times[number as usize] > 1 {
        let (name, story, dup) = (&receiver.name, book.story(stream, number), delivery.is_resent);
        book.faults
            .add("QoS 2 twice", book.kills, || format!("{name} got (DUP {dup}, QoS {}) {story}", delivery.qos as u8));
    }
}

pub(super) fn look_at_groups(book: &mut Book) {
    let mut found = Vec::new();
    for (index, receiver) in book.receivers.iter().enumerate() {
        let Promise::Shared(_) = receiver.promise else { continue };
        for (stream, _) in book.streams.iter().enumerate().filter(|(_, stream)| stream.qos == QoS::ExactlyOnce) {
            for (number, times) in receiver.seen[stream].times.iter().enumerate().filter(|(_, times)| **times > 0) {
                let others = book.receivers[index + 1..].iter().filter(|other| other.promise == receiver.promise);
                for other in others {
                    if *times > 0 && other.seen[stream].times.get(number).is_some_and(|times| *times > 0) {
                        found.push((receiver.name.clone(), other.name.clone(), stream, number as u32));
                    }
                }
            }
        }
    }
    for (one, other, stream, number) in found {
        let story = book.story(stream, number);
        book.faults.add("QoS 2 twice", book.kills, || format!("{one} and {other}, who share, both got {story}"));
    }
}

//! What was acknowledged reaches every kept session whose SUBACK came before the PUBLISH was sent.

use crate::crash::book::{Book, Kind, Promise, Receiver, Sent};

/// A receiver, or a group of them that shares; and the message that it lacks.
#[derive(Debug, Clone, Copy)]
pub(in crate::crash) struct Missing {
    receiver: usize,
    stream: usize,
    number: u32,
}

/// What is still to come, at most `limit` of it.
pub(in crate::crash) fn missing(book: &Book, limit: usize) -> Vec<Missing> {
    let mut missing = Vec::new();
    for (index, receiver) in book.receivers.iter().enumerate() {
        // The first member speaks for its group.
        let members: Vec<&Receiver> = match receiver.promise {
            Promise::Nothing => continue,
            Promise::All => vec![receiver],
            Promise::Shared(_) => {
                let is_member = |other: &&Receiver| other.promise == receiver.promise;
                if book.receivers[..index].iter().any(|other| is_member(&other)) {
                    continue;
                }
                book.receivers.iter().filter(is_member).collect()
            }
        };
        let Some(since) = members.iter().filter_map(|member| member.subscribed_since).min() else { continue };
        for (number_of_stream, stream) in book.streams.iter().enumerate() {
            if !receiver.matches[number_of_stream] || stream.kind != Kind::Data {
                continue;
            }
            let is_owed = |sent: &Sent| sent.acknowledged != 0 && sent.first > since;
            for (number, _) in stream.sent.iter().enumerate().filter(|(_, sent)| is_owed(sent)) {
                let has_it = |member: &&Receiver| {
                    member.seen[number_of_stream].times.get(number).is_some_and(|times| *times > 0)
                };
                if !members.iter().any(has_it) {
                    missing.push(Missing { receiver: index, stream: number_of_stream, number: number as u32 });
                    if missing.len() >= limit {
                        return missing;
                    }
                }
            }
        }
    }
    missing
}

pub(super) fn look(book: &mut Book) {
    for Missing { receiver, stream, number } in missing(book, usize::MAX) {
        let receiver = &book.receivers[receiver];
        let story = book.story(stream, number);
        let who = match receiver.promise {
            Promise::Shared(_) => format!("nobody of {}", receiver.filter),
            _ => receiver.name.clone(),
        };
        let kills = book.streams[stream].sent[number as usize].acknowledged_after_kill;
        book.faults
            .add("acknowledged and lost", kills, || format!("{who} (QoS {}) never got {story}", receiver.qos as u8));
    }
}

//! A will is published once when its client was lost after CONNACK, never twice, and never when it was withdrawn.

use sori_mqtt::QoS;

use crate::crash::book::{Book, Kind, Promise, Receiver, Will, WillFate};

/// How many wills are still to come.
pub(in crate::crash) fn missing(book: &Book) -> usize {
    watchers(book)
        .map(|(watcher, stream)| {
            let due = book.wills.iter().enumerate().filter(|(_, will)| will.fate == WillFate::Due);
            due.filter(|(number, will)| was_there(watcher, will) && times(watcher, stream, *number) == 0).count()
        })
        .sum()
}

pub(super) fn look(book: &mut Book) {
    let mut found = Vec::new();
    for (watcher, stream) in watchers(book) {
        for (number, will) in book.wills.iter().enumerate() {
            let rule = match (will.fate, times(watcher, stream, number)) {
                (WillFate::Due, 0) if was_there(watcher, will) => "will lost",
                (WillFate::Withdrawn, 1..) => "will of one who said goodbye",
                (_, 2..) if will.qos == QoS::ExactlyOnce => "will twice",
                _ => continue,
            };
            let text = format!(
                "{}: {} times to {}; {:?} since {:.6} s, after kill {}, delay {} s",
                will.client,
                times(watcher, stream, number),
                watcher.name,
                will.fate,
                will.since as f64 / 1e6,
                will.after_kill,
                will.delay_seconds
            );
            found.push((rule, will.after_kill, text));
        }
    }
    for (rule, kills, text) in found {
        book.faults.add(rule, kills, || text);
    }
}

/// Whether the watcher had its SUBACK when the client was lost.
fn was_there(watcher: &Receiver, will: &Will) -> bool {
    watcher.subscribed_since.is_some_and(|since| since < will.since)
}

/// Who watches wills with a kept session, and the stream of them.
fn watchers(book: &Book) -> impl Iterator<Item = (&Receiver, usize)> {
    let stream = book.streams.iter().position(|stream| stream.kind == Kind::Will);
    let watchers = book.receivers.iter().filter(|receiver| receiver.promise == Promise::All);
    stream.into_iter().flat_map(move |stream| {
        watchers.clone().filter(move |receiver| receiver.matches[stream]).map(move |receiver| (receiver, stream))
    })
}

fn times(watcher: &Receiver, stream: usize, number: usize) -> u8 {
    watcher.seen[stream].times.get(number).copied().unwrap_or(0)
}

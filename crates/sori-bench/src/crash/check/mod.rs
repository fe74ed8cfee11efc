//! The rules, one per file. Those about one delivery look when it comes, the others at the end.

mod acknowledged_is_delivered;
mod exactly_once;
mod order;
mod own_session;
mod settled;
mod unsubscribed;
mod wills;

use super::book::{Book, Delivery};

pub(super) use acknowledged_is_delivered::missing;
pub(super) use wills::missing as missing_wills;

impl Book {
    /// A message came to a receiver.
    pub(super) fn receive(&mut self, receiver: usize, delivery: Delivery) {
        let (stream, number) = (usize::from(delivery.stream), delivery.number);
        let is_ours = self.streams.get(stream).is_some_and(|stream| (number as usize) < stream.sent.len());
        if !is_ours {
            let name = &self.receivers[receiver].name;
            self.faults.add("invented", self.kills, || format!("{name}: message {number} of stream {stream}"));
            return;
        }
        self.counts.received += 1;
        settled::look(self, receiver, delivery);
        unsubscribed::look(self, receiver, delivery);
        own_session::look(self, receiver, delivery);
        order::look(self, receiver, delivery);
        let qos = self.streams[stream].qos;
        let seen = &mut self.receivers[receiver].seen[stream];
        if seen.times.len() <= number as usize {
            seen.times.resize(number as usize + 1, 0);
        }
        let times = &mut seen.times[number as usize];
        *times = times.saturating_add(1);
        self.counts.received_first += u64::from(*times == 1);
        seen.next = seen.next.max(number + 1);
        if *times > 1 && qos == sori_mqtt::QoS::AtLeastOnce {
            self.counts.repeated_qos1 += 1;
        }
        exactly_once::look(self, receiver, delivery);
    }
}

/// What can only be known at the end.
pub(super) fn at_the_end(book: &mut Book) {
    acknowledged_is_delivered::look(book);
    exactly_once::look_at_groups(book);
    wills::look(book);
}

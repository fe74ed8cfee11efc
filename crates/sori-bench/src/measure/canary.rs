//! A few pairs of clients that exchange a message each millisecond, and how long each takes.
//!
//! A canary is to feel what the broker does for others. Each pair has its own connections, so that with a few of them every
//! worker thread serves one.

use std::io::{self, Write};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sori_mqtt::{Packet, PacketId, PacketType, QoS};

use super::priority;
use super::wire::Wire;
use crate::feed::subscribe;

/// How long the messages of a time took.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// In microseconds, sorted.
    sorted: Vec<u64>,
}

impl Latencies {
    /// How many messages arrived.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The value below which so many of a thousand lie, in microseconds, and of all thousand the longest. `None` where it
    /// would be the longest and not all are asked for: there are too few to tell.
    #[must_use]
    pub fn per_mille(&self, per_mille: usize) -> Option<u64> {
        let (first_above, count) = (self.sorted.len() * per_mille / 1000, self.sorted.len());
        match per_mille {
            1000.. => self.sorted.last().copied(),
            _ if first_above + 1 < count => self.sorted.get(first_above).copied(),
            _ => None,
        }
    }
}

pub(super) struct Canaries {
    senders: Vec<Wire>,
    receivers: Vec<Wire>,
}

/// The last message of a time.
const LAST: u64 = u64::MAX;
const EACH: Duration = Duration::from_millis(1);

impl Canaries {
    pub(super) fn connect(port: u16, pairs: usize) -> io::Result<Canaries> {
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for pair in 0..pairs {
            let (mut receiver, _) = Wire::connect(port, &format!("canary-receiver-{pair}"), true)?;
            receiver.stream.write_all(&subscribe(&[topic(pair)], QoS::AtMostOnce))?;
            receiver.until(PacketType::SubAck, |_| ())?;
            receivers.push(receiver);
            senders.push(Wire::connect(port, &format!("canary-sender-{pair}"), true)?.0);
        }
        Ok(Canaries { senders, receivers })
    }

    /// While `trouble` lasts, and until everything sent meanwhile has arrived.
    pub(super) fn during(&mut self, trouble: impl FnOnce() -> io::Result<()>) -> io::Result<Latencies> {
        let (began, is_over) = (Instant::now(), AtomicBool::new(false));
        // The receivers, the sender, and this thread begin together, when all are prepared.
        let start = Barrier::new(self.receivers.len() + 2);
        let (senders, is_over, start) = (&mut self.senders, &is_over, &start);
        let failed = || io::Error::other("a canary's thread failed");
        thread::scope(|scope| {
            let receivers: Vec<_> = self
                .receivers
                .iter_mut()
                .map(|receiver| scope.spawn(move || receive(receiver, began, start)))
                .collect();
            let sender = scope.spawn(move || send(senders, began, is_over, start));
            start.wait();
            let result = trouble();
            is_over.store(true, Ordering::Relaxed);
            sender.join().map_err(|_| failed())??;
            let mut sorted = Vec::new();
            for receiver in receivers {
                sorted.extend(receiver.join().map_err(|_| failed())??);
            }
            sorted.sort_unstable();
            result.map(|()| Latencies { sorted })
        })
    }
}

fn topic(pair: usize) -> String {
    format!("canary/{pair}")
}

fn send(senders: &mut [Wire], began: Instant, is_over: &AtomicBool, start: &Barrier) -> io::Result<()> {
    priority::be_first();
    start.wait();
    let mut due = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        for (pair, sender) in senders.iter_mut().enumerate() {
            sender.stream.write_all(&message(pair, began.elapsed().as_nanos() as u64))?;
        }
        due += EACH;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    for (pair, sender) in senders.iter_mut().enumerate() {
        sender.stream.write_all(&message(pair, LAST))?;
    }
    Ok(())
}

fn message(pair: usize, sent_at: u64) -> Vec<u8> {
    super::wire::publish_with(&topic(pair), QoS::AtMostOnce, false, PacketId::FIRST, &sent_at.to_be_bytes())
}

/// In microseconds, until the last message.
fn receive(receiver: &mut Wire, began: Instant, start: &Barrier) -> io::Result<Vec<u64>> {
    priority::be_first();
    start.wait();
    let mut latencies = Vec::new();
    loop {
        let mut sent_at = LAST;
        receiver.until(PacketType::Publish, |packet| {
            if let Packet::Publish(publish) = packet {
                sent_at = publish.payload.try_into().map_or(LAST, u64::from_be_bytes);
            }
        })?;
        if sent_at == LAST {
            return Ok(latencies);
        }
        latencies.push((began.elapsed().as_nanos() as u64).saturating_sub(sent_at) / 1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_the_first(count: u64) -> [Option<u64>; 4] {
        let latencies = Latencies { sorted: (1..=count).collect() };
        [500, 990, 999, 1000].map(|per_mille| latencies.per_mille(per_mille))
    }

    #[test]
    fn the_longest_is_no_part_of_a_thousand() {
        assert_eq!(of_the_first(0), [None; 4]);
        assert_eq!(of_the_first(1), [None, None, None, Some(1)]);
        assert_eq!(of_the_first(100), [Some(51), None, None, Some(100)]);
        assert_eq!(of_the_first(101), [Some(51), Some(100), None, Some(101)]);
        assert_eq!(of_the_first(1000), [Some(501), Some(991), None, Some(1000)]);
        assert_eq!(of_the_first(1001), [Some(501), Some(991), Some(1000), Some(1001)]);
    }
}

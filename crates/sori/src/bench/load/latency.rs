//! `sori bench latency`: how long a message takes from a publisher to a subscriber, at a steady rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use serde::Serialize;
use sori_client::{Publish, State, Subscribe};

use super::{Common, LOOK_AGAIN, Messages, Percentiles, QUIET, Times, failure, topic};
use crate::bench::qos_run::{stop_if, wait_until};
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    messages: Messages,
    /// Messages in a second
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000))]
    rate: u32,
}

#[derive(Serialize)]
struct Report {
    published: u32,
    received: usize,
    /// From publisher to subscriber.
    milliseconds: Percentiles,
}

pub(super) fn run(arguments: &Arguments, interrupted: &AtomicBool) -> Result<(), Failure> {
    let Arguments { common, messages, rate } = arguments;
    let start = Instant::now();
    let subscriber = common.connect()?;
    let subscribe = Subscribe::new(topic("latency")).qos(messages.qos());
    let mut subscription = subscriber.subscribe(subscribe).map_err(|error| failure(&error))?;
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let receiving = thread::spawn(move || {
        let (mut times, mut last) = (Vec::new(), Instant::now());
        // Once nothing more is sent, until it is quiet.
        while !is_over.load(Ordering::Relaxed) || last.elapsed() < QUIET {
            if let Some(message) = subscription.next_timeout(LOOK_AGAIN) {
                last = Instant::now();
                if let Some(sent) = sent_at(message.payload()) {
                    times.push(start.elapsed().saturating_sub(sent));
                }
            } else if matches!(subscriber.state(), State::Closed { .. }) {
                break;
            }
        }
        times
    });
    let publisher = common.connect()?;
    let (topic, mut payload) = (topic("latency"), messages.payload());
    let published = rate.saturating_mul(messages.seconds.into());
    let begin = Instant::now();
    for number in 0..published {
        wait_until(begin + Duration::from_secs(1) * number / *rate, interrupted)?;
        stamp(&mut payload, start.elapsed());
        let publish = Publish::new(topic.as_str(), payload.as_slice()).qos(messages.qos());
        // The subscriber tells whether it has arrived.
        drop(publisher.send(publish).map_err(|error| failure(&error))?);
    }
    publisher.close().map_err(|error| failure(&error))?;
    over.store(true, Ordering::Relaxed);
    let times = receiving.join().map_err(|_| Failure::new("the subscriber failed"))?;
    stop_if(interrupted)?;
    let times = Times::new(times);
    let report = Report { published, received: times.0.len(), milliseconds: times.percentiles() };
    let lines = format!("published {published}, received {}\n{}", report.received, report.milliseconds.line());
    common.show(&report, &lines, &times.chart("messages that took up to"))
}

/// The time goes in the first eight bytes.
fn stamp(payload: &mut [u8], at: Duration) {
    let nanoseconds = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    if let Some(place) = payload.first_chunk_mut() {
        *place = nanoseconds.to_be_bytes();
    }
}

fn sent_at(payload: &[u8]) -> Option<Duration> {
    payload.first_chunk().map(|bytes| Duration::from_nanos(u64::from_be_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_carries_its_time() {
        let (mut payload, at) = ([0; 10], Duration::from_nanos(1_234_567_890));
        stamp(&mut payload, at);
        assert_eq!(sent_at(&payload), Some(at));
        assert_eq!(sent_at(&payload[..7]), None);
    }
}

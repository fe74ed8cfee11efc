//! `sori bench throughput`: as many messages as go through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use serde::Serialize;
use sori_client::blocking::Client;
use sori_client::{Publish, State, Subscribe};

use super::super::chart::Chart;
use super::{Common, LOOK_AGAIN, Messages, QUIET, failure, topic};
use crate::bench::qos_run::stop_if;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    messages: Messages,
    /// Clients that publish
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = value_parser!(u16).range(1..=256))]
    publishers: u16,
    /// Clients that each receive every message
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = value_parser!(u16).range(1..=256))]
    subscribers: u16,
}

#[derive(Serialize)]
struct Report {
    published: u64,
    received: u64,
    /// A broker gives up messages, of any QoS, for subscribers that are too slow for its queues.
    lost: u64,
    published_per_second: f64,
    received_per_second: f64,
}

pub(super) fn run(arguments: &Arguments, interrupted: &Arc<AtomicBool>) -> Result<(), Failure> {
    let Arguments { common, messages, publishers, subscribers } = arguments;
    let (received, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut threads = Vec::new();
    for _ in 0..*subscribers {
        let client = common.connect()?;
        threads.push(subscribe(client, messages, Arc::clone(&received), Arc::clone(&over))?);
    }
    let clients = (0..*publishers).map(|_| common.connect()).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let until = start + messages.duration();
    let publishing: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let (publish, stop) = (publish(messages), Arc::clone(interrupted));
            thread::spawn(move || flood(client, &publish, until, &stop))
        })
        .collect();
    let bars = watch(&received, start, until, interrupted);
    let mut published = 0;
    for thread in publishing {
        published += thread.join().unwrap_or_else(|_| Err(Failure::new("a publisher failed")))?;
    }
    let spent_publishing = start.elapsed();
    let spent_receiving = wait_for_the_rest(&received, published * u64::from(*subscribers), start, interrupted)?;
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        // What it has counted stays.
        let _ = thread.join();
    }
    stop_if(interrupted)?;
    let received = received.load(Ordering::Relaxed);
    let report = Report {
        published,
        received,
        lost: (published * u64::from(*subscribers)).saturating_sub(received),
        published_per_second: per_second(published, spent_publishing),
        received_per_second: per_second(received, spent_receiving),
    };
    let lines = format!(
        "published {published}, {:.0} per second\nreceived  {received}, {:.0} per second\nlost      {}\n",
        report.published_per_second, report.received_per_second, report.lost
    );
    common.show(&report, &lines, &Chart { title: "received in each second".to_owned(), bars })
}

fn publish(messages: &Messages) -> Publish<'static> {
    Publish::new(topic("throughput"), messages.payload()).qos(messages.qos())
}

fn subscribe(
    client: Client,
    messages: &Messages,
    received: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
) -> Result<thread::JoinHandle<()>, Failure> {
    let subscribe = Subscribe::new(topic("throughput")).qos(messages.qos());
    let mut subscription = client.subscribe(subscribe).map_err(|error| failure(&error))?;
    Ok(thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            if subscription.next_timeout(LOOK_AGAIN).is_some() {
                received.fetch_add(1, Ordering::Relaxed);
            } else if matches!(client.state(), State::Closed { .. }) {
                return;
            }
        }
    }))
}

/// Publishes until then; gives how many messages the broker has.
fn flood(client: Client, publish: &Publish<'_>, until: Instant, stop: &AtomicBool) -> Result<u64, Failure> {
    let mut count = 0;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        // The receipt is not waited for: closing does that for all of them.
        drop(client.send(publish.clone()).map_err(|error| failure(&error))?);
        count += 1;
    }
    client.close().map_err(|error| failure(&error))?;
    Ok(count)
}

/// How many came in each second.
fn watch(received: &AtomicU64, start: Instant, until: Instant, interrupted: &AtomicBool) -> Vec<(String, f64)> {
    let (mut bars, mut last) = (Vec::new(), 0);
    for second in 1_u32.. {
        let end = start + Duration::from_secs(second.into());
        while Instant::now() < end && !interrupted.load(Ordering::Relaxed) {
            thread::sleep(end.saturating_duration_since(Instant::now()).min(LOOK_AGAIN));
        }
        let now = received.load(Ordering::Relaxed);
        bars.push((format!("{second} s"), per_second(now - last, Duration::from_secs(1))));
        last = now;
        if end >= until || interrupted.load(Ordering::Relaxed) {
            break;
        }
    }
    bars
}

/// Until all have come, or no more come; gives when the last one was seen.
fn wait_for_the_rest(
    received: &AtomicU64,
    expected: u64,
    start: Instant,
    interrupted: &AtomicBool,
) -> Result<Duration, Failure> {
    let (mut last, mut changed) = (received.load(Ordering::Relaxed), Instant::now());
    while last < expected && changed.elapsed() < QUIET {
        stop_if(interrupted)?;
        thread::sleep(Duration::from_millis(1));
        let now = received.load(Ordering::Relaxed);
        if now != last {
            (last, changed) = (now, Instant::now());
        }
    }
    Ok(changed.duration_since(start))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

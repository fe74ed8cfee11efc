//! Two shards against one, without sockets: what threads cost each other.
//!
//! Each thread has a shard and its own publishers and subscribers in memory, as loud as the shard takes them. One thread
//! alone is the measure; two with nothing in common tell what the machine can do; then subscribers are placed at random,
//! and all on the other shard.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use sori_broker::Settings;
use sori_mqtt::QoS;

use super::durable_rate::Figures;
use crate::feed::{self, ClientNumber, Message, Worker, Workers};
use crate::random::Random;

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Publishers of each shard; there are as many subscribers.
    pub pairs: u16,
    /// Messages that a publisher says in one turn.
    pub batch: u16,
    /// Bytes of each payload.
    pub payload_size: usize,
    /// QoS of messages and subscriptions.
    pub qos: QoS,
    /// How long each placement runs, each time.
    pub time: Duration,
    /// How often all placements take their turn; the median of each is told.
    pub times: usize,
}

/// Where subscribers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    /// One shard and one thread.
    Alone,
    /// Two shards, each subscriber with its publisher.
    Local,
    /// Two shards, as chance has it.
    Random,
    /// Two shards, each subscriber on the other one.
    Cross,
}

const PLACEMENTS: [(Placement, &str, &str); 4] = [
    (Placement::Alone, "one_messages_per_second", "one_cpu_ns_per_message"),
    (Placement::Local, "two_local_messages_per_second", "two_local_cpu_ns_per_message"),
    (Placement::Random, "two_random_messages_per_second", "two_random_cpu_ns_per_message"),
    (Placement::Cross, "two_cross_messages_per_second", "two_cross_cpu_ns_per_message"),
];

/// What one thread did.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    messages: u64,
    cpu: Duration,
    elapsed: Duration,
}

/// Runs all placements in turn.
///
/// # Errors
/// The machine's.
pub fn run(options: &Options) -> io::Result<Figures> {
    let mut rates = vec![Vec::new(); PLACEMENTS.len()];
    let mut costs = rates.clone();
    for _ in 0..options.times {
        for (at, (placement, _, _)) in PLACEMENTS.iter().enumerate() {
            let (rate, cost) = measure(options, *placement)?;
            rates[at].push(rate);
            costs[at].push(cost);
        }
    }
    let mut figures = Vec::new();
    let (rates, costs) = (medians(&rates), medians(&costs));
    for ((_, rate_name, cost_name), (rate, cost)) in PLACEMENTS.iter().zip(rates.iter().zip(&costs)) {
        figures.extend([(*rate_name, *rate), (*cost_name, *cost)]);
    }
    figures.extend([
        ("two_local_against_one_rate", rates[1] / rates[0]),
        ("two_random_against_one_rate", rates[2] / rates[0]),
        ("two_cross_against_one_rate", rates[3] / rates[0]),
        ("two_local_against_one_cpu", costs[1] / costs[0]),
        ("two_random_against_one_cpu", costs[2] / costs[0]),
        ("two_cross_against_one_cpu", costs[3] / costs[0]),
    ]);
    Ok(Figures(figures))
}

fn medians(of_each: &[Vec<f64>]) -> Vec<f64> {
    of_each.iter().map(|values| median(values)).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Messages per second of all threads together, and nanoseconds of processor time for each message.
fn measure(options: &Options, placement: Placement) -> io::Result<(f64, f64)> {
    let shards = if placement == Placement::Alone { 1 } else { 2 };
    // A subscriber that is a moment behind is not to fill a queue.
    let settings = Settings { inflight_messages_max: 0, queued_messages_max: 0, ..Settings::default() };
    let workers = Workers::new(shards, settings)?;
    let (begin, is_over) = (Barrier::new(shards.into()), AtomicBool::new(false));
    let done = thread::scope(|scope| {
        let run = |number| {
            let (workers, begin, is_over) = (workers.clone(), &begin, &is_over);
            move || {
                let mut thread = Thread::new(&workers, number, options, placement);
                thread.warm_up(begin);
                thread.run(options.time, is_over)
            }
        };
        let threads: Vec<_> = (0..shards).map(|number| scope.spawn(run(number))).collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().map_err(|_| io::Error::other("a thread failed"))?);
        joined.collect::<io::Result<Vec<Done>>>()
    })?;
    let messages: u64 = done.iter().map(|done| done.messages).sum();
    let cpu: Duration = done.iter().map(|done| done.cpu).sum();
    let elapsed = done.iter().map(|done| done.elapsed).max().unwrap_or_default();
    Ok((messages as f64 / elapsed.as_secs_f64(), cpu.as_nanos() as f64 / messages.max(1) as f64))
}

/// A worker with its clients.
struct Thread {
    worker: Worker,
    batch: u64,
    publishers: Vec<Publisher>,
    subscribers: Vec<ClientNumber>,
}

struct Publisher {
    client: ClientNumber,
    words: Arc<[u8]>,
    /// Messages.
    said: u64,
    is_acknowledged: bool,
}

impl Thread {
    fn new(workers: &Workers, number: u16, options: &Options, placement: Placement) -> Thread {
        let mut worker = workers.worker(number);
        // Both threads find the same places.
        let mut random = Random::new(7);
        let mut subscribers = Vec::new();
        for publisher in 0..workers.shards() {
            for pair in 0..options.pairs {
                let chosen = match placement {
                    Placement::Alone | Placement::Local => publisher,
                    Placement::Random => random.range(0, 1) as u16,
                    Placement::Cross => 1 - publisher,
                };
                if chosen == number {
                    let client = worker.open(&feed::connect(&format!("subscriber-{publisher}-{pair}")));
                    worker.say(client, &feed::subscribe(&[topic(publisher, pair)], options.qos));
                    subscribers.push(client);
                }
            }
        }
        let publishers = (0..options.pairs).map(|pair| {
            let client = worker.open(&feed::connect(&format!("publisher-{number}-{pair}")));
            let topic = topic(number, pair);
            let message = Message { topic: &topic, qos: options.qos, retain: false, size: options.payload_size };
            let words = feed::publishes(message, options.batch).into();
            Publisher { client, words, said: 0, is_acknowledged: options.qos != QoS::AtMostOnce }
        });
        let publishers = publishers.collect();
        worker.turn();
        Thread { worker, batch: options.batch.into(), publishers, subscribers }
    }

    /// Nobody publishes before all have subscribed.
    fn warm_up(&mut self, begin: &Barrier) {
        begin.wait();
        for _ in 0..100 {
            self.speak();
            self.worker.turn();
        }
        begin.wait();
    }

    /// Everybody says the next messages who may; gives whether there was somebody.
    fn speak(&mut self) -> bool {
        if self.worker.is_any_inbox_overfull() {
            return false;
        }
        let mut is_any = false;
        for publisher in &mut self.publishers {
            // A client keeps to its Receive Maximum.
            let waits = publisher.is_acknowledged && self.worker.tally(publisher.client).completed < publisher.said;
            if !waits {
                self.worker.say(publisher.client, &publisher.words);
                publisher.said += self.batch;
                is_any = true;
            }
        }
        is_any
    }

    fn heard(&self) -> u64 {
        self.subscribers.iter().map(|&client| self.worker.tally(client).messages).sum()
    }

    fn run(&mut self, time: Duration, is_over: &AtomicBool) -> io::Result<Done> {
        let (began, cpu_before, heard_before) = (Instant::now(), thread_cpu()?, self.heard());
        while !is_over.load(Ordering::Relaxed) {
            let mut is_any = self.speak();
            is_any |= self.worker.turn();
            if !is_any {
                self.worker.wait(PATIENCE)?;
            }
            if began.elapsed() > time {
                is_over.store(true, Ordering::Relaxed);
            }
        }
        let elapsed = began.elapsed();
        Ok(Done { messages: self.heard() - heard_before, cpu: thread_cpu()? - cpu_before, elapsed })
    }
}

/// How long a thread sleeps that is not woken by mail: another one may have caught up meanwhile.
const PATIENCE: Duration = Duration::from_millis(1);

fn topic(publisher: u16, pair: u16) -> String {
    format!("sensors/{publisher}-{pair}/temperature")
}

/// Processor time of this thread.
fn thread_cpu() -> io::Result<Duration> {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(schedstat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_every_placement() {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let time = Duration::from_millis(20);
            let options = Options { pairs: 2, batch: 5, payload_size: 16, qos, time, times: 1 };
            for (placement, name, _) in PLACEMENTS {
                let (rate, cost) = measure(&options, placement).expect("threads");
                assert!(rate > 0.0 && cost > 0.0, "{name} with {qos:?}: {rate} messages a second, {cost} ns each");
            }
        }
    }
}

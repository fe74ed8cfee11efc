//! The run of `sori bench qos`: three streams of messages side by side, and a broker that goes away half way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGINT;
use sori_client::blocking::{Client, Delivery};
use sori_client::{Options, Publish, Reconnect, State, Subscribe};
use sori_mqtt::{QoS, Version};

use super::own_broker::OwnBroker;
use super::tally::{Arrival, Course};
use crate::failure::{Cause, Failure};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
/// When nothing has come for so long, nothing more is on its way.
const QUIET: Duration = Duration::from_secs(1);
/// And so long what is promised is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often everybody looks whether it is to stop.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Sessions outlive every restart.
const SESSION_EXPIRY: Duration = Duration::from_secs(3600);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Of each QoS.
    pub(super) messages: u32,
    /// Of each QoS in a second.
    pub(super) rate: f64,
    /// Before this message the broker is stopped and started again.
    pub(super) restart_before: Option<u32>,
    /// By kill -9.
    pub(super) kill: bool,
}

/// Does it, and tells what became of the messages of QoS 0, 1 and 2. Signals set `interrupted`.
pub(super) fn run(plan: &Plan, interrupted: &AtomicBool) -> Result<Vec<Course>, Failure> {
    let broker = OwnBroker::start()?;
    let port = broker.port();
    let start = Instant::now();
    let receivers = LEVELS.map(|qos| Receiver::start(port, qos, start));
    let receivers = receivers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let senders = LEVELS.map(|qos| Sender::connect(port, qos));
    let mut senders = senders.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut phase = Phase::Running(broker);
    let begin = Instant::now();
    for number in 0..plan.messages {
        wait_until(begin + Duration::from_secs_f64(f64::from(number) / plan.rate), interrupted)?;
        if plan.restart_before == Some(number) {
            phase = phase.restart(plan.kill);
        }
        for sender in &mut senders {
            sender.send(number, start)?;
        }
    }
    // Kept until everything has come.
    let _broker = phase.running()?;
    let acknowledged = senders.iter_mut().map(|sender| sender.acknowledged(interrupted));
    let acknowledged = acknowledged.collect::<Result<Vec<_>, _>>()?;
    wait_for_arrivals(&receivers, plan.messages, interrupted)?;
    let courses = receivers.into_iter().zip(senders).zip(acknowledged);
    Ok(courses
        .map(|((receiver, sender), acknowledged)| Course {
            qos: receiver.qos,
            sent: sender.sent,
            acknowledged,
            arrivals: receiver.finish(),
        })
        .collect())
}

/// The broker, which another thread has while it restarts: publishing goes on meanwhile, as it would anywhere.
enum Phase {
    Running(OwnBroker),
    Restarting(JoinHandle<Result<OwnBroker, Failure>>),
}

impl Phase {
    fn restart(self, kill: bool) -> Self {
        match self {
            Self::Running(mut broker) => Self::Restarting(thread::spawn(move || {
                broker.restart(kill)?;
                Ok(broker)
            })),
            Self::Restarting(_) => self,
        }
    }

    fn running(self) -> Result<OwnBroker, Failure> {
        match self {
            Self::Running(broker) => Ok(broker),
            Self::Restarting(thread) => {
                thread.join().unwrap_or_else(|_| Err(Failure::new("the broker could not be started again")))
            }
        }
    }
}

/// A client with a session that outlives its connections.
fn client(port: u16, id: &str) -> Result<Client, Failure> {
    let reconnect = Reconnect::default().min(Duration::from_millis(50)).max(Duration::from_millis(200));
    let options = Options::new(&format!("mqtt://127.0.0.1:{port}")).map_err(|error| failure(&error))?;
    let options = options.client_id(id).version(Version::V5).reconnect(reconnect);
    let options = options.clean_start(false).session_expiry(SESSION_EXPIRY);
    Client::connect(options).map_err(|error| failure(&error))
}

fn topic(qos: QoS) -> String {
    format!("bench/qos/{}", qos as u8)
}

fn failure(error: &sori_client::Error) -> Failure {
    Failure::new(error.to_string())
}

struct Sender {
    client: Client,
    qos: QoS,
    sent: Vec<Duration>,
    deliveries: Vec<Delivery>,
}

impl Sender {
    fn connect(port: u16, qos: QoS) -> Result<Self, Failure> {
        let client = client(port, &format!("bench-publisher-{}", qos as u8))?;
        Ok(Self { client, qos, sent: Vec::new(), deliveries: Vec::new() })
    }

    fn send(&mut self, number: u32, start: Instant) -> Result<(), Failure> {
        let publish = Publish::new(topic(self.qos), number.to_string()).qos(self.qos);
        self.deliveries.push(self.client.send(publish).map_err(|error| failure(&error))?);
        self.sent.push(start.elapsed());
        Ok(())
    }

    /// How many receipts come; QoS 0 has none of the broker's, it is only waited until its messages have left.
    fn acknowledged(&mut self, interrupted: &AtomicBool) -> Result<u32, Failure> {
        let until = Instant::now() + PATIENCE;
        let mut count = 0;
        for delivery in self.deliveries.drain(..) {
            loop {
                match delivery.wait_timeout(LOOK_AGAIN) {
                    Ok(Some(_)) => count += u32::from(self.qos != QoS::AtMostOnce),
                    Ok(None) if Instant::now() < until => {
                        stop_if(interrupted)?;
                        continue;
                    }
                    // No receipt, for whatever reason: it is not counted.
                    Ok(None) | Err(_) => {}
                }
                break;
            }
        }
        Ok(count)
    }
}

struct Receiver {
    qos: QoS,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Receiver {
    /// Returns when the broker has answered the subscription.
    fn start(port: u16, qos: QoS, start: Instant) -> Result<Self, Failure> {
        let client = client(port, &format!("bench-subscriber-{}", qos as u8))?;
        let subscribe = Subscribe::new(topic(qos)).qos(qos);
        let mut subscription = client.subscribe(subscribe).map_err(|error| failure(&error))?;
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (into, over) = (Arc::clone(&arrivals), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Some(message) = subscription.next_timeout(LOOK_AGAIN) else {
                    if matches!(client.state(), State::Closed { .. }) {
                        return;
                    }
                    continue;
                };
                let at = start.elapsed();
                // Nobody else publishes there.
                if let Some(number) = message.text().ok().and_then(|text| text.parse().ok()) {
                    into.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival { number, at });
                }
            }
        });
        Ok(Self { qos, arrivals, is_over, thread })
    }

    fn count(&self) -> usize {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether every message has come that must.
    fn has_all(&self, messages: u32) -> bool {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut numbers: Vec<u32> = arrivals.iter().map(|arrival| arrival.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.qos == QoS::AtMostOnce || numbers.len() >= usize::try_from(messages).unwrap_or(usize::MAX)
    }

    fn finish(self) -> Vec<Arrival> {
        self.is_over.store(true, Ordering::Relaxed);
        // A thread that has failed leaves what it had.
        let _ = self.thread.join();
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Until all is there that must come, and then until it is quiet; in vain only for so long.
fn wait_for_arrivals(receivers: &[Receiver], messages: u32, interrupted: &AtomicBool) -> Result<(), Failure> {
    let count = || receivers.iter().map(Receiver::count).sum::<usize>();
    let (mut last, mut changed) = (count(), Instant::now());
    loop {
        let patience = if receivers.iter().all(|receiver| receiver.has_all(messages)) { QUIET } else { PATIENCE };
        if changed.elapsed() >= patience {
            return Ok(());
        }
        wait_until(Instant::now() + LOOK_AGAIN, interrupted)?;
        let now = count();
        if now != last {
            (last, changed) = (now, Instant::now());
        }
    }
}

pub(super) fn wait_until(instant: Instant, interrupted: &AtomicBool) -> Result<(), Failure> {
    loop {
        stop_if(interrupted)?;
        let left = instant.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK_AGAIN));
    }
}

pub(super) fn stop_if(interrupted: &AtomicBool) -> Result<(), Failure> {
    if interrupted.load(Ordering::Relaxed) { Err(Failure::quiet(Cause::Interrupted(SIGINT))) } else { Ok(()) }
}

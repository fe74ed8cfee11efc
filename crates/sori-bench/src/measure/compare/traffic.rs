//! Messages between clients that stay.

use std::io;
use std::time::Duration;

use sori_mqtt::QoS;

use super::Bench;
use super::meter::Phase;
use crate::measure::crowd::{Crowd, Exchange, Pace, Plan, Template};
use crate::measure::percentile;

#[derive(Debug, Clone, Copy)]
pub(in crate::measure) struct Traffic {
    pub(in crate::measure) clients: Clients,
    pub(in crate::measure) qos: QoS,
    /// Of the payload.
    pub(in crate::measure) size: usize,
    pub(in crate::measure) messages: u64,
    /// Of each publisher.
    pub(in crate::measure) ahead_max: u64,
    pub(in crate::measure) pace: Pace,
    pub(in crate::measure) time_max: Duration,
}

/// Who publishes to whom.
#[derive(Debug, Clone, Copy)]
pub(in crate::measure) enum Clients {
    /// Each publisher has a subscriber of its own.
    Pairs(usize),
    /// So many publishers, one subscriber.
    FanIn(usize),
    /// One publisher, so many subscribers.
    FanOut(usize),
}

impl Clients {
    fn publishers(self) -> usize {
        match self {
            Clients::Pairs(count) | Clients::FanIn(count) => count,
            Clients::FanOut(_) => 1,
        }
    }

    fn subscribers(self) -> usize {
        match self {
            Clients::Pairs(count) | Clients::FanOut(count) => count,
            Clients::FanIn(_) => 1,
        }
    }

    fn filter(self, subscriber: usize) -> String {
        match self {
            Clients::Pairs(_) => topic(subscriber),
            Clients::FanIn(_) => "bench/+/state".to_owned(),
            Clients::FanOut(_) => topic(0),
        }
    }
}

fn topic(publisher: usize) -> String {
    format!("bench/{publisher}/state")
}

impl Traffic {
    /// What one delivery costs.
    pub(super) fn measure(&self, mut bench: Bench, messages: u64) -> io::Result<Phase> {
        let prepared = self.prepare(&mut bench.crowd)?;
        let (phase, exchange) = bench.meter.phase("traffic", 0, || prepared.run(&mut bench.crowd, messages))?;
        Ok(phase.of(&exchange))
    }

    /// Everybody connects and subscribes.
    pub(in crate::measure) fn prepare(&self, crowd: &mut Crowd) -> io::Result<Prepared<'_>> {
        let subscribers = crowd.connect(self.clients.subscribers(), false, |n| format!("subscriber-{n}"))?;
        crowd.subscribe(subscribers, 1, 1, self.qos, |subscriber, _| self.clients.filter(subscriber))?;
        let publishers = crowd.connect(self.clients.publishers(), false, |n| format!("publisher-{n}"))?;
        let template = |publisher| Template::new(crowd.version(), &topic(publisher), self.qos, false, self.size);
        let templates = (0..publishers.len()).map(template).collect();
        Ok(Prepared { traffic: self, publishers, templates })
    }
}

/// All clients are there.
pub(in crate::measure) struct Prepared<'a> {
    traffic: &'a Traffic,
    publishers: std::ops::Range<usize>,
    templates: Vec<Template>,
}

impl Prepared<'_> {
    pub(in crate::measure) fn run(&self, crowd: &mut Crowd, messages: u64) -> io::Result<Exchange> {
        let traffic = self.traffic;
        let audience = match traffic.clients {
            Clients::FanOut(subscribers) => subscribers as u64,
            _ => 1,
        };
        let plan = Plan {
            messages,
            qos: traffic.qos,
            audience,
            ahead_max: traffic.ahead_max,
            pace: traffic.pace,
            time_max: traffic.time_max,
        };
        crowd.exchange(self.publishers.clone(), &plan, |publisher, _| &self.templates[publisher])
    }
}

impl Phase {
    /// One operation is one delivery of this exchange.
    pub(super) fn of(self, exchange: &Exchange) -> Phase {
        let p99_us = percentile(&exchange.latencies, 99) as f64;
        Phase { operations: exchange.delivered, p99_us, lost: exchange.lost, ..self }
    }
}

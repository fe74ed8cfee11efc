//! How many system calls a broker makes for each delivery, under loads of [`compare`](super::compare).
//!
//! strace makes each call some ten times as slow, so that more messages come in one than would without it: where many are under way
//! it tells too little rather than too much. With one message under way at a time there is nothing to gather.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

use sori_mqtt::Version;

use super::compare::Traffic;
use super::crowd::Crowd;
use super::strace::{end, parse, seconds_now, start};
use super::wire::Wire;
use crate::broker::{Broker, BrokerOptions};

/// One load.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub scenario: &'static str,
    /// Messages that arrived.
    pub deliveries: u64,
    /// Calls for each of them.
    pub each: f64,
    /// The same of each kind of call, the most frequent first.
    pub kinds: Vec<(String, f64)>,
}

/// What is counted: pipelined, one message at a time, and one for a thousand.
pub const SCENARIOS: [&str; 6] = ["p2p-q0", "p2p-q1", "single-q0", "single-q1", "fanout-q0", "fanout-q1"];

const PATIENCE: Duration = Duration::from_secs(30);
/// A trace is long: so many times fewer messages than without one.
const FEWER: u64 = 10;

/// Counts one of them, with so many times as many messages as usual.
///
/// # Errors
/// No strace, or a broker that does not serve.
pub fn run(scenario: &'static str, broker: &BrokerOptions, scale: f64) -> io::Result<Row> {
    let traffic = super::compare::SCENARIOS.iter().find(|one| one.name == scenario).and_then(|one| one.traffic());
    let traffic = traffic.ok_or_else(|| io::Error::other(format!("no messages in {scenario}")))?;
    let broker = Broker::new(broker, 41)?;
    let trace = broker.directory().join("calls.trace");
    let mut child = start(&broker, &trace.display().to_string(), &["-s", "0"])?;
    let exchanged = exchange(traffic, broker.port, scale);
    end(&mut child)?;
    let (began, ended, deliveries) = exchanged?;
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for call in parse(&fs::read_to_string(&trace)?) {
        if call.time >= began && call.time <= ended {
            *kinds.entry(call.name).or_default() += 1;
        }
    }
    let for_each = |calls: u64| calls as f64 / deliveries.max(1) as f64;
    let each = for_each(kinds.values().sum());
    let mut kinds: Vec<(String, f64)> = kinds.into_iter().map(|(kind, calls)| (kind, for_each(calls))).collect();
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(Row { scenario, deliveries, each, kinds })
}

/// When the messages began and when they were through, and how many arrived.
fn exchange(traffic: &Traffic, port: u16, scale: f64) -> io::Result<(f64, f64, u64)> {
    Wire::connect_within(port, "first", true, PATIENCE)?.0.disconnect()?;
    let mut crowd = Crowd::new(port, Version::V311)?;
    let prepared = traffic.prepare(&mut crowd)?;
    let messages = (traffic.messages as f64 * scale) as u64 / FEWER;
    let began = seconds_now();
    let exchange = prepared.run(&mut crowd, messages.max(1))?;
    Ok((began, seconds_now(), exchange.delivered))
}

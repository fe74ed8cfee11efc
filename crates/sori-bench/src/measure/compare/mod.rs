//! Brokers beside each other, under the same load and in turn: a broker, the next one, and again from the first, so that whatever
//! else the machine does meets all of them. Each is started afresh for every run of every scenario.

mod away;
mod connecting;
mod filters;
mod meter;
mod peer;
mod retained;
mod scenario;
mod traffic;

use std::io;

use sori_mqtt::Version;

use super::crowd::Crowd;
use meter::{Meter, Phase};
pub use peer::Peer;
pub use scenario::{SCENARIOS, Scenario};
pub(super) use traffic::Traffic;

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who takes part. The others are compared with the first.
    pub peers: Vec<Peer>,
    /// How often each is measured in each scenario.
    pub runs: u32,
    /// Speak MQTT 5.0, not 3.1.1.
    pub is_v5: bool,
    /// So many times as many messages, connections and filters as usual.
    pub scale: f64,
}

/// One broker in one phase of a scenario: medians of all runs. What is not a number was not measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The load.
    pub scenario: &'static str,
    /// The part of it.
    pub phase: &'static str,
    /// The broker.
    pub broker: String,
    /// Microseconds of its processor time for each message, connection or filter.
    pub cpu_us: f64,
    /// That, divided by the first broker's.
    pub ratio: f64,
    /// How many of them in a second.
    pub per_second: f64,
    /// 99 of a hundred messages took at most so many microseconds from client to client; a connection until CONNACK.
    pub p99_us: f64,
    /// Resident memory for each.
    pub bytes_per_item: f64,
    /// Deliveries that did not come, at worst.
    pub lost: u64,
    /// Are the messages above QoS 0, which must not be lost?
    pub is_acknowledged: bool,
}

/// Measures all brokers in one scenario. `tell` hears what is being done, and what has failed: a run that fails is left out.
///
/// # Errors
/// No broker could be measured at all.
pub fn run(scenario: &Scenario, options: &Options, tell: &mut dyn FnMut(Told<'_>)) -> io::Result<Vec<Row>> {
    let mut phases: Vec<Vec<Phase>> = vec![Vec::new(); options.peers.len()];
    for run in 1..=options.runs {
        for (peer, phases) in options.peers.iter().zip(&mut phases) {
            tell(Told::Begins { scenario: scenario.name, broker: &peer.name, run });
            match measure(scenario, peer, options) {
                Ok(measured) => phases.extend(measured),
                Err(error) => tell(Told::Failed { scenario: scenario.name, broker: &peer.name, error: &error }),
            }
        }
    }
    let mut rows = Vec::new();
    for phase in scenario.phases() {
        let mut first = f64::NAN;
        for (peer, phases) in options.peers.iter().zip(&phases) {
            let runs: Vec<&Phase> = phases.iter().filter(|measured| measured.name == *phase).collect();
            let median = |figure: fn(&Phase) -> f64| median(runs.iter().map(|phase| figure(phase)).collect());
            let cpu_us = median(Phase::cpu_us);
            first = if first.is_nan() { cpu_us } else { first };
            rows.push(Row {
                scenario: scenario.name,
                phase,
                broker: peer.name.clone(),
                cpu_us,
                ratio: cpu_us / first,
                per_second: median(Phase::per_second),
                p99_us: median(|phase| phase.p99_us),
                bytes_per_item: median(|phase| phase.bytes_per_item),
                lost: runs.iter().map(|phase| phase.lost).max().unwrap_or(0),
                is_acknowledged: scenario.is_acknowledged(),
            });
        }
    }
    if rows.iter().all(|row| row.cpu_us.is_nan()) {
        return Err(io::Error::other(format!("{}: nothing could be measured", scenario.name)));
    }
    Ok(rows)
}

/// How far it is.
#[derive(Debug)]
pub enum Told<'a> {
    /// This is measured now.
    Begins {
        /// The load.
        scenario: &'static str,
        /// The broker.
        broker: &'a str,
        /// The how manieth time, from 1.
        run: u32,
    },
    /// That could not be measured.
    Failed {
        /// The load.
        scenario: &'static str,
        /// The broker.
        broker: &'a str,
        /// Why.
        error: &'a io::Error,
    },
}

fn measure(scenario: &Scenario, peer: &Peer, options: &Options) -> io::Result<Vec<Phase>> {
    let running = peer.start()?;
    let version = if options.is_v5 { Version::V5 } else { Version::V311 };
    let bench = Bench { crowd: Crowd::new(peer.port, version)?, meter: Meter::new(running.process()) };
    scenario.measure(bench, options.scale).map_err(|error| running.explain(error))
}

/// The clients, and the eye on the broker.
struct Bench {
    crowd: Crowd,
    meter: Meter,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.retain(|value| !value.is_nan());
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => f64::NAN,
        values if values.len() % 2 == 1 => values[values.len() / 2],
        values => f64::midpoint(values[values.len() / 2 - 1], values[values.len() / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_one_in_the_middle_of_those_that_were_measured() {
        assert_eq!(median(vec![3.0, 1.0, f64::NAN, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert!(median(vec![f64::NAN]).is_nan());
    }
}

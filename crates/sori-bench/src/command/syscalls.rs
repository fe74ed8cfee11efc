//! `sori-bench syscalls`.

use std::io;

use clap::Args;
use sori_bench::measure::syscalls::{self, SCENARIOS};

use super::BrokerArguments;

#[derive(Args)]
pub(super) struct Arguments {
    /// Only these: p2p-q0, p2p-q1, single-q0, single-q1, fanout-q0, fanout-q1
    scenarios: Vec<String>,
    #[command(flatten)]
    broker: BrokerArguments,
    /// So many times as many messages as usual
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

/// Less is not shown.
const SHOWN_MIN: f64 = 0.0005;

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    let mut broker = arguments.broker.options();
    broker.lines.insert(0, "persistence false".to_owned());
    let is_wanted = |name: &str| arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|one| one == name);
    println!("{:12} {:>10} {:>8}  calls for each", "", "deliveries", "calls");
    for scenario in SCENARIOS.into_iter().filter(|name| is_wanted(name)) {
        let row = syscalls::run(scenario, &broker, arguments.scale)?;
        let shown = row.kinds.iter().filter(|(_, calls)| *calls >= SHOWN_MIN);
        let kinds: Vec<String> = shown.map(|(kind, calls)| format!("{kind} {calls:.4}")).collect();
        println!("{:12} {:10} {:8.4}  {}", row.scenario, row.deliveries, row.each, kinds.join(", "));
    }
    Ok(true)
}

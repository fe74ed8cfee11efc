//! `sori-bench compare`.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use sori_bench::measure::compare::{self, Options, Peer, Row, SCENARIOS, Told};

#[derive(Args)]
pub(super) struct Arguments {
    /// Only these scenarios
    scenarios: Vec<String>,
    /// name=PORT=command of a broker, in which {dir} is a fresh directory; given once for each, and the others are compared with the first
    #[arg(long = "broker", required_unless_present = "list")]
    brokers: Vec<Peer>,
    /// How often each is measured; the medians are told
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Speak MQTT 5.0, not 3.1.1
    #[arg(long)]
    v5: bool,
    /// So many times as many messages, connections and filters as usual
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Write what `plot` draws here
    #[arg(long)]
    json: Option<PathBuf>,
    /// Say what the scenarios are
    #[arg(long)]
    list: bool,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    if arguments.list {
        SCENARIOS.iter().for_each(|scenario| println!("{:12}{}", scenario.name, scenario.what));
        return Ok(true);
    }
    if let Some(unknown) = arguments.scenarios.iter().find(|name| SCENARIOS.iter().all(|one| one.name != **name)) {
        return Err(io::Error::other(format!("no scenario '{unknown}'; --list tells them")));
    }
    let options =
        Options { peers: arguments.brokers.clone(), runs: arguments.runs, is_v5: arguments.v5, scale: arguments.scale };
    let is_wanted = |name: &str| arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|one| one == name);
    let mut all = Vec::new();
    println!(
        "{:11}{:10}{:14}{:>11}{:>8}{:>12}{:>9}{:>9}{:>6}",
        "scenario", "phase", "broker", "CPU us", "ratio", "in a second", "p99 us", "bytes", "lost"
    );
    for scenario in SCENARIOS.iter().filter(|scenario| is_wanted(scenario.name)) {
        let rows = compare::run(scenario, &options, &mut |told| tell(&told, arguments.runs))?;
        clear_line();
        rows.iter().for_each(print);
        all.extend(rows);
        // After each scenario: an hour's work is not lost with its last minute.
        if let Some(path) = &arguments.json {
            let rows: Vec<Value> = all.iter().map(as_json).collect();
            fs::write(path, format!("{:#}\n", Value::Array(rows)))?;
        }
    }
    let first = options.peers.first().map(|peer| &peer.name);
    Ok(!all.iter().any(|row| row.lost > 0 && row.is_acknowledged && Some(&row.broker) == first))
}

/// One line that is written over, for people.
fn tell(told: &Told<'_>, runs: u32) {
    match told {
        Told::Begins { scenario, broker, run } if io::stderr().is_terminal() => {
            clear_line();
            eprint!("{scenario}: {broker}, {run} of {runs} ");
        }
        Told::Begins { .. } => {}
        Told::Failed { scenario, broker, error } => {
            clear_line();
            eprintln!("{scenario}: {broker}: {error}");
        }
    }
}

fn clear_line() {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

fn print(row: &Row) {
    let figure = |value: f64, digits| if value.is_nan() { String::new() } else { format!("{value:.digits$}") };
    println!(
        "{:11}{:10}{:14}{:>11}{:>8}{:>12}{:>9}{:>9}{:>6}",
        row.scenario,
        row.phase,
        row.broker,
        figure(row.cpu_us, 3),
        figure(row.ratio, 2),
        figure(row.per_second, 0),
        figure(row.p99_us, 0),
        figure(row.bytes_per_item, 0),
        row.lost
    );
}

/// What was not measured is null.
fn as_json(row: &Row) -> Value {
    json!({
        "scenario": row.scenario,
        "phase": row.phase,
        "broker": row.broker,
        "cpu_us": row.cpu_us,
        "ratio": row.ratio,
        "per_second": row.per_second,
        "p99_us": row.p99_us,
        "bytes_per_item": row.bytes_per_item,
        "lost": row.lost,
    })
}

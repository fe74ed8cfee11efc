//! `sori-bench steps`: the steps of the hot path in time.

use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use sori_bench::feed::Counting;
use sori_bench::instructions;
use sori_bench::steps::{self, Step};

#[derive(Args)]
pub(super) struct Arguments {
    /// Only steps whose names contain one of these words
    names: Vec<String>,
    /// The steps by which a constant is chosen
    #[arg(long)]
    choosing: bool,
    /// Milliseconds for each of the five times that a step is measured
    #[arg(long, default_value_t = 100)]
    milliseconds: u64,
}

/// The median of so many is told, with the smallest and the largest.
const TIMES: usize = 5;

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    println!("{:24} {:>10} {:>10} {:>10}  nanoseconds", "", "median", "least", "most");
    let steps: Vec<&Step> = if arguments.choosing { steps::choosing().collect() } else { steps::all().collect() };
    let is_wanted = |step: &&Step| !step.is_only_counted && instructions::is_wanted(step, &arguments.names);
    for step in steps.into_iter().filter(is_wanted) {
        let mut prepared = step.prepare()?;
        let mut times = [0.0; TIMES];
        for time in &mut times {
            *time = nanoseconds(&mut prepared, Duration::from_millis(arguments.milliseconds));
        }
        times.sort_by(f64::total_cmp);
        let (median, least, most) = (times[TIMES / 2], times[0], times[TIMES - 1]);
        println!("{:24} {median:10.1} {least:10.1} {most:10.1}  {}", step.name, step.operation);
    }
    Ok(true)
}

/// For one operation, with what the clients do.
fn nanoseconds(prepared: &mut steps::Prepared, at_least: Duration) -> f64 {
    let (began, mut rounds) = (Instant::now(), 0);
    while began.elapsed() < at_least || rounds == 0 {
        prepared.round(Counting::No);
        rounds += 1;
    }
    began.elapsed().as_nanos() as f64 / (rounds * prepared.operations) as f64
}

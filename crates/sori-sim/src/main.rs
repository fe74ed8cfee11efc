//! Runs seeds: `cargo run --release -p sori-sim -- --seeds 200`.

use std::cell::Cell;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sori_sim::{Report, Weather, run};

const HELP: &str = "\
Runs the broker on a simulated network, one run per seed, and checks it against the standard.

usage: sori-sim [--seeds N] [--first N]   N seeds (200), from the first (0)
       sori-sim --seed N [-v]             one seed; -v shows all that happens

--no-crashes: the broker lives through the run and keeps nothing on a disk. That makes another run of each seed.
";

struct Options {
    first: u64,
    seeds: u64,
    verbose: bool,
    weather: Weather,
}

thread_local! {
    /// The seed of this thread, for the message of a panic.
    static SEED: Cell<u64> = const { Cell::new(0) };
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(fault) => {
            eprint!("sori-sim: {fault}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let (usual, weather) = (std::panic::take_hook(), options.weather);
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        eprintln!("{}", replay(SEED.get(), weather));
    }));
    let failed = if options.seeds == 1 { run_one(&options) } else { run_all(&options) };
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options { first: 0, seeds: 200, verbose: false, weather: Weather::Crashes };
    while let Some(word) = words.next() {
        let mut number = || {
            let value = words.next().ok_or_else(|| format!("{word} wants a number"))?;
            value.parse().map_err(|_| format!("{word} wants a number, not {value:?}"))
        };
        match word.as_str() {
            "--seeds" => options.seeds = number()?,
            "--first" => options.first = number()?,
            "--seed" => (options.first, options.seeds) = (number()?, 1),
            "-v" | "--verbose" => options.verbose = true,
            "--crashes" => options.weather = Weather::Crashes,
            "--no-crashes" => options.weather = Weather::Fair,
            "-h" | "--help" => return Ok(None),
            _ => return Err(format!("unknown option {word:?}")),
        }
    }
    Ok(Some(options))
}

fn run_one(options: &Options) -> u64 {
    SEED.set(options.first);
    let report = run(options.first, options.weather, options.verbose);
    println!(
        "seed {}: {} turns, {} messages in, {} out, digest {:016x}",
        report.seed, report.turns, report.messages, report.deliveries, report.digest
    );
    tell(&report, options.weather)
}

fn run_all(options: &Options) -> u64 {
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let (turns, messages, deliveries) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= options.seeds {
                        return;
                    }
                    SEED.set(options.first + number);
                    let report = run(options.first + number, options.weather, false);
                    turns.fetch_add(report.turns, Ordering::Relaxed);
                    messages.fetch_add(report.messages, Ordering::Relaxed);
                    deliveries.fetch_add(report.deliveries, Ordering::Relaxed);
                    failed.fetch_add(tell(&report, options.weather), Ordering::Relaxed);
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!(
        "{} seeds from {}: {failed} failed; {} turns, {} messages in, {} out",
        options.seeds,
        options.first,
        turns.into_inner(),
        messages.into_inner(),
        deliveries.into_inner()
    );
    failed
}

/// One fault is seen by many rules, and more of them explain nothing.
const TOLD_MAX: usize = 5;

/// Says what a run found; 1 if that was something.
fn tell(report: &Report, weather: Weather) -> u64 {
    if report.findings.is_empty() {
        return 0;
    }
    let mut text = String::new();
    for (rule, finding) in report.findings.iter().take(TOLD_MAX) {
        text.push_str(&format!("seed {}: [{rule}] {finding}\n", report.seed));
    }
    println!("{text}{}", replay(report.seed, weather));
    1
}

fn replay(seed: u64, weather: Weather) -> String {
    let weather = if weather == Weather::Fair { " --no-crashes" } else { "" };
    format!("replay: cargo run -p sori-sim -- --seed {seed}{weather} -v")
}

//! Runs seeds: `cargo run --release -p sori-sim -- --seeds 200`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sori_sim::{Report, Sabotage, Weather, run, run_broken};

const HELP: &str = "\
Runs the broker on a simulated network, one run per seed, and checks it against the standard.

usage: sori-sim [--seeds N] [--first N]   N seeds (200), from the first (0)
       sori-sim --seed N [-v]             one seed; -v shows all that happens

--no-crashes: the broker lives through the run and keeps nothing on a disk. That makes another run of each seed.

--break WHAT: something is broken on purpose, and at the end it says which rules saw it, in how many seeds. WHAT is
  sync    the disk drops one sync in eight
  pubrec  a PUBREC leaves before what it promises is on the disk, and the power fails
  record  one frame of records in eight is read twice at a start
";

#[derive(Copy, Clone)]
struct Options {
    first: u64,
    seeds: u64,
    verbose: bool,
    weather: Weather,
    sabotage: Option<Sabotage>,
}

impl Options {
    fn run(&self, seed: u64, verbose: bool) -> Report {
        match self.sabotage {
            // The broker's own assertions see some of it first.
            Some(sabotage) => {
                std::panic::catch_unwind(|| run_broken(seed, sabotage, verbose)).unwrap_or_else(|_| panicked(seed))
            }
            None => run(seed, self.weather, verbose),
        }
    }

    /// The line that makes the same run again.
    fn replay(&self, seed: u64) -> String {
        let sabotage = Sabotage::ALL.iter().find(|(_, sabotage)| Some(*sabotage) == self.sabotage);
        let more = match (sabotage, self.weather) {
            (Some((name, _)), _) => format!(" --break {name}"),
            (None, Weather::Fair) => " --no-crashes".to_owned(),
            (None, Weather::Crashes) => String::new(),
        };
        format!("replay: cargo run -p sori-sim -- --seed {seed}{more} -v")
    }
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
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        eprintln!("{}", options.replay(SEED.get()));
    }));
    let failed = if options.seeds == 1 { run_one(&options) } else { run_all(&options) };
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options { first: 0, seeds: 200, verbose: false, weather: Weather::Crashes, sabotage: None };
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
            "--break" => options.sabotage = Some(sabotage(words.next())?),
            "--no-crashes" => options.weather = Weather::Fair,
            "-h" | "--help" => return Ok(None),
            _ => return Err(format!("unknown option {word:?}")),
        }
    }
    Ok(Some(options))
}

fn sabotage(name: Option<String>) -> Result<Sabotage, String> {
    let names = Sabotage::ALL.map(|(name, _)| name).join(", ");
    name.as_deref().and_then(Sabotage::named).ok_or_else(|| format!("--break wants one of {names}"))
}

fn run_one(options: &Options) -> u64 {
    SEED.set(options.first);
    let report = options.run(options.first, options.verbose);
    println!(
        "seed {}: {} turns, {} messages in, {} out, digest {:016x}",
        report.seed, report.turns, report.messages, report.deliveries, report.digest
    );
    tell(&report, options)
}

fn run_all(options: &Options) -> u64 {
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let seen_by = Mutex::new(BTreeMap::new());
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
                    let report = options.run(options.first + number, false);
                    note(&report, &mut seen_by.lock().expect("nobody panics with it"));
                    turns.fetch_add(report.turns, Ordering::Relaxed);
                    messages.fetch_add(report.messages, Ordering::Relaxed);
                    deliveries.fetch_add(report.deliveries, Ordering::Relaxed);
                    failed.fetch_add(tell(&report, options), Ordering::Relaxed);
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
    for (rule, (seeds, first)) in seen_by.into_inner().expect("nobody panics with it") {
        println!("[{rule}] saw something in {seeds} seeds, the first is {first}");
    }
    failed
}

fn panicked(seed: u64) -> Report {
    let findings = vec![("a panic", "an assertion of the broker failed, see above".to_owned())];
    Report { seed, findings, digest: 0, turns: 0, messages: 0, deliveries: 0 }
}

/// By rule, how many seeds it found something in, and the first of them.
type SeenBy = BTreeMap<&'static str, (u64, u64)>;

fn note(report: &Report, seen_by: &mut SeenBy) {
    let mut rules: Vec<&'static str> = report.findings.iter().map(|(rule, _)| *rule).collect();
    rules.sort_unstable();
    rules.dedup();
    for rule in rules {
        let (seeds, first) = seen_by.entry(rule).or_insert((0, report.seed));
        (*seeds, *first) = (*seeds + 1, report.seed.min(*first));
    }
}

/// One fault is seen by many rules, and more of them explain nothing.
const TOLD_MAX: usize = 5;

/// Says what a run found; 1 if that was something.
fn tell(report: &Report, options: &Options) -> u64 {
    if report.findings.is_empty() {
        return 0;
    }
    let mut text = String::new();
    for (rule, finding) in report.findings.iter().take(TOLD_MAX) {
        text.push_str(&format!("seed {}: [{rule}] {finding}\n", report.seed));
    }
    println!("{text}{}", options.replay(report.seed));
    1
}

//! `sori-bench instructions`, and `step`, which it runs under valgrind.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use sori_bench::feed::Counting;
use sori_bench::instructions::{self, Baseline, Count, Verdict};
use sori_bench::steps::{self, Step};

#[derive(Args)]
pub(super) struct Arguments {
    /// Only steps whose names contain one of these words
    names: Vec<String>,
    /// The steps by which a constant is chosen, which have no baseline
    #[arg(long, conflicts_with = "update")]
    choosing: bool,
    /// The counts to compare with
    #[arg(long, default_value = "crates/sori-bench/instructions.txt")]
    baseline: PathBuf,
    /// Make these counts the baseline
    #[arg(long)]
    update: bool,
    /// Leave callgrind's own files here, one for each step, for callgrind_annotate
    #[arg(long)]
    profiles: Option<PathBuf>,
    /// Say where they are spent, source file by source file
    #[arg(long, requires = "profiles")]
    by_file: bool,
}

#[derive(Args)]
pub(super) struct OneStep {
    /// Its name
    name: String,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    if let Some(profiles) = &arguments.profiles {
        std::fs::create_dir_all(profiles)?;
    }
    let is_wanted = |step: &&Step| instructions::is_wanted(step, &arguments.names);
    if arguments.choosing {
        let steps: Vec<&Step> = steps::choosing().filter(is_wanted).collect();
        for count in instructions::count(&steps, arguments.profiles.as_deref())? {
            println!("{:24} {:12.1}  {}", count.name, count.instructions, count.operation);
        }
        return Ok(true);
    }
    let steps: Vec<&Step> = steps::all().filter(is_wanted).collect();
    let counts = instructions::count(&steps, arguments.profiles.as_deref())?;
    let mut baseline = match Baseline::read(&arguments.baseline) {
        Err(_) if arguments.update => Baseline::default(),
        read => read?,
    };
    let mut failed = Vec::new();
    for count in &counts {
        let verdict = baseline.judge(count);
        let remark = match verdict {
            Verdict::Same(change) => format!("{:+6.1} %", change * 100.0),
            Verdict::Worse(change) => format!("{:+6.1} %  WORSE", change * 100.0),
            Verdict::Better(change) => format!("{:+6.1} %  BETTER", change * 100.0),
            Verdict::New => "new".to_owned(),
        };
        println!("{:24} {:12.1}  {remark:17}  {}", count.name, count.instructions, count.operation);
        if !matches!(verdict, Verdict::Same(_)) {
            failed.push(count.name.to_owned());
        }
        if let (true, Some(profiles)) = (arguments.by_file, &arguments.profiles) {
            print_files(count, &profiles.join(count.name))?;
        }
    }
    if arguments.update {
        baseline.update(&counts);
        baseline.write(&arguments.baseline)?;
        println!("{} has these counts now", arguments.baseline.display());
        return Ok(true);
    }
    failed.extend(baseline.stale().map(|name| format!("{name}, which is gone")));
    if !failed.is_empty() {
        println!("Too far from the baseline, or without a number in it: {}.", failed.join(", "));
        println!(
            "Whoever takes less fails as well: what was gained could be lost again unseen. If the change is meant, renew the"
        );
        println!("baseline with `sori-bench instructions --update`, and say in the commit message why.");
        if let Some((theirs, ours)) = baseline.other_compiler() {
            println!("The baseline was made with {theirs}; this is {ours}.");
        }
    }
    println!("{} passed; {} failed", counts.len().saturating_sub(failed.len()), failed.len());
    Ok(failed.is_empty())
}

/// Less than a hundredth is not shown.
const SHOWN_MIN: f64 = 0.01;

fn print_files(count: &Count, profile: &Path) -> io::Result<()> {
    let least = SHOWN_MIN * count.instructions * count.operations;
    for (file, cost) in instructions::by_file(profile)?.into_iter().filter(|(_, cost)| *cost > least) {
        println!("{:24} {:12.1}    {}", "", cost / count.operations, short_path(&file));
    }
    Ok(())
}

/// Below `crates`, of the standard library, or of another crate.
fn short_path(file: &str) -> &str {
    ["crates/", "library/", "registry/src/"]
        .iter()
        .find_map(|part| file.find(part).map(|at| &file[at..]))
        .unwrap_or(file)
}

/// One step, counted; says how many operations that were.
pub(super) fn step(arguments: &OneStep) -> io::Result<bool> {
    let step = steps::all().chain(steps::choosing()).find(|step| step.name == arguments.name);
    let step = step.ok_or_else(|| io::Error::other(format!("no step '{}'", arguments.name)))?;
    let mut prepared = step.prepare()?;
    for _ in 0..prepared.rounds {
        prepared.round(Counting::Yes);
    }
    println!("operations {}", prepared.operations * u64::from(prepared.rounds));
    Ok(true)
}

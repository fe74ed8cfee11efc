//! `sori-bench growth`.

use std::io;
use std::path::PathBuf;

use clap::Args;
use sori_bench::measure::growth::{self, Row};
use sori_bench::plot::{self, Shown};

use super::BrokerArguments;

#[derive(Args)]
pub(super) struct Arguments {
    /// Only these: subscriptions, connections, levels, payload, retained
    series: Vec<String>,
    #[command(flatten)]
    broker: BrokerArguments,
    /// No size above this one
    #[arg(long, default_value_t = u64::MAX)]
    size_max: u64,
    /// Draw the times here
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Draw the memory here
    #[arg(long)]
    memory_svg: Option<PathBuf>,
    /// Print one line of JSON for each size
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    let mut broker = arguments.broker.options();
    broker.lines.insert(0, "persistence false".to_owned());
    let options = growth::Options { broker, size_max: arguments.size_max };
    let is_wanted = |name: &str| arguments.series.is_empty() || arguments.series.iter().any(|wanted| wanted == name);
    let mut all = Vec::new();
    for series in growth::SERIES.iter().filter(|series| is_wanted(series.name)) {
        let rows = growth::run(series, &options)?;
        match arguments.json {
            true => rows.iter().for_each(print_json),
            false => print_table(series.name, &rows),
        }
        all.extend(rows);
    }
    for (shown, svg) in [(Shown::Time, &arguments.svg), (Shown::Memory, &arguments.memory_svg)] {
        if let Some(path) = svg {
            plot::growth(&all, shown, path)?;
        }
    }
    Ok(true)
}

fn print_table(name: &str, rows: &[Row]) {
    print!("{name:>14}");
    for (figure, _) in rows.first().iter().flat_map(|row| &row.figures) {
        print!(" {figure:>20}");
    }
    println!();
    for row in rows {
        print!("{:14}", row.size);
        for (_, value) in &row.figures {
            print!(" {value:20.3}");
        }
        println!();
    }
    println!();
}

fn print_json(row: &Row) {
    let figures: Vec<String> =
        row.figures.iter().map(|(name, value)| format!("\"{}\":{value:.3}", name.replace(' ', "_"))).collect();
    println!("{{\"series\":\"{}\",\"size\":{},{}}}", row.series, row.size, figures.join(","));
}

//! `sori-bench choices`.

use std::io;
use std::path::PathBuf;

use clap::Args;
use sori_bench::choices::{self, CHOICES, Choice, Figure};

#[derive(Args)]
pub(super) struct Arguments {
    /// Only these: sharing, removal, subscribing
    names: Vec<String>,
    /// Nanoseconds, not instructions
    #[arg(long)]
    time: bool,
    /// The repository, of which a copy is built for each value
    #[arg(long, default_value = ".")]
    repository: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    let repository = std::path::absolute(&arguments.repository)?;
    let figure = if arguments.time { Figure::Time } else { Figure::Instructions };
    let is_wanted = |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name);
    for choice in CHOICES.iter().filter(|choice| is_wanted(choice.name)) {
        let measure = |variant| choices::measure(choice, variant, figure, &repository);
        let figures = choice.variants.iter().map(measure).collect::<io::Result<Vec<_>>>()?;
        print(choice, &figures);
    }
    Ok(true)
}

fn print(choice: &Choice, figures: &[Vec<(String, f64)>]) {
    println!("{}", choice.what);
    let names: Vec<String> = choice.variants.iter().map(|variant| format!("{:>12}", variant.name)).collect();
    println!("{:24}{}", "", names.concat());
    for (row, (step, _)) in figures.first().into_iter().flatten().enumerate() {
        let row: Vec<String> =
            figures.iter().filter_map(|column| column.get(row)).map(|(_, value)| format!("{value:12.1}")).collect();
        println!("{step:24}{}", row.concat());
    }
    println!();
}

//! `sori-bench plot`.

use std::io;
use std::path::PathBuf;

use clap::Args;
use sori_bench::plot;

#[derive(Args)]
pub(super) struct Arguments {
    /// The JSON of a comparison run; docs/performance.md has its fields
    comparison: PathBuf,
    /// The picture
    #[arg(default_value = "docs/performance/cpu-per-message.svg")]
    svg: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<bool> {
    plot::comparison(&arguments.comparison, &arguments.svg)?;
    Ok(true)
}

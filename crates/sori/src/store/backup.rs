//! `sori store backup`: a copy of a store that is whole, also while the broker runs.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sori_server::store::mending;

use super::{Where, print_json};
use crate::failure::Failure;

// The first of two places may be left out.
#[derive(Args, Debug)]
#[command(allow_missing_positional = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// The copy: a directory that is empty or not there
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Copied {
    store: String,
    copy: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let from = arguments.place.existing()?;
    mending::backup(&from, &arguments.to)?;
    let copied = Copied { store: from.display().to_string(), copy: arguments.to.display().to_string() };
    if arguments.json {
        return print_json(&copied);
    }
    println!("{} is copied to {}", copied.store, copied.copy);
    Ok(())
}

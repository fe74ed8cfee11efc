//! `sori store backup`: a copy of a store that is whole, also while the broker runs.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sori_server::store::{mending, place};

use super::print_json;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The store, or the directory that holds it
    #[arg(value_name = "DIR")]
    from: PathBuf,
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
    let from = place::store_in(&arguments.from);
    if !from.is_dir() {
        return Err(Failure::new(format!("there is no store in {}", from.display())));
    }
    mending::backup(&from, &arguments.to)?;
    let copied = Copied { store: from.display().to_string(), copy: arguments.to.display().to_string() };
    if arguments.json {
        return print_json(&copied);
    }
    println!("{} is copied to {}", copied.store, copied.copy);
    Ok(())
}

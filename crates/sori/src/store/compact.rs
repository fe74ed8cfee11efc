//! `sori store compact`: a store as small as it can be.

use clap::Args;
use serde::Serialize;
use sori_server::progress::bytes;
use sori_server::store::rewriting;

use super::{Where, print_json};
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Compacted {
    store: String,
    bytes_before: u64,
    bytes_after: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.place.existing()?;
    let (before, after) = rewriting::compact(&path)?;
    let store = path.display().to_string();
    if arguments.json {
        return print_json(&Compacted { store, bytes_before: before.disk_bytes, bytes_after: after.disk_bytes });
    }
    println!("{store}: {} before, {} now", bytes(before.disk_bytes), bytes(after.disk_bytes));
    Ok(())
}

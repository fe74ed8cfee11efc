//! `sori store repair`: keep what is whole of a damaged store.

use clap::Args;
use serde::Serialize;
use sori_server::store::mending::{self, Repaired};

use super::{FoundLine, Where, print_json};
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
struct Mended<'a> {
    store: String,
    was_damaged: bool,
    lost: Vec<FoundLine<'a>>,
    copies: &'a [String],
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.place.existing()?;
    let Repaired { lost, copies } = mending::repair(&path)?;
    let store = path.display().to_string();
    if arguments.json {
        let (was_damaged, lost) = (!lost.is_empty(), lost.iter().map(FoundLine::of).collect());
        return print_json(&Mended { store, was_damaged, lost, copies: &copies });
    }
    if lost.is_empty() {
        println!("{store} is whole; nothing was changed");
        return Ok(());
    }
    for finding in &lost {
        println!("lost: {finding}");
    }
    for copy in &copies {
        println!("as it was: {copy}");
    }
    println!("{store} can be used again; what is listed as lost is not in it");
    Ok(())
}

//! `sori store verify`: is a store whole?

use clap::Args;
use serde::Serialize;
use sori_server::store::mending::{self, Severity};

use super::{DAMAGED, FoundLine, Where, print_json};
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
struct Verified<'a> {
    store: String,
    is_whole: bool,
    findings: Vec<FoundLine<'a>>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.place.existing()?;
    let findings = mending::verify(&path)?;
    let is_whole = findings.iter().all(|finding| finding.severity == Severity::Note);
    let store = path.display().to_string();
    if arguments.json {
        print_json(&Verified { store, is_whole, findings: findings.iter().map(FoundLine::of).collect() })?;
    } else {
        for finding in &findings {
            let what = if finding.severity == Severity::Note { "note" } else { "damage" };
            println!("{what}: {finding}");
        }
        match is_whole {
            true => println!("{store} is whole"),
            false => println!("{store} is damaged; `sori store repair {store}` keeps what is whole"),
        }
    }
    if is_whole { Ok(()) } else { Err(Failure::quiet(DAMAGED)) }
}

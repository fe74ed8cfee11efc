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
    let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Note);
    let is_newer = findings.iter().any(|finding| finding.severity == Severity::Newer);
    let is_whole = worst == Severity::Note;
    let store = path.display().to_string();
    if arguments.json {
        print_json(&Verified { store, is_whole, findings: findings.iter().map(FoundLine::of).collect() })?;
    } else {
        findings.iter().for_each(|finding| println!("{}: {finding}", FoundLine::of(finding).severity));
        // What this version cannot read it would not keep either.
        match worst {
            Severity::Note => println!("{store} is whole"),
            _ if is_newer => println!("{store} was written by a newer version of sori; use that version"),
            _ => println!("{store} is damaged; `sori store repair {store}` keeps what is whole"),
        }
    }
    match worst {
        Severity::Note => Ok(()),
        Severity::Newer => Err(Failure::quiet(1)),
        Severity::Damage => Err(Failure::quiet(DAMAGED)),
    }
}

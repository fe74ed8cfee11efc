//! `sori store import`: a new store of lines of JSON.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sori_server::store::making::{self, Made};

use super::gathering::Gathering;
use super::{Where, print_json};
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// Read from this file instead of standard input
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Taken {
    store: String,
    sessions: u64,
    messages: u64,
    retained: u64,
    left_out: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let path = arguments.place.path()?;
    let name = arguments.input.as_ref().map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
    let input: Box<dyn Read> = match &arguments.input {
        Some(file) => Box::new(File::open(file).map_err(|error| Failure::new(format!("cannot read {name}: {error}")))?),
        None => Box::new(stdin().lock()),
    };
    let mut gathering = Gathering::default();
    for (at, line) in BufReader::new(input).lines().enumerate() {
        let place = || format!("{name}, line {}", at + 1);
        let line = line.map_err(|error| Failure::new(format!("{}: {error}", place())))?;
        if !line.is_empty() {
            gathering.take(&line).map_err(|text| Failure::new(format!("{}: {text}", place())))?;
        }
    }
    let imported = gathering.finish().map_err(|text| Failure::new(format!("{name}: {text}")))?;
    let Made { sessions, deliveries: messages, retained, left_out } = making::make(&path, &imported)?;
    let store = path.display().to_string();
    if arguments.json {
        return print_json(&Taken { store, sessions, messages, retained, left_out });
    }
    println!("{store} holds {sessions} sessions, {messages} messages for them, {retained} retained messages");
    if left_out > 0 {
        println!("{left_out} messages of QoS 0 were left out: no store keeps them");
    }
    Ok(())
}

//! `sori store export`: everything that a store holds as lines of JSON.

use std::fs::File;
use std::io::{self, BufWriter, Write, stdout};
use std::path::PathBuf;

use clap::Args;
use sori_server::store::contents::{Contents, Thing};

use super::lines::Line;
use super::{DAMAGED, Where};
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// Write to this file, which must not be there
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let contents = Contents::open(&arguments.place.existing()?)?;
    let out: Box<dyn Write> = match &arguments.output {
        Some(file) => {
            Box::new(File::create_new(file).map_err(|error| unwritable(&file.display().to_string(), &error))?)
        }
        None => Box::new(stdout().lock()),
    };
    let mut out = BufWriter::new(out);
    write(&mut out, &Line::first())?;
    let lost = contents.read(|thing| match thing {
        Thing::Session(session) => Line::of_session(&session).iter().try_for_each(|line| write(&mut out, line)),
        Thing::Retained(message, owner) => write(&mut out, &Line::of_retained(&message, owner.as_ref())),
    })?;
    out.flush().map_err(|error| unwritable("the output", &error))?;
    if lost > 0 {
        let text = format!("{lost} messages could not be read; `sori store verify` tells where the store is damaged");
        return Err(Failure::new(text).with_status(DAMAGED));
    }
    Ok(())
}

fn write(out: &mut impl Write, line: &Line) -> Result<(), Failure> {
    let text = serde_json::to_string(line).map_err(|error| Failure::new(error.to_string()))?;
    writeln!(out, "{text}").map_err(|error| unwritable("the output", &error))
}

fn unwritable(what: &str, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {what}: {error}"))
}

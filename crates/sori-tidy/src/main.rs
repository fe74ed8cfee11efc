//! `cargo run -p sori-tidy -- conformance`: the numbered requirements that have no code or no test yet.

use sori_tidy::conformance;
use std::env;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["conformance"] => conformance_report(),
        ["conformance", id] => where_it_stands(id),
        _ => {
            eprintln!(
                "usage: sori-tidy conformance [id]\n  conformance               requirements without code or test"
            );
            eprintln!("  conformance MQTT-3.1.2-22  where this one stands");
            return ExitCode::from(2);
        }
    }
    .unwrap_or_else(|error| {
        // `| head` has seen enough.
        if error.kind() != ErrorKind::BrokenPipe {
            eprintln!("sori-tidy: {error}");
        }
        ExitCode::FAILURE
    })
}

fn conformance_report() -> io::Result<ExitCode> {
    let report = conformance::report()?;
    let mut out = io::stdout().lock();
    let reasons = report.requirements.iter().filter(|(_, found)| found.reason.is_some()).count();
    print_ids(&mut out, "without code", &report.without_code())?;
    print_ids(&mut out, "without test", &report.without_test())?;
    for misuse in &report.misuse {
        writeln!(out, "{misuse}")?;
    }
    let all = report.requirements.len();
    writeln!(out, "{all} requirements, {reasons} of them with a written reason for having no test")?;
    Ok(if conformance::complaints()?.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_ids(out: &mut impl Write, what: &str, ids: &[&str]) -> io::Result<()> {
    writeln!(out, "{what}: {}", ids.len())?;
    for ids in ids.chunks(6) {
        writeln!(out, "  {}", ids.join(" "))?;
    }
    Ok(())
}

fn where_it_stands(id: &str) -> io::Result<ExitCode> {
    let wanted = format!("[{}]", id.trim_matches(['[', ']']));
    let report = conformance::report()?;
    let Some((_, found)) = report.requirements.iter().find(|(id, _)| *id == wanted) else {
        eprintln!("sori-tidy: {wanted} is not in {}", conformance::DOCUMENT);
        return Ok(ExitCode::FAILURE);
    };
    let mut out = io::stdout().lock();
    for (what, places) in [("code", &found.code), ("test", &found.tests)] {
        for place in places {
            writeln!(out, "{what}  {place}")?;
        }
    }
    if let Some(reason) = &found.reason {
        writeln!(out, "no test: {reason}")?;
    }
    Ok(ExitCode::SUCCESS)
}

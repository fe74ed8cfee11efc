//! `sori check`: would the broker start with this file, and would it do what is meant?

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use sori_server::config::{Remark, Severity};

use crate::failure::Failure;

#[derive(clap::Args)]
#[command(disable_help_flag = true, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// The file; several are read one after the other
    #[arg(short = 'c', long = "config-file", value_name = "FILE", required = true)]
    config_files: Vec<PathBuf>,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It reads the file and all files that it names as a start would, tells all mistakes at once, and looks whether ports
are free, files can be written, certificates fit their keys and are valid, and rules can match. Nothing is changed.
The exit status is 0 when the broker would start, warnings or not, and 3 when it would not.";

/// The exit status of a configuration with errors, as of a start with it.
const REFUSED: u8 = 3;

/// What there is to say, for programs.
#[derive(Serialize)]
struct Report<'a> {
    /// The broker would start.
    ok: bool,
    errors: usize,
    warnings: usize,
    remarks: Vec<Line<'a>>,
}

/// One remark. File, line and column are there as far as it has them.
#[derive(Serialize)]
struct Line<'a> {
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn new(remark: &'a Remark) -> Line<'a> {
        let at = remark.at.as_ref();
        Line {
            severity: match remark.severity {
                Severity::Error | Severity::Failure => "error",
                Severity::Warning => "warning",
                Severity::Notice => "notice",
                Severity::Information => "information",
            },
            file: at.map(|at| at.file.display().to_string()),
            line: at.map(|at| at.line),
            column: at.and_then(|at| at.column),
            text: &remark.text,
            hint: remark.hint.as_deref(),
        }
    }
}

impl<'a> Report<'a> {
    fn new(remarks: &'a [Remark]) -> Report<'a> {
        let count = |is_counted: fn(&Remark) -> bool| remarks.iter().filter(|remark| is_counted(remark)).count();
        let (errors, warnings) = (count(Remark::is_error), count(|remark| remark.severity == Severity::Warning));
        Report { ok: errors == 0, errors, warnings, remarks: remarks.iter().map(Line::new).collect() }
    }

    /// The last line for people.
    fn verdict(&self) -> String {
        let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (errors, warnings) = (counted(self.errors, "error"), counted(self.warnings, "warning"));
        match (self.ok, self.warnings) {
            (true, 0) => "The configuration is good.".to_owned(),
            (true, _) => format!("The broker would start; {warnings}."),
            (false, 0) => format!("The broker would not start: {errors}."),
            (false, _) => format!("The broker would not start: {errors}, {warnings}."),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let remarks = sori_server::check(&arguments.config_files, &[]);
    let report = Report::new(&remarks);
    if arguments.json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| Failure::new(error.to_string()))?;
        println!("{text}");
    } else {
        for remark in &remarks {
            println!("{remark}");
        }
        println!("{}", report.verdict());
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_what_people_get() {
        let remarks =
            [Remark::new(Severity::Error, "It is wrong.").hint("mend it."), Remark::new(Severity::Notice, "It is so.")];
        let report = Report::new(&remarks);
        assert_eq!(
            serde_json::to_string(&report).expect("is data"),
            "{\"ok\":false,\"errors\":1,\"warnings\":0,\"remarks\":[\
             {\"severity\":\"error\",\"text\":\"It is wrong.\",\"hint\":\"mend it.\"},\
             {\"severity\":\"notice\",\"text\":\"It is so.\"}]}"
        );
    }

    #[test]
    fn the_verdict_counts() {
        let verdict = |severities: &[Severity]| {
            let remarks: Vec<_> = severities.iter().map(|severity| Remark::new(*severity, "")).collect();
            Report::new(&remarks).verdict()
        };
        assert_eq!(verdict(&[Severity::Information]), "The configuration is good.");
        assert_eq!(verdict(&[Severity::Warning]), "The broker would start; 1 warning.");
        assert_eq!(verdict(&[Severity::Error; 2]), "The broker would not start: 2 errors.");
        assert_eq!(verdict(&[Severity::Error, Severity::Warning]), "The broker would not start: 1 error, 1 warning.");
    }
}

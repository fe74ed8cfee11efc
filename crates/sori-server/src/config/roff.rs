//! The manual page sori.toml(5), written from the table of options as `docs/configuration.md` is.

use std::fmt::Write as _;

use super::manual::{self, is_later};
use super::option::Entry;
use super::options::THEMES;

/// The page, as groff reads it.
///
/// ```
/// assert!(sori_server::config::roff::page().starts_with(".TH SORI.TOML 5 "));
/// ```
pub fn page() -> String {
    let mut text = format!(".TH SORI.TOML 5 \"\" \"sori {}\" \"sori\"\n", crate::VERSION);
    text.push_str(".SH NAME\nsori.toml, mosquitto.conf \\- configuration of the MQTT broker sori\n.SH DESCRIPTION\n");
    markdown(&mut text, &manual::introduction());
    for theme in THEMES {
        let _ = writeln!(text, ".SH {}", escaped(&theme.title.to_uppercase()));
        if theme.entries.iter().any(is_later) {
            markdown(&mut text, manual::LATER);
        }
        for entry in theme.entries {
            option(&mut text, entry);
        }
    }
    text.push_str(".SH SEE ALSO\n.BR sori (1),\n.BR sori\\-serve (1),\n.BR sori\\-check (1),\n.BR sori\\-config (1)\n");
    text
}

fn option(text: &mut String, entry: &Entry) {
    let words: Vec<String> = entry.words.iter().map(|word| format!("\\fB{}\\fR", escaped(word))).collect();
    let _ = writeln!(text, ".TP\n{} \\fI{}\\fR", words.join(", "), escaped(&manual::value(entry).replace('`', "")));
    paragraph(text, &manual::meaning(entry));
    let mut facts = Vec::new();
    if manual::has_path_of_its_own(entry) {
        facts.push(format!("In sori.toml: `{}`.", entry.toml));
    }
    if !entry.default.is_empty() {
        facts.push(format!("Default: `{}`.", entry.default));
    }
    if !is_later(entry) {
        facts.push(format!("Belongs to: {}. ", manual::scope(entry.scope)).trim_end().to_owned());
        facts.push(format!("A change counts {}.", manual::reload(entry.reload)));
    }
    if !facts.is_empty() {
        text.push_str(".br\n");
        paragraph(text, &facts.join(" "));
    }
}

/// Headings, paragraphs and code between fences, which is all that the introduction has. Tables have no place here: the
/// options are a list.
fn markdown(text: &mut String, source: &str) {
    let mut is_code = false;
    let mut lines: Vec<&str> = Vec::new();
    for line in source.lines().chain([""]) {
        let is_text = !is_code && !line.is_empty() && !line.starts_with(['|', '#', '`']);
        if is_text {
            lines.push(line);
            continue;
        }
        if !lines.is_empty() {
            text.push_str(".PP\n");
            paragraph(text, &lines.join(" "));
            lines.clear();
        }
        if line.starts_with("```") {
            text.push_str(if is_code { ".EE\n.RE\n" } else { ".PP\n.RS\n.EX\n" });
            is_code = !is_code;
        } else if is_code {
            let _ = writeln!(text, "{}", guarded(escaped(line)));
        } else if let Some(heading) = line.strip_prefix("## ") {
            let _ = writeln!(text, ".SS {}", escaped(heading));
        }
    }
}

/// Words between backticks are bold.
fn paragraph(text: &mut String, source: &str) {
    let mut line = String::new();
    for (index, part) in source.split('`').enumerate() {
        match index % 2 {
            0 => line.push_str(&escaped(part)),
            _ => {
                let _ = write!(line, "\\fB{}\\fR", escaped(part));
            }
        }
    }
    let _ = writeln!(text, "{}", guarded(line));
}

/// A dot or an apostrophe at the beginning of a line would be a request.
fn guarded(line: String) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::super::options;
    use super::*;

    #[test]
    fn every_option_stands_in_the_page() {
        let page = page();
        for entry in options::all() {
            for word in entry.words {
                assert!(page.contains(&format!("\\fB{}\\fR", escaped(word))), "{word}");
            }
            for text in [entry.help, entry.default] {
                let first = text.split('`').next().unwrap_or_default();
                assert!(page.contains(&escaped(first)), "{}", entry.word());
            }
            assert!(page.contains(&escaped(entry.toml)), "{}", entry.toml);
        }
    }

    #[test]
    fn nothing_in_a_text_is_a_request() {
        let mut text = String::new();
        markdown(&mut text, "a\n.b\n\n.c `d-e`\n```\n.f\\g\n'h\n```\n## i\n");
        assert_eq!(text, ".PP\na .b\n.PP\n\\&.c \\fBd\\-e\\fR\n.PP\n.RS\n.EX\n\\&.f\\eg\n\\&'h\n.EE\n.RE\n.SS i\n");
    }
}

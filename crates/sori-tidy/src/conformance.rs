//! Every numbered requirement of the two OASIS standards, against the code and the tests.
//!
//! `docs/mqtt-conformance.md` lists the requirements in tables, one per line:
//!
//! ```text
//! | [MQTT-3.1.2-22] | S | Nothing for 1.5 x Keep Alive: close as on a network failure | |
//! ```
//!
//! The id must stand, in exactly this form, beside a line of code under `crates/*/src`, and a test that runs must carry it:
//! in its name (`mqtt5_3_1_2_22_...`, `mqtt311_3_1_2_24_...`) or in a comment `// covers: [MQTT-...] [MQTT311-...]` directly
//! above it. When the last cell gives a reason, neither is asked for; and if there is a test after all, the reason must go.

use crate::files::{self, File};
use crate::sources;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// The document with the list.
pub const DOCUMENT: &str = "docs/mqtt-conformance.md";
/// How many requirements the two standards have.
const REQUIREMENTS: usize = 251 + 141;

/// What was found for one requirement.
#[derive(Default)]
pub struct Requirement {
    /// Why there is no test, when the document says so.
    pub reason: Option<String>,
    /// Where it stands beside code, as `file:line`.
    pub code: Vec<String>,
    /// The tests that carry it.
    pub tests: Vec<String>,
}

/// All requirements in the order of the document, and what is wrong with how ids are used.
pub struct Report {
    /// Each id, `[MQTT-3.1.2-22]`, with what was found.
    pub requirements: Vec<(String, Requirement)>,
    /// Ids that do not exist, ranges, `covers` lines that stand above nothing.
    pub misuse: Vec<String>,
}

impl Report {
    /// The ids without a line of code.
    pub fn without_code(&self) -> Vec<&str> {
        self.lacking(|found| found.code.is_empty())
    }

    /// The ids without a test.
    pub fn without_test(&self) -> Vec<&str> {
        self.lacking(|found| found.tests.is_empty())
    }

    fn lacking(&self, what: impl Fn(&Requirement) -> bool) -> Vec<&str> {
        let lacking = self.requirements.iter().filter(|(_, found)| found.reason.is_none() && what(found));
        lacking.map(|(id, _)| id.as_str()).collect()
    }
}

/// One line per breach of the rule.
pub fn complaints() -> io::Result<Vec<String>> {
    let report = report()?;
    let mut complaints = report.misuse.clone();
    complaints
        .extend(report.without_code().iter().map(|id| format!("{id}: no line of code under crates/*/src names it")));
    complaints.extend(report.without_test().iter().map(|id| format!("{id}: no test names it")));
    for (id, found) in &report.requirements {
        if let (Some(_), Some(test)) = (&found.reason, found.tests.first()) {
            complaints.push(format!("{id}: {DOCUMENT} gives a reason for having no test, but there is one: {test}"));
        }
    }
    if report.requirements.len() != REQUIREMENTS {
        complaints.push(format!("{DOCUMENT}: {} requirements instead of {REQUIREMENTS}", report.requirements.len()));
    }
    Ok(complaints)
}

/// Reads the document and every Rust file.
pub fn report() -> io::Result<Report> {
    let mut report = listed(&files::read(DOCUMENT)?);
    for file in sources::rust_files()?.iter().filter(|file| !file.path.starts_with("crates/sori-tidy/")) {
        report.look_at(file);
    }
    Ok(report)
}

/// The requirements of the document, nothing found yet.
fn listed(document: &str) -> Report {
    let mut report = Report { requirements: Vec::new(), misuse: Vec::new() };
    let mut seen = BTreeSet::new();
    for (index, line) in document.lines().enumerate().filter(|(_, line)| line.starts_with("| [MQTT")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _who, requirement, reason] = cells[..] else {
            report.misuse.push(format!("{DOCUMENT}:{}: not `| id | who | requirement | reason |`", index + 1));
            continue;
        };
        if requirement.is_empty() || !seen.insert(id) {
            report.misuse.push(format!("{DOCUMENT}:{}: {id} is there twice, or says nothing", index + 1));
        }
        let reason = (!reason.is_empty()).then(|| reason.to_owned());
        report.requirements.push((id.to_owned(), Requirement { reason, ..Requirement::default() }));
    }
    report
}

impl Report {
    fn look_at(&mut self, file: &File) {
        let mut use_of: BTreeMap<String, Requirement> = BTreeMap::new();
        let mut misuse = Vec::new();
        let tests_from = start_of_tests(file);
        // What stands directly above the next function: its attributes and its `covers` lines.
        let mut is_test = false;
        let mut covered: Vec<String> = Vec::new();
        for (index, line) in file.text.lines().enumerate() {
            let (line, place) = (line.trim(), format!("{}:{}", file.path, index + 1));
            if let Some(ids) = line.strip_prefix("// covers:") {
                covered.extend(bracketed(ids));
            } else if let Some(name) = function_name(line) {
                if is_test {
                    covered.extend(in_name(name));
                    for id in covered.drain(..) {
                        use_of.entry(id).or_default().tests.push(format!("{place} {name}"));
                    }
                }
                misuse.extend(
                    covered.drain(..).map(|id| format!("{place}: {id} is said to be covered by what is no test")),
                );
                is_test = false;
            } else if line.starts_with("#[") {
                is_test |= line == "#[test]";
            } else if !line.starts_with("//") {
                misuse.extend(
                    covered.drain(..).map(|id| format!("{place}: {id} is said to be covered, but no test follows")),
                );
                is_test = false;
            }
            // The front page of a module tells of rules; it does not keep them.
            if index < tests_from && !line.starts_with("//!") && !line.starts_with("// covers:") {
                for id in bracketed(line) {
                    use_of.entry(id).or_default().code.push(place.clone());
                }
            }
        }
        self.misuse.append(&mut misuse);
        self.take(file, use_of);
    }

    fn take(&mut self, file: &File, use_of: BTreeMap<String, Requirement>) {
        for (id, found) in use_of {
            if let Some((_, known)) = self.requirements.iter_mut().find(|(known, _)| *known == id) {
                known.code.extend(found.code);
                known.tests.extend(found.tests);
            } else {
                let place = found.code.first().or(found.tests.first()).unwrap_or(&file.path).clone();
                self.misuse
                    .push(format!("{place}: {id} is no requirement (ranges are not allowed, each id stands alone)"));
            }
        }
    }
}

/// The line from which a file holds tests and no code: 0 for files of tests, the end for files without any.
fn start_of_tests(file: &File) -> usize {
    let in_sources = file.path.starts_with("crates/") && file.path.split('/').nth(2) == Some("src");
    if !in_sources || file.path.ends_with("tests.rs") || file.path.contains("/tests/") {
        return 0;
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let inline = lines
        .windows(2)
        .position(|pair| matches!(pair, [first, second] if *first == "#[cfg(test)]" && second.ends_with('{')));
    inline.unwrap_or(lines.len())
}

/// `f` of `fn f(`, whatever stands before it; `None` when the line begins no function.
fn function_name(line: &str) -> Option<&str> {
    let before = ["fn ", "pub fn ", "pub(crate) fn ", "const fn ", "async fn "];
    let rest = before.iter().find_map(|words| line.strip_prefix(words))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// Everything of the form `[MQTT...]` in a line. Whether it is an id is for the list to say.
fn bracketed(line: &str) -> Vec<String> {
    let openings = line.match_indices("[MQTT").filter_map(|(at, _)| line[at..].split_once(']'));
    openings
        .map(|(id, _)| format!("{id}]"))
        .filter(|id| id.starts_with("[MQTT-") || id.starts_with("[MQTT311-"))
        .collect()
}

/// The ids in the name of a test: `mqtt5_3_1_2_22_and_more` carries `[MQTT-3.1.2-22]`.
fn in_name(name: &str) -> Vec<String> {
    let standards = [("mqtt5_", "MQTT"), ("mqtt311_", "MQTT311")];
    let mut ids = Vec::new();
    for (prefix, standard) in standards {
        for (at, _) in name.match_indices(prefix) {
            let numbers: Vec<&str> = name[at + prefix.len()..].split('_').take(4).collect();
            if let [chapter, section, part, number] = numbers[..]
                && numbers.iter().all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
            {
                ids.push(format!("[{standard}-{chapter}.{section}.{part}-{number}]"));
            }
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
| id | who | requirement | reason |
|---|---|---|---|
| [MQTT-3.1.2-22] | S | a | |
| [MQTT-3.1.2-23] | S | b | |
| [MQTT311-3.1.2-24] | S | c | |
| [MQTT-6.0.0-1] | B | d | no such transport |
";

    fn report(path: &str, text: &str) -> Report {
        let mut report = listed(DOCUMENT);
        report.look_at(&File { path: path.into(), text: text.into() });
        report
    }

    #[test]
    fn ids_count_beside_code_but_not_in_front_pages_covers_lines_or_tests() {
        let text = "//! [MQTT-3.1.2-22]\nlet x = 1; // [MQTT-3.1.2-23] and [MQTT311-3.1.2-24]\n#[cfg(test)]\nmod tests {\n// [MQTT-3.1.2-22]\n}";
        let code = report("crates/a/src/a.rs", text);
        assert_eq!(code.without_code(), ["[MQTT-3.1.2-22]"]);
        assert_eq!(code.without_test(), ["[MQTT-3.1.2-22]", "[MQTT-3.1.2-23]", "[MQTT311-3.1.2-24]"]);
        assert_eq!(report("crates/a/src/a/tests.rs", text).without_code().len(), 3);
        assert_eq!(report("crates/a/tests/it/a.rs", text).without_code().len(), 3);
    }

    #[test]
    fn tests_carry_ids_in_their_names_and_above_them() {
        let text = "\
// covers: [MQTT-3.1.2-23]
// covers: [MQTT311-3.1.2-24]
#[test]
fn mqtt5_3_1_2_22_closes_after_1_5_times() {}
";
        let tests = report("crates/a/tests/it/a.rs", text);
        assert_eq!(tests.without_test(), Vec::<&str>::new());
        assert_eq!(tests.misuse, Vec::<String>::new());
        let helper = report("crates/a/tests/it/a.rs", &text.replace("#[test]\n", ""));
        assert_eq!(helper.without_test().len(), 3);
        assert_eq!(helper.misuse.len(), 2);
        let nothing_below = report("crates/a/tests/it/a.rs", &text.replace("#[test]\n", "\n#[test]\n"));
        assert_eq!(nothing_below.without_test(), ["[MQTT-3.1.2-23]", "[MQTT311-3.1.2-24]"]);
    }

    #[test]
    fn ranges_and_unknown_ids_are_misuse() {
        let text = "// [MQTT-3.1.2-22..23] [MQTT-9.9.9-9]\n#[test]\nfn mqtt311_1_2_3_4_and_mqtt311_3_1_2_24() {}\n";
        assert_eq!(report("crates/a/src/a.rs", text).misuse.len(), 3);
    }

    #[test]
    fn lines_of_the_list_that_say_nothing_are_misuse() {
        assert_eq!(listed("| [MQTT-1.1.1-1] | S | | |\n| [MQTT-1.1.1-2] | S |\n").misuse.len(), 2);
        assert_eq!(listed("| [MQTT-1.1.1-1] | S | a | |\n| [MQTT-1.1.1-1] | S | a | |\n").misuse.len(), 1);
    }
}

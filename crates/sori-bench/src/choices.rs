//! Constants of the broker that could have another value: the steps that decide, with each of them.
//!
//! A constant is not an option, and is not to become one in order to be measured. So a copy of the repository below `target` gets the
//! other value, is built, and counts its own steps.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One constant, or several that belong together.
pub struct Choice {
    /// Its name, with which the names of its steps begin.
    pub name: &'static str,
    /// What is chosen.
    pub what: &'static str,
    /// What it could be.
    pub variants: &'static [Variant],
}

/// One way to choose.
pub struct Variant {
    /// What it is called in the table.
    pub name: &'static str,
    values: &'static [(Constant, &'static str)],
}

/// Where a constant stands.
#[derive(Clone, Copy)]
struct Constant {
    file: &'static str,
    name: &'static str,
}

const SHARED_BYTES: Constant = Constant { file: "crates/sori-broker/src/sending.rs", name: "SHARED_BYTES_MIN" };
const SHARED_WEIGHT: Constant = Constant { file: "crates/sori-broker/src/routing.rs", name: "SHARED_WEIGHT_MIN" };
const REMOVED: Constant = Constant { file: "crates/sori-broker/src/budget.rs", name: "PLACES_IN_A_GO" };
const IN_A_GO: Constant = Constant { file: "crates/sori-broker/src/subscribing.rs", name: "FILTERS_IN_A_GO" };
const ALL: [Constant; 4] = [SHARED_BYTES, SHARED_WEIGHT, REMOVED, IN_A_GO];

/// All of them.
pub const CHOICES: [Choice; 3] = [
    Choice {
        name: "sharing",
        what: "from which size on, and for how many recipients, a payload is kept once instead of copied",
        variants: &[
            Variant { name: "copied", values: &[(SHARED_BYTES, "usize::MAX")] },
            Variant { name: "shared", values: &[(SHARED_BYTES, "1"), (SHARED_WEIGHT, "1")] },
        ],
    },
    Choice {
        name: "removal",
        what: "subscriptions of a client that goes, taken out of the index in one go; how long others wait for it",
        variants: &[
            Variant { name: "1", values: &[(REMOVED, "1")] },
            Variant { name: "64", values: &[(REMOVED, "64")] },
            Variant { name: "512", values: &[(REMOVED, "512")] },
            Variant { name: "all", values: &[(REMOVED, "usize::MAX")] },
        ],
    },
    Choice {
        name: "subscribing",
        what: "filters of a SUBSCRIBE, put into the index in one go; how long others wait for it",
        variants: &[
            Variant { name: "1", values: &[(IN_A_GO, "1")] },
            Variant { name: "8", values: &[(IN_A_GO, "8")] },
            Variant { name: "32", values: &[(IN_A_GO, "32")] },
            Variant { name: "128", values: &[(IN_A_GO, "128")] },
            Variant { name: "all", values: &[(IN_A_GO, "usize::MAX")] },
        ],
    },
];

/// What is asked of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Instructions, under valgrind.
    Instructions,
    /// Nanoseconds.
    Time,
}

/// A figure of each of a choice's steps with one variant.
///
/// # Errors
/// `repository` is none, or its copy is not built.
pub fn measure(
    choice: &Choice,
    variant: &Variant,
    figure: Figure,
    repository: &Path,
) -> io::Result<Vec<(String, f64)>> {
    let copy = copy(repository)?;
    for constant in ALL {
        let path = copy.join(constant.file);
        let mut text = fs::read_to_string(repository.join(constant.file))?;
        for (edited, value) in variant.values.iter().filter(|(edited, _)| edited.file == constant.file) {
            text = with_value(&text, edited.name, value)
                .ok_or_else(|| io::Error::other(format!("{}: no constant {}", edited.file, edited.name)))?;
        }
        // Also what is as it was: cargo sees a change by the time of the file, and the time before may have had another value.
        fs::write(path, text)?;
    }
    let target = repository.join("target/choices/target");
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "-p", "sori-bench", "--target-dir"])
        .arg(&target)
        .current_dir(&copy)
        .status()?;
    if !built.success() {
        return Err(io::Error::other(format!("{} is not built with {}", choice.name, variant.name)));
    }
    let command = if figure == Figure::Instructions { "instructions" } else { "steps" };
    let output = Command::new(target.join("release/sori-bench"))
        .args([command, "--choosing", choice.name])
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures = said.lines().filter(|line| line.starts_with(choice.name)).filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    });
    Ok(figures.collect())
}

/// What the repository is built of.
const PARTS: [&str; 4] = ["Cargo.toml", "Cargo.lock", "crates", "docs"];

fn copy(repository: &Path) -> io::Result<PathBuf> {
    let copy = repository.join("target/choices/source");
    fs::create_dir_all(&copy)?;
    let parts = PARTS.map(|part| repository.join(part));
    let copied = Command::new("cp").arg("-a").args(parts).arg(&copy).status()?;
    if copied.success() { Ok(copy) } else { Err(io::Error::other("the repository cannot be copied below target")) }
}

/// `const NAME: T = value;` with another value.
fn with_value(text: &str, name: &str, value: &str) -> Option<String> {
    let from = text.find(&format!("const {name}: "))?;
    let from = from + text[from..].find('=')? + 1;
    let until = from + text[from..].find(';')?;
    Some(format!("{} {value}{}", &text[..from], &text[until..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_constant_is_where_it_is_looked_for() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for constant in ALL {
            let text = fs::read_to_string(repository.join(constant.file)).expect("a file of the broker");
            let edited = with_value(&text, constant.name, "77").expect("it has the constant");
            assert!(edited.contains(&format!("const {}: usize = 77;\n", constant.name)), "{}", constant.name);
        }
    }

    #[test]
    fn each_choice_has_its_steps() {
        for choice in &CHOICES {
            assert!(crate::steps::choosing().any(|step| step.name.starts_with(choice.name)), "{}", choice.name);
        }
    }
}

//! The counts that are in the repository: what has been reached, and is not to be lost unnoticed.
//!
//! ```text
//! # rustc 1.95.0
//! decode-publish      60.0
//! p2p-q0-local       412.5
//! ```

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::Count;

/// How far a count may be from the baseline. Whoever has gained nearly as much unseen can lose twice as much, but not more.
const TOLERANCE: f64 = 0.025;
const COMPILER: &str = "# compiler: ";
const HEAD: &str = "\
# Instructions per operation of each step of the hot path. More than 2.5 % above is a failure of `./test instructions`, and so is more
# than 2.5 % below: until these numbers are made anew, what was gained could be lost again unseen.
# Made by:  cargo run --release -p sori-bench -- instructions --update
";

/// The counts of the repository.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    compiler: String,
    counts: Vec<(String, f64)>,
}

/// What a count is against the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// As it was; the change as a part of one.
    Same(f64),
    /// More than it may be.
    Worse(f64),
    /// So much less that the baseline would not see it lost again.
    Better(f64),
    /// There is no number for it.
    New,
}

impl Baseline {
    /// Reads it.
    ///
    /// # Errors
    /// No such file, or one that is not a baseline.
    pub fn read(path: &Path) -> io::Result<Baseline> {
        let named = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| named(&error))?;
        Baseline::parse(&text).map_err(|line| named(&format!("not a name and a number: {line}")))
    }

    fn parse(text: &str) -> Result<Baseline, String> {
        let mut baseline = Baseline::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if let Some(compiler) = line.strip_prefix(COMPILER) {
                baseline.compiler = compiler.to_owned();
            } else if !line.starts_with('#') {
                let (name, number) = line.split_once(' ').ok_or(line)?;
                baseline.counts.push((name.to_owned(), number.trim().parse().map_err(|_| line)?));
            }
        }
        Ok(baseline)
    }

    /// These counts are the baseline from now on; what was not counted stays as it is.
    pub fn update(&mut self, counts: &[Count]) {
        self.compiler = compiler();
        for count in counts {
            match self.counts.iter_mut().find(|(name, _)| name == count.name) {
                Some((_, instructions)) => *instructions = count.instructions,
                None => self.counts.push((count.name.to_owned(), count.instructions)),
            }
        }
        let place = |name: &str| crate::steps::all().position(|step| step.name == name);
        self.counts.retain(|(name, _)| place(name).is_some());
        self.counts.sort_by_key(|(name, _)| place(name));
    }

    /// Writes it.
    ///
    /// # Errors
    /// The machine's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let lines = self.counts.iter().map(|(name, count)| format!("{name:24} {count:12.1}\n"));
        fs::write(path, format!("{HEAD}{COMPILER}{}\n{}", self.compiler, lines.collect::<String>()))
    }

    /// What a count is against the baseline.
    #[must_use]
    pub fn judge(&self, count: &Count) -> Verdict {
        let Some((_, was)) = self.counts.iter().find(|(name, _)| name == count.name) else { return Verdict::New };
        let change = count.instructions / was - 1.0;
        if change > TOLERANCE {
            Verdict::Worse(change)
        } else if change < -TOLERANCE {
            Verdict::Better(change)
        } else {
            Verdict::Same(change)
        }
    }

    /// Names that no step has any more.
    pub fn stale(&self) -> impl Iterator<Item = &str> {
        let names = self.counts.iter().map(|(name, _)| name.as_str());
        names.filter(|name| crate::steps::all().all(|step| step.name != *name))
    }

    /// The compiler that it was made with, when this program's is another one, and that one.
    #[must_use]
    pub fn other_compiler(&self) -> Option<(&str, String)> {
        let ours = compiler();
        (ours != self.compiler).then_some((&self.compiler, ours))
    }
}

/// As cargo would use it now.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(instructions: f64) -> Verdict {
        let baseline =
            Baseline::parse("# a remark\n# compiler: rustc 1\np2p 100.0\n\nfanout   7.5\n").expect("a baseline");
        baseline.judge(&Count { name: "p2p", operation: "", operations: 1.0, instructions })
    }

    #[test]
    fn two_in_a_hundred_are_allowed_and_three_are_not() {
        assert!(matches!(judge(102.4), Verdict::Same(_)));
        assert!(matches!(judge(103.0), Verdict::Worse(change) if (change - 0.03).abs() < 1e-9));
        assert!(matches!(judge(97.6), Verdict::Same(_)));
        assert!(matches!(judge(97.0), Verdict::Better(_)));
    }

    #[test]
    fn a_step_without_a_number_and_a_number_without_a_step_are_seen() {
        let baseline = Baseline::parse("nobody 1.0\ndecode-publish 2.0\n").expect("a baseline");
        assert_eq!(
            baseline.judge(&Count { name: "p2p", operation: "", operations: 1.0, instructions: 1.0 }),
            Verdict::New
        );
        assert_eq!(baseline.stale().collect::<Vec<_>>(), ["nobody"]);
        assert!(Baseline::parse("p2p many\n").is_err());
        assert!(Baseline::parse("p2p\n").is_err());
    }

    #[test]
    fn an_update_keeps_what_was_not_counted_and_drops_what_is_gone() {
        let mut baseline = Baseline::parse("nobody 1.0\nencode-publish 2.0\n").expect("a baseline");
        baseline.update(&[Count { name: "decode-publish", operation: "", operations: 1.0, instructions: 3.0 }]);
        let names: Vec<&str> = baseline.counts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["decode-publish", "encode-publish"]);
    }
}

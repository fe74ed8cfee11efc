//! Where a step spends its instructions: callgrind's file, summed by source file.
//!
//! Functions are inlined here and there as the compiler likes; the file in which a line stands is what it was. The format
//! is described in valgrind's manual ("Callgrind Format Specification"): `fl=`, `fi=` and `fe=` name the file of what
//! follows, by a number after the first time; a line of numbers is a source line and its cost; the one after `calls=`
//! belongs to the function that is called.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

/// The cost of each source file, the largest first.
///
/// # Errors
/// No such file.
pub fn by_file(profile: &Path) -> io::Result<Vec<(String, f64)>> {
    Ok(parse(&fs::read_to_string(profile)?))
}

fn parse(text: &str) -> Vec<(String, f64)> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut costs: HashMap<&str, f64> = HashMap::new();
    let (mut file, mut is_callee) = ("", false);
    for line in text.lines() {
        let named = |kinds: &[&str]| kinds.iter().find_map(|kind| line.strip_prefix(kind));
        if let Some(named) = named(&["fl=", "fi=", "fe=", "cfi=", "cfl="]) {
            let (number, name) = named.split_once(' ').unwrap_or((named, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            // A callee's file is only named here; its cost stands elsewhere.
            if !line.starts_with('c') {
                file = names.get(number).copied().unwrap_or(number);
            }
        } else if line.starts_with("calls=") {
            is_callee = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<f64>().ok()).unwrap_or(0.0);
            if !std::mem::take(&mut is_callee) {
                *costs.entry(file).or_default() += cost;
            }
        }
    }
    let mut costs: Vec<(String, f64)> = costs.into_iter().map(|(file, cost)| (file.to_owned(), cost)).collect();
    costs.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    costs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inlined_lines_count_for_their_own_file_and_calls_for_nobody_here() {
        let text = "events: Ir\nfl=(1) a.rs\nfn=(1) f\n10 5\n+2 3\nfi=(2) b.rs\n7 4\nfe=(1)\n11 1\n\
                    cfi=(3) c.rs\ncfn=(2) g\ncalls=1 20\n12 100\n* 2\nfl=(3)\n9 1\ntotals: 16\n";
        let costs = [("a.rs", 11.0), ("b.rs", 4.0), ("c.rs", 1.0)].map(|(file, cost)| (file.to_owned(), cost));
        assert_eq!(parse(text), costs);
    }
}

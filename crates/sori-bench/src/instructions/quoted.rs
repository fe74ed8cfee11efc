//! The counts that `docs/performance.md` quotes are those of the baseline.
//!
//! ```text
//! | | `p2p-q0-local` | `p2p-q0-cross` |        a step at the head of a column: the number in the row **all**
//! | **all** | 114 | 153 |
//! | `share-1k` | 1,234 | … |                  a step at the head of a row: the number behind it
//! ```

use std::fs;
use std::path::Path;

use super::Count;
use super::baseline::{Baseline, Verdict};

/// Each step with the number that stands for it.
fn quoted(markdown: &str) -> Vec<(String, f64)> {
    let step = |cell: &str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned());
    let number = |cell: &str| cell.replace([',', '*'], "").parse().ok();
    let mut quoted = Vec::new();
    let mut heads: Vec<Option<String>> = Vec::new();
    for line in markdown.lines() {
        let Some(row) = line.strip_prefix('|') else {
            heads.clear();
            continue;
        };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if heads.is_empty() {
            heads = cells.iter().map(|cell| step(cell)).collect();
        } else if cells[0] == "**all**" {
            let columns = heads.iter().zip(&cells);
            quoted.extend(columns.filter_map(|(head, cell)| Some((head.clone()?, number(cell)?))));
        } else if let (Some(step), Some(number)) = (step(cells[0]), cells.get(1).and_then(|cell| number(cell))) {
            quoted.push((step, number));
        }
    }
    quoted
}

#[test]
fn counts_in_the_document_are_near_the_baseline() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let baseline = Baseline::read(&here.join("instructions.txt")).expect("the baseline");
    let document = fs::read_to_string(here.join("../../docs/performance.md")).expect("the document");
    let quoted = quoted(&document);
    assert!(quoted.len() >= 8, "the document quotes counts");
    for (name, instructions) in quoted {
        let step = crate::steps::all().find(|step| step.name == name);
        assert!(step.is_some(), "docs/performance.md names a step '{name}', which is none");
        let Some(step) = step else { continue };
        let count = Count { name: step.name, operation: step.operation, operations: 1.0, instructions };
        let verdict = baseline.judge(&count);
        assert!(matches!(verdict, Verdict::Same(_)), "docs/performance.md says {instructions} for {name}: {verdict:?}");
    }
}

#[test]
fn steps_are_found_at_the_head_of_columns_and_of_rows() {
    let table = "| | `a` | `b` |\n|---|---|---|\n| x | 1 | 2 |\n| **all** | 1,300 | **4** |\n\n`c` | 7\n\n| `d` | 5 |\n|---|---|\n| `e` | 6.5 |\n";
    let expected = [("a", 1300.0), ("b", 4.0), ("e", 6.5)].map(|(name, number)| (name.to_owned(), number));
    assert_eq!(quoted(table), expected);
}

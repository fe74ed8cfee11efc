//! What every source file keeps: it begins by saying what it is, and it holds no unfinished work.

use crate::files::{self, File};
use std::io;

/// Words that people leave behind when they mean to come back. Written in two halves, or this file would break the rule.
const UNFINISHED: [&str; 8] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
    concat!("not yet ", "implemented"),
    concat!("allow(dead", "_code)"),
];

/// Every Rust file begins with `//!`: what it is, and what it is not.
pub fn without_a_first_sentence() -> io::Result<Vec<String>> {
    let files = rust_files()?;
    let complaints = files.iter().filter(|file| !file.text.starts_with("//! "));
    Ok(complaints
        .map(|file| format!("{}: begin the file with a line `//! ...` that says what it is", file.path))
        .collect())
}

/// No word of unfinished work in anything that is compiled or run.
pub fn with_unfinished_work() -> io::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for folder in ["crates", "tests", "fuzz", ".ci", "docs"] {
        if !files::root().join(folder).is_dir() {
            continue;
        }
        for file in files::with_extension(folder, &["rs", "py", "js", "sh", "toml", "md", "html", "css"])? {
            complaints.extend(unfinished_lines(&file));
        }
    }
    Ok(complaints)
}

/// Every Rust file of the workspace and of the fuzz targets beside it.
pub fn rust_files() -> io::Result<Vec<File>> {
    let mut files = files::with_extension("crates", &["rs"])?;
    if files::root().join("fuzz").is_dir() {
        files.extend(files::with_extension("fuzz", &["rs"])?);
    }
    Ok(files)
}

fn unfinished_lines(file: &File) -> impl Iterator<Item = String> {
    file.text.lines().enumerate().filter_map(|(index, line)| {
        let word = UNFINISHED.iter().find(|word| contains_word(line, word))?;
        Some(format!("{}:{}: `{word}`: finish it, or say in plain words why it is so", file.path, index + 1))
    })
}

/// Is `word` in `line`, and not as a part of a longer one?
fn contains_word(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let starts = !word.starts_with(letter) || !line[..at].ends_with(letter);
        let ends = !word.ends_with(letter) || !line[at + word.len()..].starts_with(letter);
        starts && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_work_is_found_where_it_stands() {
        let text = format!("fine\n    {}\"later\")\nXX{}L\n", UNFINISHED[0], "X");
        let file = File { path: "a.rs".into(), text };
        let complaints: Vec<String> = unfinished_lines(&file).collect();
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].starts_with("a.rs:2: "));
    }
}

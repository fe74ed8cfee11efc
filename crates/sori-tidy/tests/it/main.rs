//! The rules of the house. A failing test prints one line per breach: which file, and how to mend it.

mod no_std;

use std::io;

fn expect_none(complaints: io::Result<Vec<String>>) {
    let complaints = complaints.expect("the repository can be read");
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn crates_use_only_what_stands_below_them() {
    expect_none(sori_tidy::manifests::with_a_wrong_direction());
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    expect_none(sori_tidy::manifests::without_the_lints());
}

#[test]
fn every_dependency_has_its_reason() {
    expect_none(sori_tidy::manifests::without_a_reason());
}

#[test]
fn every_source_file_says_what_it_is() {
    expect_none(sori_tidy::sources::without_a_first_sentence());
}

#[test]
fn nothing_is_left_unfinished() {
    expect_none(sori_tidy::sources::with_unfinished_work());
}

#[test]
fn every_requirement_of_the_standards_has_code_and_a_test() {
    expect_none(sori_tidy::conformance::complaints());
}

//! `sori store` from outside, with the store of a broker that runs or has run.

use std::fs;
use std::path::Path;

use super::broker::unused_port;
use super::serve::{Directory, Running};
use super::{result, sori};

/// The program with these words, run to its end.
fn run(words: &str) -> (i32, String, String) {
    result(&sori(words, 0).output().expect("starts"))
}

#[track_caller]
pub(crate) fn succeeds(words: &str) -> String {
    let (status, out, err) = run(words);
    assert_eq!((status, err.as_str()), (0, ""), "{words}: {out}");
    out
}

/// A broker with a store in `directory`, which holds some retained messages.
fn broker(directory: &Directory, port: u16) -> Running {
    let location = directory.0.display();
    let text =
        format!("listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {location}\n");
    let config = directory.file("broker.conf", &text);
    let running = Running::start(sori(&format!("serve -v -c {config}"), port), " running\n");
    for number in 0..20 {
        succeeds(&format!("pub -p {port} -t home/{number} -m value-{number} -q 1 -r"));
    }
    running
}

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_store_is_checked_and_copied_while_the_broker_runs_and_written_down_when_it_does_not() {
    let directory = Directory::new("store");
    let location = directory.0.display().to_string();
    let running = broker(&directory, unused_port());

    assert!(succeeds(&format!("store verify {location}")).ends_with("/sori.store is whole\n"));
    let verified = succeeds(&format!("store verify -c {location}/broker.conf --json"));
    assert!(verified.contains(r#""is_whole":true"#), "{verified}");
    let copied = succeeds(&format!("store backup {location} {location}/copy"));
    assert!(copied.ends_with(&format!("/sori.store is copied to {location}/copy\n")), "{copied}");
    for words in ["export", "compact", "repair"] {
        let (status, out, err) = run(&format!("store {words} {location}"));
        assert_eq!((status, out.as_str()), (1, ""), "{words}: {err}");
        assert!(err.contains("is in use by process ") && err.contains("Stop the broker first"), "{words}: {err}");
    }
    assert_eq!(running.end("TERM").0, Some(0));

    let exported = succeeds(&format!("store export {location}"));
    assert_eq!(exported.matches(r#""type":"retained""#).count(), 20, "{exported}");
    assert!(exported.contains(r#""topic":"home/7","qos":1,"retain":true,"payload":"dmFsdWUtNw==""#), "{exported}");
    assert_eq!(lines(&succeeds(&format!("store export {location}/copy"))), lines(&exported));

    let file = directory.file("export.jsonl", &exported);
    let imported = succeeds(&format!("store import {location}/new -i {file}"));
    assert!(
        imported.ends_with("/sori.store holds 0 sessions, 0 messages for them, 20 retained messages\n"),
        "{imported}"
    );
    assert_eq!(lines(&succeeds(&format!("store export {location}/new"))), lines(&exported));
    let (status, _, err) = run(&format!("store import {location}/new -i {file}"));
    assert!(status == 1 && err.contains("There is a store in "), "{status} {err}");

    let compacted = succeeds(&format!("store compact {location} --json"));
    assert!(compacted.contains(r#""bytes_after":"#), "{compacted}");
    assert_eq!(lines(&succeeds(&format!("store export {location}"))), lines(&exported));
    assert!(succeeds(&format!("store repair {location}")).ends_with(" is whole; nothing was changed\n"));
}

/// Flips a byte in the middle of the first segment.
fn damage(store: &Path) {
    let file = store.join("00000001.log");
    let mut bytes = fs::read(&file).expect("is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("can be written");
}

#[test]
fn a_damaged_store_refuses_the_start_and_can_be_repaired() {
    let directory = Directory::new("damaged");
    let location = directory.0.display().to_string();
    let port = unused_port();
    assert_eq!(broker(&directory, port).end("TERM").0, Some(0));
    damage(&directory.0.join("sori.store"));

    let (status, out, err) = run(&format!("serve -c {location}/broker.conf"));
    assert_eq!((status, out.as_str()), (1, ""), "{err}");
    assert!(err.contains(" is damaged: 00000001.log, offset ") && err.contains("`sori store repair "), "{err}");
    let (status, out, err) = run(&format!("store verify {location}"));
    assert_eq!((status, err.as_str()), (3, ""), "{out}");
    assert!(
        out.starts_with("damage: 00000001.log, offset ") && out.contains("is damaged; `sori store repair"),
        "{out}"
    );

    let repaired = succeeds(&format!("store repair {location}"));
    assert!(repaired.contains("lost: 00000001.log, offset ") && repaired.contains("as it was: "), "{repaired}");
    let exported = succeeds(&format!("store export {location}"));
    let left = exported.matches(r#""type":"retained""#).count();
    assert!((1..20).contains(&left), "{left} are left");
    let running = Running::start(sori(&format!("serve -v -c {location}/broker.conf"), port), " running\n");
    assert!(running.said.contains(&format!("{left} retained")), "{}", running.said);
    assert_eq!(running.end("TERM").0, Some(0));
}

#[test]
fn what_is_no_store_and_what_is_no_export_is_named() {
    let directory = Directory::new("no-store");
    let location = directory.0.display().to_string();
    for words in ["verify", "export", "compact", "repair"] {
        let expected = format!("sori: there is no store in {location}/sori.store\n");
        assert_eq!(run(&format!("store {words} {location}")), (1, String::new(), expected));
    }
    let file = directory.file("export.jsonl", "{\"type\":\"store\",\"format\":1,\"version\":\"x\"}\n{}\n");
    let (status, _, err) = run(&format!("store import {location} -i {file}"));
    assert!(status == 1 && err.contains("export.jsonl, line 2: "), "{err}");
    assert!(!directory.0.join("sori.store").exists(), "nothing is left of it");
}

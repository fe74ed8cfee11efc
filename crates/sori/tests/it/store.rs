//! `sori store` from outside, with the store of a broker that runs or has run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

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

/// A client that sends these packets, and reads so many bytes of what comes.
fn client(port: u16, packets: &[u8], count: usize) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    stream.write_all(packets).expect("it is taken");
    let mut answers = vec![0; count];
    stream.read_exact(&mut answers).expect("it answers");
    (stream, answers)
}

/// CONNECT of MQTT 5 without Clean Start, with a Session Expiry Interval and perhaps a will that is delayed by a second.
fn connect(id: u8, expiry_seconds: u8, has_will: bool) -> Vec<u8> {
    let flags = if has_will { 0b1100 } else { 0 };
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 5, flags, 0, 0, 5, 0x11, 0, 0, 0, expiry_seconds, 0, 1, id];
    if has_will {
        body.extend(*b"\x05\x18\0\0\0\x01\0\x04will\0\x04dead");
    }
    [vec![0x10, body.len() as u8], body].concat()
}

/// What a broker had under way when it was killed, and must go on with when it starts again: more than its defaults would take.
#[test]
fn a_store_that_is_made_small_holds_the_same_and_no_clock_has_begun() {
    const MANY: u16 = 1200;
    let directory = Directory::new("small");
    let location = directory.0.display().to_string();
    let port = unused_port();
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {location}\n\
         max_queued_messages 0\n"
    );
    let config = directory.file("broker.conf", &text);
    let serve = || Running::start(sori(&format!("serve -v -c {config}"), port), " running\n");
    let running = serve();
    succeeds(&format!("sub -p {port} -i S -c -q 2 -t # -E"));
    // One is sent and answered with PUBREC, one is sent, and the others wait for these.
    let subscribed = [&*connect(b'R', 200, false), b"\x82\x09\0\x01\0\0\x03t/#\x02"].concat();
    let (mut receiver, _) = client(port, &subscribed, 2 + 9);
    let mut published = b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01P".to_vec();
    for id in 1..=MANY {
        let [high, low] = id.to_be_bytes();
        published.extend([0x34, 9, 0, 3, b't', b'/', b'x', high, low, high, low]);
        published.extend([0x62, 2, high, low]);
    }
    let (_publisher, _) = client(port, &published, 4 + usize::from(MANY) * 8);
    receiver.write_all(b"\x50\x02\0\x01").expect("it is taken");
    // Clean sessions and their last words: a message that is not released yet, and one that goes out later.
    let _received = client(port, b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01Q\x34\x0a\0\x03t/q\0\x07held", 4 + 4);
    let _will = client(port, &connect(b'W', 200, true), 2);
    let _short = client(port, &connect(b'E', 1, false), 2);
    succeeds(&format!("pub -p {port} -t kept -m value -q 1 -r"));
    running.end("KILL");

    let exported = succeeds(&format!("store export {location}"));
    for _ in 0..2 {
        succeeds(&format!("store compact {location}"));
        let now = succeeds(&format!("store export {location}"));
        let (before, after) = (lines(&exported), lines(&now));
        let differs = before.iter().zip(&after).find(|(before, after)| before != after);
        assert_eq!((differs, after.len()), (None, before.len()));
        std::thread::sleep(Duration::from_millis(600));
    }
    let running = serve();
    let (_short, answer) = client(port, &connect(b'E', 1, false), 3);
    assert_eq!(answer[2] & 1, 1, "the session lasts for a second after the start");
    let count = usize::from(MANY) + 3;
    let got = succeeds(&format!("sub -p {port} -i S -c -q 2 -t t/none -C {count} -W 20 -F %t"));
    let of = |topic: &str| got.lines().filter(|line| *line == topic).count();
    assert_eq!((of("t/x"), of("t/q"), of("kept"), of("will")), (MANY.into(), 1, 1, 1), "{count}");
    assert_eq!(running.end("TERM").0, Some(0));
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

/// All of a directory: names, and what is in the files.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory).expect("is there").map(|file| file.expect("can be read"));
    files
        .map(|file| (file.file_name().into_string().expect("is text"), fs::read(file.path()).expect("can be read")))
        .collect()
}

/// A backup that is ended, or refused, by the system in the middle of a file: no file may have more than one block.
fn cut_short(begin: &str, words: &str) -> Output {
    let script = format!("ulimit -c 0; {begin}ulimit -f 1; exec {} store backup {words}", env!("CARGO_BIN_EXE_sori"));
    Command::new("sh").args(["-c", &script]).output().expect("there is a shell")
}

#[test]
fn a_backup_that_was_cut_short_never_passes_for_a_store() {
    let directory = Directory::new("cut-short");
    let location = directory.0.display().to_string();
    assert_eq!(broker(&directory, unused_port()).end("TERM").0, Some(0));
    let (from, to) = (format!("{location}/sori.store"), format!("{location}/copy"));

    let killed = cut_short("", &format!("{from} {to}"));
    assert_eq!(killed.status.code(), None, "{killed:?}");
    assert!(!Path::new(&to).exists());
    let (status, out, err) = run(&format!("store verify {to}.new"));
    assert_eq!((status, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("copy.new is not whole: it was being made, and that was interrupted"), "{err}");

    let (status, out, err) = result(&cut_short("trap '' XFSZ; ", &format!("{from} {to}")));
    assert_eq!((status, out.as_str()), (1, ""), "{err}");
    assert_eq!(err, format!("sori: Unable to copy the store to {to}: File too large.\n"));
    assert!(!Path::new(&to).exists() && !Path::new(&format!("{to}.new")).exists());

    assert!(cut_short("", &format!("{from} {to}")).status.code().is_none());
    succeeds(&format!("store backup {from} {to}"));
    assert!(!Path::new(&format!("{to}.new")).exists());
    assert!(succeeds(&format!("store verify {to}")).ends_with("/copy is whole\n"));
    assert_eq!(lines(&succeeds(&format!("store export {to}"))), lines(&succeeds(&format!("store export {from}"))));
    let (status, _, err) = run(&format!("store backup {from} {to}"));
    assert_eq!((status, err), (1, format!("sori: There is a store in {to} already.\n")));
}

#[test]
fn the_store_to_be_copied_is_named_as_for_the_other_commands() {
    let directory = Directory::new("named");
    let location = directory.0.display().to_string();
    assert_eq!(broker(&directory, unused_port()).end("TERM").0, Some(0));
    let copied = |to: &str| format!("{location}/sori.store is copied to {location}/{to}\n");
    assert_eq!(succeeds(&format!("store backup -c {location}/broker.conf {location}/a")), copied("a"));
    let mut command = sori(&format!("store backup {location}/b"), 0);
    let output = command.env("MOSQUITTO_PERSISTENCE_LOCATION", &location).output().expect("starts");
    assert_eq!(result(&output), (0, copied("b"), String::new()));
    let (status, _, err) = run(&format!("store backup -c {location}/broker.conf {location} {location}/c"));
    assert!(status == 2 && err.contains("cannot be used with"), "{status} {err}");
    let (status, _, err) = run("store backup");
    assert!(status == 2 && err.contains("<TO>"), "{status} {err}");
}

#[test]
fn who_writes_a_store_down_changes_nothing_in_it() {
    let directory = Directory::new("unchanged");
    let location = directory.0.display().to_string();
    assert_eq!(broker(&directory, unused_port()).end("TERM").0, Some(0));
    let store = directory.0.join("sori.store");
    let exported = succeeds(&format!("store export {location}"));
    // The end is torn, and a segment had just been begun when the power went.
    let mut bytes = fs::read(store.join("00000001.log")).expect("is there");
    bytes.extend_from_slice(&[7; 1000]);
    fs::write(store.join("00000001.log"), bytes).expect("can be written");
    fs::write(store.join("00000002.log"), [0; 50]).expect("can be written");
    fs::remove_file(store.join("reserve")).expect("is there");
    let before = contents(&store);
    assert_eq!(lines(&succeeds(&format!("store export {location}"))), lines(&exported));
    assert_eq!(contents(&store), before);
    // A copy that was made by hand may have no lock.
    fs::remove_file(store.join("lock")).expect("is there");
    assert_eq!(lines(&succeeds(&format!("store export {location}"))), lines(&exported));
    assert!(!store.join("lock").exists());
}

#[test]
fn a_damaged_store_is_told_by_the_exit_status_of_each_command() {
    let directory = Directory::new("status");
    let location = directory.0.display().to_string();
    assert_eq!(broker(&directory, unused_port()).end("TERM").0, Some(0));
    damage(&directory.0.join("sori.store"));
    for words in ["verify DIR", "export DIR", "compact DIR", "backup DIR DIR/copy"] {
        let (status, out, err) = run(&format!("store {}", words.replace("DIR", &location)));
        assert_eq!(status, 3, "{words}: {out}{err}");
        assert!(format!("{out}{err}").contains("is damaged"), "{words}: {out}{err}");
    }
    assert!(!directory.0.join("copy").exists() && !directory.0.join("copy.new").exists());
}

/// The checksum of the frames: CRC-32 as in zlib.
fn crc(parts: &[&[u8]]) -> [u8; 4] {
    let bit = |crc: u32| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc));
    let crc = parts.iter().copied().flatten().fold(u32::MAX, byte);
    (!crc).to_le_bytes()
}

/// Adds a whole frame with these records to the first segment. Where it begins.
fn add_frame(store: &Path, records: &[u8]) -> usize {
    let file = store.join("00000001.log");
    let mut bytes = fs::read(&file).expect("is there");
    let (mut at, mut sequence) = (128, 0);
    while at < bytes.len() {
        let number = |from: usize| u64::from_le_bytes(bytes[from..from + 8].try_into().expect("eight bytes"));
        sequence = number(at + 16);
        at += 32 + (number(at + 8) as u32) as usize;
    }
    let length = (records.len() as u32).to_le_bytes();
    let numbers = [(sequence + 1).to_le_bytes(), sequence.to_le_bytes()].concat();
    let header = [&crc(&[records])[..], &length, &[1, 0, 0, 0], &numbers].concat();
    let place = (at as u64).to_le_bytes();
    let whole = crc(&[&bytes[16..24], &1_u32.to_le_bytes(), &place, &header]);
    bytes.extend([&whole[..], &header, records].concat());
    fs::write(&file, bytes).expect("can be written");
    at
}

#[test]
fn what_a_start_refuses_is_found_and_who_has_to_mend_it() {
    let directory = Directory::new("records");
    let location = directory.0.display().to_string();
    assert_eq!(broker(&directory, unused_port()).end("TERM").0, Some(0));
    let store = directory.0.join("sori.store");
    let before = contents(&store);
    // A kind that no version had yet, and half a record.
    for (records, status, verified, refused) in [
        (&[250][..], 1, "newer: FOUND: an unknown kind of record", "newer version of sori: FOUND: an unknown kind"),
        (&[4], 3, "damage: FOUND: a record ends too early", "is damaged: FOUND: a record ends too early"),
    ] {
        before.iter().for_each(|(name, bytes)| fs::write(store.join(name), bytes).expect("can be written"));
        let at = add_frame(&store, records);
        let found = format!("00000001.log, offset {at}");
        let (verified, refused) = (verified.replace("FOUND", &found), refused.replace("FOUND", &found));
        let (code, out, _) = run(&format!("store verify {location}"));
        assert!(code == status && out.contains(&verified), "{code} {out}");
        for (words, status) in
            [("store export DIR", status), ("store compact DIR", status), ("serve -c DIR/broker.conf", 1)]
        {
            let (code, _, err) = run(&words.replace("DIR", &location));
            assert!(code == status && err.contains(&refused), "{words}: {code} {err}");
        }
        let (code, out, err) = run(&format!("store repair {location}"));
        match status {
            1 => assert!(code == 1 && err.contains(&refused), "{code} {err}"),
            _ => assert!(code == 0 && out.contains(&format!("lost: {found}")), "{code} {out}{err}"),
        }
    }
    succeeds(&format!("store verify {location}"));
    assert_eq!(succeeds(&format!("store export {location}")).matches(r#""type":"retained""#).count(), 20);
}

#[test]
fn what_is_no_store_and_what_is_no_export_is_named() {
    let directory = Directory::new("no-store");
    let location = directory.0.display().to_string();
    let refuse_all = || {
        for words in ["verify", "export", "compact", "repair", "backup"] {
            let expected = format!("sori: There is no store in {location}/sori.store.\n");
            let to = if words == "backup" { " /nowhere/at/all" } else { "" };
            assert_eq!(run(&format!("store {words} {location}{to}")), (1, String::new(), expected));
        }
    };
    refuse_all();
    // What ends in `.log` makes no store.
    directory.file("mosquitto.log", "1764550000: mosquitto version 2.0.22 starting\n");
    refuse_all();
    fs::create_dir(directory.0.join("sori.store")).expect("can be made");
    refuse_all();
    assert_eq!(contents(&directory.0.join("sori.store")), BTreeMap::new(), "nothing was made in it");
    let file = directory.file("export.jsonl", "{\"type\":\"store\",\"format\":1,\"version\":\"x\"}\n");
    succeeds(&format!("store import {location} -i {file}"));
    assert!(succeeds(&format!("store verify {location}")).ends_with("/sori.store is whole\n"));
    fs::remove_dir_all(directory.0.join("sori.store")).expect("is there");
    let file = directory.file("export.jsonl", "{\"type\":\"store\",\"format\":1,\"version\":\"x\"}\n{}\n");
    let (status, _, err) = run(&format!("store import {location} -i {file}"));
    assert!(status == 1 && err.contains("export.jsonl, line 2: "), "{err}");
    assert!(!directory.0.join("sori.store").exists(), "nothing is left of it");
}

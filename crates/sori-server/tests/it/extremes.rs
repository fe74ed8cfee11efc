//! Every number of the configuration at its limits: the broker starts, or says why not; it serves, reloads and ends, and nothing
//! divides by zero on the way (CVE-2026-42209).

use super::broker::{command, free_port, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sori_server::config::option::{Entry, Standing, Takes};
use sori_server::config::options;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// How many brokers run at a time.
const AT_A_TIME: usize = 4;
/// How long a client listens for what may come.
const PATIENCE: Duration = Duration::from_millis(60);

/// CONNECT of version 5 with a retained will, as client `x` that keeps its session; SUBSCRIBE to all at QoS 2; a retained
/// PUBLISH at each QoS.
const TALK: &[u8] =
    b"\x10\x22\x00\x04MQTT\x05\x26\x00\x3C\x05\x11\x00\x00\x00\x09\x00\x01x\x05\x18\x00\x00\x00\x01\x00\x01w\x00\x01w\
    \x82\x07\x00\x01\x00\x00\x01#\x02\
    \x31\x05\x00\x01a\x00b\x33\x07\x00\x01a\x00\x02\x00b\x35\x07\x00\x01a\x00\x03\x00b";

fn values(entry: &Entry) -> Vec<i64> {
    let Takes::Number { least, most, .. } = entry.takes else { return Vec::new() };
    let mut values = vec![least, least + 1, -1, 0, 1, most - 1, most];
    values.retain(|value| (least..=most).contains(value));
    values.sort_unstable();
    values.dedup();
    values
}

/// Two clients one after the other, who may be answered or not.
fn talk(port: u16) {
    for _ in 0..2 {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
        stream.set_read_timeout(Some(PATIENCE)).expect("can be set");
        // It may be closed already.
        let _ = stream.write_all(TALK);
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().expect("is ours").is_some()
}

/// What went wrong, if anything did.
fn run(name: &str, line: &str) -> Result<(), String> {
    let directory = std::env::temp_dir().join(format!("sori-extremes-{}-{name}", std::process::id()));
    fs::create_dir_all(&directory).expect("can be made");
    let (port, log) = (free_port(), directory.join("log"));
    let text = format!(
        "persistence true\npersistence_location {}\nlog_dest file {}\nlistener {port} 127.0.0.1\nallow_anonymous true\n{line}\n",
        directory.display(),
        log.display()
    );
    fs::write(directory.join("a.conf"), text).expect("can be written");
    let mut broker = command(&["-c", directory.join("a.conf").to_str().expect("is text")]);
    let mut child = broker.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let is_said = |text: &str| fs::read_to_string(&log).is_ok_and(|log| log.contains(text));
    wait_until(line, || is_said(" running\n") || has_ended(&mut child));
    if !has_ended(&mut child) {
        talk(port);
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("is small"));
        // Where it has ended it is found out below.
        let _ = kill(pid, Signal::SIGHUP);
        wait_until(line, || is_said("The configuration was reloaded") || has_ended(&mut child));
        talk(port);
        let _ = kill(pid, Signal::SIGTERM);
    }
    let output = child.wait_with_output().expect("is ours");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let _ = fs::remove_dir_all(&directory);
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1 | 3) if said.contains("Error: ") => Ok(()),
        code => Err(format!("{line}: {code:?} {said}")),
    }
}

#[test]
fn every_number_at_its_limits_2026_42209() {
    let works = |entry: &&Entry| entry.standing == Standing::Works;
    let line = |entry: &Entry, value: i64| format!("{} {value}", entry.words[0]);
    let all = options::all().filter(works);
    let lines: Vec<String> = all.flat_map(|entry| values(entry).into_iter().map(|value| line(entry, value))).collect();
    assert!(lines.len() > 50, "{lines:?}");
    let (next, failed) = (Mutex::new(lines.iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some((number, line)) = next.lock().expect("nobody has failed").next() else { return };
                    if let Err(text) = run(&number.to_string(), line) {
                        failed.lock().expect("nobody has failed").push(text);
                    }
                }
            });
        }
    });
    assert_eq!(*failed.lock().expect("nobody has failed"), [""; 0], "of {} lines", lines.len());
}

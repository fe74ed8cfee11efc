//! What the environment says to the broker, and wins over the file: where its store is, and whom it becomes.

use std::fs;

use super::broker::unused_port;
use super::serve::{Directory, Running};
use super::{result, sori};

/// The number behind this word in what the system says about a process, of root's and the broker's alike.
fn of_process(pid: &str, word: &str) -> u32 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("is there");
    let line = text.lines().find_map(|line| line.strip_prefix(word)).expect("has such a line");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("is a number")
}

#[test]
fn the_store_is_where_the_environment_says() {
    for name in ["a.conf", "sori.toml"] {
        let (directory, port) = (Directory::new(&format!("environment-{name}")), unused_port());
        let (said, meant) = (directory.0.join("file"), directory.0.join("environment"));
        let text = match name {
            "a.conf" => {
                format!("listener {port} 127.0.0.1\npersistence true\npersistence_location {}\n", said.display())
            }
            _ => format!("[persistence]\nlocation = {said:?}\n[[listener]]\nport = {port}\naddress = \"127.0.0.1\"\n"),
        };
        let file = directory.file(name, &text);
        let mut command = sori(&format!("serve -c {file}"), port);
        command.env("MOSQUITTO_PERSISTENCE_LOCATION", &meant);
        let running = Running::start(command, "running");
        assert!(meant.join("sori.store").is_dir() && !said.exists(), "{name}: {}", running.said);
        let mut command = sori(&format!("config show -c {file}"), port);
        command.env("MOSQUITTO_PERSISTENCE_LOCATION", &meant);
        let (_, out, _) = result(&command.output().expect("starts"));
        assert!(out.contains("environment variable MOSQUITTO_PERSISTENCE_LOCATION"), "{out}");
        assert_eq!(running.end("TERM").0, Some(0));
    }
}

/// Only root can become somebody else; for others the variables mean nothing, as in Mosquitto.
#[test]
fn root_becomes_whom_the_environment_says() {
    let (directory, port) = (Directory::new("environment-user"), unused_port());
    let file = directory.file("a.conf", &format!("listener {port} 127.0.0.1\nuser nobody\n"));
    let mut command = sori(&format!("serve -c {file}"), port);
    command.env("PUID", "54321").env("PGID", "54322");
    let running = Running::start(command, "running");
    let pid = running.pid().to_string();
    let own = (of_process("self", "Uid:"), of_process("self", "Gid:"));
    let meant = if own.0 == 0 { (54_321, 54_322) } else { own };
    assert_eq!((of_process(&pid, "Uid:"), of_process(&pid, "Gid:")), meant, "{}", running.said);
    assert_eq!(running.end("TERM").0, Some(0));

    let mut command = sori(&format!("serve -c {file}"), port);
    command.env("PUID", "root");
    if own.0 == 0 {
        let (status, _, err) = result(&command.output().expect("starts"));
        assert!(status == 3 && err.contains("PUID not a valid ID 'root'"), "{err}");
    }
}

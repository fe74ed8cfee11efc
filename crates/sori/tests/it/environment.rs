//! What the environment says to the broker, and wins over the file: where its store is, and whom it becomes.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::broker::unused_port;
use super::serve::{Directory, Running, signal_to};
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

/// sd_notify(3): ready, alive twice in each WATCHDOG_USEC, while it reads its configuration again, and at its end.
#[test]
fn systemd_is_told_how_the_broker_is() {
    let (directory, port) = (Directory::new("notify"), unused_port());
    let (socket, file) = (directory.0.join("notify"), directory.0.join("a.conf"));
    let write = |lines: &str| fs::write(&file, format!("listener {port} 127.0.0.1\n{lines}")).expect("is ours");
    write("");
    let notify = UnixDatagram::bind(&socket).expect("is free");
    notify.set_read_timeout(Some(Duration::from_secs(30))).expect("can be set");
    let next = || {
        let mut text = [0; 1000];
        let count = notify.recv(&mut text).expect("there is more to be told");
        String::from_utf8_lossy(&text[..count]).into_owned()
    };
    let but_alive = || loop {
        let said = next();
        if said != "WATCHDOG=1" {
            return said;
        }
    };
    let mut command = sori(&format!("serve -c {}", file.display()), port);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "400000");
    let mut broker = command.stderr(std::process::Stdio::null()).spawn().expect("starts");
    assert_eq!(next(), format!("READY=1\nSTATUS=Listening on 127.0.0.1:{port}."));
    assert_eq!([next(), next()], ["WATCHDOG=1", "WATCHDOG=1"]);
    for (lines, more) in [("max_qos 1\n", ""), ("max_qos 3\n", " The last reload was refused: see the log.")] {
        write(lines);
        signal_to(broker.id(), "HUP");
        assert!(but_alive().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(but_alive(), format!("READY=1\nSTATUS=Listening on 127.0.0.1:{port}.{more}"));
    }
    signal_to(broker.id(), "TERM");
    assert_eq!(but_alive(), "STOPPING=1");
    assert!(broker.wait().expect("is ours").success());
}

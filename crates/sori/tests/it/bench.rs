//! `sori bench`, with the broker that it starts itself.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use serde_json::Value;

use crate::broker::unused_port;
use crate::serve::{Directory, Running};
use crate::{result, sori};

fn report(words: &str) -> Value {
    let (status, out, err) = result(&sori(words, 0).output().expect("starts"));
    assert_eq!((status, err.as_str()), (0, ""), "{words}: {out}");
    serde_json::from_str(&out).expect("one JSON object")
}

fn counts(report: &Value, qos: usize) -> Vec<u64> {
    let names = ["qos", "sent", "acknowledged", "received", "lost", "duplicated", "reordered"];
    names.iter().map(|name| report["qos"][qos][name].as_u64().expect("a number")).collect()
}

#[test]
fn without_a_restart_everything_comes_once_and_in_order() {
    let report = report("bench qos --messages 20 --rate 500 --json");
    assert_eq!(counts(&report, 0), [0, 20, 0, 20, 0, 0, 0]);
    assert_eq!(counts(&report, 1), [1, 20, 20, 20, 0, 0, 0]);
    assert_eq!(counts(&report, 2), [2, 20, 20, 20, 0, 0, 0]);
    assert_eq!(report["qos"].as_array().map(Vec::len), Some(3));
    assert_eq!((&report["messages"], &report["restart_at"]), (&20.into(), &Value::Null));
}

#[test]
fn a_broker_that_is_killed_loses_nothing_of_qos_1_and_doubles_nothing_of_qos_2() {
    let directory = Directory::new("bench");
    let csv = directory.0.join("arrivals.csv");
    let words = format!("bench qos --messages 100 --rate 200 --restart-at 50% --kill --json --csv {}", csv.display());
    let report = report(&words);
    let [_, sent, acknowledged, received, lost, duplicated, _] = counts(&report, 1)[..] else { unreachable!() };
    assert_eq!((sent, acknowledged, lost), (100, 100, 0), "{report}");
    assert_eq!(received, 100 + duplicated, "{report}");
    assert_eq!(counts(&report, 2), [2, 100, 100, 100, 0, 0, 0], "{report}");
    let csv = fs::read_to_string(&csv).expect("was written");
    assert!(csv.starts_with("qos,number,sent,received\n"), "{csv}");
    let lines_of = |qos: &str| csv.lines().filter(|line| line.starts_with(qos)).count();
    assert_eq!(lines_of("2,"), 100, "{csv}");
}

#[test]
fn a_broker_that_is_stopped_in_peace_does_not_either_and_the_table_says_so() {
    let words = "bench qos --messages 20 --rate 200 --restart-at 50%";
    let (status, out, err) = result(&sori(words, 0).output().expect("starts"));
    assert_eq!(status, 0, "{err}");
    assert!(out.starts_with("20 messages of each QoS, 200 per second; the broker was stopped and started"), "{out}");
    assert!(out.contains("\nQoS 1, at least once: "), "{out}");
}

#[test]
fn a_given_broker_is_measured() {
    let (directory, port) = (Directory::new("bench-load"), unused_port());
    let _broker = Running::start(sori("serve -p {port} -v", port), " running\n");
    let picture = directory.0.join("bars.svg");
    let url = format!("mqtt://127.0.0.1:{port}");
    let words = format!("bench throughput {url} -q 1 --seconds 1 --publishers 2 --json --svg {}", picture.display());
    let throughput = report(&words);
    let count = |name: &str| throughput[name].as_u64().expect("a number");
    // A subscriber that is slower than two publishers loses what its queue in the broker does not hold.
    assert!(count("received") > 0, "{throughput}");
    assert_eq!(count("received") + count("lost"), count("published"), "{throughput}");
    assert!(fs::read_to_string(&picture).is_ok_and(|text| text.starts_with("<svg ")));
    let latency = report(&format!("bench latency {url} -q 1 --seconds 1 --rate 50 --json"));
    assert_eq!((&latency["published"], &latency["received"]), (&50.into(), &50.into()), "{latency}");
    assert!(latency["milliseconds"]["p50"].as_f64() > Some(0.0), "{latency}");
    let connections = report(&format!("bench connections {url} --count 5 --seconds 0 --json"));
    assert_eq!((&connections["connected"], &connections["stayed"]), (&5.into(), &5.into()), "{connections}");
    let (status, out, _) =
        result(&sori(&format!("bench connections {url} --count 2 --seconds 0"), 0).output().expect("starts"));
    assert!(status == 0 && out.contains("connected 2, one after the other") && out.contains('█'), "{out}");
}

/// Sockets and threads of a process, as long as it runs.
fn sockets_and_threads(process: u32) -> (usize, usize) {
    let files = fs::read_dir(format!("/proc/{process}/fd")).expect("runs");
    let names = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let sockets = names.filter(|name| name.to_string_lossy().starts_with("socket:")).count();
    (sockets, fs::read_dir(format!("/proc/{process}/task")).expect("runs").count())
}

#[test]
fn many_clients_need_no_thread_each() {
    let port = unused_port();
    let _broker = Running::start(sori("serve -p {port} -v", port), " running\n");
    let words = format!("bench connections mqtt://127.0.0.1:{port} --count 60 --seconds 3600");
    let mut child = sori(&words, 0).spawn().expect("starts");
    let threads = loop {
        let (sockets, threads) = sockets_and_threads(child.id());
        if sockets >= 60 {
            break threads;
        }
        assert!(child.try_wait().expect("is ours").is_none(), "ends only when it is told to");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(threads < 10, "{threads}");
    let id = i32::try_from(child.id()).expect("a process");
    kill(Pid::from_raw(id), Signal::SIGINT).expect("runs");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
}

#[test]
fn more_clients_than_open_files_are_refused_with_advice() {
    let mut command = Command::new("sh");
    let script = "ulimit -n 100; exec \"$0\" bench connections --count 1000";
    let output = command.args(["-c", script, env!("CARGO_BIN_EXE_sori")]).output().expect("starts");
    let (status, _, err) = result(&output);
    assert_eq!(status, 1, "{err}");
    assert!(err.contains("1032 open files") && err.contains("may have 100"), "{err}");
}

#[test]
fn a_broker_that_is_not_there_is_an_error() {
    let (status, _, err) =
        result(&sori("bench latency mqtt://127.0.0.1:{port}", unused_port()).output().expect("starts"));
    assert_eq!(status, 1);
    assert!(err.starts_with("sori: ") && err.contains("127.0.0.1"), "{err}");
}

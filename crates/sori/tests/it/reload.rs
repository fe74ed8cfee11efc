//! `sori reload`: what a running broker is told, and what is told of it.

use std::fs;
use std::net::TcpStream;

use super::broker::unused_port;
use super::serve::{Directory, Running};
use super::{result, sori};

/// A broker with a file of its own, which can be written anew.
struct Case {
    directory: Directory,
    file: String,
    port: u16,
    _broker: Running,
}

impl Case {
    fn start(name: &str, lines: &str) -> Case {
        let (directory, port) = (Directory::new(name), unused_port());
        let file = directory.file("a.conf", "");
        let case = |broker| Case { directory, file: file.clone(), port, _broker: broker };
        fs::write(&file, text(port, lines, &file)).expect("can be written");
        let broker = Running::start(sori(&format!("serve -c {file}"), port), "running");
        case(broker)
    }

    fn write(&self, lines: &str) {
        fs::write(&self.file, text(self.port, lines, &self.file)).expect("can be written");
    }

    /// What `sori reload` says, with its exit status.
    fn reload(&self, more: &str) -> (i32, String, String) {
        result(&sori(&format!("reload -c {}{more}", self.file), 0).output().expect("starts"))
    }
}

fn text(port: u16, lines: &str, file: &str) -> String {
    format!("listener {port} 127.0.0.1\nallow_anonymous true\npid_file {file}.pid\n{lines}")
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_reload_tells_what_it_has_changed() {
    let case = Case::start("reload-good", "");
    let other = unused_port();
    case.write(&format!("max_keepalive 60\nlistener {other} 127.0.0.1\n"));

    let (status, out, err) = case.reload(" --dry-run");
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    let expected = format!(
        "~ max_keepalive from 0 to 60, for new connections\n+ listener {other} 127.0.0.1 opens\n\
         A reload would change 2 settings.\n"
    );
    assert_eq!(out, expected);
    assert!(!listens(other), "nothing has changed");

    let (status, out, err) = case.reload("");
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert!(out.contains(&format!("listener {other} 127.0.0.1 opens\n")), "{out}");
    assert!(out.contains("has reloaded its configuration."), "{out}");
    assert!(listens(other));

    let (_, out, _) = case.reload(" --dry-run");
    assert_eq!(out, "A reload would change no setting. Files that the settings name are read again.\n");
}

#[test]
fn a_refused_reload_has_status_3_and_all_reasons() {
    let case = Case::start("reload-bad", "max_qos 1\n");
    case.write("max_qos 3\nlog_type loud\n");
    for more in ["", " --dry-run"] {
        let (status, out, _) = case.reload(more);
        assert_eq!(status, 3, "{out}");
        assert!(out.contains("a.conf:4:9: Error: 'max_qos' must be between 0 and 2 inclusive."), "{out}");
        assert!(out.contains("a.conf:5:10: Error: Invalid 'log_type' value (loud)."), "{out}");
        assert!(out.contains("refused"), "{out}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let port = taken.local_addr().expect("has one").port();
    case.write(&format!("max_qos 1\nlistener {port} 127.0.0.1\n"));
    let (status, out, _) = case.reload("");
    assert!(status == 3 && out.contains(&format!("Address already in use: 127.0.0.1:{port}")), "{out}");
    assert!(listens(case.port));
}

#[test]
fn the_broker_is_found_by_its_pid_file_its_process_or_its_files() {
    let case = Case::start("reload-find", "");
    let pid = fs::read_to_string(format!("{}.pid", case.file)).expect("was written");
    let (status, out, _) = result(&sori(&format!("reload -p {pid} --dry-run"), 0).output().expect("starts"));
    assert!(status == 0 && out.contains("no setting"), "{out}");
    // Without its pid file it is the one that has this configuration.
    let without = case.directory.file("a.conf", &format!("listener {} 127.0.0.1\n", case.port));
    assert_eq!(without, case.file);
    let (status, out, _) = case.reload(" --dry-run");
    assert!(status == 0 && out.contains("~ pid_file from "), "{out}");
    assert!(out.contains("~ allow_anonymous from true to not set"), "{out}");
}

#[test]
fn a_broker_that_is_not_there_is_told() {
    let directory = Directory::new("reload-none");
    let pid_file = directory.0.join("pid");
    let file = directory.file("a.conf", &format!("pid_file {}\n", pid_file.display()));
    let (status, _, err) = result(&sori(&format!("reload -c {file}"), 0).output().expect("starts"));
    assert!(status == 1 && err.contains("names no process: is the broker running?"), "{err}");
    let (status, _, err) = result(&sori("reload -p 4000000", 0).output().expect("starts"));
    assert!(status == 1 && err.contains("there is no process 4000000"), "{err}");
    let me = std::process::id();
    let (status, _, err) = result(&sori(&format!("reload -p {me}"), 0).output().expect("starts"));
    assert!(status == 1 && err.contains("is no broker of this program"), "{err}");
}

/// A port of somebody else refuses a reload, and a dry run tells that as well. Its own ports are not in a broker's way.
#[test]
fn a_dry_run_sees_ports_that_are_taken() {
    let case = Case::start("reload-taken", "");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let port = taken.local_addr().expect("has one").port();
    case.write(&format!("listener {port} 127.0.0.1\n"));

    let (status, out, _) = case.reload(" --dry-run");
    let expected = format!("{}:4: Error: Somebody listens on 127.0.0.1:{port} already.", case.file);
    assert!(status == 3 && out.contains(&expected), "{out}");
    let (status, out, _) = case.reload("");
    let expected = format!(
        "Error: Address already in use: 127.0.0.1:{port}. Is another broker running? Choose another port. ({}:4)",
        case.file
    );
    assert!(status == 3 && out.contains(&expected), "{out}");
}

//! What is found, and what is not.

use super::*;
use crate::config::{Defaults, Source, read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory that is removed with the case.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("sori-check-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("can be made");
        Directory(path)
    }

    fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, contents).expect("can be written");
        path
    }

    /// What is said about a file with these lines; `DIR` in them is the directory.
    fn examined(&self, lines: &str) -> Vec<String> {
        let file = self.write("a.conf", &lines.replace("DIR", self.0.to_str().expect("is text")));
        let files = [file];
        let source = Source { files: &files, ports: &[], defaults: Defaults::Mosquitto, persistence_location: None };
        let mut loaded = read(&source);
        loaded.read_named_files();
        let directory = format!("{}/", self.0.display());
        let ports = Ports { taken: Severity::Error, own: Vec::new() };
        examine(&mut loaded, SystemTime::UNIX_EPOCH, Eyes::Broker { was_root: false }, ports);
        loaded.remarks.iter().map(|remark| remark.to_string().replace(&directory, "")).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn says(said: &[String], expected: &[&str]) {
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (line, part) in said.iter().zip(expected) {
        assert!(line.contains(part), "{said:#?}");
    }
}

/// A password file with the user `a`.
const USERS: &str = "a:$7$101$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n";

/// A port that is free as long as nobody else on the machine takes it.
fn taken_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let port = listener.local_addr().expect("has one").port();
    (listener, port)
}

#[test]
fn a_port_that_somebody_has_is_told_with_its_line() {
    let directory = Directory::new();
    let (listener, port) = taken_port();
    let lines = format!("max_keepalive 5\nlistener {port} 127.0.0.1\n");
    let text = format!("a.conf:2: Error: Somebody listens on 127.0.0.1:{port} already.");
    says(&directory.examined(&lines), &[&text]);
    // A broker that runs with this very file is as it should be.
    directory.write("pid", &std::process::id().to_string());
    let text = format!("a.conf:1: Somebody listens on 127.0.0.1:{port} already.");
    says(&directory.examined(&format!("listener {port} 127.0.0.1\npid_file DIR/pid\n")), &[&text]);
    drop(listener);
    says(&directory.examined(&lines), &[]);
}

#[test]
fn listeners_that_are_in_each_other_s_way_are_told() {
    let directory = Directory::new();
    let (listener, port) = taken_port();
    drop(listener);
    let lines = format!("listener {port} 127.0.0.1\nlistener {port}\nsocket_domain ipv4\n");
    says(
        &directory.examined(&lines),
        &["a.conf:2: Error: Another listener of this configuration (a.conf:1) has 0.0.0.0"],
    );
}

#[test]
fn addresses_of_other_machines_cannot_be_listened_on() {
    let directory = Directory::new();
    // RFC 5737: an address of nobody.
    says(&directory.examined("listener 1883 203.0.113.77\n"), &["Error: Nothing can listen on 203.0.113.77:1883"]);
    says(&directory.examined("listener 1883 127.0.0.1\nsocket_domain ipv6\n"), &["no address of this socket_domain"]);
}

#[test]
fn a_directory_that_is_not_there_is_told_with_the_line_that_names_it() {
    let directory = Directory::new();
    let port = taken_port().1;
    let lines = format!("listener {port} 127.0.0.1\nprotocol http_api\nhttp_dir DIR/gone\n");
    let text = "a.conf:3:10: Error: Unable to use http_dir \"gone\"";
    says(&directory.examined(&lines), &[text]);
    let lines = format!("listener 0 DIR/socket\nprotocol http_api\nhttp_dir DIR\n{lines}");
    says(&directory.examined(&lines), &["a.conf:6:10: Error: Unable to use http_dir \"gone\""]);
}

#[test]
fn unix_sockets_have_places_of_their_own() {
    let directory = Directory::new();
    says(&directory.examined("listener 0 DIR/socket\n"), &[]);
    let listener = UnixListener::bind(directory.0.join("socket")).expect("can be bound");
    says(&directory.examined("listener 0 DIR/socket\n"), &["Error: Somebody listens on socket already."]);
    drop(listener);
    says(&directory.examined("listener 0 DIR/socket\n"), &[]);
    directory.write("file", "");
    says(&directory.examined("listener 0 DIR/file\n"), &["file is there and is no socket."]);
    says(&directory.examined("listener 0 DIR/none/socket\n"), &["The directory of none/socket cannot be used"]);
}

#[test]
fn what_is_to_be_written_must_be_writable() {
    let directory = Directory::new();
    let on = "listener 0 DIR/socket\n";
    says(
        &directory.examined(&format!("{on}pid_file DIR/none/pid")),
        &["a.conf:2:10: Error: Unable to write pid file none/pid"],
    );
    says(&directory.examined(&format!("{on}log_dest file DIR/none/log")), &["Warning: none/log cannot be written"]);
    says(&directory.examined(&format!("{on}persistence true\npersistence_location DIR/new/store")), &[]);
    directory.write("file", "");
    let lines = format!("{on}persistence true\npersistence_location DIR/file/store");
    says(&directory.examined(&lines), &["Nothing can be kept in file/store"]);
    says(&directory.examined(&format!("{on}import_sqlite DIR/none.db")), &["Error: none.db cannot be read"]);
    says(&directory.examined(&format!("{on}pid_file DIR/pid\nlog_dest file DIR/log\nuser root")), &[]);
}

#[test]
fn a_user_must_exist() {
    let directory = Directory::new();
    let file = directory.write("a.conf", "listener 0 socket\nuser no-such-user\n");
    let arguments = Arguments { config_files: vec![file], ..Arguments::default() };
    let origin = Origin { arguments, called_as_mosquitto: false };
    let mut loaded = origin.read();
    become_broker(&mut loaded, &origin);
    let said: Vec<String> = loaded.remarks.iter().map(Remark::to_string).collect();
    let text = "a.conf:2:6: Error: Unable to drop privileges to 'no-such-user' because this user does not exist.";
    says(&said, &[text]);
}

#[test]
fn rules_that_can_never_match_are_warned_of() {
    let directory = Directory::new();
    directory
        .write("acl", "topic read x/y\nuser a\ntopic a/b\ntopic deny a/#\ntopic readwrite b/#\npattern read c/%u\n");
    directory.write("users", USERS);
    let path = directory.0.join("users");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("is ours");
    let said = directory.examined("listener 0 DIR/socket\nacl_file DIR/acl\npassword_file DIR/users\n");
    says(&said, &["acl:1: Warning: Rules above the first 'user'", "acl:3: Warning: The rule for 'a/b' never grants"]);
    directory.write("other", "user b\ntopic b\ntopic read $share/g/b\ntopic write $SYS/b\ntopic read $SYS/#\n");
    let lines = "listener 0 DIR/socket\nallow_anonymous true\nacl_file DIR/other\npassword_file DIR/users\n";
    let expected = [
        "other:2: Warning: The user 'b' never comes in: users has no such name.",
        "other:3: Warning: The rule for '$share/g/b' never matches: no topic begins with $share.",
        "other:4: Warning: The rule for '$SYS/b' never grants anything: only the broker writes $SYS.",
    ];
    says(&directory.examined(lines), &expected);
    let said = directory.examined("listener 0 DIR/socket\nallow_anonymous true\nmount_point x/\nacl_file DIR/acl\n");
    let never =
        |line: usize, filter: &str| format!("acl:{line}: Warning: The rule for '{filter}' never matches: no mount");
    let expected = [never(5, "b/#"), never(6, "c/%u")];
    for expected in &expected {
        assert!(said.iter().any(|line| line.contains(expected.as_str())), "{expected}: {said:#?}");
    }
    assert!(!said.iter().any(|line| line.starts_with("acl:1:")), "{said:#?}");
}

#[test]
fn secrets_are_for_the_broker_only() {
    let directory = Directory::new();
    let path = directory.write("secret", "");
    for (mode, warnings) in [(0o600, 0), (0o640, 0), (0o644, 1), (0o602, 1)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("is ours");
        let mut remarks = Vec::new();
        permissions::examine_secret(&path, &mut remarks);
        assert_eq!(remarks.len(), warnings, "{mode:o}");
    }
}

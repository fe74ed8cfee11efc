//! `sori check`: what it says about files, good and bad.

use super::broker::unused_port;
use super::serve::{Directory, Running};
use super::{result, sori};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn a_good_file_has_status_0() {
    let (directory, port) = (Directory::new("check-good"), unused_port());
    let file = directory.file("a.conf", &format!("listener {port} 127.0.0.1\nallow_anonymous true\n"));
    let (status, out, err) = result(&sori(&format!("check -c {file}"), 0).output().expect("starts"));
    assert_eq!((status, out.as_str(), err.as_str()), (0, "The configuration is good.\n", ""));
}

#[test]
fn all_mistakes_of_all_files_are_told_with_line_and_column() {
    let directory = Directory::new("check-bad");
    let other = directory.file("b.conf", "  max_keepalive\t70000\n");
    let acl = directory.file("acl", "topics a\n");
    let port = unused_port();
    let text = format!("listener {port}\nlog_type eror\nallow_anonymus true\nacl_file {acl}\n");
    let file = directory.file("a.conf", &text);
    let (status, out, _) = result(&sori(&format!("check -c {file} -c {other}"), 0).output().expect("starts"));
    assert_eq!(status, 3, "{out}");
    for expected in [
        format!("{file}:2:10: Error: Invalid 'log_type' value (eror). Hint: did you mean 'error'?"),
        format!(
            "{file}:3:1: Error: Unknown configuration variable 'allow_anonymus'. Hint: did you mean 'allow_anonymous'?"
        ),
        format!("{other}:1:17: Error: Invalid 'max_keepalive' value (70000)."),
        format!("{acl}:1:1: Error: Invalid line in acl_file"),
        "The broker would not start: 4 errors".to_owned(),
    ] {
        assert!(out.contains(&expected), "{expected}\n{out}");
    }
}

#[test]
fn programs_get_json() {
    let directory = Directory::new("check-json");
    let file = directory.file("a.conf", "listener 1883\n max_qos 3\n");
    let (status, out, _) = result(&sori(&format!("check --json -c {file}"), 0).output().expect("starts"));
    assert_eq!(status, 3, "{out}");
    let report: serde_json::Value = serde_json::from_str(&out).expect("is JSON");
    assert_eq!((&report["ok"], &report["errors"]), (&false.into(), &1.into()));
    let remark = &report["remarks"][0];
    assert_eq!((&remark["severity"], &remark["file"]), (&"error".into(), &file.as_str().into()));
    assert_eq!((&remark["line"], &remark["column"]), (&2.into(), &10.into()));
    assert_eq!(remark["hint"], "it must be from 0 to 2.");
}

#[test]
fn a_port_that_somebody_has_is_an_error_to_a_check_and_a_warning_to_a_test() {
    let directory = Directory::new("check-port");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let port = listener.local_addr().expect("has one").port();
    let file = directory.file("a.conf", &format!("listener {port} 127.0.0.1\nallow_anonymous true\n"));
    let (status, out, _) = result(&sori(&format!("check -c {file}"), 0).output().expect("starts"));
    assert!(status == 3 && out.contains(&format!("{file}:1: Error: Somebody listens on 127.0.0.1:{port}")), "{out}");
    let (status, _, err) = result(&sori(&format!("serve --test-config -c {file}"), 0).output().expect("starts"));
    assert!(status == 0 && err.contains("Warning: Somebody listens") && err.contains("file is OK."), "{err}");
}

/// Whatever is wrong at which stage: what a line says, what the files say that it names, what the machine has.
#[test]
fn no_mistake_hides_another() {
    let directory = Directory::new("check-stages");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
    let (port, other) = (taken.local_addr().expect("has one").port(), unused_port());
    let users = directory.file("users", "somebody:no hash\n");
    let acl = directory.file("acl", "user a\ntopic reed a/b\n");
    let psk = directory.file("psk", "a:xyz\n");
    let gone = directory.0.join("gone");
    let gone = gone.display();
    let text = format!(
        "max_keepalive many\npassword_file {users}\nacl_file {acl}\npsk_file {psk}\npid_file {gone}/pid\n\
         listener {port} 127.0.0.1\n\
         listener {other} 127.0.0.1\ncertfile {gone}.crt\nkeyfile {gone}.key\ncafile {gone}.ca\n\
         listener {other} 127.0.0.1\n\
         listener 0 {gone}/socket\nprotocol http_api\nhttp_dir {gone}\n"
    );
    let file = directory.file("a.conf", &text);
    let expected = [
        format!("{file}:1:15: Error: 'max_keepalive' value not a number."),
        format!("{users}:1:10: Error: Unable to decode line in password file '{users}'."),
        format!("{acl}:2:7: Error: Invalid topic access type 'reed' in acl_file."),
        format!("{psk}:1:3: Error: Invalid line in psk_file '{psk}'."),
        format!("{file}:5:10: Error: Unable to write pid file {gone}/pid:"),
        format!("{file}:8:10: Error: Unable to load server certificate \"{gone}.crt\". Check certfile:"),
        format!("{file}:9:9: Error: Unable to load server key file \"{gone}.key\". Check keyfile:"),
        format!("{file}:10:8: Error: Unable to load CA certificates \"{gone}.ca\". Check cafile:"),
        format!("{file}:11: Error: There is already a listener on port {other} ({file}:7)."),
        format!("{file}:14:10: Error: Unable to use http_dir \"{gone}\""),
    ];
    let of_machine = [
        format!("{file}:6: Error: Somebody listens on 127.0.0.1:{port} already."),
        format!("{file}:12: Error: The directory of {gone}/socket cannot be used"),
    ];
    let (status, out, _) = result(&sori(&format!("check -c {file}"), 0).output().expect("starts"));
    for expected in expected.iter().chain(&of_machine) {
        assert!(out.contains(expected), "{expected}\n{out}");
    }
    let errors = expected.len() + of_machine.len();
    assert!(status == 3 && out.contains(&format!("would not start: {errors} errors")), "{out}");
    // A start tells all of it but what it would find out by opening sockets, and opens none.
    for words in [format!("serve -c {file}"), format!("serve -d -c {file}")] {
        let (status, _, err) = result(&sori(&words, 0).output().expect("starts"));
        for expected in &expected {
            assert!(err.contains(expected), "{expected}\n{err}");
        }
        let count = format!("has {} errors; nothing was started.", expected.len());
        assert!(status == 3 && err.contains(&count), "{err}");
    }
}

/// Only root can become somebody else, and that is whom a check by root must ask.
#[test]
fn what_the_user_of_the_broker_may_not_have_is_found_out_by_root_too() {
    let directory = Directory::new("check-user");
    let users = directory.file("users", "");
    let file = directory.file("a.conf", &format!("listener {}\nuser nobody\npassword_file {users}\n", unused_port()));
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&directory.0, mode(0o755)).expect("is ours");
    std::fs::set_permissions(&users, mode(0o600)).expect("is ours");
    let is_root = std::fs::metadata(&users).expect("is there").uid() == 0;
    let expected = format!("{file}:3:15: Error: Unable to open password_file \"{users}\".");
    for words in [format!("check -c {file}"), format!("serve --test-config -c {file}")] {
        let (status, out, err) = result(&sori(&words, 0).output().expect("starts"));
        assert_eq!((status == 3, (out + &err).contains(&expected)), (is_root, is_root), "{err}");
    }
    if is_root {
        let (status, _, err) = result(&sori(&format!("serve -c {file}"), 0).output().expect("starts"));
        assert!(status == 3 && err.contains(&expected), "{err}");
    }
}

/// The ports of the broker that runs with this file are no mistake in it.
#[test]
fn a_file_whose_own_broker_runs_is_good() {
    let (directory, port) = (Directory::new("check-own"), unused_port());
    let file = directory.file("a.conf", &format!("listener {port} 127.0.0.1\nallow_anonymous true\n"));
    let _broker = Running::start(sori(&format!("serve -c {file}"), port), "running");
    let check = |file: &str| result(&sori(&format!("check -c {file}"), 0).output().expect("starts"));
    let (status, out, _) = check(&file);
    assert_eq!((status, out.as_str()), (0, "The configuration is good.\n"));
    let other = directory.file("b.conf", &format!("listener {port} 127.0.0.1\nallow_anonymous true\n"));
    let (status, out, _) = check(&other);
    assert!(status == 3 && out.contains("Somebody listens on"), "{out}");
}

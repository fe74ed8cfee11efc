//! `sori check`: what it says about files, good and bad.

use super::broker::unused_port;
use super::serve::Directory;
use super::{result, sori};

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
    let text = format!("listener 1883\nlog_type eror\nallow_anonymus true\nacl_file {acl}\n");
    let file = directory.file("a.conf", &text);
    let (status, out, _) = result(&sori(&format!("check -c {file} -c {other}"), 0).output().expect("starts"));
    assert_eq!(status, 3, "{out}");
    for expected in [
        format!("{file}:2:10: Error: Invalid 'log_type' value (eror). Hint: did you mean 'error'?"),
        format!(
            "{file}:3:1: Error: Unknown configuration variable 'allow_anonymus'. Hint: did you mean 'allow_anonymous'?"
        ),
        format!("{other}:1:17: Error: Invalid 'max_keepalive' value (70000)."),
        format!("{acl}:1: Error: Invalid line in acl_file"),
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

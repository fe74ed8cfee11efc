//! `sori explain` from outside.

use super::serve::Directory;
use super::{result, sori};

fn run(words: &str) -> (i32, String, String) {
    result(&sori(words, 0).output().expect("starts"))
}

const ACL: &str =
    "topic read news\n\nuser ann\ntopic write home/#\npattern deny home/%c/secret\ntopic deny home/lock\n";

#[test]
fn rules_are_explained_by_their_lines() {
    let directory = Directory::new("explain");
    let acl = directory.file("acl", ACL);
    for (words, status, said) in [
        (
            "--user ann --topic home/x --action write",
            0,
            format!("write: yes, granted by {acl}:4 `topic write home/#`\n"),
        ),
        (
            "--user ann --topic home/lock --action write",
            1,
            format!("write: no, denied by {acl}:6 `topic deny home/lock`\n"),
        ),
        ("--user ann --topic home/x --action read", 1, format!("read: no, no line of {acl} grants it\n")),
        ("--topic news --action read", 0, format!("read: yes, granted by {acl}:1 `topic read news`\n")),
        (
            "--client c --topic home/c/secret --action read",
            1,
            format!("read: no, denied by {acl}:5 `pattern deny home/%c/secret`\n"),
        ),
        (
            "--topic news/# --action subscribe",
            0,
            "subscribe: yes, everybody may; each message that would be sent is asked for as `read`\n".to_owned(),
        ),
    ] {
        assert_eq!(run(&format!("explain --acl-file {acl} {words}")), (status, said, String::new()), "{words}");
    }
    let (status, out, err) = run(&format!("explain --acl-file {acl} --user ann --topic home/x --json"));
    assert_eq!((status, err.as_str()), (1, ""));
    let write = format!(
        r#"{{"action":"write","is_allowed":true,"reason":"granted by {acl}:4","file":"{acl}","line":4,"text":"topic write home/#"}}"#
    );
    assert_eq!(out.lines().nth(1), Some(write.as_str()), "{out}");
    assert_eq!(out.lines().count(), 3, "{out}");
}

#[test]
fn a_configuration_is_explained_with_the_login() {
    let directory = Directory::new("explain-conf");
    let acl = directory.file("acl", ACL);
    let users = directory.file("users", "# none\n");
    let conf = directory.file(
        "broker.conf",
        &format!(
            "per_listener_settings true\nlistener 1\nacl_file {acl}\npassword_file {users}\nlistener 2\n\
             allow_anonymous true\nmount_point home/\n"
        ),
    );
    let (status, out, _) = run(&format!("explain -c {conf} --user ann --topic home/x --action write"));
    let login = format!("connect: no, {users} has no such user\n");
    assert_eq!((status, out), (1, format!("{login}write: yes, granted by {acl}:4 `topic write home/#`\n")));
    let (status, out, _) = run(&format!("explain -c {conf} --listener 2 --topic x --action write"));
    assert_eq!(
        (status, out.as_str()),
        (0, "connect: yes, allow_anonymous is true\nwrite: yes, there is no acl_file\n")
    );
    let (status, _, err) = run(&format!("explain -c {conf} --listener 3 --topic x"));
    assert_eq!((status, err.as_str()), (2, "sori: no listener has 3; there are: 1, 2\n"));
}

#[test]
fn what_cannot_be_asked_is_named() {
    let directory = Directory::new("explain-bad");
    let acl = directory.file("acl", "topics a\n");
    for (words, status, said) in [
        (format!("explain --acl-file {acl} --topic a"), 3, "Invalid line in acl_file: topics a."),
        ("explain --topic a".to_owned(), 2, "--config-file"),
        (format!("explain --acl-file {acl} --topic a/# --action read"), 3, "Invalid line"),
    ] {
        let (found, _, err) = run(&words);
        assert!(found == status && err.contains(said), "{words}: {found} {err}");
    }
    let acl = directory.file("acl", "");
    let (status, _, err) = run(&format!("explain --acl-file {acl} --topic a/# --action read"));
    assert!(status == 2 && err.starts_with("sori: 'a/#' is a filter: "), "{err}");
}

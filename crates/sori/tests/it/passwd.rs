//! `sori passwd` and `mosquitto_passwd` from outside, and whether the broker lets in whom they name.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use sori_server::passwords::{Scheme, Users};

use super::link::{linked, named};
use super::serve::Directory;
use super::{result, sori};

/// Runs it with this on standard input.
fn with_input(mut command: Command, input: &str) -> (i32, String, String) {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("starts");
    // It may end without having read everything.
    let _ = child.stdin.take().expect("is a pipe").write_all(input.as_bytes());
    result(&child.wait_with_output().expect("ends"))
}

fn users(file: &str) -> Users {
    let mut remarks = Vec::new();
    let users = Users::read(file.as_ref(), &mut remarks);
    assert_eq!(remarks, []);
    users.expect("is a good file")
}

#[test]
fn users_come_get_another_password_and_go() {
    let directory = Directory::new("passwd");
    let file = directory.0.join("users").display().to_string();
    let run = |words: &str, input: &str| with_input(sori(&format!("passwd {words}"), 0), input);
    let done = |text: &str| (0, format!("{text}\n"), String::new());

    assert_eq!(run(&format!("{file} ann"), "one"), done(&format!("ann is new in {file}.")));
    let mode = fs::metadata(&file).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(run(&format!("-H sha512-pbkdf2 -I 7 {file} bob"), "x\n"), done(&format!("bob is new in {file}.")));
    let text = format!("ann has a new password in {file}.\n");
    assert_eq!(run(&format!("-b {file} ann two"), ""), (0, text, String::new()));

    let found = users(&file);
    assert!(found.check("ann", b"two").is_some() && found.check("ann", b"one").is_none());
    assert!(found.check("bob", b"x").is_some());
    let schemes: Vec<Scheme> = found.entries().iter().map(|user| user.hashed.scheme()).collect();
    assert_eq!(schemes, [Scheme::ARGON2ID, Scheme::Pbkdf2 { iterations: 7 }]);

    assert_eq!(run(&format!("-D {file} ann"), ""), (0, format!("ann is no longer in {file}.\n"), String::new()));
    assert_eq!(
        run(&format!("-D {file} ann"), ""),
        (1, String::new(), "sori: user ann not found in password file\n".into())
    );
    assert_eq!(users(&file).entries().len(), 1);

    let (status, _, err) = run(&format!("-c {file} eve"), "x\n");
    assert!(status == 1 && err.contains("is there already"), "{err}");
    assert_eq!(run(&format!("-c --force {file} eve"), "x\n").0, 0);
    assert!(users(&file).find("bob").is_none());
}

#[test]
fn wrong_usage_has_status_2_and_changes_nothing() {
    let directory = Directory::new("passwd-usage");
    let file = directory.file("users", "");
    for words in [
        "-c -D {file} a",
        "-U {file} a",
        "-D -b {file} a p",
        "-b {file} a",
        "{file} a p",
        "{file}",
        "-I 7 {file} a",
        "-H sha512-pbkdf2 -I 0 {file} a",
        "-H md5 {file} a",
    ] {
        let (status, out, err) = with_input(sori(&format!("passwd {}", words.replace("{file}", &file)), 0), "p\n");
        assert!(status == 2 && out.is_empty(), "{words}: {status} {err}");
    }
    assert_eq!(fs::read_to_string(&file).expect("is text"), "");
}

#[test]
fn the_old_name_has_the_old_words() {
    let directory = linked("passwd-old");
    let file = directory.0.join("users").display().to_string();
    let run = |words: &[&str], input: &str| with_input(named(&directory, "mosquitto_passwd", words), input);
    let asked = "Password: \nReenter password: \n";
    let said = |text: &str| (0, text.to_owned(), String::new());
    let failed = |text: &str| (1, String::new(), text.to_owned());

    let missing = format!("Error: Unable to open password file {file}. No such file or directory.\n");
    assert_eq!(run(&[&file, "ann"], ""), failed(&missing));
    assert_eq!(run(&["-c", &file, "ann"], "a\na\n"), said(&format!("{asked}Adding password for user ann\n")));
    assert_eq!(run(&["-b", &file, "bob", "b"], ""), said("Adding password for user bob\n"));
    assert_eq!(run(&["-b", &file, "bob", "c"], ""), said("Updating password for user bob\n"));
    assert_eq!(run(&["-D", &file, "ann"], ""), said(""));
    assert_eq!(run(&["-D", &file, "ann"], ""), failed("Warning: User ann not found in password file.\n"));
    let differ = (2, asked.to_owned(), "Error: Passwords do not match.\n".to_owned());
    assert_eq!(run(&[&file, "bob"], "a\nb\n"), differ);
    assert_eq!(run(&[&file, "bob"], ""), (1, "Password: \n".to_owned(), "Error: Empty password.\n".to_owned()));
    assert!(users(&file).check("bob", b"c").is_some(), "nothing of what failed has changed it");
    assert_eq!(users(&file).entries()[0].hashed.scheme(), Scheme::PBKDF2);
    let (status, out, _) = run(&["-H", "argon2id", "-b", "-c", "-", "ann", "a"], "");
    assert!(status == 0 && out.starts_with("ann:$argon2id$v=19$m=47104,t=1,p=1$"), "{out}");
    let (status, out, _) = run(&[], "");
    assert!(status == 1 && out.contains("Usage: mosquitto_passwd"), "{out}");
}

#[test]
fn plain_passwords_are_hashed_once_however_often_it_is_said() {
    let directory = linked("passwd-plain");
    let file = directory.file("users", "# plain\nann:a:b\n\nbob: b \n");
    let run = |words: &[&str]| with_input(named(&directory, "mosquitto_passwd", words), "");
    assert_eq!(run(&["-H", "sha512", "-U", &file]), (0, String::new(), String::new()));
    let hashed = fs::read_to_string(&file).expect("is text");
    assert!(hashed.starts_with("# plain\nann:$6$") && hashed.contains("\n\nbob:$6$"), "{hashed}");
    assert!(users(&file).check("ann", b"a:b").is_some() && users(&file).check("bob", b"b").is_some());
    assert_eq!(run(&["-U", &file]), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(&file).expect("is text"), hashed);
    let (status, out, _) = with_input(sori(&format!("passwd -U {file}"), 0), "");
    assert_eq!((status, out), (0, format!("{file}: 0 passwords are hashed now, 2 were before.\n")));

    let broken = directory.file("broken", "ann:a\nbob\n");
    let said = "Error: Corrupt password file at line 2. A line is <user>:<hash>, or begins with '#'.\n";
    assert_eq!(run(&["-U", &broken]), (1, String::new(), said.to_owned()));
    assert_eq!(fs::read_to_string(&broken).expect("is text"), "ann:a\nbob\n");
}

#[test]
fn under_the_old_name_a_user_comes_beside_lines_that_are_none() {
    let directory = linked("passwd-broken");
    let file = directory.file("users", "# ours\nbob\nann:$7$old\n");
    let run = |words: &[&str]| with_input(named(&directory, "mosquitto_passwd", words), "");
    let told = "Error: Corrupt password file at line 2. A line is <user>:<hash>, or begins with '#'.\n";
    let done = |text: &str| (0, text.to_owned(), told.to_owned());
    assert_eq!(run(&["-b", &file, "eve", "e"]), done("Adding password for user eve\n"));
    assert_eq!(run(&["-b", &file, "ann", "a"]), done("Updating password for user ann\n"));
    let text = fs::read_to_string(&file).expect("is text");
    assert!(text.starts_with("# ours\nbob\nann:$7$1000$") && text.contains("\neve:$7$1000$"), "{text}");
    assert_eq!(run(&["-D", &file, "ann"]), (1, String::new(), told.to_owned()));
    let own = with_input(sori(&format!("passwd -b {file} ann b"), 0), "");
    assert_eq!((own.0, own.1.as_str()), (1, ""));
    assert_eq!(fs::read_to_string(&file).expect("is text"), text);
}

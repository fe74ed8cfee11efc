//! Password files and the hashes in them, against what other programs have written.

use super::*;
use crate::config::{Remark, Severity};
use proptest::prelude::*;
use std::path::Path;

const FILE: &str = "/etc/users";
/// "test", 12 bytes of salt, as Mosquitto 1.6 wrote it.
const OLD: &str =
    "$6$njERlZMi/7DzNB9E$iiavfuXvUm8iyDZArTy7smTxh07GXXOrOsqxfW6gkOYVXHGk+W+i/8d3xDxrMwEPygEBhoA8A/gjQC0N2M4Lkw==";

fn read(text: &str) -> (Option<Users>, Vec<Remark>) {
    let mut remarks = Vec::new();
    (Users::parse(Path::new(FILE), text.as_bytes(), &mut remarks), remarks)
}

fn good(text: &str) -> Users {
    let (users, remarks) = read(text);
    assert_eq!(remarks, []);
    users.expect("there is no error")
}

/// The only remark about a file with this line after a good one: its words, its column, its hint.
fn complaint(line: &str) -> (String, Option<usize>, String) {
    let (users, mut remarks) = read(&format!("good:{OLD}\n{line}\n"));
    assert_eq!((users, remarks.len()), (None, 1), "{line}");
    let remark = remarks.remove(0);
    let at = remark.at.expect("has a line");
    assert_eq!((at.line, at.file.display().to_string().as_str(), remark.severity), (2, FILE, Severity::Error));
    (remark.text, at.column, remark.hint.expect("says what to do"))
}

#[test]
fn passwords_of_every_form_are_checked() {
    // Computed with Python's hashlib, and for Argon2 with the reference implementation.
    for (name, hash) in include_str!("vectors.txt").lines().filter_map(|line| line.split_once(' ')) {
        let hashed = Hashed::parse(hash).unwrap_or_else(|error| unreachable!("{name}: {error:?}"));
        assert!(hashed.verify(b"pw"), "{name}");
        for wrong in [&b"pW"[..], b"", b"pw\x01", b"pw "] {
            assert!(!hashed.verify(wrong), "{name} {wrong:?}");
        }
        assert_eq!(hashed.to_string(), hash, "{name}");
    }
}

#[test]
fn a_password_that_was_hashed_fits_and_no_other_does() {
    let cheap = Scheme::Argon2id { memory: 64, passes: 2, lanes: 2 };
    for scheme in [Scheme::Sha512, Scheme::PBKDF2, Scheme::Pbkdf2 { iterations: 101 }, cheap] {
        let hashed = Hashed::of_password(scheme, b"secret").expect("there are random numbers");
        let again = Hashed::parse(&hashed.to_string()).expect("is what was written");
        assert_eq!((&again, again.scheme()), (&hashed, scheme));
        assert!(again.verify(b"secret") && !again.verify(b"Secret"));
        let other = Hashed::of_password(scheme, b"secret").expect("there are random numbers");
        assert_ne!(hashed.fingerprint(), other.fingerprint(), "each has its own salt");
        let text = format!("{hashed:?}");
        assert!(text.starts_with("Hashed(") && text.len() < 80, "neither salt nor key is ever in a log: {text}");
    }
}

#[test]
fn broken_lines_are_errors_with_their_place_2018_12551() {
    let decode = format!("Unable to decode line in password file '{FILE}'.");
    let invalid = format!("Invalid line in password file '{FILE}'.");
    for (line, text, column) in [
        ("bad:".to_owned(), &decode, 5),
        ("bad:bad".to_owned(), &decode, 5),
        ("bad:  bad".to_owned(), &decode, 7),
        ("bäd:$".to_owned(), &decode, 6),
        ("bad:$6".to_owned(), &decode, 7),
        ("bad:$6$".to_owned(), &decode, 8),
        ("bad:$6$njERlZMi/7DzNB9E".to_owned(), &decode, 24),
        ("bad:$6$njERlZMi/7DzNB9E$".to_owned(), &decode, 25),
        (format!("bad:{}", OLD.replace("$6", "$5")), &decode, 6),
        (format!("bad:{}", OLD.replace("lZM", "l{M")), &decode, 8),
        (format!("bad:{}", OLD.replace("iiav", "i{}v")), &decode, 25),
        (format!("bad:{OLD}$"), &decode, 25),
        (format!("bad:{}", OLD.replace("$6$njER", "$6$")), &decode, 8),
        (format!("bad:{}", OLD.replace("$6", "$7$0")), &decode, 8),
        (format!("bad:{}", OLD.replace("$6", "$7$-1")), &decode, 8),
        (format!("bad:{}", OLD.replace("$6", "$7$4294967297")), &decode, 8),
        (format!(":{OLD}"), &invalid, 1),
        (format!("  :{OLD}"), &invalid, 1),
        (format!("a\0b:{OLD}"), &invalid, 1),
        (format!("{}:{OLD}", "x".repeat(65_536)), &invalid, 1),
    ] {
        let (said, at, hint) = complaint(&line);
        assert_eq!((&said, at), (text, Some(column)), "{line} {hint}");
    }
    let (text, column, hint) = complaint(&format!("good:{OLD}"));
    assert_eq!((text, column), (format!("Duplicate user 'good' in password file '{FILE}'."), Some(1)));
    assert_eq!(hint, "the first one is in line 1; remove one of them.");
    let mut remarks = Vec::new();
    assert_eq!(Users::parse(Path::new(FILE), b"a\xff:b\n\xff\xfe\n", &mut remarks), None);
    assert_eq!(remarks.len(), 2, "every line is read: {remarks:?}");
    assert_eq!(Users::parse(Path::new(FILE), b"\xef\xbb\xbfa:b", &mut Vec::new()), None);
}

#[test]
fn a_hash_that_asks_for_too_much_is_refused_before_anything_is_computed() {
    let salt = "c2FsdHNhbHQ";
    let key = "a2V5a2V5a2V5a2V5a2V5a2V5";
    let argon2 = |parameters: &str| format!("$argon2id$v=19${parameters}${salt}${key}");
    assert!(Hashed::parse(&argon2("m=8,t=1,p=1")).is_ok());
    for wrong in [
        "m=1048577,t=1,p=1",
        "m=4294967295,t=1,p=1",
        "m=8,t=1001,p=1",
        "m=8,t=0,p=1",
        "m=8,t=1,p=0",
        "m=8,t=1,p=2",
        "m=8,t=1,p=65",
        "m=8,t=1",
        "m=8,t=1,p=1,x=1",
        "t=1,m=8,p=1",
        "m=+8,t=1,p=1",
        "m=,t=,p=",
    ] {
        assert_eq!(Hashed::parse(&argon2(wrong)).expect_err("is refused").at, 15, "{wrong}");
    }
    assert!(Hashed::parse(&argon2("m=8,t=1,p=1").replace("v=19", "v=16")).is_err());
    assert!(Hashed::parse(&argon2("m=8,t=1,p=1").replace("2id", "2i")).is_err());
    let long = OLD.replace("$6", "$7$10000001");
    assert_eq!(Hashed::parse(&long).expect_err("is refused").at, 3);
}

#[test]
fn comments_and_lines_without_a_colon_are_no_users() {
    let (users, remarks) = read(&format!("# {OLD}\n\n \t\r\nnobody\n ann : {OLD}\t\r\n"));
    let users = users.expect("is good");
    assert_eq!(users.entries().iter().map(|user| (&*user.name, user.line)).collect::<Vec<_>>(), [("ann", 5)]);
    let said: Vec<_> = remarks.iter().map(|remark| (remark.severity, remark.at.as_ref().map(|at| at.line))).collect();
    assert_eq!(said, [(Severity::Warning, Some(4))]);
    assert_eq!(good("").entries().len(), 0);
}

#[test]
fn only_the_right_password_of_a_known_user_is_right() {
    let bob = Hashed::of_password(Scheme::Pbkdf2 { iterations: 1 }, b"b").expect("there are random numbers");
    let users = good(&format!("test:{OLD}\nbob:{bob}\n"));
    assert_eq!(users.check("test", b"test").map(|user| user.line), Some(1));
    assert_eq!(users.check("bob", b"b").map(|user| user.line), Some(2));
    for (name, password) in [("test", &b"b"[..]), ("bob", b"test"), ("bob", b""), ("nobody", b"test"), ("", b"b")] {
        assert_eq!(users.check(name, password), None, "{name}");
    }
    // Whatever is computed for somebody who is not there: with the password that fits it, it is still nobody.
    for n in 0..50 {
        let name = format!("stranger {n}");
        assert_eq!((users.check(&name, b"test"), users.check(&name, b"b")), (None, None));
    }
    assert_eq!(Users::none(Path::new(FILE)).check("test", b"test"), None);
}

#[test]
fn unknown_users_cost_what_known_ones_cost() {
    let hashed = |iterations| Hashed::of_password(Scheme::Pbkdf2 { iterations }, b"x").expect("random numbers");
    let users = good(&format!("a:{}\nb:{}\n", hashed(1), hashed(2)));
    let mut seen = std::collections::HashSet::new();
    for n in 0..200 {
        let name = format!("stranger {n}");
        let decoy = users.decoy(&name).expect("there are users");
        assert_eq!(users.decoy(&name), Some(decoy), "the same name costs the same each time");
        seen.insert(decoy.name.clone());
    }
    assert_eq!(seen.len(), 2, "strangers cost what one or the other user costs");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Users::parse(Path::new(FILE), &bytes, &mut Vec::new());
    }

    #[test]
    fn any_text_is_read_without_panic(text in "(([a-zé]|#){0,3}:?\\$(6|7|argon2id)?\\$([a-zA-Z0-9+/=$,é]|m=|t=|p=|v=19){0,40}\n){0,4}") {
        let mut remarks = Vec::new();
        let users = Users::parse(Path::new(FILE), text.as_bytes(), &mut remarks);
        prop_assert_eq!(users.is_none(), remarks.iter().any(Remark::is_error));
    }

    #[test]
    fn what_is_written_is_what_is_read(text in "\\$(6|7\\$[1-9][0-9]{0,3})\\$[A-Za-z0-9+/]{16}\\$[A-Za-z0-9+/]{84}[AQgw]{2}==") {
        if let Ok(hashed) = Hashed::parse(&text) {
            prop_assert_eq!(hashed.to_string(), text);
        }
    }
}
